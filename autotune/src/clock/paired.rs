//! Two things measured in turns: which is faster.
//!
//! Samples of one round meet the same machine, so the ratio within each round says more than the ratio of two medians.
//! Invariant: equal samples give an equal answer, and nothing is faster than itself.

use super::against::Verdict;
use super::median_interval;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const RESAMPLES: usize = 1000;

/// The time of one thing as a part of another's, from samples taken in turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The ratio: the median of those of single rounds, or that of the lower quartiles of several groups.
    pub estimate: f64,
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
    let (estimate, lo, hi) = median_interval(&ratios, seed);
    Some(Paired { estimate, lo, hi })
}

/// As `paired`, of rounds in groups, each with processes and memory of its own: the interval covers what memory does.
///
/// What disturbs a sample only ever makes it longer, for milliseconds at a time, so the ratio is that of the lower quartiles of
/// all samples: it scatters by two thirds of what the median of the rounds' ratios does.
pub fn paired_groups(groups: &[(Vec<f64>, Vec<f64>)], seed: u64) -> Option<Paired> {
    let rounds = |(own, other): &(Vec<f64>, Vec<f64>)| -> Vec<(f64, f64)> {
        own.iter().copied().zip(other.iter().copied()).collect()
    };
    let groups: Vec<Vec<(f64, f64)>> =
        groups.iter().map(rounds).filter(|group: &Vec<_>| !group.is_empty()).collect();
    let all: Vec<(f64, f64)> = groups.iter().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut drawn = vec![];
            for _ in &groups {
                let group = &groups[rng.random_range(0..groups.len())];
                drawn.extend(group.iter().map(|_| group[rng.random_range(0..group.len())]));
            }
            of_quartiles(&drawn)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    let (lo, hi) = (ratios[cut], ratios[RESAMPLES - 1 - cut]);
    Some(Paired { estimate: of_quartiles(&all), lo, hi })
}

/// The lower quartile of the first ones as a part of that of the second ones.
fn of_quartiles(rounds: &[(f64, f64)]) -> f64 {
    let (own, other): (Vec<f64>, Vec<f64>) = rounds.iter().copied().unzip();
    lower_quartile(own).zip(lower_quartile(other)).map_or(f64::NAN, |(own, other)| own / other)
}

/// A quarter of the samples is below it; `None` of none.
pub fn lower_quartile(mut samples: Vec<f64>) -> Option<f64> {
    let place = samples.len().checked_sub(1)? / 4;
    Some(*samples.select_nth_unstable_by(place, f64::total_cmp).1)
}

impl Paired {
    /// What it says where a difference of this part of the time is none: the estimate has to differ by more, and the interval
    /// by more than half of it.
    pub fn verdict(&self, effect_min: f64) -> Verdict {
        let (most, surely) = (1.0 + effect_min, 1.0 + effect_min / 2.0);
        if self.estimate > most && self.lo > surely {
            Verdict::Slower
        } else if self.estimate < 1.0 / most && self.hi < 1.0 / surely {
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
        assert_eq!(paired(&own, &own, 1), Some(Paired { estimate: 1.0, lo: 1.0, hi: 1.0 }));
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
