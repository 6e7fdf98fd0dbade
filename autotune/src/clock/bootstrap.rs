//! The interval of a median by the percentile bootstrap.
//!
//! Resamples are drawn by a seeded generator, so the same samples give the same interval on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RESAMPLES: usize = 1000;

/// The median of `samples` and its 95 % interval: `(median, lo, hi)`, in the unit of the samples. NaN if empty.
pub fn median_interval(samples: &[f64], seed: u64) -> (f64, f64, f64) {
    if samples.is_empty() {
        return (f64::NAN, f64::NAN, f64::NAN);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = vec![0.0; samples.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resample.fill_with(|| samples[rng.random_range(0..samples.len())]);
            median(&mut resample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    // The 25th smallest and 25th largest of 1000: two and a half percent on each side.
    let cut = RESAMPLES / 40;
    (median(&mut samples.to_vec()), medians[cut], medians[RESAMPLES - 1 - cut])
}

/// Sorts the samples and returns the middle one, or the mean of the two.
pub(super) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    let half = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => samples[half],
        _ => f64::midpoint(samples[half - 1], samples[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::median_interval;

    #[test]
    fn equal_samples_have_no_width() {
        assert_eq!(median_interval(&[3.0; 9], 1), (3.0, 3.0, 3.0));
        assert_eq!(median_interval(&[5.0], 1), (5.0, 5.0, 5.0));
        assert!(median_interval(&[], 1).0.is_nan());
    }

    #[test]
    fn an_outlier_moves_neither_median_nor_repeat() {
        let mut samples: Vec<f64> = (0..21).map(|i| 100.0 + f64::from(i)).collect();
        let (median, lo, hi) = median_interval(&samples, 7);
        assert_eq!(median, 110.0);
        assert!(100.0 < lo && lo < median && median < hi && hi < 120.0, "{lo} {hi}");
        assert_eq!((median, lo, hi), median_interval(&samples, 7));
        samples[20] = 1e9;
        assert_eq!(median_interval(&samples, 7).0, 110.0);
    }

    /// The interval covers the true median about as often as it says.
    #[test]
    fn coverage_is_near_nominal() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        let mut covered = 0;
        for round in 0..200 {
            let samples: Vec<f64> = (0..15).map(|_| -rng.random::<f64>().ln()).collect();
            let (_, lo, hi) = median_interval(&samples, round);
            covered += u32::from(lo <= std::f64::consts::LN_2 && std::f64::consts::LN_2 <= hi);
        }
        assert!((175..=200).contains(&covered), "covered {covered} of 200");
    }
}
