//! Whether two lists of numbers agree about an order.
//!
//! Equal numbers share the mean of their ranks, so the result does not depend on the order of the pairs.

/// The rank correlation of Spearman: 1 where both sides order the pairs alike, -1 where they order them the other way
/// round. `None` with fewer than 2 pairs, or where one side has no order at all.
pub fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 2 {
        return None;
    }
    let (one, other): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (one, other) = (centred_ranks(&one), centred_ranks(&other));
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let spread = (product(&one, &one) * product(&other, &other)).sqrt();
    (spread > 0.0).then(|| product(&one, &other) / spread)
}

/// The rank of each number less the mean rank.
fn centred_ranks(numbers: &[f64]) -> Vec<f64> {
    let mean = (numbers.len() as f64 + 1.0) / 2.0;
    let rank = |number: &f64| {
        let below = numbers.iter().filter(|other| *other < number).count() as f64;
        let equal = numbers.iter().filter(|other| *other == number).count() as f64;
        below + (equal + 1.0) / 2.0 - mean
    };
    numbers.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::rank_correlation;

    #[test]
    fn orders_are_compared() {
        assert_eq!(rank_correlation(&[]), None);
        assert_eq!(rank_correlation(&[(1.0, 2.0)]), None);
        assert_eq!(rank_correlation(&[(1.0, 2.0), (2.0, 2.0)]), None);
        assert_eq!(rank_correlation(&[(1.0, 10.0), (3.0, 30.0), (2.0, 11.0)]), Some(1.0));
        assert_eq!(rank_correlation(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), Some(-1.0));
        // Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15).
        let pairs = [(1.0, 5.0), (2.0, 7.0), (3.0, 6.0), (4.0, 9.0)];
        assert!((rank_correlation(&pairs).unwrap_or(0.0) - 0.8).abs() < 1e-12);
        // Ranks 1.5 1.5 3 against 1 2 3: sqrt(3) / 2.
        let tied = rank_correlation(&[(1.0, 1.0), (1.0, 2.0), (2.0, 3.0)]).unwrap_or(0.0);
        assert!((tied - 0.75_f64.sqrt()).abs() < 1e-12);
    }
}
