//! From a bound tensor graph to passes.

use super::PassProgram;
use crate::graph::Graph;

/// Plans a bound graph.
pub fn build(graph: &Graph) -> PassProgram {
    let _ = graph;
    todo!()
}
