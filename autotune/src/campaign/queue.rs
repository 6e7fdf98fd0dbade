//! What stands between a campaign and those who evaluate for it.
//!
//! Invariant: work that was put twice, before and after a crash, may be done twice; the log takes the first result only.

use crate::protocol::{Confirmed, Finished, TimeNs};
use crate::store::{NewRecord, Task};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

/// A piece of work.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Compile, judge and time one schedule.
    Evaluate(Evaluation),
    /// Measure the best of a kernel in turns with the stored winner, and the fastest once more.
    Confirm(Finals),
}

/// A schedule to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The position of the kernel.
    pub job: u64,
    /// The position of the proposal.
    pub index: u64,
    /// The schedule.
    pub schedule: Schedule,
    /// The best accepted median when it was proposed: what is far slower need not be measured well.
    pub best_ns: Option<f64>,
}

/// The best of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Finals {
    /// The position of the kernel.
    pub job: u64,
    /// The fastest accepted proposals, fastest first.
    pub finalists: Vec<Finalist>,
}

/// An accepted proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Finalist {
    /// The position of the proposal.
    pub index: u64,
    /// The schedule.
    pub schedule: Schedule,
    /// Its time.
    pub time_ns: TimeNs,
    /// The largest error as a fraction of what is allowed.
    pub worst_ratio: f64,
}

/// Work that is done.
#[derive(Debug)]
pub enum Done {
    /// What became of a schedule.
    Evaluated(Box<Evaluated>),
    /// What became of the best.
    Confirmed(Confirmed),
}

/// What became of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The position of the kernel.
    pub job: u64,
    /// The position of the proposal.
    pub index: u64,
    /// The task that the record belongs to.
    pub task: Task,
    /// The record.
    pub record: NewRecord,
    /// Nanoseconds of its first calls, if they were too slow to be worth a judgement.
    pub first_ns: Option<f64>,
    /// The hash of everything that ran; `None` if nothing was compiled.
    pub image: Option<String>,
    /// Seconds of work that it took.
    pub seconds: f64,
}

/// A queue of work: local, or a farm of machines.
pub trait Queue {
    /// Hands over work.
    ///
    /// # Errors
    /// If nobody can take it; the campaign ends and may be resumed.
    fn put(&mut self, work: Vec<Work>) -> Result<(), Diagnostic>;

    /// Waits for a piece of work to be done, in any order.
    ///
    /// # Errors
    /// If nobody can do it; what a candidate does wrong is no error.
    fn take(&mut self) -> Result<Done, Diagnostic>;

    /// Tells those who evaluate what is known already, in the order of the log.
    fn learn(&mut self, finished: &Finished);
}
