//! A shared library among the proposals: judged in full, then timed in turns with our own code as a library.
//!
//! Invariant: it gets a time only after all tiers, and its comparison is with what ran beside it.

use super::trial::Trial;
use crate::clock::Measurement;
use crate::clock::against::Verdict;
use crate::judge::{Contest, Judge, Rejection, Tier, judge_library};
use crate::launch::{Library, SessionOptions};
use std::time::Duration;

/// A library and what it is timed against.
#[derive(Debug)]
pub struct Foreign {
    /// The library to judge.
    pub candidate: Library,
    /// Our own code for one thread, as a library like it.
    pub incumbent: Library,
    /// The workspace that our own needs.
    pub incumbent_workspace_bytes: u64,
    /// The shortest time that this machine can take; 0: unknown.
    pub floor_ns: f64,
    /// Time for the clock.
    pub budget: Duration,
}

/// How a library did against our own code.
pub(super) struct Beside {
    /// Our own code in turns with it.
    pub(super) incumbent: Measurement,
    /// The library's time as a part of that.
    pub(super) ratio: f64,
    pub(super) verdict: Verdict,
}

/// Judges and times a library; what stands beside its time, if it has one.
pub(super) fn try_library(judge: &mut Judge<'_>, foreign: &Foreign) -> (Trial, Option<Beside>) {
    match attempt(judge, foreign) {
        Ok((trial, beside)) => (trial, Some(beside)),
        Err(rejection) => (Trial::rejected(rejection), None),
    }
}

fn attempt(judge: &mut Judge<'_>, foreign: &Foreign) -> Result<(Trial, Beside), Rejection> {
    let options = SessionOptions::default();
    let judgement = judge_library(judge, &foreign.candidate, Tier::Second, &options);
    let standing = judgement.outcome?;
    let contest = Contest {
        candidate: &foreign.candidate,
        incumbent: &foreign.incumbent,
        workspace_bytes: [standing.workspace_bytes, foreign.incumbent_workspace_bytes],
        call_ns: standing.call_ns_min,
        floor_ns: foreign.floor_ns,
        budget: foreign.budget,
    };
    let outcome = judge.contest(&contest, &options)?;
    let worst_ratio = Some(outcome.worst_ratio.max(standing.worst_ratio));
    let trial = Trial { measurement: Some(outcome.candidate), worst_ratio, ..Trial::default() };
    let (incumbent, (ratio, ..), verdict) = (outcome.incumbent, outcome.ratio, outcome.verdict);
    Ok((trial, Beside { incumbent, ratio, verdict }))
}
