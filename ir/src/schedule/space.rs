//! The legal choices of a pass program on a target.
//!
//! A point of the space is one value for each choice. Invariant: a schedule is legal exactly if `check` passes, and then
//! it lowers.

use super::constraint::{Fault, Site, sites};
use super::domain::choices;
use super::forms::{FORM, WRITTEN};
use super::key::{Field, Key};
use super::limits::Exceeded;
use super::shape::Shape;
use super::{
    ChoiceValue, Config, Pack, PhaseConfig, Schedule, Setting, ahead, code, defaults, keep, limits,
};
use crate::base::AxisSet;
use crate::check::nearest;
use crate::diag::Diagnostic;
use crate::estimate::{Estimate, Machine, estimate};
use crate::plan::PassProgram;
use crate::target::Target;
use crate::tile::TileProgram;
use std::collections::{BTreeMap, BTreeSet};

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
    pub(super) keys: Vec<Key>,
    pub(super) plan: PassProgram,
    pub(super) shapes: Vec<Shape>,
    pub(super) target: Target,
    machine: Machine,
    /// The naive configuration, which also fills what no choice decides.
    naive: Config,
}

/// One value for each choice, in canonical order.
pub(super) type Point = Vec<ChoiceValue>;

impl Domain {
    /// Whether the value is legal.
    pub fn contains(&self, value: &ChoiceValue) -> bool {
        match (self, value) {
            (Self::OneOf(values), value) => values.contains(value),
            (Self::OrderOf(axes), ChoiceValue::Words(words)) => {
                let mut sorted = [axes.clone(), words.clone()];
                sorted.iter_mut().for_each(|names| names.sort_unstable());
                sorted[0] == sorted[1]
            }
            (Self::OrderOf(_), _) => false,
        }
    }

    /// The legal values for people.
    pub fn describe(&self) -> String {
        match self {
            Self::OneOf(values) => {
                let mut values = values.clone();
                values.sort_unstable();
                values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Self::OrderOf(axes) => format!("any order of ({})", axes.join(", ")),
        }
    }

    /// How many values it has.
    pub fn size(&self) -> f64 {
        match self {
            Self::OneOf(values) => values.len() as f64,
            Self::OrderOf(axes) => (1..=axes.len()).map(|count| count as f64).product(),
        }
    }
}

impl Space {
    /// Derives the space.
    pub fn new(plan: &PassProgram, target: &Target) -> Self {
        Self::seeded(plan, target, AxisSet::EMPTY)
    }

    /// As `new`; by default what runs along one of these axes is cut into chunks.
    pub fn seeded(plan: &PassProgram, target: &Target, seeds: AxisSet) -> Self {
        Self::of_form(plan, target, (None, seeds))
    }

    /// Derives the space of a form of a kernel, whose schedules name the form.
    /// What runs along a seed is cut into chunks by default.
    pub(super) fn of_form(
        plan: &PassProgram,
        target: &Target,
        (form, seeds): (Option<&str>, AxisSet),
    ) -> Self {
        let shapes = Shape::all(plan, target);
        let mut naive = defaults::naive(plan, &shapes, target);
        let mut default = defaults::default(plan, &shapes, target, (&naive, seeds));
        naive.form = form.map(str::to_string);
        default.form.clone_from(&naive.form);
        let (keys, choices) = choices(plan, &shapes, target, &default).into_iter().unzip();
        let (kernel, plan, target) = (plan.name.clone(), plan.clone(), target.clone());
        let machine = Machine::assumed(&target);
        Self { kernel, choices, keys, plan, shapes, target, machine, naive }
    }

    /// The default schedule: a good guess for every choice.
    pub fn default_schedule(&self) -> Schedule {
        self.schedule(&self.default_point())
    }

    /// Narrows the space to schedules with these settings; the defaults follow where the settings force them to.
    ///
    /// # Errors
    /// One diagnostic for each unknown name or illegal value; if nothing legal near the defaults has them all, the rules
    /// that they break beside the defaults, those of the settings themselves first.
    pub fn fix(&mut self, settings: &[Setting]) -> Result<(), Vec<Diagnostic>> {
        let schedule = Schedule { kernel: self.kernel.clone(), settings: settings.to_vec() };
        let faults = self.setting_faults(&schedule);
        if !faults.is_empty() {
            return Err(faults);
        }
        for choice in &mut self.choices {
            if let Some(value) = schedule.get(&choice.name) {
                choice.domain = Domain::OneOf(vec![value.clone()]);
                choice.default = value.clone();
            }
        }
        let Some(point) = self.repaired_default() else {
            return Err(self.broken_rules(settings));
        };
        for (choice, value) in self.choices.iter_mut().zip(point) {
            choice.default = value;
        }
        Ok(())
    }

