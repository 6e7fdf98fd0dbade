//! Tests of the reference: against a naive evaluator, against honest and dishonest computations in f32, and for speed.

mod kernels;
mod speed;
