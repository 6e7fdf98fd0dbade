//! What some families do to a tensor that has been drawn: scales, offsets, bars, zeros, subnormals, numbers that are none.
//!
//! Invariant: elements change, their number and type never.

use super::super::HostTensor;
use super::super::tensor::{integer_range, power_of_two, round_to};
use crate::base::DType;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Most subnormal numbers of a tensor. Each costs some processors more than a hundred cycles in every instruction that
/// meets it, and a product of matrices meets it a thousand times.
const SUBNORMALS_MAX: usize = 200;

/// The largest exponents of scales: products of four have room in the type, since other forms of a kernel may multiply in
/// another order.
fn scale_max(dtype: DType) -> i32 {
    match dtype {
        DType::F16 => 4,
        DType::F64 => 200,
        _ => 30,
    }
}

/// Multiplies each index along the axis of a place with a power of two of its own; of every sixteen one is zero, and half are of
/// no extreme magnitude.
pub(super) fn scale_along(tensor: &mut HostTensor, place: u64, random: &mut ChaCha8Rng) {
    if !tensor.dtype.is_float() {
        return;
    }
    let axis = place as usize % tensor.shape.len().max(1);
    let inner: u64 = tensor.shape.iter().skip(axis + 1).product();
    let length = tensor.shape.get(axis).copied().unwrap_or(1);
    let most = scale_max(tensor.dtype);
    let scales: Vec<f64> = (0..length)
        .map(|_| match random.random_range(0..16) {
            0 => 0.0,
            1..=8 => power_of_two(random.random_range(-12..=most.min(12))),
            _ => power_of_two(random.random_range(-most..=most)),
        })
        .collect();
    for index in 0..tensor.len() {
        let along = index as u64 / inner.max(1) % length.max(1);
        tensor.set(index, tensor.get(index) * scales[along as usize]);
    }
}

/// Makes one index along the axis of a place -inf, and all but one element of another.
pub(super) fn bar(tensor: &mut HostTensor, place: u64, random: &mut ChaCha8Rng) {
    if !tensor.dtype.is_float() || tensor.is_empty() {
        return;
    }
    let axis = place as usize % tensor.shape.len().max(1);
    let inner: u64 = tensor.shape.iter().skip(axis + 1).product();
    let length = tensor.shape.get(axis).copied().unwrap_or(1).max(1);
    let (all, most) = (random.random_range(0..length), random.random_range(0..length));
    let mut spared = most == all;
    for index in 0..tensor.len() {
        let along = index as u64 / inner.max(1) % length;
        if along == most && !spared {
            spared = true;
        } else if along == all || along == most {
            tensor.set(index, f64::NEG_INFINITY);
        }
    }
}

/// Adds a number far from zero to each element.
pub(super) fn offset(tensor: &mut HostTensor, random: &mut ChaCha8Rng) {
    let most = if tensor.dtype == DType::F16 { 5 } else { 10 };
    let sign = if random.random() { 1.0 } else { -1.0 };
    let centre =
        sign * (1.0 + random.random::<f64>()) * power_of_two(random.random_range(3..=most));
    for index in 0..tensor.len() {
        tensor.set(index, tensor.get(index) + centre);
    }
}

/// Ones; in the chosen tensor only where an axis begins, and behind that numbers about the unit roundoff.
pub(super) fn draw_behind(tensor: &mut HostTensor, is_chosen: bool, random: &mut ChaCha8Rng) {
    let dtype = tensor.dtype;
    let axis = random.random_range(0..tensor.shape.len().max(1));
    let inner: u64 = tensor.shape.iter().skip(axis + 1).product();
    let length = tensor.shape.get(axis).copied().unwrap_or(1);
    // Ties, and numbers that round up or down each time.
    let share = [0.75, 1.0, 1.5][random.random_range(0..3_usize)];
    // Sums of narrow numbers are made in f32.
    let accumulator = if dtype == DType::F64 { dtype } else { DType::F32 };
    let small = (share * accumulator.unit_roundoff()).max(dtype.min_normal());
    for index in 0..tensor.len() {
        let is_first = (index as u64 / inner.max(1)).is_multiple_of(length.max(1));
        let is_small = is_chosen && dtype.is_float() && !is_first;
        tensor.set(index, if is_small { round_to(dtype, small) } else { 1.0 });
    }
}

/// Some zeros and subnormals; of integers the ends of the range.
pub(super) fn sprinkle(tensor: &mut HostTensor, random: &mut ChaCha8Rng) {
    let dtype = tensor.dtype;
    let count = tensor.len();
    if count == 0 {
        return;
    }
    if dtype.is_integer() {
        let (low, high) = integer_range(dtype);
        for _ in 0..count.div_ceil(8) {
            let values = [low, low + 1.0, high, 0.0, 1.0, low.max(-1.0)];
            tensor.set(random.random_range(0..count), values[random.random_range(0..values.len())]);
        }
        return;
    }
    let mut subnormals = 0;
    for _ in 0..count.div_ceil(16) {
        let small = dtype.min_subnormal() * f64::from(random.random_range(1..100u8));
        let values = [0.0, -0.0, small, -small, dtype.min_normal()];
        let mut value = values[random.random_range(0..values.len())];
        if value.abs() == small {
            subnormals += 1;
            if subnormals > SUBNORMALS_MAX {
                value = 0.0;
            }
        }
        tensor.set(random.random_range(0..count), value);
    }
    // A small tensor could be without any.
    if subnormals == 0 {
        tensor.set(random.random_range(0..count), dtype.min_subnormal());
    }
}

/// A NaN, or an infinity of each sign.
pub(super) fn sprinkle_not_finite(tensor: &mut HostTensor, nan: bool, random: &mut ChaCha8Rng) {
    let count = tensor.len();
    if count == 0 || !tensor.dtype.is_float() {
        return;
    }
    let values: &[f64] = if nan { &[f64::NAN] } else { &[f64::INFINITY, f64::NEG_INFINITY] };
    for &value in values {
        tensor.set(random.random_range(0..count), value);
    }
}
