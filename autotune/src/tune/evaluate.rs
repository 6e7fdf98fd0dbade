//! Proposals of somebody who decides by himself: each is judged, timed, recorded and answered.
//!
//! Invariant: a proposal has the same rights and the same judge as one of the search, and its record is committed before it is
//! answered.

use super::foreign::{Beside, Foreign};
use super::hint::hint;
use super::trial::Trial;
use super::tried::tried;
use super::{KnownCeilings, TuneOptions, Workbench, ceilings};
use crate::ceiling::Bound;
use crate::clock::against::Verdict;
use crate::judge::Rejection;
use crate::protocol::{Answer, Status, TimeNs, Tried, Versus};
use crate::store::{NewRecord, Store, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tilewright_ir::backend::{Artifact, Backend};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::Schedule;

/// What somebody proposes.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// A schedule of the kernel's own space.
    Schedule(Schedule),
    /// Code that claims to compute the kernel.
    Code(Code),
    /// A shared library that claims to.
    Library(Arc<Foreign>),
    /// What cannot be tried; it is answered all the same.
    Refused(Refused),
}

/// A proposal that is none of this kernel's.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What it was said to be: `schedule`, `form`, `tile`, `kernel` or `library`.
    pub kind: &'static str,
    /// The hash of its text.
    pub hash: String,
    /// Why.
    pub evidence: String,
}

/// Code that no schedule of the kernel makes. It is judged and timed like any candidate; the store keeps schedules only, so
/// it has no record.
#[derive(Clone, Debug)]
pub struct Code {
    /// What it was made of: `tile` or `kernel`.
    pub kind: &'static str,
    /// The hash of that text.
    pub hash: String,
    /// What runs; its arguments are those of the kernel.
    pub artifact: Artifact,
}

/// Judges and times proposals one by one, and answers each. Stops at the next one when `stop` is raised.
///
/// # Errors
/// As `tune`; what a proposal does wrong is in its answer.
pub fn evaluate(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    proposals: &[Proposal],
    (observer, stop): (&mut dyn FnMut(Answer), &AtomicBool),
) -> Result<(), Diagnostic> {
    let now = options.started_unix;
    let known = ceilings(backend, store, options.budget(), now, stop)?;
    let known = known.map(|KnownCeilings { ceilings, .. }| ceilings);
    let mut workbench = Workbench::new(backend, graph, options.seed, options.threads, known)?;
    let forms = workbench.forms().clone();
    let task = Task::of(graph, &tilewright_ir::plan::build(graph), backend);
    let schedules = proposals.iter().filter_map(|proposal| match proposal {
        Proposal::Schedule(schedule) => Some(schedule.clone()),
        Proposal::Code(_) | Proposal::Library(_) | Proposal::Refused(_) => None,
    });
    let mut built = workbench.build(&schedules.collect::<Vec<_>>()).into_iter();
    for (number, proposal) in (0..).zip(proposals) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let incumbent = store.best(&task)?;
        // Somebody who asks wants a time, however slow it is.
        let mut beside = None;
        let (told, schedule) = match proposal {
            Proposal::Schedule(schedule) => {
                let built = built.next().expect("every schedule has been built");
                let (record, _) = workbench.evaluate(schedule, &built, None, (store, now))?;
                let hash = store.record(&task, &record)?;
                (Told::of_record(schedule, record, hash), Some(schedule))
            }
            Proposal::Code(code) => {
                let trial = workbench.try_code(&code.artifact, None)?;
                (Told::of_code(code.kind, &code.hash, &trial), None)
            }
            Proposal::Library(foreign) => {
                let (trial, found) = workbench.try_library(foreign);
                beside = found;
                let hash = foreign.candidate.hash().to_hex();
                (Told::of_code("library", &hash, &trial), None)
            }
            Proposal::Refused(Refused { kind, hash, evidence }) => {
                let trial = Trial::rejected(Rejection::new("illegal", evidence.clone()));
                (Told::of_code(kind, hash, &trial), None)
            }
        };
        let roofline = workbench.roofline().filter(|bound| bound.floor_ns > 0.0);
        let time_ns = told.time_ns;
        let versus = incumbent.and_then(|row| {
            let known = Schedule::parse(&row.schedule).ok()?;
            Some(versus(row.record, row.time_ns?, &known, time_ns, schedule))
        });
        // What ran in turns with it says more than a time of another day.
        let versus = beside.as_ref().map(in_turns).or(versus);
        let own = schedule.cloned().unwrap_or_else(|| forms.default_schedule());
        let tried = tried(store, &task, &forms, &own)?;
        let mut next = next(told.reason.as_deref(), schedule.is_some(), versus.as_ref(), &tried);
        next.extend(hint(store, &task, (&forms, &own), options.seed ^ number)?);
        let estimate = schedule.and_then(|schedule| forms.estimate(schedule));
        observer(Answer {
            proposal: number,
            schedule: told.hash,
            form: told.form,
            status: if told.reason.is_some() { Status::Rejected } else { Status::Accepted },
            reason: told.reason,
            evidence: told.evidence,
            time_ns,
            estimate_ns: estimate.map(|estimate| estimate.time_ns),
            worst_ratio: told.worst_ratio,
            record: told.record,
            fraction_of_limit: fraction(roofline.as_ref(), time_ns),
            limited_by: roofline.map(|bound| bound.limited_by),
            incumbent: versus,
            tried,
            next,
        });
    }
    Ok(())
}

