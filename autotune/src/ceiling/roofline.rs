//! The roofline: the shortest time that an amount of work can take.

use super::{Ceilings, Rates};
use serde::{Deserialize, Serialize};

/// A lower bound of a kernel's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Nanoseconds.
    pub floor_ns: f64,
    /// `compute` or the name of the memory level.
    pub limited_by: String,
}

/// The floor of `flops` operations over `bytes` of traffic, on `threads` threads, with a working set that is touched again
/// and again. What the nearer levels of all threads hold need not come from behind them, whatever the order of accesses, so a
/// level is asked only for the rest. Between one thread and all of them a rate grows by threads up to that of all.
pub fn bound(
    flops: f64,
    bytes: f64,
    working_set_bytes: u64,
    threads: u64,
    ceilings: &Ceilings,
) -> Bound {
    let rate = |of: &dyn Fn(&Rates) -> f64| {
        let (one, all) = (of(&ceilings.one), of(&ceilings.all));
        if threads <= 1 { one } else { (one * threads as f64).min(all.max(one)) }
    };
    // A GFLOP per second is a flop per nanosecond.
    let compute_ns = time_ns(flops, rate(&|rates| rates.fma_gflops));
    let mut bound = Bound { floor_ns: compute_ns, limited_by: "compute".to_string() };
    let levels = &ceilings.one.bandwidth_gbps;
    for (place, level) in levels.iter().enumerate() {
        let nearer = place.checked_sub(1).map_or(0, |nearer| held(&levels[nearer], threads));
        let beyond = working_set_bytes.saturating_sub(nearer) as f64;
        let asked = if working_set_bytes > 0 { beyond / working_set_bytes as f64 } else { 0.0 };
        let gbps = |rates: &Rates| rates.bandwidth_gbps.get(place).map_or(0.0, |level| level.gbps);
        let memory_ns = time_ns(bytes * asked, rate(&gbps));
        if memory_ns > bound.floor_ns {
            bound = Bound { floor_ns: memory_ns, limited_by: level.level.clone() };
        }
    }
    bound
}

/// What the threads' levels of that name hold together; `L1` and `L2` are each thread's own.
fn held(level: &super::LevelBandwidth, threads: u64) -> u64 {
    let private = level.level == "L1" || level.level == "L2";
    let times = if private { threads.max(1) } else { 1 };
    if level.bytes == 0 { u64::MAX } else { level.bytes.saturating_mul(times) }
}

/// A ceiling that was not measured gives no floor.
fn time_ns(work: f64, rate_per_ns: f64) -> f64 {
    if rate_per_ns > 0.0 { work / rate_per_ns } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::LevelBandwidth;
    use super::*;

    fn rates(fma_gflops: f64, gbps: [f64; 3]) -> Rates {
        let names = [("L1", 32 << 10), ("L2", 1 << 20), ("memory", 0)];
        let row = |((level, bytes), gbps): ((&str, u64), f64)| LevelBandwidth {
            level: level.to_string(),
            bytes,
            gbps,
        };
        Rates {
            fma_gflops,
            bandwidth_gbps: names.into_iter().zip(gbps).map(row).collect(),
            ..Rates::default()
        }
    }

    fn machine() -> Ceilings {
        Ceilings {
            threads: 4,
            one: rates(100.0, [200.0, 50.0, 10.0]),
            all: rates(400.0, [800.0, 200.0, 15.0]),
        }
    }

    #[track_caller]
    fn check(work: (f64, f64), working_set: u64, threads: u64, floor_ns: f64, limited_by: &str) {
        let bound = bound(work.0, work.1, working_set, threads, &machine());
        assert_eq!((bound.floor_ns, bound.limited_by.as_str()), (floor_ns, limited_by));
    }

    #[test]
    fn the_slower_side_limits() {
        check((1e6, 1e3), 1 << 10, 1, 1e4, "compute");
        check((1e3, 1e6), 16 << 10, 1, 5e3, "L1");
        // Half of it may stay in the nearer level.
        check((1e3, 1e6), 64 << 10, 1, 1e4, "L2");
        check((1e3, 1e6), 2 << 20, 1, 5e4, "memory");
        check((1e3, 1e6), 16 << 20, 1, 93750.0, "memory");
    }

    #[test]
    fn threads_scale_up_to_the_rate_of_all() {
        check((1e6, 0.0), 1, 2, 5e3, "compute");
        check((1e6, 0.0), 1, 64, 2.5e3, "compute");
        // 128 KiB over four threads fits their four L1s; memory does not scale past 15.
        check((0.0, 1.6e6), 128 << 10, 4, 2e3, "L1");
        check((0.0, 1.5e6), 1 << 30, 4, 99609.375, "memory");
    }

    #[test]
    fn without_ceilings_there_is_no_floor() {
        let bound = bound(1e9, 1e9, 1, 1, &Ceilings::default());
        assert_eq!(bound, Bound { floor_ns: 0.0, limited_by: "compute".to_string() });
    }
}
