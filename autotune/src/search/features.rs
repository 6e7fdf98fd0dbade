//! Schedules as rows of numbers.
//!
//! Counts are powers of two or near them, so their logarithm is what a tree can cut; words have no order that means
//! anything, and few values. Counts of one kind along several axes, as the sides of a register tile, also stand together as
//! their product, which a tree would need many cuts for. Invariant: equal schedules have equal rows, whatever the order of their settings.

use std::collections::{BTreeMap, BTreeSet};
use tilewright_ir::schedule::{ChoiceValue, Schedule};

/// What the columns are: the choices by name, and for each the words that it has been seen with.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    words: BTreeMap<String, BTreeMap<String, usize>>,
    /// What the names of several counts have in common: `C.micro` of `C.micro.m` and `C.micro.n`.
    kinds: Vec<String>,
}

/// What stands for a choice that a schedule does not have.
const ABSENT: f64 = -1.0;
/// What stands for a word that was never seen.
const UNKNOWN: f64 = -2.0;

impl Columns {
    /// The columns of these schedules.
    pub(super) fn of<'a>(schedules: impl IntoIterator<Item = &'a Schedule>) -> Self {
        let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for setting in schedules.into_iter().flat_map(|schedule| &schedule.settings) {
            let words = seen.entry(setting.name.clone()).or_default();
            if !matches!(setting.value, ChoiceValue::Count(_)) {
                words.insert(setting.value.to_string());
            }
        }
        let number = |words: BTreeSet<String>| words.into_iter().zip(0..).collect();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for name in seen.iter().filter(|(_, words)| words.is_empty()).map(|(name, _)| name) {
            *kinds.entry(kind(name).to_string()).or_default() += 1;
        }
        let kinds = kinds.into_iter().filter(|(_, count)| *count > 1).map(|(kind, _)| kind);
        let kinds = kinds.collect();
        Self { kinds, words: seen.into_iter().map(|(name, words)| (name, number(words))).collect() }
    }

    /// The row of a schedule.
    pub(super) fn row(&self, schedule: &Schedule) -> Vec<f64> {
        let given: BTreeMap<&str, &ChoiceValue> =
            schedule.settings.iter().map(|of| (of.name.as_str(), &of.value)).collect();
        let column =
            |(name, words): (&String, &BTreeMap<String, usize>)| match given.get(name.as_str()) {
                None => ABSENT,
                Some(ChoiceValue::Count(count)) => (*count as f64 + 1.0).log2(),
                Some(value) => words.get(&value.to_string()).map_or(UNKNOWN, |&rank| rank as f64),
            };
        let product = |of: &String| {
            let counts = given.iter().filter(|(name, _)| kind(name) == of);
            let logarithm = |value: &ChoiceValue| match value {
                ChoiceValue::Count(count) => (*count as f64 + 1.0).log2(),
                _ => 0.0,
            };
            counts.map(|(_, value)| logarithm(value)).sum()
        };
        self.words.iter().map(column).chain(self.kinds.iter().map(product)).collect()
    }
}

/// The name of a choice without its axis.
fn kind(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use tilewright_ir::schedule::Schedule;

    #[test]
    fn counts_of_one_kind_stand_together() {
        let one = schedule("choose C.micro.m = 3\n choose C.micro.n = 15\n choose C.unroll = 1");
        let columns = Columns::of([&one]);
        assert_eq!(columns.row(&one), [2.0, 4.0, 1.0, 6.0]);
    }

    fn schedule(settings: &str) -> Schedule {
        Schedule::parse(&format!("schedule f {{ {settings} }}")).unwrap()
    }

    #[test]
    fn a_row_has_a_number_for_each_choice() {
        let one = schedule("choose a = 3\n choose b = rows");
        let two = schedule("choose b = panel\n choose c = 1");
        let columns = Columns::of([&one, &two]);
        assert_eq!(columns.row(&one), [2.0, 1.0, -1.0]);
        assert_eq!(columns.row(&two), [-1.0, 0.0, 1.0]);
        assert_eq!(columns.row(&schedule("choose b = no")), [-1.0, -2.0, -1.0]);
    }
}
