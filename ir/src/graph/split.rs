//! Names for several axes: `k = kg*128 + ki`.
//!
//! A split is a name for its axes in order, outermost first: its index counts them row-major and its extent is the
//! product of theirs. Extents are solved from whatever is known: those that the text fixes and those of a call.
//! Invariant: no axis is directly a part of two splits and none contains itself, so the axes of a split are in the
//! order of the axis table.

use super::{Graph, Tensor};
use crate::base::{AxisId, AxisTable, Sizes};
use crate::diag::Diagnostic;
use std::collections::BTreeSet;

/// A name for several axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The name.
    pub name: String,
    /// What it was split into, outermost first: axes and other splits by name.
    pub parts: Vec<String>,
    /// The axes that all parts have in the end, outermost first.
    pub axes: Vec<AxisId>,
    /// The extent, if the text fixes it because this is the inner part of another split.
    pub fixed: Option<u64>,
}

impl Split {
    /// The extent if those of all axes are bound.
    pub fn extent_if_bound(&self, axes: &AxisTable) -> Option<u64> {
        let extents = self.axes.iter().map(|&axis| axes.extent_if_bound(axis));
        extents
            .into_iter()
            .try_fold(1, |product: u64, extent| Some(product.saturating_mul(extent?)))
    }
}

impl Graph {
    /// The split of that name.
    pub fn split(&self, name: &str) -> Option<&Split> {
        self.splits.iter().find(|split| split.name == name)
    }

    /// The axes that a name stands for, outermost first: one, or those of a split.
    pub fn axes_of(&self, name: &str) -> Option<Vec<AxisId>> {
        match self.axes.find(name) {
            Some(axis) => Some(vec![axis]),
            None => self.split(name).map(|split| split.axes.clone()),
        }
    }

    /// The extent that the text fixes, of an axis or a split.
    pub(crate) fn fixed_extent(&self, name: &str) -> Option<u64> {
        let axis = self.axes.find(name).filter(|&axis| self.axes.is_fixed(axis));
        let of_axis = axis.and_then(|axis| self.axes.extent_if_bound(axis));
        of_axis.or_else(|| self.split(name)?.fixed)
    }

    /// The bound extent of an axis or a split.
    pub fn extent_of(&self, name: &str) -> Option<u64> {
        let axes = self.axes_of(name)?;
        axes.iter().try_fold(1, |product: u64, &axis| {
            Some(product.saturating_mul(self.axes.extent_if_bound(axis)?))
        })
    }

    /// The name of the axes of one dimension: an axis or a split.
    ///
    /// # Panics
    /// When no tensor of the graph has such a dimension.
    pub fn name_of(&self, axes: &[AxisId]) -> &str {
        match axes {
            [axis] => self.axes.name(*axis),
            _ => {
                let split = self.splits.iter().find(|split| split.axes == axes);
                &split.expect("several axes of one dimension are a split").name
            }
        }
    }

    /// `m=4, k=256`: the dimensions of a tensor with their extents; the name alone where an extent is open.
    pub fn show_shape(&self, tensor: &Tensor) -> String {
        let dimension = |axes: &[AxisId]| {
            let extents = axes.iter().map(|&axis| self.axes.extent_if_bound(axis));
            let extent = extents
                .into_iter()
                .try_fold(1, |product: u64, extent| Some(product.saturating_mul(extent?)));
            let name = self.name_of(axes);
            extent.map_or(name.to_string(), |extent| format!("{name}={extent}"))
        };
        tensor.dimensions().map(dimension).collect::<Vec<_>>().join(", ")
    }

    /// The axes with every extent that follows from sizes, whether these fit each other or not.
    pub(crate) fn solved(&self, sizes: &Sizes) -> AxisTable {
        let mut axes = self.axes.clone();
        let mut whole = self.fixed_splits();
        for (name, &extent) in sizes {
            match self.axes.find(name) {
                Some(axis) if self.axes.is_fixed(axis) => {}
                Some(axis) => axes.bind(axis, extent),
                None => _ = whole.insert(name.clone(), extent),
            }
        }
        solve(&self.splits, &whole, &mut axes);
        axes
    }

