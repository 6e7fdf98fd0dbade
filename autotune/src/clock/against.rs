//! A time against one that was taken earlier, in another process, perhaps on a quieter day.
//!
//! Two times that are not taken in turns differ because the machine does. So two loops of known work are timed in every
//! round beside the calls: a chain of dependent multiplications, which shows the clock rate that the process gets, and a sum
//! over more memory than the second cache holds. The calls are compared as they are, by the chain and by the sum. They are
//! slower only if they are in all three views, faster only if in all three; anything else is a tie.
//! Rounds come in groups, each on memory of its own, since where memory lies moves a time by some percent; the bootstrap
//! draws groups, then rounds in them.
//! Invariant: equal rounds give an equal answer; an interval that touches the smallest effect is a tie.

use super::Stopwatch;
use super::bootstrap::median;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::Duration;

/// Draws of the bootstrap.
const RESAMPLES: usize = 1000;
/// Links of the chain of multiplications; about 0.1 ms.
const CHAIN_LINKS: u64 = 30_000;
/// Elements of 8 bytes that the sum reads.
const SUM_ELEMENTS: usize = 1 << 21;
/// A batch of calls takes at least so long.
const BATCH_NS: u64 = 1_000_000;
/// Rounds of a group.
const ROUNDS: std::ops::RangeInclusive<usize> = 3..=60;

/// What one round took, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// One call.
    pub call_ns: f64,
    /// The chain of multiplications.
    pub chain_ns: f64,
    /// The sum over memory.
    pub sum_ns: f64,
}

/// How a time compares with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is shorter by more than the smallest effect.
    Faster,
    /// Nothing can be said, or there is nothing to say.
    Tie,
    /// It is longer by more than the smallest effect.
    Slower,
}

/// A ratio of medians with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ratio {
    /// The ratio.
    pub median: f64,
    /// The lower end of the interval.
    pub lo: f64,
    /// The upper end of the interval.
    pub hi: f64,
}

/// A comparison with an earlier time: new over old, in three views.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// What all views agree on.
    pub verdict: Verdict,
    /// The times as they are.
    pub plain: Ratio,
    /// The times as multiples of the chain's.
    pub by_chain: Ratio,
    /// The times as multiples of the sum's.
    pub by_sum: Ratio,
}

/// Takes the rounds of a group: `calls(n)` makes so many calls.
pub fn rounds(calls: &mut dyn FnMut(u64), budget: Duration) -> Vec<Round> {
    let numbers = vec![1_u64; SUM_ELEMENTS];
    let stopwatch = Stopwatch::start();
    let batch = batch(calls);
    let mut rounds = vec![];
    while rounds.len() < *ROUNDS.start()
        || (rounds.len() < *ROUNDS.end() && stopwatch.elapsed() < budget)
    {
        let chain_ns = time_ns(chain);
        let sum_ns = time_ns(|| sum(&numbers));
        // What the calibration has pushed out of the caches comes back outside of the measurement.
        calls(1);
        let call_ns = time_ns(|| calls(batch)) / batch as f64;
        rounds.push(Round { call_ns, chain_ns, sum_ns });
    }
    rounds
}

/// Calls that fill a batch, after some to warm up.
fn batch(calls: &mut dyn FnMut(u64)) -> u64 {
    let mut count = 1;
    loop {
        let elapsed_ns = time_ns(|| calls(count));
        if elapsed_ns >= BATCH_NS as f64 {
            return count;
        }
        let wanted = 1.25 * BATCH_NS as f64 * count as f64 / elapsed_ns.max(1.0);
        count = (wanted as u64).clamp(count + 1, count * 10);
    }
}

fn time_ns(work: impl FnOnce()) -> f64 {
    let stopwatch = Stopwatch::start();
    work();
    stopwatch.elapsed_ns() as f64
}

