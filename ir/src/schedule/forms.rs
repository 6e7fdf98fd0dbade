//! The spaces of all forms of one kernel at its sizes: the text as written, and equal ones that the rewriter finds.
//!
//! A schedule names its form by the setting `form`, its first line; one without it is of the form as written. So what
//! was written before there were forms keeps its meaning. Each form has a plan and a space of its own, and a choice of
//! one space says nothing in another.
//! Invariants: until something is fixed the form as written is the first; the same graph, sizes and target give the same
//! forms with the same names, since a name is made of the hash of the form's text.

use super::{ChoiceValue, Schedule, Setting, Space, code};
use crate::base::AxisSet;
use crate::diag::Diagnostic;
use crate::estimate::Estimate;
use crate::graph::{Graph, Op};
use crate::plan::{self, PassProgram};
use crate::rewrite::{self, Growth, Limits, Prediction, Rewriter, Step};
use crate::target::Target;
use crate::tile::TileProgram;
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// The setting that says which form a schedule is of.
pub const FORM: &str = "form";
/// What people call the form as written. A schedule may say it; a canonical one does not, so that equal schedules have
/// equal texts.
pub const WRITTEN: &str = "written";
/// Forms beside the one as written.
const REWRITTEN_MAX: usize = 3;
/// One neighbour in this many is of another form.
const HOP_EVERY: u32 = 16;

/// One form with its plan and the space of its schedules.
#[derive(Clone, Debug)]
pub struct FormSpace {
    /// `f` and eight hexadecimal digits; `None`: as written.
    pub id: Option<String>,
    /// The operations, with extents.
    pub graph: Graph,
    /// The passes.
    pub plan: PassProgram,
    /// The legal schedules.
    pub space: Space,
    /// The time of one call that the rewriter's model expects, in nanoseconds; for ranking.
    pub predicted_ns: f64,
    /// How many values larger than the chip's memory, and than all tensors of the call, are stored whole.
    pub large: u32,
    /// Exponentials that may overflow, in a text that takes no maximum off and in forms that follow it.
    pub risks: u32,
    /// How often each axis that is reduced is traversed, by name.
    pub passes: BTreeMap<String, u32>,
    /// How the form follows from the text, rule by rule; empty unless proofs were asked for.
    pub steps: Vec<Step>,
    found: Option<rewrite::Form>,
}

/// The forms of a kernel, each with its space.
#[derive(Clone, Debug)]
pub struct Forms {
    list: Vec<FormSpace>,
    /// The names of all forms, those that were excluded too.
    names: Vec<String>,
    growth: Option<Growth>,
}

impl FormSpace {
    /// The form's name for people: `written` or its id.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(WRITTEN)
    }
}

impl Forms {
    /// Finds the forms of a bound graph and derives their spaces.
    pub fn new(graph: &Graph, target: &Target) -> Self {
        let rewriter = Self::rewriter(graph);
        Self::of_rewriter(graph, target, rewriter.as_ref())
    }

    /// The same with the steps that lead from the text to each form, from the rewriter that found them.
    #[must_use]
    pub fn proved(&self, rewriter: Option<&Rewriter>) -> Self {
        let mut forms = self.clone();
        // To explain an equality adds to the e-graph.
        let mut rewriter = rewriter.cloned();
        for form in &mut forms.list {
            if let (Some(found), Some(rewriter)) = (&form.found, &mut rewriter) {
                form.steps = rewriter.prove(found);
            }
        }
        forms
    }

    /// What is known equal to a kernel, at any sizes; none of one that is too large.
    pub fn rewriter(graph: &Graph) -> Option<Rewriter> {
        let limits = Limits::default();
        (graph.nodes.len() <= limits.operations).then(|| Rewriter::new(graph, limits))
    }

    /// As `new`, where the rewriter of the kernel is there already. It serves all sizes.
    pub fn of_rewriter(graph: &Graph, target: &Target, rewriter: Option<&Rewriter>) -> Self {
        let plan = plan::build(graph);
        let space = Space::seeded(&plan, target, graph.split);
        Self::beside((graph, plan, space), target, rewriter)
    }

    /// As `of_rewriter`, where the passes and the space of the form as written are there, too.
    pub fn beside(
        (graph, plan, space): (&Graph, PassProgram, Space),
        target: &Target,
        rewriter: Option<&Rewriter>,
    ) -> Self {
        let Prediction { time_ns: predicted_ns, large, passes } = rewrite::predict(graph, target);
        let written = FormSpace {
            id: None,
            graph: graph.clone(),
            space,
            plan,
            predicted_ns,
            large,
            risks: rewriter.map_or(0, |rewriter| rewriter.risks(graph, target)),
            passes,
            steps: vec![],
            found: None,
        };
        let mut forms = Self { list: vec![written], names: vec![], growth: None };
        if let Some(rewriter) = rewriter.filter(|_| has_terms(graph)) {
            for form in rewriter.forms(graph, target, REWRITTEN_MAX + 1) {
                let plan = plan::build(&form.graph);
                if forms.list.len() <= REWRITTEN_MAX && !forms.has(&plan) {
                    forms.list.push(rewritten(form, plan, target));
                }
            }
            forms.growth = Some(rewriter.growth.clone());
        }
        forms.names = forms.list.iter().map(|form| form.name().to_string()).collect();
        forms
    }

