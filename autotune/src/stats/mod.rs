//! Numbers about a kernel and its times that need no clock: the work it forces.

mod work;

pub use work::{Work, work};
