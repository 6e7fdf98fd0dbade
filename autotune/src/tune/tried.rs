//! What has been tried of a task, and what has not.
//!
//! Invariant: it is read off the store alone, so every process that asks gets the same answer.

use crate::protocol::Tried;
use crate::store::{Store, Task};
use std::collections::{BTreeMap, BTreeSet};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{ChoiceValue, Domain, FormSpace, Forms, Schedule};

/// Choices of which untried values are listed.
const CHOICES: usize = 12;
/// Untried values of one choice that are listed.
const VALUES: usize = 8;

/// What the store knows of a task; untried values are those of the form of `schedule`.
pub(super) fn tried(
    store: &Store,
    task: &Task,
    forms: &Forms,
    schedule: &Schedule,
) -> Result<Tried, Diagnostic> {
    let mut found = Tried::default();
    let mut names = BTreeSet::new();
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in store.outcomes(task)? {
        found.evaluations += 1;
        if let Some(reason) = row.reason {
            *found.rejected.entry(reason).or_default() += 1;
        }
        let Ok(known) = Schedule::parse(&row.schedule) else { continue };
        if known.form_name() == schedule.form_name() {
            for setting in &known.settings {
                let had = values.entry(setting.name.clone()).or_default();
                had.insert(setting.value.to_string());
            }
        }
        names.insert(known.form_name());
    }
    let untried = forms.list().iter().map(|form| form.name().to_string());
    found.forms_untried = untried.filter(|name| !names.contains(name)).collect();
    let Ok(form) = forms.of(schedule) else { return Ok(found) };
    for choice in &form.space.choices {
        let Domain::OneOf(legal) = &choice.domain else { continue };
        let had = values.get(&choice.name);
        let is_new = |value: &&ChoiceValue| {
            had.is_none_or(|had| !had.contains(&value.to_string()))
                && is_legal_beside(form, schedule, &choice.name, value)
        };
        let open = legal.iter().filter(is_new).map(ToString::to_string);
        let open: Vec<String> = open.take(VALUES).collect();
        if !open.is_empty() && found.values_untried.len() < CHOICES {
            found.values_untried.insert(choice.name.clone(), open);
        }
    }
    Ok(found)
}

/// Whether a value is legal beside the other settings of a schedule, and means something there.
fn is_legal_beside(form: &FormSpace, schedule: &Schedule, name: &str, value: &ChoiceValue) -> bool {
    let mut changed = form.space.canonical(schedule);
    let before = changed.clone();
    for setting in changed.settings.iter_mut().filter(|setting| setting.name == name) {
        setting.value = value.clone();
    }
    form.space.check(&changed).is_ok() && form.space.canonical(&changed) != before
}
