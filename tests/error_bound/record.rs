//! What a run found, as a table for people and as JSON lines for the record.
//!
//! Invariant: a line has the same keys in the same order whatever was found; `null` is "does not apply".

use super::dishonest::Way;
use std::collections::BTreeMap;

/// The extreme of a ratio over seeds, with the seed that gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) ratio: f64,
    pub(crate) seed: u64,
    /// Seeds, and those of them whose result was refused.
    pub(crate) seeds: u64,
    pub(crate) refused: u64,
}

impl Cell {
    /// The cell with one more seed; `better` says whether a ratio replaces the extreme.
    fn with(self, ratio: f64, seed: u64, better: impl Fn(f64, f64) -> bool) -> Self {
        let refused = self.refused + u64::from(ratio > 1.0);
        let wins = self.seeds == 0 || better(ratio, self.ratio);
        let (ratio, seed) = if wins { (ratio, seed) } else { (self.ratio, self.seed) };
        Self { ratio, seed, seeds: self.seeds + 1, refused }
    }

    fn number(self) -> String {
        if self.ratio.is_infinite() { "\"infinite\"".to_string() } else { brief(self.ratio) }
    }
}

/// Three digits are what a ratio over random draws is good for.
fn brief(ratio: f64) -> String {
    if (0.01..1e5).contains(&ratio) {
        let digits = if ratio < 10.0 { 3 } else { 0 };
        format!("{ratio:.digits$}")
    } else {
        format!("{ratio:.2e}")
    }
}

/// The findings of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// The data of the narrower types.
    pub(crate) data: &'static str,
    pub(crate) seeds: u64,
    pub(crate) schedules: u64,
    pub(crate) code: Option<Cell>,
    pub(crate) plain: Option<Cell>,
    pub(crate) dishonest: BTreeMap<Way, Cell>,
    pub(crate) blind: Vec<(Way, &'static str)>,
    /// Honest results that were refused, or dishonest ones that passed, ready to print.
    pub(crate) faults: Vec<String>,
}

const EMPTY: Cell = Cell { ratio: 0.0, seed: 0, seeds: 0, refused: 0 };

/// Adds an honest ratio: the largest stays.
pub(crate) fn add_honest(cell: &mut Option<Cell>, ratio: f64, seed: u64) {
    *cell = Some(cell.unwrap_or(EMPTY).with(ratio, seed, |new, old| new > old));
}

impl Line {
    /// Adds a dishonest ratio: the smallest stays.
    pub(crate) fn add_dishonest(&mut self, way: Way, ratio: f64, seed: u64) {
        let cell = self.dishonest.entry(way).or_insert(EMPTY);
        *cell = cell.with(ratio, seed, |new, old| new < old);
    }

    /// The line of the record.
    pub(crate) fn json(&self) -> String {
        let number = |cell: Option<&Cell>| cell.map_or("null".to_string(), |cell| cell.number());
        let mut text = format!(
            "{{\"operation\":\"{}\",\"data\":\"{}\",\"seeds\":{},\"schedules\":{}",
            self.name, self.data, self.seeds, self.schedules
        );
        text += &format!(",\"honest_code\":{}", number(self.code.as_ref()));
        text += &format!(",\"honest_plain\":{}", number(self.plain.as_ref()));
        for way in Way::ALL {
            text += &format!(",\"{}\":{}", way.name(), number(self.dishonest.get(&way)));
        }
        let blind = self.blind.iter().map(|(way, reason)| {
            let cell = self.dishonest.get(way).copied().unwrap_or(EMPTY);
            let caught = cell.refused as f64 / cell.seeds.max(1) as f64;
            let name = way.name();
            format!("{{\"way\":\"{name}\",\"refused\":{caught:.3},\"reason\":\"{reason}\"}}")
        });
        let blind: Vec<String> = blind.collect();
        text + &format!(",\"blind\":[{}]}}", blind.join(","))
    }

    /// The line for people.
    pub(crate) fn row(&self) -> String {
        let cell = |cell: Option<&Cell>| cell.map_or("-".to_string(), |cell| brief(cell.ratio));
        let mut text = format!("{:40}", self.name);
        text += &format!(" {:>6}", cell(self.code.as_ref()));
        text += &format!(" {:>6} |", cell(self.plain.as_ref()));
        for way in Way::ALL {
            let mark = if self.blind.iter().any(|(blind, _)| *blind == way) { "!" } else { "" };
            text += &format!(" {:>9}{mark:1}", cell(self.dishonest.get(&way)));
        }
        text
    }
}

/// The head of the table for people.
pub(crate) fn head() -> String {
    let names = [
        "inputs",
        "results",
        "accum.",
        "truncated",
        "dropped",
        "doubled",
        "dropped Z",
        "doubled Z",
    ];
    let mut text = format!("{:40} {:>6} {:>6} |", "operation", "code", "plain");
    names.iter().for_each(|name| text += &format!(" {name:>9} "));
    text
}
