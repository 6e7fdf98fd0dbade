//! Tensors of a signature: axes, the dimensions of the caller's array, and where its elements lie.
//!
//! A tensor is row-major unless the signature states strides. Strides count elements and may be 0 or negative; the
//! pointer of a call is that of the lowest element, and element 0 lies `Memory::origin` elements above it.
//! Invariant: `dims` adds up to the number of axes; strides, where stated, are one for each dimension.

use super::Graph;
use crate::base::{AxisId, AxisTable, DType};
use std::collections::BTreeMap;

/// A tensor in the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The name in the text.
    pub name: String,
    /// The element type in memory.
    pub dtype: DType,
    /// The axes, outermost first; a split axis stands as its parts.
    pub axes: Vec<AxisId>,
    /// How many of `axes`, in order, make each dimension of the caller's array: 1, or all parts of a split.
    pub dims: Vec<usize>,
    /// Elements from one index to the next along each dimension; `None`: row-major.
    pub strides: Option<Vec<Extent>>,
}

/// A whole number that depends on extents: a sum of products of extents, each with a factor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The factor of each product of extents; none is 0.
    terms: BTreeMap<Vec<AxisId>, i64>,
}

/// Where the elements of a tensor lie in the memory of a call, all in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// From one index to the next along each axis (not dimension).
    pub strides: Vec<i64>,
    /// From the lowest element to the one at index 0.
    pub origin: u64,
    /// From the lowest element to one past the highest.
    pub span: u64,
}

impl Tensor {
    /// A row-major tensor without split axes.
    pub fn new(name: impl Into<String>, dtype: DType, axes: &[AxisId]) -> Self {
        let (axes, dims) = (axes.to_vec(), vec![1; axes.len()]);
        Self { name: name.into(), dtype, axes, dims, strides: None }
    }

    /// The axes of each dimension of the caller's array.
    pub fn dimensions(&self) -> impl Iterator<Item = &[AxisId]> {
        self.dims.iter().scan(0, |start, &count| {
            let axes = &self.axes[*start..*start + count];
            *start += count;
            Some(axes)
        })
    }

    /// The shape of the caller's array, with bound extents.
    pub fn shape(&self, axes: &AxisTable) -> Vec<u64> {
        self.dimensions().map(|dim| volume(dim, axes)).collect()
    }

    /// Where the elements lie; `None` if an offset overflows.
    pub fn memory(&self, axes: &AxisTable) -> Option<Memory> {
        let strides = match &self.strides {
            Some(strides) => self.flat_strides(strides, axes)?,
            None => row_major(&self.axes, axes)?,
        };
        Memory::of(strides, self.axes.iter().map(|&axis| axes.extent(axis)))
    }

    /// Elements from one index to the next along each dimension of the caller's array; `None` on overflow.
    pub fn dimension_strides(&self, axes: &AxisTable) -> Option<Vec<i64>> {
        if let Some(strides) = &self.strides {
            return strides.iter().map(|stride| stride.value(axes)).collect();
        }
        let flat = row_major(&self.axes, axes)?;
        let mut last = 0;
        let innermost = self.dims.iter().map(|&count| {
            last += count;
            flat[last - 1]
        });
        Some(innermost.collect())
    }

    /// The strides of the axes, if the tensor is not row-major in these extents. Strides along an axis of one element
    /// (or of a tensor without any) do not matter.
    pub fn strides_if_strided(&self, axes: &AxisTable) -> Option<Vec<i64>> {
        let stated = self.flat_strides(self.strides.as_ref()?, axes)?;
        let dense = row_major(&self.axes, axes)?;
        if self.axes.iter().any(|&axis| axes.extent(axis) == 0) {
            return None;
        }
        let differs = |position: usize| {
            stated[position] != dense[position] && axes.extent(self.axes[position]) > 1
        };
        let matter = (0..self.axes.len()).any(differs);
        matter.then_some(stated)
    }

    fn flat_strides(&self, strides: &[Extent], axes: &AxisTable) -> Option<Vec<i64>> {
        let mut flat = vec![];
        for (dim, stride) in self.dimensions().zip(strides) {
            let inner = row_major(dim, axes)?;
            let stride = stride.value(axes)?;
            for factor in inner {
                flat.push(stride.checked_mul(factor)?);
            }
        }
        Some(flat)
    }
}

impl Memory {
    /// The memory of elements with these strides; `None` if an offset overflows.
    pub fn of(strides: Vec<i64>, extents: impl Iterator<Item = u64>) -> Option<Self> {
        let (mut low, mut high, mut empty) = (0_i64, 0_i64, false);
        for (&stride, extent) in strides.iter().zip(extents) {
            empty |= extent == 0;
            let last = i64::try_from(extent.saturating_sub(1)).ok()?;
            let reach = stride.checked_mul(last)?;
            low = low.checked_add(reach.min(0))?;
            high = high.checked_add(reach.max(0))?;
        }
        if empty {
            return Some(Self { strides, origin: 0, span: 0 });
        }
        let span = high.checked_sub(low)?.checked_add(1)?;
        Some(Self { strides, origin: low.unsigned_abs(), span: span.unsigned_abs() })
    }
}

