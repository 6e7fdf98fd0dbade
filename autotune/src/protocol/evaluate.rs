//! The answer to a proposal: what became of it, and where it leaves the one who made it.
//!
//! Invariant: a time stands only beside a passed check, and a comparison with the incumbent says tie where intervals meet.

use super::{Status, TimeNs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of `evaluate --proposals`. One of `schedule`, `tile`, `kernel` and `library` stands alone, but that `symbol` and
/// `profile` go with `library`; else it is the default schedule of `form`, of the preferred one without, with what `set` changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProposalLine {
    /// The text of a schedule.
    pub schedule: Option<String>,
    /// The id of a form, or `written`.
    pub form: Option<String>,
    /// Choices with other values than the default's: numbers, words or texts.
    pub set: BTreeMap<String, serde_json::Value>,
    /// The text of a tile program.
    pub tile: Option<String>,
    /// The text of a kernel that claims to compute the same.
    pub kernel: Option<String>,
    /// The path of a shared library that claims to compute it.
    pub library: Option<String>,
    /// The library's function; `tw_` and the kernel's name without it.
    pub symbol: Option<String>,
    /// What the library may do: `strict`, or `vendor` for one with threads of its own.
    pub profile: Option<String>,
}

/// One line of `evaluate --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The position of the proposal, from 0.
    pub proposal: u64,
    /// The hash of the canonical text of the schedule.
    pub schedule: String,
    /// The form that it is of.
    pub form: String,
    /// Whether its time counts.
    pub status: Status,
    /// The class of the rejection.
    pub reason: Option<String>,
    /// The rejection in words.
    pub evidence: Option<String>,
    /// The time of one call.
    pub time_ns: Option<TimeNs>,
    /// Nanoseconds that the analytic model expected of a schedule before anything ran; for ranking.
    #[serde(default)]
    pub estimate_ns: Option<f64>,
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: Option<f64>,
    /// Its record in the store.
    pub record: String,
    /// The time that the measured ceilings allow, divided by its median: 1 is the best possible.
    pub fraction_of_limit: Option<f64>,
    /// What limits the kernel at these sizes: `compute`, or the name of a memory level.
    pub limited_by: Option<String>,
    /// The best that the store knew before.
    pub incumbent: Option<Versus>,
    /// What has been tried of this kernel at these sizes, this proposal included.
    pub tried: Tried,
    /// What to do next, the most promising first.
    pub next: Vec<String>,
}

/// A proposal beside the incumbent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Versus {
    /// Its record.
    pub record: String,
    /// Its median when it was measured.
    pub median_ns: f64,
    /// The proposal's median divided by that; `null` if it was rejected.
    pub ratio: Option<f64>,
    /// `faster`, `slower` or `tie`, by the intervals of both, which were not taken in turns; `rejected` else.
    pub verdict: String,
    /// The settings in which they differ: name, the incumbent's value, the proposal's.
    pub differs: Vec<(String, Option<String>, Option<String>)>,
}

/// What has been tried of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// Evaluations.
    pub evaluations: u64,
    /// Of these, rejected, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Forms of which nothing has been tried.
    pub forms_untried: Vec<String>,
    /// For choices of this form, the legal values that no evaluation had; at most a dozen choices.
    pub values_untried: BTreeMap<String, Vec<String>>,
}
