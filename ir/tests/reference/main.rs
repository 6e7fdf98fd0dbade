//! Tests of the reference: against a naive evaluator, against honest and dishonest computations in f32, and for speed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say how long they took"
)]

mod bound;
mod freedom;
mod gathers;
mod kernels;
mod naive;
mod rules;
mod speed;
