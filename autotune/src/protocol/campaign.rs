//! The events of a campaign, as the store keeps them and `campaign log` prints them.
//!
//! An event is a decision of the engine (`proposed`, `decided`, `ended`), the outcome of work (`finished`,
//! `confirmed`) or a word from outside (`began`, `opened`, `steered`, `stopped`, `noted`). Invariant: decisions follow from
//! the events before them alone, so the replay of a log makes the same decisions.

use super::{TargetName, TimeNs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tilewright_ir::base::hash_text;

/// What a campaign is. Its hash is the campaign's identity: other kernels, sizes, machines, code generators, seeds or
/// budgets are other campaigns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignSpec {
    /// The version of the format of records.
    pub format_version: u32,
    /// The name that people use.
    pub name: String,
    /// The seed of the searches and of the judge's data.
    pub seed: u64,
    /// What bounds it.
    pub budget: CampaignBudget,
    /// Proposals that are made and compiled together.
    pub batch: u64,
    /// The machine.
    pub machine: TargetName,
    /// The back end and its version.
    pub compiler: String,
    /// The kernels.
    pub jobs: Vec<JobSpec>,
}

impl CampaignSpec {
    /// The identity: 32 hexadecimal digits.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).expect("a specification is plain data");
        hash_text("campaign", &text).to_string()
    }
}

/// What bounds a campaign: whichever is reached first. Without any it ends when the spaces are exhausted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignBudget {
    /// Candidates, rejected ones included.
    pub evaluations: Option<u64>,
    /// Seconds of work, as recorded: time in which the campaign does not run is not counted.
    pub seconds: Option<f64>,
}

/// A kernel of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobSpec {
    /// The kernel's name.
    pub kernel: String,
    /// The extent of each axis, in elements.
    pub sizes: BTreeMap<String, u64>,
    /// The key of the task: 32 hexadecimal digits.
    pub task: String,
    /// Its part of the budget, relative to those of the others.
    pub share: f64,
    /// Settings that every candidate has, as text.
    pub fixed: Vec<String>,
    /// Settings that no candidate has, as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CampaignEvent {
    /// The first event.
    Began(Began),
    /// A process has taken up the campaign, after a stop or the death of another.
    Opened,
    /// A schedule is to be evaluated.
    Proposed(Proposed),
    /// A proposal has been evaluated.
    Finished(Finished),
    /// What was learnt from a batch, and what comes next.
    Decided(Decided),
    /// The best of a kernel have been measured in turns and the winner once more.
    Confirmed(Confirmed),
    /// Somebody changed the course.
    Steered(Steered),
    /// Somebody asked the campaign to pause; the next `run` goes on.
    Stopped,
    /// Somebody left a note.
    Noted(Noted),
    /// There is nothing left to do.
    Ended,
}

impl CampaignEvent {
    /// Whether the engine makes it by itself.
    pub fn is_decision(&self) -> bool {
        matches!(self, Self::Proposed(_) | Self::Decided(_) | Self::Ended)
    }

    /// Whether anyone may add it at any time.
    pub fn is_from_outside(&self) -> bool {
        matches!(self, Self::Steered(_) | Self::Stopped | Self::Noted(_))
    }
}

/// `began`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Began {
    /// What the campaign is.
    pub spec: CampaignSpec,
    /// For each kernel the schedules that are tried first, after the default: what the store knew then.
    pub seeds: Vec<Vec<String>>,
    /// For each kernel what its model knows beforehand: what the store knew then of like tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priors: Vec<Vec<Prior>>,
}

/// What an evaluation for a like task says of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prior {
    /// The text of the schedule, as it is for this task.
    pub schedule: String,
    /// Its time there as a part of the best one's; `null`: it was refused.
    pub ratio: Option<f64>,
}

/// `proposed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    /// The position of the kernel in the specification.
    pub job: u64,
    /// The position among the proposals of this kernel.
    pub index: u64,
    /// The canonical text of the schedule.
    pub schedule: String,
}

/// `finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The position of the kernel.
    pub job: u64,
    /// The position of the proposal.
    pub index: u64,
    /// The row of the store with samples, seeds and verdict, committed together with this event.
    pub record: String,
    /// The class of the rejection; `null`: accepted.
    pub reason: Option<String>,
    /// The time of one call, if it counts.
    pub time_ns: Option<TimeNs>,
    /// Nanoseconds of the fastest of its first calls, if they were too slow to be worth a judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ns: Option<f64>,
    /// The largest error as a fraction of what is allowed.
    pub worst_ratio: Option<f64>,
    /// The hash of everything that ran; `null` if nothing was compiled.
    pub image: Option<String>,
    /// Seconds of work that it took.
    pub seconds: f64,
}