    /// Whether a form has these passes. The text as written is among what the rewriter finds.
    fn has(&self, plan: &PassProgram) -> bool {
        let text = plan::print(plan);
        self.list.iter().any(|known| plan::print(&known.plan) == text)
    }

    /// The forms: the one as written, then the others by what is expected of them.
    pub fn list(&self) -> &[FormSpace] {
        &self.list
    }

    /// How the e-graph grew; `None` where there was nothing to rewrite, or too much.
    pub fn growth(&self) -> Option<&Growth> {
        self.growth.as_ref()
    }

    /// The form of a name: an id or `written`.
    ///
    /// # Errors
    /// `TW0407` with the names there are.
    pub fn named(&self, name: &str) -> Result<&FormSpace, Vec<Diagnostic>> {
        let found = self.list.iter().find(|form| form.name() == name);
        found.ok_or_else(|| vec![self.unknown(name)])
    }

    pub(super) fn unknown(&self, name: &str) -> Diagnostic {
        let message = format!("the kernel has no form {name} at these sizes on this machine");
        let fault = Diagnostic::new(code::FORM, message).found(format!("{FORM} = {name}"));
        fault.expected(self.names.join(", ")).help(
            "`tilewright explain FILE --stage forms` shows the forms; a schedule without the line is of the form as \
             written",
        )
    }

    /// The form that a schedule is of.
    ///
    /// # Errors
    /// As `named`.
    pub fn of(&self, schedule: &Schedule) -> Result<&FormSpace, Vec<Diagnostic>> {
        match schedule.get(FORM) {
            None => self.named(WRITTEN),
            Some(value) => self.named(&value.to_string()),
        }
    }

    /// The form to prefer while nothing is measured: with the fewest exponentials that may overflow, then one that stores
    /// nothing larger than the tensors and the chip, then the one that should be fastest; of equal ones the one as written.
    pub fn preferred(&self) -> &FormSpace {
        let mut best = &self.list[0];
        for form in &self.list {
            let rank = |form: &FormSpace| (form.risks, form.large, form.predicted_ns);
            if rank(form) < rank(best) {
                best = form;
            }
        }
        best
    }

    /// The default schedule of the preferred form.
    pub fn default_schedule(&self) -> Schedule {
        self.preferred().space.default_schedule()
    }

    /// The naive loop nest of the form as written; of the first where that is excluded.
    pub fn naive_schedule(&self) -> Schedule {
        self.list[0].space.naive_schedule()
    }

    /// As `Space::canonical`, in the space of the schedule's form. A schedule of an unknown form is left as it is.
    pub fn canonical(&self, schedule: &Schedule) -> Schedule {
        self.of(schedule).map_or_else(|_| schedule.clone(), |form| form.space.canonical(schedule))
    }

    /// Refuses an illegal schedule.
    ///
    /// # Errors
    /// `TW0407` for an unknown form; else as `Space::check`.
    pub fn check(&self, schedule: &Schedule) -> Result<(), Vec<Diagnostic>> {
        self.of(schedule)?.space.check(schedule)
    }

    /// The tile program of a schedule of any form.
    ///
    /// # Errors
    /// As `check`.
    pub fn lower(&self, schedule: &Schedule) -> Result<TileProgram, Vec<Diagnostic>> {
        crate::lower::lower_in(&self.of(schedule)?.space, schedule)
    }

    /// What a call with a legal schedule should take on a machine of the target's kind; for ranking.
    pub fn estimate(&self, schedule: &Schedule) -> Option<Estimate> {
        self.of(schedule).ok()?.space.estimate(schedule)
    }

    /// A legal schedule of a form, both drawn at random.
    pub fn sample(&self, rng: &mut impl Rng) -> Schedule {
        // A kernel with one form draws as its space does.
        let position = match self.list.len() {
            1 => 0,
            count => rng.random_range(0..count),
        };
        self.list[position].space.sample(rng)
    }

    /// As `Space::neighbour`, in the space of the schedule's form; now and then the default of another form.
    pub fn neighbour(&self, schedule: &Schedule, rng: &mut impl Rng) -> Schedule {
        let Ok(here) = self.of(schedule) else { return self.sample(rng) };
        if self.list.len() > 1 && rng.random_range(0..HOP_EVERY) == 0 {
            let mut others = self.list.iter().filter(|form| form.id != here.id);
            let position = rng.random_range(0..self.list.len() - 1);
            return others.nth(position).unwrap_or(here).space.default_schedule();
        }
        here.space.neighbour(schedule, rng)
    }