    /// Narrows the space to schedules without these settings, where it knows them; the defaults follow. A name without a
    /// dot stands for all choices that end with it: `pack_b` for `C.pack_b`. Returns how many it knows.
    ///
    /// # Errors
    /// `TW0405` if nothing legal near the defaults is left.
    pub fn forbid(&mut self, settings: &[Setting]) -> Result<usize, Vec<Diagnostic>> {
        let mut known = BTreeSet::new();
        for choice in &mut self.choices {
            let Domain::OneOf(values) = &mut choice.domain else { continue };
            for (place, setting) in settings.iter().enumerate() {
                let count = values.len();
                if names(&setting.name, &choice.name) {
                    values.retain(|value| *value != setting.value);
                }
                if values.len() < count {
                    known.insert(place);
                }
            }
            match values.first() {
                Some(first) if !values.contains(&choice.default) => choice.default = first.clone(),
                Some(_) => {}
                None => {
                    let message = format!("every value of {} is forbidden", choice.name);
                    return Err(vec![Diagnostic::new(code::CONSTRAINT, message)]);
                }
            }
        }
        let Some(point) = self.repaired_default() else {
            return Err(self.broken_rules(settings));
        };
        for (choice, value) in self.choices.iter_mut().zip(point) {
            choice.default = value;
        }
        Ok(known.len())
    }

    /// Why the settings are illegal beside the defaults.
    fn broken_rules(&self, settings: &[Setting]) -> Vec<Diagnostic> {
        let mut faults = self.realise_point(&self.default_point()).err().unwrap_or_default();
        let of_setting = |fault: &Diagnostic| {
            let found = fault.found.as_deref().and_then(|found| found.split_once(" = "));
            found.is_some_and(|(name, _)| settings.iter().any(|setting| setting.name == name))
        };
        faults.sort_by_key(|fault| !of_setting(fault));
        if faults.is_empty() {
            let message = "no schedule near the default has all of these settings";
            let names: Vec<_> = settings.iter().map(|setting| setting.name.as_str()).collect();
            faults.push(Diagnostic::new(code::CONSTRAINT, message).found(names.join(", ")));
        }
        faults
    }

    /// The naive loop nest: scalar, untiled, one thread; the baseline of the closing table.
    pub fn naive_schedule(&self) -> Schedule {
        let value = |key: &Key| key.read(&self.naive, &self.plan.axes);
        self.schedule(&self.keys.iter().map(value).collect::<Point>())
    }

    /// The same choices with defaults written out, and without those that have no effect next to the others. Unknown
    /// names are dropped.
    pub fn canonical(&self, schedule: &Schedule) -> Schedule {
        self.schedule(&self.point(schedule))
    }

    /// Refuses an illegal schedule.
    ///
    /// # Errors
    /// One diagnostic for each unknown name, illegal value or broken constraint, with the legal values.
    pub fn check(&self, schedule: &Schedule) -> Result<(), Vec<Diagnostic>> {
        self.realise(schedule).map(drop)
    }

    /// How many combinations the domains span, before constraints.
    pub fn combinations(&self) -> f64 {
        self.choices.iter().map(|choice| choice.domain.size()).product()
    }

    /// The tile program of a schedule, without its record of choices.
    pub(crate) fn realise(&self, schedule: &Schedule) -> Result<TileProgram, Vec<Diagnostic>> {
        let faults = self.setting_faults(schedule);
        if !faults.is_empty() {
            return Err(faults);
        }
        self.realise_point(&self.point(schedule))
    }

    pub(super) fn realise_point(
        &self,
        point: &[ChoiceValue],
    ) -> Result<TileProgram, Vec<Diagnostic>> {
        let config = self.config(point);
        let faults = self.constraint_faults(&config);
        if !faults.is_empty() {
            return Err(faults);
        }
        self.write(&config).map_err(|exceeded| {
            let help = match exceeded {
                Exceeded::Group { .. } => "smaller grid steps or fewer fused passes need less",
                Exceeded::Device { .. } => {
                    "more fused passes, or maps that are not stored, need less"
                }
            };
            vec![Diagnostic::new(code::MEMORY, exceeded.to_string()).help(help)]
        })
    }

