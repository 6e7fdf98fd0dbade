//! Fresh cases from old ones: one permutation per axis, applied to inputs, values and allowances alike.
//!
//! Invariant: only axes are permuted along which the mathematics is blind to the order, so the permuted reference is
//! the reference of the permuted inputs up to the rounding of f64.

use super::memory::sharing;
use super::{Expected, HostTensor};
use crate::base::{AxisId, AxisSet, ReduceOp};
use crate::graph::{Graph, Op, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Rows that are worth a thread's attention.
const ROWS_MIN: usize = 64;

/// The axes whose order does not matter: not an `Index`, not scanned, not searched by `argmax` or `argmin`, not gathered
/// along, and not among those of a bound graph along which an input has several elements at one place.
pub fn permutable_axes(graph: &Graph) -> AxisSet {
    let bound = graph.axes.ids().all(|axis| graph.axes.extent_if_bound(axis).is_some());
    let inputs = graph.inputs.iter().filter(|_| bound);
    let apart = inputs.fold(graph.axes.ids().collect(), |set: AxisSet, tensor| {
        set - sharing(&graph.axes, tensor)
    });
    graph.nodes.iter().fold(apart, |set: AxisSet, node| match node.op {
        Op::Index(axis) | Op::Scan(_, axis, _) => set.without(axis),
        Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, axes, _) => set - axes,
        Op::Gather(_, picks) => set - picks.axes(),
        _ => set,
    })
}

/// Applies one random permutation per permutable axis to the inputs and the expected outputs of a bound graph.
pub fn shuffle(
    graph: &Graph,
    inputs: &[HostTensor],
    expected: &[Expected],
    seed: u64,
) -> (Vec<HostTensor>, Vec<Expected>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut permutations = BTreeMap::new();
    for axis in permutable_axes(graph).iter() {
        let mut order: Vec<usize> = (0..graph.axes.extent(axis) as usize).collect();
        order.shuffle(&mut random);
        permutations.insert(axis, order);
    }
    let inputs = graph.inputs.iter().zip(inputs).map(|(tensor, data)| {
        let orders = orders(graph, tensor, &permutations);
        let mut result = HostTensor::zeros(data.dtype, &data.shape);
        gather(data, &orders, &mut result);
        result
    });
    let expected = graph.outputs.iter().zip(expected).map(|(output, data)| {
        let orders = orders(graph, &output.tensor, &permutations);
        let pick = |from: &[f64]| if from.is_empty() { vec![] } else { picked(from, &orders) };
        Expected {
            values: pick(&data.values),
            low: pick(&data.low),
            allowances: pick(&data.allowances),
            undecided: data.undecided,
        }
    });
    (inputs.collect(), expected.collect())
}

/// The tensor with element `i` along the axis at `axis_position` taken from `permutation[i]`.
///
/// # Panics
/// When the permutation is not as long as the axis.
pub fn permute(tensor: &HostTensor, axis_position: usize, permutation: &[usize]) -> HostTensor {
    assert_eq!(permutation.len() as u64, tensor.shape[axis_position], "one entry per element");
    let orders: Vec<Vec<usize>> = (tensor.shape.iter().enumerate())
        .map(|(position, &extent)| {
            if position == axis_position {
                permutation.to_vec()
            } else {
                (0..extent as usize).collect()
            }
        })
        .collect();
    let mut result = HostTensor::zeros(tensor.dtype, &tensor.shape);
    gather(tensor, &orders, &mut result);
    result
}

/// For each axis of a tensor the position that each index is taken from.
fn orders(
    graph: &Graph,
    tensor: &Tensor,
    permutations: &BTreeMap<AxisId, Vec<usize>>,
) -> Vec<Vec<usize>> {
    (tensor.axes.iter())
        .map(|axis| match permutations.get(axis) {
            Some(order) => order.clone(),
            None => (0..graph.axes.extent(*axis) as usize).collect(),
        })
        .collect()
}

/// For each element in row-major order, the row-major position that it is taken from.
fn positions(orders: &[Vec<usize>]) -> Vec<usize> {
    orders.iter().fold(vec![0], |bases, order| {
        let extent = order.len();
        bases.iter().flat_map(|base| order.iter().map(move |index| base * extent + index)).collect()
    })
}

/// The elements in their new order. Row by row, since a row stays in the first cache while its elements change places.
fn picked<T: Copy + Send + Sync>(from: &[T], orders: &[Vec<usize>]) -> Vec<T> {
    let Some((inner, outer)) = orders.split_last() else { return from.to_vec() };
    let rows = positions(outer);
    let Some(&any) = from.first() else { return vec![] };
    let mut picked = vec![any; rows.len() * inner.len()];
    let places = picked.par_chunks_mut(inner.len().max(1)).zip(&rows).with_min_len(ROWS_MIN);
    places.for_each(|(to, row)| {
        let row = &from[row * inner.len()..][..inner.len()];
        to.iter_mut().zip(inner).for_each(|(to, &index)| *to = row[index]);
    });
    picked
}

/// Copies raw elements, so that every bit pattern survives.
fn gather(from: &HostTensor, orders: &[Vec<usize>], to: &mut HostTensor) {
    fn copied<const WIDTH: usize>(from: &[u8], orders: &[Vec<usize>]) -> Vec<u8> {
        picked(from.as_chunks::<WIDTH>().0, orders).into_flattened()
    }
    to.bytes = match from.dtype.bits() {
        8 => copied::<1>(&from.bytes, orders),
        16 => copied::<2>(&from.bytes, orders),
        32 => copied::<4>(&from.bytes, orders),
        64 => copied::<8>(&from.bytes, orders),
        _ => {
            // Several elements share a byte.
            for (index, &source) in positions(orders).iter().enumerate() {
                to.set(index, from.get(source));
            }
            return;
        }
    };
}
