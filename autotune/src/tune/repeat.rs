//! A record taken again: the same code, the same bits, and what the clock says today.
//!
//! Invariant: nothing of the record is believed; its schedule is compiled, judged on new data and timed as any candidate.

use super::TuneOptions;
use super::compare::judged;
use super::run::Run;
use super::turns::{self, Heats, SPARE};
use crate::judge::Rejection;
use crate::protocol::{RecordRow, TimeNs};
use crate::store::Store;
use std::sync::atomic::AtomicBool;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::Schedule;

/// The rounds of the clock.
const HEATS: Heats = Heats { first: 5, stay: 1, last: 26, share: SPARE, briefly: false };

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeated {
    /// Whether the tile program is the recorded one; `None` if none was recorded.
    pub same_program: Option<bool>,
    /// Whether the outputs have the recorded bits; `None` if none were recorded, or nothing passed.
    pub same_bits: Option<bool>,
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: Option<f64>,
    /// The time of one call today.
    pub time_ns: Option<TimeNs>,
    /// Why the schedule is refused today.
    pub rejection: Option<Rejection>,
}

/// Takes a record again within the budget of the options. The graph and the back end are those of its task.
///
/// # Errors
/// As `tune`; what the schedule does wrong is in the answer.
pub fn repeat(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    row: &RecordRow,
    stop: &AtomicBool,
) -> Result<Repeated, Diagnostic> {
    let schedule = Schedule::parse(&row.schedule).map_err(|mut faults| faults.swap_remove(0))?;
    let mut ignore = |_: &crate::protocol::Event| {};
    let mut run = Run::start(backend, graph, options, store, &mut ignore, stop)?;
    let built = run.build(std::slice::from_ref(&schedule)).pop();
    let built = built.expect("one schedule gives one answer");
    let refused = |rejection| Repeated {
        same_program: None,
        same_bits: None,
        worst_ratio: None,
        time_ns: None,
        rejection: Some(rejection),
    };
    let kept = match judged(&mut run, &schedule, built)? {
        Ok(kept) => kept,
        Err(rejection) => return Ok(refused(rejection)),
    };
    let tile_hash = kept.built.tile_hash.to_string();
    let same_program = row.tile_hash.as_ref().map(|known| *known == tile_hash);
    let (passed, failed) = turns::measure(&mut run, vec![kept], HEATS, None)?;
    let trial = passed.into_iter().chain(failed).next().expect("one candidate ran").trial;
    let digest = trial.digest.as_ref().zip(row.digest.as_ref());
    Ok(Repeated {
        same_program,
        same_bits: digest.map(|(now, then)| now == then),
        worst_ratio: trial.worst_ratio,
        time_ns: trial.time_ns(),
        rejection: trial.rejection,
    })
}
