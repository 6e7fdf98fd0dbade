//! Search, judge, clock and store.

pub mod ceiling;
pub mod clock;
pub mod judge;
pub mod launch;
pub mod protocol;
pub mod search;
pub mod stats;
pub mod store;
pub mod tune;
