//! A schedule that was found for other extents, or for another machine, as a legal one here.
//!
//! What a schedule chooses means much the same at a neighbouring size: the register tile, the copies, the order of loops.
//! Steps that covered a whole axis cover it again, other counts take the nearest legal value, words that are not legal here
//! the default; then the repairs of random schedules make it legal. Invariant: the result is legal, and at the extents and on
//! the machine where the schedule is legal it is the schedule itself.

use super::key::{Field, Key};
use super::space::Point;
use super::{Choice, ChoiceValue, Domain, Forms, Schedule, Space};
use crate::base::Sizes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

impl Space {
    /// The legal schedule nearest to one that was found at extents `sizes`; `None` if the repairs lead to none. Where they do
    /// not, the steps are those of the default and the rest is carried.
    pub fn adapted(&self, schedule: &Schedule, sizes: &Sizes) -> Option<Schedule> {
        let all = self.carry(schedule, sizes, |_| true);
        if self.realise_point(&all).is_ok() {
            return Some(self.schedule(&all));
        }
        let is_step = |field| matches!(field, Field::Grid(_) | Field::Block(_) | Field::Split(_));
        let inner = self.carry(schedule, sizes, |key| match key {
            Key::Pass(_, field) => !is_step(field),
            Key::Form | Key::Threads => true,
        });
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let found = [all, inner].iter().find_map(|point| self.repaired(point, &mut rng))?;
        Some(self.schedule(&found))
    }

    /// The choices as `schedule` makes them where `takes` says so, else the defaults.
    fn carry(&self, schedule: &Schedule, sizes: &Sizes, takes: impl Fn(Key) -> bool) -> Point {
        let carry = |(key, choice): (&Key, &Choice)| {
            let given = schedule.get(&choice.name).filter(|_| takes(*key));
            let carried = given.and_then(|value| self.carried(*key, &choice.domain, value, sizes));
            carried.unwrap_or_else(|| choice.default.clone())
        };
        self.keys.iter().zip(&self.choices).map(carry).collect()
    }

    /// The value that means here what `value` meant at the other extents.
    fn carried(
        &self,
        key: Key,
        domain: &Domain,
        value: &ChoiceValue,
        sizes: &Sizes,
    ) -> Option<ChoiceValue> {
        let ChoiceValue::Count(count) = value else {
            return domain.contains(value).then(|| value.clone());
        };
        let axis = match key {
            Key::Pass(_, Field::Grid(axis) | Field::Block(axis)) => Some(axis),
            _ => None,
        };
        let axes = &self.plan.axes;
        let was_whole = |&axis: &_| sizes.get(axes.name(axis)) == Some(count);
        let wanted = axis.filter(was_whole).map_or(*count, |axis| axes.extent(axis));
        nearest_count(domain, wanted)
    }
}

/// The legal count whose ratio to the wanted one is smallest.
fn nearest_count(domain: &Domain, wanted: u64) -> Option<ChoiceValue> {
    let Domain::OneOf(values) = domain else { return None };
    let distance = |count: u64| ((count.max(1) as f64) / (wanted.max(1) as f64)).ln().abs();
    let counts = values.iter().filter_map(|value| match value {
        ChoiceValue::Count(count) => Some(*count),
        _ => None,
    });
    let nearest = counts.min_by(|&one, &other| distance(one).total_cmp(&distance(other)))?;
    Some(ChoiceValue::Count(nearest))
}

impl Forms {
    /// As `Space::adapted`, in the form of that name; in the preferred form if there is none of it here.
    pub fn adapted(&self, schedule: &Schedule, sizes: &Sizes) -> Option<Schedule> {
        let form = self.of(schedule).unwrap_or_else(|_| self.preferred());
        form.space.adapted(schedule, sizes)
    }
}
