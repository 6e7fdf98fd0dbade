//! Ceilings measured by hand-made probes.
