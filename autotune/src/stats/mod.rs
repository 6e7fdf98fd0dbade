//! Numbers about a kernel and its times that need no clock: the work it forces.

mod forced;
mod rank;
mod work;

pub use rank::rank_correlation;
pub use work::{Work, over_lanes, work, work_of_text};
