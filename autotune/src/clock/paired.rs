//! Two things measured in turns: which is faster.
//!
//! Samples of one round meet the same machine, so the ratio within each round says more than the ratio of two medians.
//! Invariant: equal samples give an equal answer, and nothing is faster than itself.

use super::median_interval;

/// The time of one thing as a part of another's, from samples taken in turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The median ratio.
    pub median: f64,
    /// The lower end of its 95 % interval.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
}

/// Compares two things by the samples of the rounds that both have; `None` without any.
pub fn paired(own_ns: &[f64], other_ns: &[f64], seed: u64) -> Option<Paired> {
    let ratios: Vec<f64> = own_ns.iter().zip(other_ns).map(|(own, other)| own / other).collect();
    if ratios.is_empty() {
        return None;
    }
    let (median, lo, hi) = median_interval(&ratios, seed);
    Some(Paired { median, lo, hi })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_of_the_machine_cancels() {
        let drift = [1.0, 1.3, 0.9, 1.6, 1.1, 1.0, 1.4];
        let own = drift.map(|factor| 98.0 * factor);
        let other = drift.map(|factor| 100.0 * factor);
        let ratio = paired(&own, &other, 1).unwrap();
        assert!(ratio.hi < 0.981 && ratio.lo > 0.979, "{ratio:?}");
        assert_eq!(paired(&own, &own, 1), Some(Paired { median: 1.0, lo: 1.0, hi: 1.0 }));
        assert_eq!(paired(&own, &[], 1), None);
    }
}
