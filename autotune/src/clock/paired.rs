//! Two things measured in turns: which is faster.
//!
//! Samples of one round meet the same machine, so the ratio within each round says more than the ratio of two medians.
//! Invariant: equal samples give an equal answer, and nothing is faster than itself.

use super::against::Verdict;
use super::bootstrap::median;
use super::median_interval;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const RESAMPLES: usize = 1000;

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

/// As `paired`, of rounds in groups, each with processes and memory of its own: the interval covers what memory does.
pub fn paired_groups(groups: &[(Vec<f64>, Vec<f64>)], seed: u64) -> Option<Paired> {
    let ratios = |(own, other): &(Vec<f64>, Vec<f64>)| -> Vec<f64> {
        own.iter().zip(other).map(|(own, other)| own / other).collect()
    };
    let groups: Vec<Vec<f64>> =
        groups.iter().map(ratios).filter(|ratios: &Vec<f64>| !ratios.is_empty()).collect();
    let all: Vec<f64> = groups.iter().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut drawn = vec![];
            for _ in &groups {
                let group = &groups[rng.random_range(0..groups.len())];
                drawn.extend(group.iter().map(|_| group[rng.random_range(0..group.len())]));
            }
            median(&mut drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    let (lo, hi) = (medians[cut], medians[RESAMPLES - 1 - cut]);
    Some(Paired { median: median(&mut all.clone()), lo, hi })
}

impl Paired {
    /// What it says where a difference of this part of the time is none.
    pub fn verdict(&self, effect_min: f64) -> Verdict {
        if self.lo > 1.0 + effect_min {
            Verdict::Slower
        } else if self.hi < 1.0 / (1.0 + effect_min) {
            Verdict::Faster
        } else {
            Verdict::Tie
        }
    }
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

    #[test]
    fn groups_that_differ_widen_the_interval() {
        let group = |factor: f64| {
            let own: Vec<f64> = (0..9).map(|round| 100.0 * factor + f64::from(round % 3)).collect();
            (own, vec![100.0; 9])
        };
        let alike = paired_groups(&[group(0.97), group(0.97), group(0.97)], 1).unwrap();
        assert_eq!(alike.verdict(0.01), Verdict::Faster, "{alike:?}");
        let unlike = paired_groups(&[group(0.9), group(1.0), group(1.1)], 1).unwrap();
        assert_eq!(unlike.verdict(0.01), Verdict::Tie, "{unlike:?}");
        assert_eq!(paired_groups(&[(vec![], vec![1.0])], 1), None);
    }
}
