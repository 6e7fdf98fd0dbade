//! Search, judge, clock and store.

pub mod ceiling;
pub mod clock;
pub mod launch;
