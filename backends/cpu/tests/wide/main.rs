//! The wide path: leaves as machine code against what they mean.

mod call;
mod draw;
mod random;
mod small;
