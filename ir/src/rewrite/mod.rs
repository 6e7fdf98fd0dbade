//! The rewriter: forms of a kernel that are equal by algebra, found in an e-graph.
//!
//! A graph is spelled out in a small language (`import`), grown by rules (`rules`) until nothing new appears or a count
//! is reached, and read back (`extract`, `export`) as the forms that a cost model likes best at given sizes.
//! Invariant: every form equals the text over the reals; by which rules, `proof` says. Counts, not time, decide where
//! the growth stops, and no order of hashing reaches a form.

mod analysis;
mod centre;
mod export;
mod factor;
mod import;
mod language;
mod roll;
mod rule;
mod rules;
mod smallest;
mod view;

pub use rule::RuleClass;
