//! Campaigns: searches over several kernels that survive everything but the loss of the store.
//!
//! `State::step` is a pure function of the events so far; `Ledger` replays a log through it and refuses one that decides
//! otherwise; `run` commits each event before it acts on it; a `Queue` stands between it and those who evaluate.
//! Invariant: all that a decision depends on is in the log, so a process may be killed at any moment and the next one goes
//! on with the same state, repeating no evaluation that is in the log.

mod driver;
mod engine;
mod file;
mod ledger;
mod local;
mod queue;
mod summary;

pub use driver::{RunOptions, run};
pub use engine::{Action, State};
pub use file::{CampaignFile, KernelEntry, Policy};
pub use ledger::Ledger;
pub use local::{LocalJob, LocalQueue};
pub use queue::{Done, Evaluated, Evaluation, Finalist, Finals, Queue, Work};
pub use summary::{JobSummary, Summary};

/// A campaign file says something that is no campaign.
pub const BAD_FILE: &str = "TW0820";
/// Another process drives the campaign.
pub const HELD: &str = "TW0821";
/// The log decides otherwise than this version does.
pub const DIVERGED: &str = "TW0822";
/// The store has no such campaign, or several.
pub const UNKNOWN: &str = "TW0823";
