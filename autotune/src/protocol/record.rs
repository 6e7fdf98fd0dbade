//! The rows that the store exports, one object a line.

use super::{FORMAT_VERSION, Role, Status, TimeNs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was tuned. Two tasks are the same exactly when all fields but `kernel` and `target` are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// The kernel's name.
    pub kernel: String,
    /// The hash of the canonical text of the tensor graph: 32 hexadecimal digits.
    pub kernel_hash: String,
    /// The hash of the text of the pass program: 32 hexadecimal digits.
    pub form_hash: String,
    /// The extent of each axis, in elements.
    pub sizes: BTreeMap<String, u64>,
    /// Each argument as `name: type[axis, ..]` with its memory order, inputs first: what the code was specialised to.
    pub arguments: Vec<String>,
    /// The description of the machine as JSON, with the features that the code may use.
    pub target: String,
    /// The hash of `target`: 32 hexadecimal digits.
    pub target_hash: String,
    /// The back end and its version.
    pub compiler: String,
}

/// One evaluation: what was tried, what the judge said, what the clock said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordRow {
    /// The version of this format: `FORMAT_VERSION`.
    pub format_version: u32,
    /// The hash of the rest of the row: 32 hexadecimal digits. Equal rows of two stores are one.
    pub record: String,
    /// The key of the task: 32 hexadecimal digits.
    pub task_key: String,
    /// What was tuned.
    pub task: TaskRow,
    /// Why it was tried.
    pub role: Role,
    /// The canonical text of the schedule.
    pub schedule: String,
    /// The hash of `schedule`: 32 hexadecimal digits.
    pub schedule_hash: String,
    /// The hash of the tile program; `null` if the schedule was not lowered.
    pub tile_hash: Option<String>,
    /// Whether its time counts.
    pub status: Status,
    /// The class of the rejection.
    pub reason: Option<String>,
    /// The rejection in words.
    pub evidence: Option<String>,
    /// The time of one call; `null` when rejected before it was timed.
    pub time_ns: Option<TimeNs>,
    /// The samples behind it, in nanoseconds of one call, in the order taken.
    pub samples_ns: Vec<f64>,
    /// The largest error over all elements and cases, as a fraction of what is allowed; `null` if not checked.
    pub worst_ratio: Option<f64>,
    /// The seed from which the judge drew the data; `null` if not checked.
    pub seed: Option<u64>,
    /// The hash of the outputs on the data that `records verify-record` draws again: equal code gives equal bits. Winners
    /// and finalists have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How much of the judge it has passed. 1: all families of inputs, with arrays as for timing. 2: also with arrays that end, and
    /// that begin, where memory does, with one element changed, and over many calls; winners have it. Absent if it has passed
    /// neither, and in records of versions that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// When it was recorded: seconds since the Unix epoch.
    pub created: u64,
}

impl RecordRow {
    /// The row as one line of JSON, without the line break.
    pub fn to_line(&self) -> String {
        debug_assert_eq!(self.format_version, FORMAT_VERSION, "rows are written in this version");
        serde_json::to_string(self).expect("rows are maps with text keys")
    }
}

/// What somebody has found out about a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoteRow {
    /// The version of this format: `FORMAT_VERSION`.
    pub format_version: u32,
    /// The hash of the rest of the row: 32 hexadecimal digits. Equal notes of two stores are one.
    pub note: String,
    /// The key of the task: 32 hexadecimal digits.
    pub task_key: String,
    /// What it is about.
    pub task: TaskRow,
    /// The note.
    pub text: String,
    /// When it was written: seconds since the Unix epoch.
    pub created: u64,
}

impl NoteRow {
    /// The row as one line of JSON, without the line break.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("rows are maps with text keys")
    }
}
