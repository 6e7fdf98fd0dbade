//! The clock through real sessions: more work takes more time, and failures come through.