    /// What a call with a legal schedule should take on a machine of the target's kind; for ranking.
    pub(super) fn estimate(&self, schedule: &Schedule) -> Option<Estimate> {
        let program = self.write(&self.config(&self.point(schedule))).ok()?;
        Some(estimate(&program, &self.machine))
    }

    /// The passes that a legal schedule makes of the plan.
    pub(crate) fn passes(&self, schedule: &Schedule) -> PassProgram {
        let config = self.config(&self.point(schedule));
        crate::lower::prepared(&self.plan, &config, &self.target).0
    }

    /// Broken rules of single passes.
    pub(super) fn constraint_faults(&self, config: &Config) -> Vec<Diagnostic> {
        let phases = config.phases(&self.plan);
        let faults = self.with_sites(config, &phases, |site| {
            let fault = |fault: Fault| {
                let position = match fault.field {
                    Field::Block(axis) => self.plan.stepper(site.position, axis),
                    _ => site.position,
                };
                let name = Key::Pass(position, fault.field).name(&self.plan);
                let value = Key::Pass(position, fault.field).read(config, &self.plan.axes);
                Diagnostic::new(code::CONSTRAINT, fault.message)
                    .found(format!("{name} = {value}"))
                    .expected(fault.legal)
            };
            site.faults().into_iter().map(fault).collect::<Vec<_>>()
        });
        faults.into_iter().flatten().collect()
    }

    /// The tile program of a configuration that breaks no rule, if it fits the memories.
    pub(super) fn write(&self, config: &Config) -> Result<TileProgram, Exceeded> {
        let program = crate::lower::write(&self.plan, config, &self.target);
        match limits::exceeded(&program, &self.target) {
            None => Ok(program),
            Some(exceeded) => Err(exceeded),
        }
    }

    /// Unknown names, names set twice and values outside of their domains.
    fn setting_faults(&self, schedule: &Schedule) -> Vec<Diagnostic> {
        let mut faults = vec![];
        if schedule.kernel != self.kernel {
            let message = format!("the schedule is for another kernel than {}", self.kernel);
            let fault = Diagnostic::new(code::KERNEL, message).found(&schedule.kernel);
            faults.push(fault.expected(&self.kernel));
        }
        let mut seen = BTreeSet::new();
        for Setting { name, value } in &schedule.settings {
            if !seen.insert(name) {
                let fault = Diagnostic::new(code::TWICE, format!("{name} is chosen twice"));
                faults.push(fault.found(name));
            }
            match self.choices.iter().find(|choice| choice.name == *name) {
                None if self.is_silent(name, value) => {}
                None => {
                    let names: Vec<_> = self.choices.iter().map(|c| c.name.as_str()).collect();
                    let fault =
                        Diagnostic::new(code::UNKNOWN, format!("no choice is named {name}"));
                    let mut fault = fault.found(name).expected(names.join(", "));
                    fault.help = nearest(name, names.into_iter());
                    faults.push(fault);
                }
                Some(choice) if !choice.domain.contains(value) => {
                    let fault = Diagnostic::new(code::VALUE, format!("illegal value of {name}"));
                    let fault = fault.found(value.to_string());
                    faults.push(fault.expected(choice.domain.describe()));
                }
                Some(_) => {}
            }
        }
        faults
    }

    /// Whether a setting says what holds without it: that the form as written is meant.
    fn is_silent(&self, name: &str, value: &ChoiceValue) -> bool {
        self.naive.form.is_none() && name == FORM && value.to_string() == WRITTEN
    }

    pub(super) fn default_point(&self) -> Point {
        self.choices.iter().map(|choice| choice.default.clone()).collect()
    }

    pub(super) fn point(&self, schedule: &Schedule) -> Point {
        let set: BTreeMap<&str, &ChoiceValue> = schedule
            .settings
            .iter()
            .map(|setting| (setting.name.as_str(), &setting.value))
            .collect();
        let value = |choice: &Choice| match set.get(choice.name.as_str()) {
            Some(&value) => value.clone(),
            None => choice.default.clone(),
        };
        self.choices.iter().map(value).collect()
    }

    /// The canonical schedule of a point.
    pub(super) fn schedule(&self, point: &[ChoiceValue]) -> Schedule {
        let active = self.active(&self.config(point));
        let chosen = self.choices.iter().zip(point).zip(active).filter(|(_, active)| *active);
        let setting = |((choice, value), _): ((&Choice, &ChoiceValue), bool)| Setting {
            name: choice.name.clone(),
            value: value.clone(),
        };
        Schedule { kernel: self.kernel.clone(), settings: chosen.map(setting).collect() }
    }

