//! The wire format: what `tune --json` prints, what the store exports, and what a device says about itself.
//!
//! It is the only stable format of the project. Every face (command line, MCP server, library) speaks it. Streams
//! are NDJSON, one object a line; an event carries its name in `event`. Times are nanoseconds of one kernel call
//! unless a name says otherwise; ages and points in time are seconds, points in time since the Unix epoch.
//! Invariant: fields are added, never renamed, retyped or removed, within one `FORMAT_VERSION`.

mod bench;
mod campaign;
mod device;
mod evaluate;
mod event;
mod record;

pub use bench::{BENCH_FORMAT_VERSION, BenchRecord};
pub use campaign::{
    Began, CampaignBudget, CampaignEvent, CampaignSpec, Confirmed, Decided, Finished, Incumbent,
    JobSpec, LoggedEvent, Next, Noted, Prior, Proposed, Steered, Suggestion,
};
pub use device::{CeilingReport, DeviceReport, TargetName};
pub use evaluate::{Answer, ProposalLine, Tried, Versus};
pub use event::{
    Best, Budget, Candidate, Ended, Event, FormResult, Phase, Progress, Role, ScheduleChange,
    Start, Status, Stays, TuneResult,
};
pub use record::{NoteRow, RecordRow, TaskRow};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of this format; it stands in every exported row.
pub const FORMAT_VERSION: u32 = 1;

/// The time of one kernel call, with a 95 % confidence interval of the median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeNs {
    /// The median over the samples, in nanoseconds.
    pub median: f64,
    /// The lower end of the interval, in nanoseconds.
    pub lo: f64,
    /// The upper end of the interval, in nanoseconds.
    pub hi: f64,
}

impl TimeNs {
    /// Whether the two intervals overlap: neither is known to be faster.
    pub fn ties_with(&self, other: &Self) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }
}