/// `decided`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    /// Candidates of all kernels that have been learnt from.
    pub evaluated: u64,
    /// The fastest accepted proposal of the kernel that was worked on last.
    pub best: Option<Incumbent>,
    /// What comes next.
    pub next: Next,
}

/// The fastest accepted proposal of a kernel so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incumbent {
    /// The position of the kernel.
    pub job: u64,
    /// The position of the proposal.
    pub index: u64,
    /// Its median.
    pub median_ns: f64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Next {
    /// A batch of proposals of a kernel.
    Search {
        /// The position of the kernel.
        job: u64,
    },
    /// The best of a kernel are measured in turns with the stored winner.
    Confirm {
        /// The position of the kernel.
        job: u64,
    },
    /// Nothing.
    End,
}

/// `confirmed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// The position of the kernel.
    pub job: u64,
    /// The record of the best of this campaign; `null` if none held what it promised.
    pub record: Option<String>,
    /// The hash of its schedule.
    pub schedule: Option<String>,
    /// Its confirmed time.
    pub time_ns: Option<TimeNs>,
    /// The time that the measured ceilings allow, divided by its median.
    pub fraction_of_peak: Option<f64>,
    /// What limits the kernel: `compute`, or the name of a memory level.
    pub bound: Option<String>,
    /// The record of an earlier winner that is as fast or faster and stays.
    pub stays: Option<String>,
    /// Seconds of work that it took.
    pub seconds: f64,
}

/// `steered`: what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steered {
    /// The whole number of candidates that the campaign may evaluate from now on, those before included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
    /// The seconds of work that the campaign may take, those before included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// New shares of kernels, by their positions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shares: BTreeMap<u64, f64>,
    /// Schedules to try next, each with the position of its kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub propose: Vec<Suggestion>,
}

/// A schedule that somebody wants to see tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// The position of the kernel.
    pub job: u64,
    /// The schedule.
    pub schedule: String,
}

/// `noted`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    /// What was said.
    pub text: String,
}

/// An event in its chain: one line of `campaign log`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct LoggedEvent {
    /// The version of this format.
    pub format_version: u32,
    /// The identity of the campaign.
    pub campaign: String,
    /// The position in the chain, from 0.
    pub sequence: u64,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The event as the JSON text that was hashed.
    #[schemars(with = "CampaignEvent")]
    pub data: String,
    /// The hash of the event before it; for the first the identity of the campaign.
    pub previous: String,
    /// The hash of all other fields: 32 hexadecimal digits.
    pub hash: String,
}

impl LoggedEvent {
    /// The event after `previous`.
    pub fn after(
        campaign: &str,
        sequence: u64,
        previous: &str,
        created: u64,
        data: String,
    ) -> Self {
        let hash = link(campaign, sequence, previous, created, &data);
        Self {
            format_version: super::FORMAT_VERSION,
            campaign: campaign.to_string(),
            sequence,
            created,
            data,
            previous: previous.to_string(),
            hash,
        }
    }

    /// Whether the hash is that of the other fields.
    pub fn is_whole(&self) -> bool {
        self.hash == link(&self.campaign, self.sequence, &self.previous, self.created, &self.data)
    }

    /// The event as one line of JSON, without the line break: `data` is an object there, in the order of the text.
    pub fn to_line(&self) -> String {
        let Self { format_version, campaign, sequence, created, data, previous, hash } = self;
        format!(
            "{{\"format_version\":{format_version},\"campaign\":\"{campaign}\",\"sequence\":{sequence},\
             \"created\":{created},\"data\":{data},\"previous\":\"{previous}\",\"hash\":\"{hash}\"}}"
        )
    }

    /// The event of such a line; `None` if it is none, or not whole.
    pub fn from_line(line: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| value[name].as_str().map(str::to_string);
        let event = Self {
            format_version: u32::try_from(value["format_version"].as_u64()?).ok()?,
            campaign: text("campaign")?,
            sequence: value["sequence"].as_u64()?,
            created: value["created"].as_u64()?,
            data: value["data"].to_string(),
            previous: text("previous")?,
            hash: text("hash")?,
        };
        Some(event).filter(Self::is_whole)
    }

    /// The event itself; `None` if this version does not know it.
    pub fn event(&self) -> Option<CampaignEvent> {
        serde_json::from_str(&self.data).ok()
    }
}

fn link(campaign: &str, sequence: u64, previous: &str, created: u64, data: &str) -> String {
    let text = format!("{campaign}\n{sequence}\n{previous}\n{created}\n{data}");
    hash_text("event", &text).to_string()
}
