//! Numbers with the unit that makes them short.
//!
//! Invariant: three or four significant digits, so that two lines can be compared by eye.

use std::collections::BTreeMap;
use tilewright::autotune::protocol::TimeNs;

/// `1.234 ms` from nanoseconds.
pub(crate) fn time(time_ns: f64) -> String {
    let (value, unit) = scale(time_ns, &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")]);
    format!("{} {unit}", digits(value))
}

/// `1.234 ms [1.230, 1.241]`: the median and its 95 % interval in one unit.
pub(crate) fn time_interval(time: TimeNs) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
    let (_, unit) = scale(time.median, &units);
    let factor = units.iter().find(|(_, name)| *name == unit).map_or(1.0, |(factor, _)| *factor);
    let show = |value: f64| digits(value / factor);
    format!("{} {unit} [{}, {}]", show(time.median), show(time.lo), show(time.hi))
}

/// `3 hours ago` from seconds.
pub(crate) fn age(seconds: u64) -> String {
    let units = [(24 * 3600, "day"), (3600, "hour"), (60, "minute")];
    let Some((length, name)) = units.into_iter().find(|(length, _)| seconds >= *length) else {
        return "just now".to_string();
    };
    let count = seconds / length;
    format!("{count} {name}{} ago", if count == 1 { "" } else { "s" })
}

/// `12.3 GFLOP/s` from 10^9 of something a second.
pub(crate) fn rate(giga_per_second: f64, unit: &str) -> String {
    format!("{} G{unit}/s", digits(giga_per_second))
}

/// `41.2 %` from a fraction.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// `d once, j 3 times`: how often each reduced axis is traversed.
pub(crate) fn passes(passes: &BTreeMap<String, u32>) -> String {
    let times = |count: u32| match count {
        1 => "once".to_string(),
        2 => "twice".to_string(),
        count => format!("{count} times"),
    };
    let list: Vec<_> =
        passes.iter().map(|(axis, &count)| format!("{axis} {}", times(count))).collect();
    if list.is_empty() { "no axis reduced".to_string() } else { list.join(", ") }
}

/// `1.2e15` for a large count, else the digits.
pub(crate) fn count(value: f64) -> String {
    if value < 1e7 { format!("{value:.0}") } else { format!("{value:.1e}") }
}

fn scale<'a>(value: f64, units: &[(f64, &'a str)]) -> (f64, &'a str) {
    let fits = |unit: &&(f64, &'a str)| value.abs() >= unit.0;
    let (factor, name) = units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""));
    (value / factor, name)
}

fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let places = match magnitude {
        _ if magnitude >= 1000.0 => 0,
        _ if magnitude >= 100.0 => 1,
        _ if magnitude >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::{age, count, rate, time, time_interval};
    use tilewright::autotune::protocol::TimeNs;

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        let ages = [0, 59, 60, 7199, 7200, 86_400 * 3 + 5].map(age);
        let told = ["just now", "just now", "1 minute ago", "1 hour ago", "2 hours ago"];
        assert_eq!(ages[..5], told);
        assert_eq!(ages[5], "3 days ago");
    }

    #[test]
    fn units_keep_numbers_short() {
        assert_eq!(time(12.0), "12.00 ns");
        assert_eq!(time(1_234_567.0), "1.235 ms");
        assert_eq!(time(0.0), "0.000 ns");
        assert_eq!(rate(123.45, "FLOP"), "123.5 GFLOP/s");
        assert_eq!(count(4096.0), "4096");
        assert_eq!(count(1.23e15), "1.2e15");
        let interval = TimeNs { median: 1500.0, lo: 999.0, hi: 2000.0 };
        assert_eq!(time_interval(interval), "1.500 us [0.999, 2.000]");
    }
}
