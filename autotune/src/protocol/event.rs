//! The events of a tuning run, in the order in which they occur.
//!
//! `start`, then `candidate` and `progress` in any number, then `result` as the last line. Invariant: a
//! `candidate` with status `accepted` has passed the judge; no time is shown without a passed check.

use super::{TargetName, TimeNs, Tried};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of `tune --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "each event is shown where it is made and not kept")]
pub enum Event {
    /// What is about to be tuned.
    Start(Start),
    /// One candidate has been judged.
    Candidate(Candidate),
    /// Where the run stands.
    Progress(Progress),
    /// What came of it; the last line.
    Result(TuneResult),
}

impl Event {
    /// The event as one line of JSON, without the line break.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("events are maps with text keys")
    }
}

/// What bounds the run. It ends at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Wall-clock seconds for everything: ceilings, baseline, search, finalists, confirmation.
    pub seconds: f64,
    /// The number of candidates, rejected ones included; `null` for no limit.
    pub evaluations: Option<u64>,
}

/// The first event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// The kernel's name.
    pub kernel: String,
    /// The extent of each axis, in elements.
    pub sizes: BTreeMap<String, u64>,
    /// The machine.
    pub target: TargetName,
    /// How many forms of the kernel are searched, the one as written included.
    #[serde(default)]
    pub forms: u64,
    /// How many combinations the choices span, before constraints, of all forms together.
    pub space_combinations: f64,
    /// What bounds the run.
    pub budget: Budget,
    /// The seed of the search.
    pub seed: u64,
    /// Floating-point operations that the semantics force in one call.
    pub flops: f64,
    /// Bytes of all arguments, each counted once.
    pub bytes: f64,
    /// The key of the task in the store: 32 hexadecimal digits.
    pub task: String,
}

/// Why a schedule was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The untiled scalar baseline.
    Naive,
    /// A proposal of the search.
    Search,
    /// One of the best few, measured again in turns with the others.
    Finalist,
    /// The winner, measured again in a fresh process.
    Winner,
}

impl Role {
    /// The word in the format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Search => "search",
            Self::Finalist => "finalist",
            Self::Winner => "winner",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Naive, Self::Search, Self::Finalist, Self::Winner]
            .into_iter()
            .find(|role| role.name() == word)
    }
}

/// Whether a candidate's time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It passed the judge and was timed.
    Accepted,
    /// It did not; see `reason`.
    Rejected,
}

/// One judged candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The position in proposal order, from 0; the naive baseline has none.
    pub index: Option<u64>,
    /// Why it was tried.
    pub role: Role,
    /// The hash of the schedule text: 32 hexadecimal digits.
    pub schedule: String,
    /// Whether its time counts.
    pub status: Status,
    /// The class of the rejection: `wrong`, `crash`, `timeout`, `compile`, `illegal`, `nondeterministic`, `slow`, ...
    pub reason: Option<String>,
    /// The rejection in words: what was found, and where.
    pub evidence: Option<String>,
    /// The time; `null` when rejected before it was timed.
    pub time_ns: Option<TimeNs>,
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: Option<f64>,
    /// The best accepted median so far, in nanoseconds.
    pub best_so_far_ns: Option<f64>,
    /// Wall-clock seconds since the start of the run.
    pub elapsed_seconds: f64,
}

/// What the run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Measuring what the machine can do.
    Ceilings,
    /// Judging and timing the baseline.
    Naive,
    /// Searching.
    Search,
    /// Measuring the best few in turns.
    Finalists,
    /// Measuring the winner in a fresh process.
    Confirm,
}

/// Where the run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Candidates judged so far, rejected ones included.
    pub evaluated: u64,
    /// Of these, rejected.
    pub rejected: u64,
    /// The best accepted median so far, in nanoseconds.
    pub best_so_far_ns: Option<f64>,
    /// The time that the measured ceilings allow, divided by that median: 1 is the best possible.
    pub best_fraction_of_peak: Option<f64>,
    /// Wall-clock seconds since the start of the run.
    pub elapsed_seconds: f64,
}

/// The winner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Best {
    /// The canonical text of the schedule.
    pub schedule: String,
    /// The time of one call.
    pub time_ns: TimeNs,
    /// 10^9 floating-point operations a second, of those that the semantics force.
    pub gflops: f64,
    /// 10^9 bytes a second, each argument counted once.
    pub gbps: f64,
    /// The time that the measured ceilings allow, divided by the median: 1 is the best possible. `null` without
    /// ceilings.
    pub fraction_of_peak: Option<f64>,
    /// What limits the kernel at these sizes: `compute`, or the name of a memory level.
    pub bound: Option<String>,
}

/// One setting in which a schedule differs from the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleChange {
    /// The name of the choice.
    pub name: String,
    /// The value in the default schedule; `null` if it is silent.
    pub default: Option<String>,
    /// The value in the winner; `null` if it is silent.
    pub best: Option<String>,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TuneResult {
    /// The kernel's name.
    pub kernel: String,
    /// The extent of each axis, in elements.
    pub sizes: BTreeMap<String, u64>,
    /// The machine.
    pub target: TargetName,
    /// The winner; `null` if no candidate was accepted.
    pub best: Option<Best>,
    /// The median time of one call of the naive loop nest, in nanoseconds; `null` if it could not be timed.
    pub naive_ns: Option<f64>,
    /// What a call of the naive loop nest takes at least, in nanoseconds, where it was too slow to be timed; else `null`.
    #[serde(default)]
    pub naive_over_ns: Option<f64>,
    /// `naive_ns` divided by the winner's median.
    pub speedup: Option<f64>,
    /// Candidates judged, rejected ones included, the baseline not.
    pub evaluated: u64,
    /// Candidates since the last that was faster than all before by a percent or more.
    #[serde(default)]
    pub without_progress: u64,
    /// Why the search ended.
    #[serde(default)]
    pub ended: Ended,
    /// What has been tried of this kernel at these sizes in all runs, and what has not; `null` without a winner.
    #[serde(default)]
    pub tried: Option<Tried>,
    /// Rejected candidates by reason.
    pub rejected: BTreeMap<String, u64>,
    /// What is known of each form of the kernel, the one as written first.
    #[serde(default)]
    pub forms: Vec<FormResult>,
    /// How far the predicted and the measured times of the forms agree about their order: Spearman's rank correlation,
    /// from -1 to 1. `null` with fewer than two measured.
    #[serde(default)]
    pub form_agreement: Option<f64>,
    /// The record of `best` in the store: 32 hexadecimal digits. It is the stored winner unless `stays` is one.
    pub record: Option<String>,
    /// The winner of an earlier run that is faster than `best` and stays the stored winner; `null` if there is none.
    #[serde(default)]
    pub stays: Option<Stays>,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its time or its candidates were spent.
    #[default]
    Budget,
    /// More of it was not likely to find anything.
    NoProgress,
    /// Random draws find nothing that has not been tried.
    Exhausted,
    /// Somebody stopped it.
    Stopped,
}

/// What a run learnt about one form of the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FormResult {
    /// `written`, or `f` and eight hexadecimal digits: the value of `form` in its schedules.
    pub id: String,
    /// The time of one call that the rewriter's model expects, in nanoseconds; for ranking.
    pub predicted_ns: f64,
    /// The smallest accepted median of the search, in nanoseconds; `null` if none was accepted.
    pub best_ns: Option<f64>,
    /// How often each axis that is reduced is traversed.
    pub passes: BTreeMap<String, u32>,
    /// Candidates of this form, rejected ones included.
    pub evaluated: u64,
}

/// A stored winner that this run did not beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stays {
    /// Its record in the store: 32 hexadecimal digits.
    pub record: String,
    /// The canonical text of its schedule.
    pub schedule: String,
    /// Its time, taken in turns with that of `best`.
    pub time_ns: TimeNs,
}
