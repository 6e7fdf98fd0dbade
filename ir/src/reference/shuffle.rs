//! Fresh cases from old ones: one permutation per axis, applied to the inputs, and known to who compares the outputs.
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
/// Rows shorter than this are moved together with their neighbours.
const ROW_ELEMENTS_MIN: usize = 64;

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

/// A random permutation of each axis of a bound graph whose order does not matter.
#[derive(Clone, Debug)]
pub struct Shuffle {
    seed: u64,
    permutations: BTreeMap<AxisId, Vec<usize>>,
}

/// For each axis of a tensor, outermost first, the position that each index is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(Vec<Vec<usize>>);

impl Shuffle {
    /// The permutations of a seed.
    pub fn draw(graph: &Graph, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut permutations = BTreeMap::new();
        for axis in permutable_axes(graph).iter() {
            let mut order: Vec<usize> = (0..graph.axes.extent(axis) as usize).collect();
            order.shuffle(&mut random);
            permutations.insert(axis, order);
        }
        Self { seed, permutations }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What it does to a tensor of the graph.
    pub fn order(&self, graph: &Graph, tensor: &Tensor) -> Order {
        let axes = tensor.axes.iter().map(|axis| match self.permutations.get(axis) {
            Some(order) => order.clone(),
            None => (0..graph.axes.extent(*axis) as usize).collect(),
        });
        Order(axes.collect())
    }
}

impl Order {
    #[cfg(test)]
    pub(super) fn of(axes: Vec<Vec<usize>>) -> Self {
        Self(axes)
    }

    /// The same order of rows that are long enough to be worth their own work: outer axes, then the elements of a row.
    pub(super) fn rows(&self) -> (Vec<usize>, Vec<usize>) {
        let mut axes = self.0.clone();
        let mut inner = axes.pop().unwrap_or_else(|| vec![0]);
        while inner.len() < ROW_ELEMENTS_MIN
            && let Some(outer) = axes.pop()
        {
            inner = positions(&[outer, inner]);
        }
        (positions(&axes), inner)
    }

    /// The tensor in its new order.
    pub fn apply(&self, data: &HostTensor) -> HostTensor {
        let mut result = HostTensor::zeros(data.dtype, &data.shape);
        self.write(data, &mut result.bytes);
        result
    }

    /// Writes the elements of a tensor in their new order, every bit pattern as it is.
    ///
    /// # Panics
    /// When `to` has not as many bytes as the tensor.
    pub fn write(&self, from: &HostTensor, to: &mut [u8]) {
        assert_eq!(from.bytes.len(), to.len(), "room for the tensor and no more");
        match from.dtype.bits() {
            8 => self.pick(from.bytes.as_chunks::<1>().0, to.as_chunks_mut::<1>().0),
            16 => self.pick(from.bytes.as_chunks::<2>().0, to.as_chunks_mut::<2>().0),
            32 => self.pick(from.bytes.as_chunks::<4>().0, to.as_chunks_mut::<4>().0),
            64 => self.pick(from.bytes.as_chunks::<8>().0, to.as_chunks_mut::<8>().0),
            _ => {
                // Several elements share a byte.
                let mut result = HostTensor::zeros(from.dtype, &from.shape);
                for (index, &source) in positions(&self.0).iter().enumerate() {
                    result.set(index, from.get(source));
                }
                to.copy_from_slice(&result.bytes);
            }
        }
    }

    /// The elements in their new order. Row by row, since a row stays in the first cache while its elements change places.
    fn pick<T: Copy + Send + Sync>(&self, from: &[T], to: &mut [T]) {
        let (rows, inner) = self.rows();
        if to.is_empty() {
            return;
        }
        let places = to.par_chunks_mut(inner.len()).zip(&rows).with_min_len(ROWS_MIN);
        places.for_each(|(to, row)| {
            let row = &from[row * inner.len()..][..inner.len()];
            to.iter_mut().zip(&inner).for_each(|(to, &index)| *to = row[index]);
        });
    }
}

/// Applies one random permutation per permutable axis to the inputs and the expected outputs of a bound graph.
pub fn shuffle(
    graph: &Graph,
    inputs: &[HostTensor],
    expected: &[Expected],
    seed: u64,
) -> (Vec<HostTensor>, Vec<Expected>) {
    let shuffle = Shuffle::draw(graph, seed);
    let inputs = graph.inputs.iter().zip(inputs);
    let inputs = inputs.map(|(tensor, data)| shuffle.order(graph, tensor).apply(data)).collect();
    let expected = graph.outputs.iter().zip(expected).map(|(output, data)| {
        let order = shuffle.order(graph, &output.tensor);
        let picked = |from: &[f64]| {
            let mut to = from.to_vec();
            order.pick(from, &mut to);
            to
        };
        Expected {
            values: picked(&data.values),
            low: picked(&data.low),
            allowances: picked(&data.allowances),
            undecided: data.undecided,
        }
    });
    (inputs, expected.collect())
}

/// The tensor with element `i` along the axis at `axis_position` taken from `permutation[i]`.
///
/// # Panics
/// When the permutation is not as long as the axis.
pub fn permute(tensor: &HostTensor, axis_position: usize, permutation: &[usize]) -> HostTensor {
    assert_eq!(permutation.len() as u64, tensor.shape[axis_position], "one entry per element");
    let axes = (tensor.shape.iter().enumerate()).map(|(position, &extent)| {
        if position == axis_position {
            permutation.to_vec()
        } else {
            (0..extent as usize).collect()
        }
    });
    Order(axes.collect()).apply(tensor)
}

/// For each element in row-major order, the row-major position that it is taken from.
fn positions(orders: &[Vec<usize>]) -> Vec<usize> {
    orders.iter().fold(vec![0], |bases, order| {
        let extent = order.len();
        bases.iter().flat_map(|base| order.iter().map(move |index| base * extent + index)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::DType;

    #[test]
    fn short_rows_move_together() {
        let order = Order(vec![vec![1, 0], vec![0, 2, 1]]);
        assert_eq!(order.rows(), (vec![0], vec![3, 5, 4, 0, 2, 1]));
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        for dtype in [DType::F32, DType::I4, DType::Bf16, DType::F64, DType::I8] {
            let tensor = HostTensor::from_f64(dtype, &[2, 3], values);
            assert_eq!(order.apply(&tensor).to_f64(), [3.0, 5.0, 4.0, 0.0, 2.0, 1.0], "{dtype}");
        }
    }

    #[test]
    fn nothing_and_a_single_number_have_orders() {
        let none = HostTensor::zeros(DType::F32, &[0, 4]);
        assert_eq!(Order(vec![vec![], vec![3, 1, 0, 2]]).apply(&none), none);
        let one = HostTensor::from_f64(DType::F32, &[], [7.0]);
        assert_eq!(Order(vec![]).apply(&one), one);
    }
}
