//! The kernel catalogue.