    /// How many combinations the domains of all forms span, before constraints.
    pub fn combinations(&self) -> f64 {
        self.list.iter().map(|form| form.space.combinations()).sum()
    }

    /// Narrows every space to schedules with these settings, and leaves out the forms that cannot have them.
    ///
    /// # Errors
    /// What the form says that comes nearest, if none can have all of them.
    pub fn fix(&mut self, settings: &[Setting]) -> Result<(), Vec<Diagnostic>> {
        let (of_form, rest): (Vec<Setting>, Vec<Setting>) =
            settings.iter().cloned().partition(|setting| setting.name == FORM);
        let wanted = of_form.first().map(|setting| setting.value.to_string());
        if of_form.len() > 1 {
            let fault = Diagnostic::new(code::TWICE, format!("{FORM} is chosen twice"));
            return Err(vec![fault.found(FORM)]);
        }
        if let Some(wanted) = &wanted {
            self.named(wanted)?;
        }
        let is_wanted = |form: &&FormSpace| wanted.as_ref().is_none_or(|name| form.name() == name);
        let (mut kept, mut refused) = (vec![], vec![]);
        for form in self.list.iter().filter(is_wanted) {
            let mut form = form.clone();
            match form.space.fix(&rest) {
                Ok(()) => kept.push(form),
                Err(faults) => refused.push(faults),
            }
        }
        if kept.is_empty() {
            let unknown = |faults: &Vec<Diagnostic>| {
                faults.iter().filter(|fault| fault.code == code::UNKNOWN).count()
            };
            return Err(refused.into_iter().min_by_key(unknown).unwrap_or_default());
        }
        self.list = kept;
        Ok(())
    }

    /// Narrows every space to schedules without these settings, and leaves out the forms that can do nothing else.
    ///
    /// # Errors
    /// `TW0402` for a setting that no form knows; what the first form says if none is left.
    pub fn forbid(&mut self, settings: &[Setting]) -> Result<(), Vec<Diagnostic>> {
        let (of_form, rest): (Vec<Setting>, Vec<Setting>) =
            settings.iter().cloned().partition(|setting| setting.name == FORM);
        for setting in &of_form {
            self.named(&setting.value.to_string())?;
        }
        for setting in &rest {
            let mut spaces = self.list.iter().map(|form| form.space.clone());
            let alone = std::slice::from_ref(setting);
            if !spaces.any(|mut space| space.forbid(alone) != Ok(0)) {
                let message =
                    format!("no form has a choice with {} = {}", setting.name, setting.value);
                let fault = Diagnostic::new(code::UNKNOWN, message).found(&setting.name);
                return Err(vec![
                    fault.help("`tilewright space FILE` lists the choices with their values"),
                ]);
            }
        }
        let is_left = |form: &&FormSpace| {
            of_form.iter().all(|setting| setting.value.to_string() != form.name())
        };
        let (mut kept, mut refused) = (vec![], vec![]);
        for form in self.list.iter().filter(is_left) {
            let mut form = form.clone();
            match form.space.forbid(&rest) {
                Ok(_) => kept.push(form),
                Err(faults) => refused.push(faults),
            }
        }
        if kept.is_empty() {
            let none = || vec![Diagnostic::new(code::CONSTRAINT, "every form is forbidden")];
            return Err(refused.into_iter().next().unwrap_or_else(none));
        }
        self.list = kept;
        Ok(())
    }
}

impl Schedule {
    /// The name of the form that the schedule is of: an id or `written`.
    pub fn form_name(&self) -> String {
        self.get(FORM).map_or_else(|| WRITTEN.to_string(), ChoiceValue::to_string)
    }
}

fn rewritten(form: rewrite::Form, plan: PassProgram, target: &Target) -> FormSpace {
    let id = format!("f{:.8}", form.graph.hash().to_string());
    let space = Space::of_form(&plan, target, (Some(&id), form.graph.split));
    FormSpace {
        id: Some(id),
        graph: form.graph.clone(),
        plan,
        space,
        predicted_ns: form.predicted_ns,
        large: form.large,
        risks: form.risks,
        passes: form.passes.clone(),
        steps: vec![],
        found: Some(form),
    }
}

/// Whether every axis that is traversed has an element. The rules assume something to reduce.
fn has_terms(graph: &Graph) -> bool {
    let traversed = |op: Op| match op {
        Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => axes,
        Op::Scan(_, axis, _) => AxisSet::one(axis),
        _ => AxisSet::EMPTY,
    };
    let axes: BTreeSet<_> = graph
        .ids()
        .flat_map(|id| traversed(graph.node(id).op).iter().collect::<Vec<_>>())
        .collect();
    axes.into_iter().all(|axis| graph.axes.extent(axis) > 0)
}
