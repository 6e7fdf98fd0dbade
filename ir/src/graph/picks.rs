//! The computed subscripts of a gather: which axes of a value are replaced, and by which indices.
//!
//! All subscripts of one gather apply at once: an index may vary over an axis that another subscript replaces, or over
//! the axis that it replaces itself. Invariant: axes ascend, each stands once, and the list ends with its first `None`.

use super::NodeId;
use crate::base::{AxisId, AxisSet};

/// The most axes that one gather replaces.
pub const PICKS_MAX: usize = 8;

/// Axes with the nodes of the `i32` indices that replace them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picks([Option<(AxisId, NodeId)>; PICKS_MAX]);

impl Picks {
    /// No subscript.
    pub const EMPTY: Self = Self([None; PICKS_MAX]);

    /// The subscripts of a list; `None` if it has more than `PICKS_MAX`.
    pub fn new(list: &[(AxisId, NodeId)]) -> Option<Self> {
        let mut sorted = list.to_vec();
        sorted.sort_unstable();
        let mut picks = Self::EMPTY;
        for (position, pick) in sorted.into_iter().enumerate() {
            *picks.0.get_mut(position)? = Some(pick);
        }
        Some(picks)
    }

    /// The replaced axes with their indices.
    pub fn iter(self) -> impl Iterator<Item = (AxisId, NodeId)> {
        self.0.into_iter().flatten()
    }

    /// The replaced axes.
    pub fn axes(self) -> AxisSet {
        self.iter().map(|pick| pick.0).collect()
    }

    /// The index that replaces an axis.
    pub fn of(self, axis: AxisId) -> Option<NodeId> {
        self.iter().find(|pick| pick.0 == axis).map(|pick| pick.1)
    }

    /// How many axes are replaced.
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether no axis is replaced.
    pub fn is_empty(self) -> bool {
        self.0[0].is_none()
    }

    /// The same axes with other nodes.
    #[must_use]
    pub fn map(self, mut f: impl FnMut(NodeId) -> NodeId) -> Self {
        Self(self.0.map(|pick| pick.map(|(axis, node)| (axis, f(node)))))
    }

    /// The same nodes for other axes.
    #[must_use]
    pub fn map_axes(self, f: impl Fn(AxisId) -> AxisId) -> Self {
        let list: Vec<_> = self.iter().map(|(axis, node)| (f(axis), node)).collect();
        Self::new(&list).expect("there are as many as before")
    }
}
