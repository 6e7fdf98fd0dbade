//! Search, judge, clock, store and campaigns.

pub mod campaign;
pub mod ceiling;
pub mod clock;
pub mod judge;
pub mod launch;
pub mod protocol;
pub mod search;
pub mod stats;
pub mod store;
pub mod tune;