/// The time that the ceilings allow, as a part of another.
fn fraction(roofline: Option<&Bound>, time_ns: Option<TimeNs>) -> Option<f64> {
    Some(roofline?.floor_ns / time_ns?.median)
}

/// What became of a proposal, whatever it was.
struct Told {
    hash: String,
    form: String,
    reason: Option<String>,
    evidence: Option<String>,
    time_ns: Option<TimeNs>,
    worst_ratio: Option<f64>,
    /// Its record; empty for what has none.
    record: String,
}

impl Told {
    fn of_record(schedule: &Schedule, row: NewRecord, record: String) -> Self {
        let NewRecord { schedule_hash, reason, evidence, time_ns, worst_ratio, .. } = row;
        let form = schedule.form_name();
        Self { hash: schedule_hash, form, reason, evidence, time_ns, worst_ratio, record }
    }

    fn of_code(kind: &str, hash: &str, trial: &Trial) -> Self {
        let rejection = trial.rejection.as_ref();
        Self {
            hash: hash.to_string(),
            form: kind.to_string(),
            reason: rejection.map(|rejection| rejection.reason.to_string()),
            evidence: rejection.map(|rejection| rejection.evidence.clone()),
            time_ns: trial.time_ns(),
            worst_ratio: trial.worst_ratio,
            record: String::new(),
        }
    }
}

/// A library beside our own code, which has no record of its own there.
fn in_turns(beside: &Beside) -> Versus {
    let verdict = match beside.verdict {
        Verdict::Faster => "faster",
        Verdict::Tie => "tie",
        Verdict::Slower => "slower",
    };
    Versus {
        record: String::new(),
        median_ns: beside.incumbent.median,
        ratio: Some(beside.ratio),
        verdict: verdict.to_string(),
        differs: vec![],
    }
}

fn versus(
    record: String,
    known_ns: TimeNs,
    known: &Schedule,
    time_ns: Option<TimeNs>,
    schedule: Option<&Schedule>,
) -> Versus {
    let verdict = match time_ns {
        None => "rejected",
        Some(time) if time.ties_with(&known_ns) => "tie",
        Some(time) if time.median < known_ns.median => "faster",
        Some(_) => "slower",
    };
    let text =
        |value: Option<&tilewright_ir::schedule::ChoiceValue>| value.map(ToString::to_string);
    let differs = schedule.map_or(vec![], |schedule| known.diff(schedule)).into_iter();
    Versus {
        record,
        median_ns: known_ns.median,
        ratio: time_ns.map(|time| time.median / known_ns.median),
        verdict: verdict.to_string(),
        differs: differs
            .map(|(name, one, other)| (name.to_string(), text(one), text(other)))
            .collect(),
    }
}

/// What the answer suggests.
fn next(
    reason: Option<&str>,
    is_ours: bool,
    versus: Option<&Versus>,
    tried: &Tried,
) -> Vec<String> {
    let mut next = vec![];
    match reason {
        Some("illegal") if !is_ours => {
            next.push("`evidence` says what does not fit this kernel".to_string());
        }
        Some("illegal") => {
            next.push("`space` lists the choices with their legal values".to_string());
        }
        Some("compile") => next.push("change the setting that `evidence` names".to_string()),
        Some("wrong" | "crash" | "nondeterministic" | "stray_write") if is_ours => next
            .push("a fault of the compiler: `explain --verify-stages` names the stage".to_string()),
        Some("wrong") => {
            next.push("it computes something else: `evidence` has the first element".to_string());
        }
        Some("undecided") => next.push("judge it at other sizes".to_string()),
        _ => {}
    }
    match versus.map(|versus| versus.verdict.as_str()) {
        Some("faster") => next.push("`tune --schedule` confirms it as the winner".to_string()),
        Some("tie") if is_ours => next.push("`compare` decides a tie".to_string()),
        _ => {}
    }
    if let Some(form) = tried.forms_untried.first() {
        next.push(format!("form {form} has not been tried"));
    }
    if let Some((choice, values)) = tried.values_untried.first_key_value() {
        next.push(format!("{choice} has not been tried at {}", values.join(", ")));
    }
    next
}