    /// The sizes of a set with others in their place: what `given` decides, in whatever names, the set does not.
    pub fn override_sizes(&self, set: &Sizes, given: &Sizes) -> Sizes {
        let axes = self.solved(given);
        let open = |name: &String| {
            let of_name = self.axes_of(name).unwrap_or_default();
            !given.contains_key(name)
                && (of_name.is_empty()
                    || of_name.iter().any(|&axis| axes.extent_if_bound(axis).is_none()))
        };
        let kept = set.iter().filter(|(name, _)| open(name));
        kept.chain(given).map(|(name, &extent)| (name.clone(), extent)).collect()
    }

    /// The extents that the text fixes for splits.
    pub(super) fn fixed_splits(&self) -> Sizes {
        let fixed = self.splits.iter().filter_map(|split| Some((split.name.clone(), split.fixed?)));
        fixed.collect()
    }

    /// The names that a call may size, in order: the splits, then the axes whose extents are free.
    pub fn size_names(&self) -> Vec<&str> {
        let axes = self.axes.ids().filter(|&axis| !self.axes.is_fixed(axis));
        let axes = axes.map(|axis| self.axes.name(axis));
        self.splits.iter().map(|split| split.name.as_str()).chain(axes).collect()
    }
}

/// Why extents do not fit a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) split: String,
    /// The extent of the whole.
    pub(crate) extent: u64,
    /// The axes whose extents are known.
    pub(crate) known: Vec<AxisId>,
    /// Whether those are all its axes.
    pub(crate) all: bool,
    /// The product of their extents, which does not divide the extent (or is not it, where all are known).
    pub(crate) product: u64,
}

/// Binds every axis that follows from the extents of splits, `whole` by name, and the axes that are bound already.
pub(crate) fn solve(splits: &[Split], whole: &Sizes, axes: &mut AxisTable) -> Vec<Misfit> {
    let mut misfits = vec![];
    let mut settled = BTreeSet::new();
    loop {
        let before = settled.len();
        for split in splits.iter().filter(|split| whole.contains_key(&split.name)) {
            if settled.contains(&split.name) {
                continue;
            }
            let (extent, known) = (whole[&split.name], known(split, axes));
            let product = volume(&known, axes);
            let unknown: Vec<_> =
                split.axes.iter().copied().filter(|axis| !known.contains(axis)).collect();
            let all = unknown.is_empty();
            let misfit = Misfit { split: split.name.clone(), extent, known, all, product };
            match unknown.as_slice() {
                [] if product != extent => misfits.push(misfit),
                [] => {}
                // Nothing times nothing: the extent could be any.
                [_] if product == 0 && extent == 0 => continue,
                [_] if product == 0 || extent % product != 0 => misfits.push(misfit),
                [axis] => axes.bind(*axis, extent / product),
                _ => continue,
            }
            settled.insert(split.name.clone());
        }
        if settled.len() == before {
            return misfits;
        }
    }
}

fn known(split: &Split, axes: &AxisTable) -> Vec<AxisId> {
    let bound = |&axis: &AxisId| axes.extent_if_bound(axis).is_some();
    split.axes.iter().copied().filter(bound).collect()
}

fn volume(list: &[AxisId], axes: &AxisTable) -> u64 {
    list.iter().fold(1, |product: u64, &axis| product.saturating_mul(axes.extent(axis)))
}

impl Misfit {
    /// The diagnostic for sizes that were given.
    pub(crate) fn fault(&self, axes: &AxisTable) -> Diagnostic {
        let (name, extent, product) = (&self.split, self.extent, self.product);
        let known = self.known.iter().map(|&axis| {
            format!("{}={}", axes.name(axis), axes.extent_if_bound(axis).unwrap_or_default())
        });
        let known = known.collect::<Vec<_>>().join(", ");
        let fault =
            Diagnostic::new("TW0308", format!("the extent of `{name}` does not fit its parts"));
        let expected = match self.all {
            _ if product == 0 => format!("{name}=0"),
            true => format!("{name}={product}"),
            false => format!("`{name}` to be a multiple of {product}"),
        };
        fault.found(format!("{name}={extent} with {known}")).expected(expected)
    }
}
