//! The legal choices of a pass program on a target.

use super::{ChoiceValue, Schedule};
use crate::diag::Diagnostic;
use crate::plan::PassProgram;
use crate::target::Target;

/// The legal values of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// These values, best guess first.
    OneOf(Vec<ChoiceValue>),
    /// Any order of these axes.
    OrderOf(Vec<String>),
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `C.grid.m`.
    pub name: String,
    /// One sentence for people.
    pub meaning: String,
    /// The legal values.
    pub domain: Domain,
    /// What a schedule that is silent gets.
    pub default: ChoiceValue,
}

/// The choices of a pass program on a target.
#[derive(Clone, Debug)]
pub struct Space {
    /// The kernel's name.
    pub kernel: String,
    /// The choices in canonical order.
    pub choices: Vec<Choice>,
}

impl Space {
    /// Derives the space.
    pub fn new(plan: &PassProgram, target: &Target) -> Self {
        let _ = (plan, target);
        todo!()
    }

    /// The default schedule: a good guess for every choice.
    pub fn default_schedule(&self) -> Schedule {
        todo!()
    }

    /// The naive loop nest: scalar, untiled, one thread; the baseline of the closing table.
    pub fn naive_schedule(&self) -> Schedule {
        todo!()
    }

    /// Refuses an illegal schedule.
    ///
    /// # Errors
    /// One diagnostic for each unknown name, illegal value or broken constraint, with the legal values.
    pub fn check(&self, schedule: &Schedule) -> Result<(), Vec<Diagnostic>> {
        let _ = schedule;
        todo!()
    }

    /// A legal schedule drawn at random.
    pub fn sample(&self, rng: &mut impl rand::Rng) -> Schedule {
        let _ = rng;
        todo!()
    }

    /// A legal schedule that differs from `schedule` in one to three choices.
    pub fn neighbour(&self, schedule: &Schedule, rng: &mut impl rand::Rng) -> Schedule {
        let _ = (schedule, rng);
        todo!()
    }

    /// How many combinations the domains span, before constraints.
    pub fn combinations(&self) -> f64 {
        todo!()
    }
}
