//! Search, judge, clock and store.
