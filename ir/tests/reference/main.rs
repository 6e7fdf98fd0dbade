//! Tests of the reference: against a naive evaluator, against honest and dishonest computations in f32, and for speed.

mod bound;
mod kernels;
mod naive;
mod rules;
mod speed;
