//! Between dense host tensors and the memory of a call, where inputs may have strides.
//!
//! A host tensor is row-major whatever the signature says; a call reads from the memory that the strides describe.
//! Invariant: an element goes to its place and back without a change of bits; what lies between elements is garbage
//! (all bits set: NaN, -1), so that a kernel that reads it is found out.

use super::HostTensor;
use crate::base::{AxisSet, AxisTable};
use crate::graph::{Graph, Memory, Tensor};
use std::borrow::Cow;

/// The memory of the inputs of a call, in signature order: from the lowest element of each to its highest.
///
/// # Panics
/// When an input has another size than its tensor; when an extent is not bound.
pub fn memory<'a>(graph: &Graph, inputs: &'a [HostTensor]) -> Vec<Cow<'a, [u8]>> {
    let pairs = graph.inputs.iter().zip(inputs);
    pairs.map(|(tensor, data)| memory_of(graph, tensor, data)).collect()
}

/// The memory of one input.
///
/// # Panics
/// As `memory`.
pub fn memory_of<'a>(graph: &Graph, tensor: &Tensor, data: &'a HostTensor) -> Cow<'a, [u8]> {
    match strided(&graph.axes, tensor) {
        Some(memory) => Cow::Owned(spread(&memory, data)),
        None => Cow::Borrowed(&data.bytes),
    }
}

/// The memory that the elements of a tensor take with other strides, from the lowest element to the highest.
///
/// # Panics
/// When there is not one stride for each axis, or when an element is no whole number of bytes.
pub fn spread(memory: &Memory, data: &HostTensor) -> Vec<u8> {
    assert_eq!(memory.strides.len(), data.shape.len(), "one stride for each axis");
    let width = data.dtype.bits() as usize / 8;
    let mut bytes = vec![0xff; memory.span as usize * width];
    for (place, element) in places(memory, &data.shape).zip(data.bytes.chunks_exact(width)) {
        bytes[place * width..(place + 1) * width].copy_from_slice(element);
    }
    bytes
}

/// Whether elements that lie at one place are equal, so that the memory holds them all.
pub fn can_lie(graph: &Graph, tensor: &Tensor, data: &HostTensor) -> bool {
    let mut settled = data.clone();
    settle(&graph.axes, tensor, &mut settled);
    settled == *data
}

/// Makes elements equal that lie at one place: the last of them in row-major order stays.
pub(super) fn settle(axes: &AxisTable, tensor: &Tensor, data: &mut HostTensor) {
    let Some(memory) = strided(axes, tensor).filter(|_| !sharing(axes, tensor).is_empty()) else {
        return;
    };
    collect(&memory, &spread(&memory, data), data);
}

/// Reads the elements of a tensor back from the memory that `spread` gives.
///
/// # Panics
/// As `spread`; when the memory is too small.
pub fn collect(memory: &Memory, bytes: &[u8], data: &mut HostTensor) {
    let width = data.dtype.bits() as usize / 8;
    let elements = data.bytes.chunks_exact_mut(width);
    for (place, element) in places(memory, &data.shape).zip(elements) {
        element.copy_from_slice(&bytes[place * width..(place + 1) * width]);
    }
}

/// The axes of an input along which several elements may lie at one place.
///
/// Sorted by stride, an axis is free of them if its stride is above the reach of all smaller ones together.
pub(super) fn sharing(axes: &AxisTable, tensor: &Tensor) -> AxisSet {
    let Some(memory) = strided(axes, tensor) else { return AxisSet::EMPTY };
    let mut steps: Vec<_> = tensor
        .axes
        .iter()
        .zip(&memory.strides)
        .map(|(&axis, &stride)| (stride.unsigned_abs(), axis))
        .filter(|&(_, axis)| axes.extent(axis) > 1)
        .collect();
    steps.sort_unstable();
    let (mut reach, mut shared) = (0_u64, AxisSet::EMPTY);
    let mut seen = AxisSet::EMPTY;
    for (stride, axis) in steps {
        seen = seen.with(axis);
        if stride <= reach {
            shared = seen;
        }
        reach = reach.saturating_add(stride.saturating_mul(axes.extent(axis) - 1));
    }
    shared
}

fn strided(axes: &AxisTable, tensor: &Tensor) -> Option<Memory> {
    tensor.strides_if_strided(axes)?;
    tensor.memory(axes)
}

/// The place of each element, in row-major order, in elements from the lowest.
fn places(memory: &Memory, shape: &[u64]) -> impl Iterator<Item = usize> + use<> {
    let mut places = vec![memory.origin.cast_signed()];
    for (&extent, &stride) in shape.iter().zip(&memory.strides) {
        let steps = |place: i64| {
            (0..extent.cast_signed()).map(move |index| place.wrapping_add(index * stride))
        };
        places = places.into_iter().flat_map(steps).collect();
    }
    places.into_iter().map(|place| place as usize)
}