fn chain() {
    let mut link = black_box(1_u64);
    for _ in 0..CHAIN_LINKS {
        link = black_box(link.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
    }
    black_box(link);
}

fn sum(numbers: &[u64]) {
    black_box(black_box(numbers).iter().fold(0_u64, |sum, number| sum.wrapping_add(*number)));
}

/// The median time of a call with its interval, in nanoseconds.
pub fn call_ns(groups: &[Vec<Round>], seed: u64) -> Ratio {
    interval(median_of(groups, |round| round.call_ns), seed, |rng| {
        resampled(groups, rng, |round| round.call_ns)
    })
}

/// Compares rounds with earlier ones. `effect_min` is the part of the time that counts as a difference: 0.05 for 5 %.
pub fn compare(now: &[Vec<Round>], then: &[Vec<Round>], effect_min: f64, seed: u64) -> Comparison {
    let ratio = |view: fn(&Round) -> f64| {
        interval(median_of(now, view) / median_of(then, view), seed, |rng| {
            resampled(now, rng, view) / resampled(then, rng, view)
        })
    };
    let plain = ratio(|round| round.call_ns);
    let by_chain = ratio(|round| round.call_ns / round.chain_ns);
    let by_sum = ratio(|round| round.call_ns / round.sum_ns);
    let views = [plain, by_chain, by_sum];
    let verdict = if views.iter().all(|view| view.lo > 1.0 + effect_min) {
        Verdict::Slower
    } else if views.iter().all(|view| view.hi < 1.0 / (1.0 + effect_min)) {
        Verdict::Faster
    } else {
        Verdict::Tie
    };
    Comparison { verdict, plain, by_chain, by_sum }
}

fn interval(median: f64, seed: u64, mut draw: impl FnMut(&mut ChaCha8Rng) -> f64) -> Ratio {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: Vec<f64> = (0..RESAMPLES).map(|_| draw(&mut rng)).collect();
    draws.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    Ratio { median, lo: draws[cut], hi: draws[RESAMPLES - 1 - cut] }
}

fn median_of(groups: &[Vec<Round>], view: fn(&Round) -> f64) -> f64 {
    median(&mut groups.iter().flatten().map(view).collect::<Vec<_>>())
}

/// The median of groups drawn with repetition, of rounds drawn so in each.
fn resampled(groups: &[Vec<Round>], rng: &mut ChaCha8Rng, view: fn(&Round) -> f64) -> f64 {
    let mut drawn = vec![];
    for _ in groups {
        let group = &groups[rng.random_range(0..groups.len())];
        for _ in group {
            drawn.push(view(&group[rng.random_range(0..group.len())]));
        }
    }
    median(&mut drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of a machine: calls of so many nanoseconds, a clock that is slower by a factor, noise of 3 %, and
    /// groups that differ by 2 %.
    fn groups(call_ns: f64, machine: f64, seed: u64) -> Vec<Vec<Round>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = |part: f64| 1.0 + part * rng.random::<f64>();
        (0..5)
            .map(|_| {
                let place = noise(0.02);
                (0..15)
                    .map(|_| Round {
                        call_ns: call_ns * machine * place * noise(0.03),
                        chain_ns: 1e5 * machine * noise(0.03),
                        sum_ns: 1e6 * machine * noise(0.03),
                    })
                    .collect()
            })
            .collect()
    }

    fn verdict(call_ns: f64, machine: f64) -> Verdict {
        compare(&groups(call_ns, machine, 1), &groups(5_000.0, 1.0, 2), 0.05, 3).verdict
    }

    #[test]
    fn a_slower_kernel_is_not_a_slower_machine() {
        assert_eq!(verdict(5_000.0, 1.0), Verdict::Tie);
        assert_eq!(verdict(5_100.0, 1.0), Verdict::Tie);
        assert_eq!(verdict(5_700.0, 1.0), Verdict::Slower);
        assert_eq!(verdict(4_400.0, 1.0), Verdict::Faster);
        assert_eq!(verdict(5_000.0, 1.3), Verdict::Tie, "the machine is slower, the kernel is not");
        assert_eq!(verdict(5_000.0, 0.8), Verdict::Tie, "the machine is faster, the kernel is not");
        assert_eq!(verdict(6_000.0, 1.3), Verdict::Slower, "both are slower");
    }

    /// The same kernel on the same machine is called slower in hardly one of a hundred comparisons.
    #[test]
    fn equal_kernels_tie() {
        let said = |seed| {
            let (now, then) = (groups(5_000.0, 1.0, 2 * seed), groups(5_000.0, 1.0, 2 * seed + 1));
            compare(&now, &then, 0.01, seed).verdict
        };
        let wrong = (0..100).filter(|&seed| said(seed) != Verdict::Tie).count();
        assert!(wrong <= 3, "{wrong} of 100");
    }

    #[test]
    fn rounds_count_calls() {
        let mut counts = vec![];
        let taken = rounds(
            &mut |calls| {
                counts.push(calls);
                std::thread::sleep(Duration::from_micros(300) * calls as u32);
            },
            Duration::ZERO,
        );
        assert_eq!(taken.len(), 3);
        assert!(
            taken.iter().all(|round| round.call_ns >= 3e5 && round.chain_ns > 0.0),
            "{taken:?}"
        );
        let time = call_ns(&[taken], 1);
        assert!(time.lo <= time.median && time.median <= time.hi);
        let batch = counts[counts.len() - 1];
        assert!(counts.ends_with(&[1, batch, 1, batch, 1, batch]), "{counts:?}");
    }
}
