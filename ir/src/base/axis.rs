//! Named axes, sets of them, and the extents they are bound to.
//!
//! Invariant: a program has at most `AxisSet::CAPACITY` axes, so a set of axes is one machine word and set
//! iteration is in index order.

use std::collections::BTreeMap;
use std::fmt;

/// Index of an axis in its program's `AxisTable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AxisId(pub u8);

impl AxisId {
    /// The position in the axis table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One axis of a program: its name and, once sizes are bound, its extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The name in the kernel text.
    pub name: String,
    /// The bound extent in elements; `None` while symbolic.
    pub extent: Option<u64>,
    /// Whether the text itself fixes the extent, as that of `ki` in `k = kg*128 + ki`.
    pub fixed: bool,
}

/// The axes of one program, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AxisTable {
    axes: Vec<Axis>,
}

/// Extents by axis name, as a size set or a command line gives them.
pub type Sizes = BTreeMap<String, u64>;

impl AxisTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an axis, or finds it when the name is known. `None` when the table is full.
    pub fn intern(&mut self, name: &str) -> Option<AxisId> {
        if let Some(axis) = self.find(name) {
            return Some(axis);
        }
        if self.axes.len() == AxisSet::CAPACITY {
            return None;
        }
        self.axes.push(Axis { name: name.to_string(), extent: None, fixed: false });
        self.ids().last()
    }

    /// The axis of that name.
    pub fn find(&self, name: &str) -> Option<AxisId> {
        self.ids().find(|&axis| self.name(axis) == name)
    }

    /// The name of an axis.
    pub fn name(&self, axis: AxisId) -> &str {
        &self.axes[axis.index()].name
    }

    /// The bound extent of an axis.
    ///
    /// # Panics
    /// When sizes have not been bound; programs below the tensor graph always have bound sizes.
    pub fn extent(&self, axis: AxisId) -> u64 {
        self.axes[axis.index()].extent.expect("sizes are bound before a program is planned")
    }

    /// The extent if it is bound.
    pub fn extent_if_bound(&self, axis: AxisId) -> Option<u64> {
        self.axes[axis.index()].extent
    }

    /// Binds one extent.
    pub fn bind(&mut self, axis: AxisId, extent: u64) {
        self.axes[axis.index()].extent = Some(extent);
    }

    /// Binds an extent that the text fixes.
    pub fn fix(&mut self, axis: AxisId, extent: u64) {
        self.axes[axis.index()].extent = Some(extent);
        self.axes[axis.index()].fixed = true;
    }

    /// Whether the text fixes the extent.
    pub fn is_fixed(&self, axis: AxisId) -> bool {
        self.axes[axis.index()].fixed
    }

    /// All axes in index order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = AxisId> + use<> {
        (0..self.axes.len()).map(|index| {
            AxisId(u8::try_from(index).expect("intern keeps the table within AxisSet::CAPACITY"))
        })
    }

    /// How many axes the table holds.
    pub fn len(&self) -> usize {
        self.axes.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// The number of elements of a value over these axes; saturates at `u64::MAX`.
    pub fn volume(&self, axes: AxisSet) -> u64 {
        axes.iter().fold(1, |product: u64, axis| product.saturating_mul(self.extent(axis)))
    }

    /// `i, j, d`: the names of a list of axes.
    pub fn names(&self, axes: impl IntoIterator<Item = AxisId>) -> String {
        axes.into_iter().map(|axis| self.name(axis)).collect::<Vec<_>>().join(", ")
    }
}

/// A set of axes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AxisSet(u64);

impl AxisSet {
    /// The largest number of axes in one program.
    pub const CAPACITY: usize = 64;
    /// The set without elements.
    pub const EMPTY: Self = Self(0);

    /// The set of one axis.
    pub fn one(axis: AxisId) -> Self {
        Self(1 << axis.0)
    }

    /// Whether the axis is in the set.
    pub fn contains(self, axis: AxisId) -> bool {
        self.0 >> axis.0 & 1 == 1
    }

    /// Whether every axis of `other` is in this set.
    pub fn contains_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The set with one more axis.
    pub fn with(self, axis: AxisId) -> Self {
        self | Self::one(axis)
    }

    /// The set without one axis.
    pub fn without(self, axis: AxisId) -> Self {
        self - Self::one(axis)
    }

    /// Whether the two sets share no axis.
    pub fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of axes in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The axes in index order.
    pub fn iter(self) -> impl Iterator<Item = AxisId> {
        (0..64).map(AxisId).filter(move |&axis| self.contains(axis))
    }
}

impl std::ops::BitOr for AxisSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for AxisSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl std::ops::Sub for AxisSet {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOrAssign for AxisSet {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl FromIterator<AxisId> for AxisSet {
    fn from_iter<I: IntoIterator<Item = AxisId>>(axes: I) -> Self {
        axes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for AxisSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|axis| axis.0)).finish()
    }
}