/// Row-major strides; `None` on overflow.
fn row_major(list: &[AxisId], axes: &AxisTable) -> Option<Vec<i64>> {
    let mut strides = vec![1; list.len()];
    let mut stride: i64 = 1;
    for position in (0..list.len()).rev() {
        strides[position] = stride;
        let extent = i64::try_from(axes.extent(list[position])).ok()?;
        stride = stride.checked_mul(extent.max(1))?;
    }
    Some(strides)
}

fn volume(list: &[AxisId], axes: &AxisTable) -> u64 {
    list.iter().fold(1, |product: u64, &axis| product.saturating_mul(axes.extent(axis)))
}

impl Extent {
    /// A number.
    pub fn number(value: i64) -> Self {
        Self::default().with(vec![], value)
    }

    /// The extent of an axis.
    pub fn len(axis: AxisId) -> Self {
        Self::default().with(vec![axis], 1)
    }

    /// The products and their factors, in order.
    pub fn terms(&self) -> impl Iterator<Item = (&[AxisId], i64)> {
        self.terms.iter().map(|(axes, &factor)| (axes.as_slice(), factor))
    }

    /// The same number of other axes.
    #[must_use]
    pub fn map_axes(&self, f: impl Fn(AxisId) -> AxisId) -> Self {
        let mut terms = BTreeMap::new();
        for (axes, factor) in &self.terms {
            let mut axes: Vec<AxisId> = axes.iter().map(|&axis| f(axis)).collect();
            axes.sort_unstable();
            *terms.entry(axes).or_insert(0) += factor;
        }
        Self { terms }
    }

    /// The number in these extents; `None` if it overflows.
    pub fn value(&self, axes: &AxisTable) -> Option<i64> {
        self.terms.iter().try_fold(0_i64, |sum, (list, &factor)| {
            let product = list.iter().try_fold(factor, |product, &axis| {
                product.checked_mul(i64::try_from(axes.extent(axis)).ok()?)
            })?;
            sum.checked_add(product)
        })
    }

    /// Whether it depends on no extent.
    pub fn is_number(&self) -> bool {
        self.terms.keys().all(Vec::is_empty)
    }

    /// The axes on whose extents it depends, some of them more than once.
    pub fn axes(&self) -> impl Iterator<Item = AxisId> {
        self.terms.keys().flatten().copied()
    }

    /// As `factor * len(axis) + rest` where at most one extent is open; without an axis where none is.
    /// `None` if more are open, if one is multiplied by itself, or on overflow.
    pub fn linear(&self, axes: &AxisTable) -> Option<(Option<AxisId>, i64, i64)> {
        let (mut open, mut factor, mut rest) = (None, 0_i64, 0_i64);
        for (list, own) in self.terms() {
            let mut product = own;
            let mut unknown = None;
            for &axis in list {
                match axes.extent_if_bound(axis) {
                    Some(extent) => product = product.checked_mul(i64::try_from(extent).ok()?)?,
                    None if unknown.is_none() && open.is_none_or(|open| open == axis) => {
                        unknown = Some(axis);
                    }
                    None => return None,
                }
            }
            match unknown {
                Some(_) => (open, factor) = (unknown, factor.checked_add(product)?),
                None => rest = rest.checked_add(product)?,
            }
        }
        Some((open, factor, rest))
    }

    /// The text: `2*len(m) + -1`.
    pub fn show(&self, axes: &AxisTable) -> String {
        let terms = self.terms().map(|(list, factor)| {
            let mut factors: Vec<String> =
                list.iter().map(|&axis| format!("len({})", axes.name(axis))).collect();
            if factor != 1 || factors.is_empty() {
                factors.insert(0, factor.to_string());
            }
            factors.join("*")
        });
        let terms: Vec<_> = terms.collect();
        if terms.is_empty() { "0".to_string() } else { terms.join(" + ") }
    }

    /// The sum; `None` if a factor overflows.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        for (axes, factor) in other.terms() {
            let so_far = sum.terms.get(axes).copied().unwrap_or(0);
            sum = sum.with(axes.to_vec(), so_far.checked_add(factor)?);
        }
        Some(sum)
    }

    /// The product; `None` if a factor overflows.
    pub fn times(&self, other: &Self) -> Option<Self> {
        let mut product = Self::default();
        for (left, x) in self.terms() {
            for (right, y) in other.terms() {
                let mut axes = [left, right].concat();
                axes.sort();
                let so_far = product.terms.get(&axes).copied().unwrap_or(0);
                product = product.with(axes, so_far.checked_add(x.checked_mul(y)?)?);
            }
        }
        Some(product)
    }

    fn with(mut self, axes: Vec<AxisId>, factor: i64) -> Self {
        match factor {
            0 => self.terms.remove(&axes),
            _ => self.terms.insert(axes, factor),
        };
        self
    }
}

impl Graph {
    /// The same bound graph with other strides for inputs, in elements for each dimension; `None`: as before.
    #[must_use]
    pub fn with_input_strides(&self, strides: &[Option<Vec<i64>>]) -> Self {
        let mut graph = self.clone();
        for (tensor, strides) in graph.inputs.iter_mut().zip(strides) {
            if let Some(strides) = strides {
                let extents = strides.iter().map(|&stride| Extent::number(stride));
                tensor.strides = Some(extents.collect());
            }
        }
        graph
    }
}
