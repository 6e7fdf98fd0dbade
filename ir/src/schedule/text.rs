//! Schedules and their text.

use super::ChoiceValue;
use crate::base::StableHash;
use crate::diag::Diagnostic;

/// One line of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// The name of the choice.
    pub name: String,
    /// Its value.
    pub value: ChoiceValue,
}

/// A schedule: settings in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The kernel it is for.
    pub kernel: String,
    /// The settings.
    pub settings: Vec<Setting>,
}

impl Schedule {
    /// The value set for a name.
    pub fn get(&self, name: &str) -> Option<&ChoiceValue> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// The canonical text.
    pub fn print(&self) -> String {
        todo!()
    }

    /// Parses a schedule text.
    ///
    /// # Errors
    /// Every fault that can be seen, with its place.
    pub fn parse(source: &str) -> Result<Self, Vec<Diagnostic>> {
        let _ = source;
        todo!()
    }

    /// The hash of the canonical text.
    pub fn hash(&self) -> StableHash {
        crate::base::hash_text("schedule", &self.print())
    }

    /// The settings in which `self` and `other` differ: name, value here, value there.
    pub fn diff<'a>(
        &'a self,
        other: &'a Self,
    ) -> Vec<(&'a str, Option<&'a ChoiceValue>, Option<&'a ChoiceValue>)> {
        let _ = other;
        todo!()
    }
}