    pub(super) fn config(&self, point: &[ChoiceValue]) -> Config {
        let mut config = self.naive.clone();
        for (key, value) in self.keys.iter().zip(point) {
            key.write(&mut config, value, &self.plan.axes);
        }
        if let Some(first) = config.passes.iter().position(|pass| pass.stored) {
            config.passes[first].fused = false;
        }
        config
    }

    pub(super) fn with_sites<T>(
        &self,
        config: &Config,
        phases: &[PhaseConfig],
        read: impl FnMut(&Site<'_>) -> T,
    ) -> Vec<T> {
        let sites = sites(&self.plan, &self.shapes, &self.target, config, phases);
        sites.iter().map(read).collect()
    }

    /// Which choices have an effect, given the others.
    pub(super) fn active(&self, config: &Config) -> Vec<bool> {
        let phases = config.phases(&self.plan);
        let first = config.passes.iter().position(|pass| pass.stored);
        let mut of_pass: BTreeMap<usize, (bool, &PhaseConfig, bool)> = BTreeMap::new();
        let facts = self.with_sites(config, &phases, |site| (site.position, site.is_contraction()));
        let contracts: BTreeMap<usize, bool> = facts.into_iter().collect();
        for phase in &phases {
            for &pass in &phase.passes {
                of_pass.insert(pass, (phase.head == pass, phase, contracts[&pass]));
            }
        }
        let active = |key: &Key| match *key {
            Key::Form | Key::Threads | Key::Pass(_, Field::Store) => true,
            Key::Pass(pass, Field::Fuse) => {
                of_pass.contains_key(&pass)
                    && first != Some(pass)
                    && !self.follows(config, pass)
                    && !self.is_apart(config, pass)
            }
            Key::Pass(pass, field) => {
                of_pass.get(&pass).is_some_and(|&(head, phase, contracts)| {
                    self.is_active(pass, field, config, (head, phase, contracts))
                })
            }
        };
        self.keys.iter().map(active).collect()
    }

    /// Whether a stored member of the same group stands before the pass, which it joins in any case.
    fn follows(&self, config: &Config, pass: usize) -> bool {
        let group = self.plan.passes[pass].group;
        let before = (0..pass).rfind(|&before| config.passes[before].stored);
        group.is_some() && before.is_some_and(|before| self.plan.passes[before].group == group)
    }

    /// Whether a pass begins a phase because its stream, or that of the pass before it, is cut.
    fn is_apart(&self, config: &Config, pass: usize) -> bool {
        let before = (0..pass).rfind(|&before| config.passes[before].stored);
        let cut = |position| !config.cuts(&self.plan, position).is_empty();
        cut(pass) || before.is_some_and(cut)
    }

    fn is_active(
        &self,
        pass: usize,
        field: Field,
        config: &Config,
        (head, phase, contracts): (bool, &PhaseConfig, bool),
    ) -> bool {
        let shape = &self.shapes[pass];
        let in_grid = |axis| phase.grid.iter().any(|(of, _)| *of == axis);
        match field {
            Field::Store
            | Field::Fuse
            | Field::Split(_)
            | Field::Vector
            | Field::Unroll
            | Field::Order => true,
            Field::Fetch | Field::Stores => config.passes[pass].vector.is_some(),
            Field::Ahead => {
                let along = config.passes[pass].vector.filter(|axis| shape.axes.contains(axis));
                if contracts && along.is_some() {
                    return true;
                }
                let follows = phase.passes.first() != Some(&pass);
                let has_next = ahead::next(&self.plan, phase).is_some();
                follows && has_next && config.passes[pass].vector.is_some()
            }
            Field::Grid(axis) => head && in_grid(axis),
            Field::GridOrder => head && phase.grid.len() > 1,
            Field::Block(axis) => !in_grid(axis),
            Field::Micro(axis) => {
                shape.axes.contains(&axis) || config.passes[pass].vector == Some(axis)
            }
            Field::PackA => {
                let pack = config.passes[pass].pack_b;
                contracts && (!pack.is_grouped() || pack == Pack::Tiles)
            }
            Field::PackB => contracts,
            Field::Keep => keep::place(&self.plan, config, phase, pass).is_some(),
            Field::CopyB => {
                let pack = config.passes[pass].pack_b;
                contracts && pack.copies() && pack != Pack::Parts
            }
        }
    }
}

/// Whether a name means a choice: it is its name, or what follows the last dot of it.
fn names(name: &str, choice: &str) -> bool {
    name == choice
        || !name.contains('.') && choice.rsplit_once('.').is_some_and(|(_, last)| last == name)
}
