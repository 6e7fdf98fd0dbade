//! How the elements of a buffer are addressed.
//!
//! An address is base + offset + the sum over axes of index times stride; axes may be cut into panels. A gather adds
//! computed subscripts, each with a stride, and an affine subscript becomes strides of the axes in it.
//! An i4 input is packed, two elements to a byte; everywhere else an i4 element has a byte of its own, so that elements
//! can be written one by one.
//! Invariant: every axis of the value has a term or occurs in a subscript, so the address of an element is a function of
//! its axes and of the subscripts alone.

use tilewright_ir::base::AxisTable;
use tilewright_ir::tile::{Buffer, Layout, Scope, Span};
use tilewright_ir::{AxisId, AxisSet, DType};

/// Where a place begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// An argument or device buffer, by position.
    Argument(usize),
    /// An offset into the thread's scratch, in bytes.
    Scratch(u64),
}

/// The contribution of one axis to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// The axis.
    pub axis: AxisId,
    /// Bytes from one index to the next (for a panel axis: inside a panel); half bytes in a packed place.
    pub stride_bytes: i64,
    /// Whether the index counts from the start of the current block.
    pub relative: bool,
}

/// The axis that is cut into panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    /// The axis.
    pub axis: AxisId,
    /// Elements of a panel along it.
    pub width: u64,
    /// Bytes from one panel to the next.
    pub stride_bytes: i64,
}

/// A buffer as addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The buffer's name, for people.
    pub name: String,
    /// Where it begins.
    pub base: Base,
    /// Bytes from there to the element at index 0; not 0 where a stride is negative or an index begins
    /// elsewhere.
    pub origin_bytes: i64,
    /// The element type.
    pub dtype: DType,
    /// One term for each axis that the address is linear in, of a buffer in memory order.
    pub terms: Vec<Term>,
    /// Bytes from one index to the next of each computed subscript.
    pub picks: Vec<i64>,
    /// The axes cut into panels.
    pub panels: Vec<Panel>,
    /// The axis whose neighbours lie in groups of so many, the last of them padded.
    pub depth: Option<(AxisId, u64)>,
    /// Of how many neighbours along that axis there is memory for a multiple.
    pub padded: u64,
    /// Whether nothing in this phase writes it.
    pub constant: bool,
    /// Whether two elements share a byte, low half first: then addresses and strides count half bytes.
    pub packed: bool,
}

impl Place {
    /// The place of a tile buffer that begins at `base`.
    pub fn of_buffer(buffer: &Buffer, axes: &AxisTable, base: Base, constant: bool) -> Self {
        let bytes = i64::try_from(buffer.dtype.bytes()).expect("an element has few bytes");
        let (panel_axis, width, depth, groups) = match buffer.layout {
            Layout::Panel { axis, width, depth, groups } => (Some(axis), width, depth, groups),
            Layout::Rows => (None, 1, None, 1),
            Layout::Strides(_) => return Self::of_strided(buffer, axes, base, constant),
        };
        let count = depth.map_or(1, |(_, count)| count);
        let group = bytes * signed(count);
        let mut stride = group * signed(width);
        let mut terms = Vec::with_capacity(buffer.axes.len());
        let mut panels = vec![];
        for position in (0..buffer.axes.len()).rev() {
            let axis = buffer.axes[position];
            let relative = matches!(buffer.spans[position], Span::Block(_));
            let span = buffer.span(position, axes);
            if panel_axis == Some(axis) {
                terms.push(Term { axis, stride_bytes: group, relative });
            } else if depth.is_some_and(|(of, _)| of == axis) {
                terms.push(Term { axis, stride_bytes: bytes, relative });
                panels.push(Panel { axis, width: count, stride_bytes: stride });
                let groups = span.div_ceil(count).checked_next_multiple_of(groups);
                stride = stride.saturating_mul(signed(groups.unwrap_or(u64::MAX)));
            } else {
                terms.push(Term { axis, stride_bytes: stride, relative });
                stride = stride.saturating_mul(signed(span));
            }
        }
        terms.reverse();
        panels.extend(panel_axis.map(|axis| Panel { axis, width, stride_bytes: stride }));
        let mut place = Self {
            name: buffer.name.clone(),
            base,
            origin_bytes: 0,
            dtype: buffer.dtype,
            terms,
            picks: vec![],
            panels,
            depth,
            padded: count.saturating_mul(groups),
            constant,
            packed: is_packed(buffer),
        };
        place.join_panels();
        place
    }

    /// Panels that lie behind each other as their elements do are none: the axis is linear.
    fn join_panels(&mut self) {
        let terms = &mut self.terms;
        self.panels.retain(|panel| {
            let term = terms.iter_mut().find(|term| term.axis == panel.axis);
            let term = term.expect("a panel axis has a term");
            if panel.width == 1 {
                term.stride_bytes = panel.stride_bytes;
            }
            panel.stride_bytes != term.stride_bytes.saturating_mul(signed(panel.width))
        });
    }

    /// The place of an input whose strides its declaration states.
    fn of_strided(buffer: &Buffer, axes: &AxisTable, base: Base, constant: bool) -> Self {
        let memory = buffer.memory(axes).expect("the verifier has seen that the buffer is small");
        let bytes = i64::try_from(buffer.dtype.bytes()).expect("an element has few bytes");
        let terms = buffer.axes.iter().zip(&memory.strides).map(|(&axis, &stride)| {
            // The stride of an axis with one element may be any number; it is never taken.
            let stride_bytes = if axes.extent(axis) > 1 { stride * bytes } else { 0 };
            Term { axis, stride_bytes, relative: false }
        });
        Self {
            name: buffer.name.clone(),
            base,
            origin_bytes: signed(memory.origin) * bytes,
            dtype: buffer.dtype,
            terms: terms.collect(),
            picks: vec![],
            panels: vec![],
            depth: None,
            padded: 1,
            constant,
            packed: is_packed(buffer),
        }
    }

    /// The axes of the buffer.
    pub fn axes(&self) -> AxisSet {
        self.terms.iter().map(|term| term.axis).collect()
    }

    /// The term of an axis.
    pub fn term(&self, axis: AxisId) -> Option<&Term> {
        self.terms.iter().find(|term| term.axis == axis)
    }

    /// The panels of an axis that is cut.
    pub fn panel_of(&self, axis: AxisId) -> Option<Panel> {
        self.panels.iter().copied().find(|panel| panel.axis == axis)
    }

    /// Bytes between indices `0` and `index` along an axis, from a panel boundary.
    pub fn offset_bytes(&self, axis: AxisId, index: u64) -> i64 {
        let Some(term) = self.term(axis) else { return 0 };
        match self.panel_of(axis) {
            None => signed(index) * term.stride_bytes,
            Some(panel) => {
                signed(index / panel.width) * panel.stride_bytes
                    + signed(index % panel.width) * term.stride_bytes
            }
        }
    }

    /// Bytes for each index along an axis when indices advance by `step` from a multiple of it; `None` when the
    /// address is not linear in such indices.
    pub fn linear_stride_bytes(&self, axis: AxisId, step: u64) -> Option<i64> {
        let Some(term) = self.term(axis) else { return Some(0) };
        match self.panel_of(axis) {
            None => Some(term.stride_bytes),
            Some(panel) if step.is_multiple_of(panel.width) => {
                Some(panel.stride_bytes / signed(panel.width))
            }
            Some(_) => None,
        }
    }
}

/// Whether elements of a buffer share bytes in memory.
fn is_packed(buffer: &Buffer) -> bool {
    buffer.dtype == DType::I4 && buffer.scope == Scope::Input
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
