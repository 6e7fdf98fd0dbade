//! Builds a graph node by node, hash-consing as it goes.

/// Builds a graph.
#[derive(Debug, Default)]
pub struct GraphBuilder {}
