//! Sums and products with their exact rounding errors (Dekker, 1971; Knuth).
//!
//! Invariant: absent overflow and underflow, the two parts add up to the exact result.

use super::{Lanes, power_of_two};

/// The rounded sum and its exact error (Knuth).
pub(super) fn two_sum<L: Lanes>(lanes: &mut L, a: L::F, b: L::F) -> (L::F, L::F) {
    let sum = lanes.add(a, b);
    let second = lanes.sub(sum, a);
    let first = lanes.sub(sum, second);
    let second_error = lanes.sub(b, second);
    let first_error = lanes.sub(a, first);
    (sum, lanes.add(first_error, second_error))
}

/// The rounded product and its exact error.
pub(super) fn two_product<L: Lanes>(lanes: &mut L, a: L::F, b: L::F) -> (L::F, L::F) {
    let product = lanes.mul(a, b);
    if lanes.fused() {
        let negative = lanes.neg(product);
        return (product, lanes.fma(a, b, negative));
    }
    let (a_high, a_low) = halves(lanes, a);
    let (b_high, b_low) = halves(lanes, b);
    let error = lanes.mul(a_high, b_high);
    let error = lanes.sub(error, product);
    let cross = lanes.mul(a_high, b_low);
    let error = lanes.add(error, cross);
    let cross = lanes.mul(a_low, b_high);
    let error = lanes.add(error, cross);
    let cross = lanes.mul(a_low, b_low);
    (product, lanes.add(error, cross))
}

/// Two floats of half the bits whose sum is `a` (Veltkamp).
fn halves<L: Lanes>(lanes: &mut L, a: L::F) -> (L::F, L::F) {
    let factor = lanes.float(power_of_two(if lanes.double() { 27 } else { 12 }) + 1.0);
    let large = lanes.mul(a, factor);
    let rest = lanes.sub(large, a);
    let high = lanes.sub(large, rest);
    (high, lanes.sub(a, high))
}
