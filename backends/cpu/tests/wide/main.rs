//! The wide path: leaves as machine code against what they mean.

mod call;
mod draw;
mod listing;
mod random;
mod small;
