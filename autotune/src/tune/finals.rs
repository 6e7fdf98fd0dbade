//! The end of a run: the best few in turns, then the winner once more in a fresh process.
//!
//! A search that takes the smallest of many noisy times picks the luckiest; measuring the best few in turns and
//! the winner alone again undoes that.

use super::report::Timed;
use super::run::{FINALISTS, Kept, Run, timed};
use super::trial::{Pace, Trial, nanoseconds, session_options, slots, try_artifact};
use crate::clock::{MeasureOptions, Measurement, interleave};
use crate::judge::{Passed, Rejection};
use crate::launch::{Failure, Session};
use crate::protocol::{Phase, Role};
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;

/// The rounds that finalists are measured in, where the time allows.
const ROUNDS_MAX: usize = 11;
/// The fewest rounds that say anything.
const ROUNDS_MIN: usize = 3;
/// One sample is the slope over n and 2 n calls.
const CALLS_PER_SAMPLE: f64 = 3.0;
/// The shortest batch of calls, and so the shortest sample, with some air.
const SAMPLE_NS_MIN: f64 = 1.5e6;
/// The largest share of the budget that is kept back for the finals.
const RESERVE_MAX: f64 = 0.2;
/// The longest that one confirmation measures.
const CONFIRM_MAX: Duration = Duration::from_millis(500);
/// The finals take about as long as this many trials.
const TRIALS: u32 = 12;
/// A confirmed time this much above the next finalist's is not believed to be the best.
const LUCKY: f64 = 1.05;

/// The time to keep back for the finals.
pub(super) fn reserve(run: &Run<'_>) -> Duration {
    let Some(best_ns) = run.best_ns() else { return Duration::ZERO };
    let samples = (FINALISTS * ROUNDS_MAX + 2 * ROUNDS_MAX) as f64;
    let needed = nanoseconds(samples * sample_ns(best_ns) * 1.3 + 200e6);
    // What trials really take tells how busy the machine is.
    let (took, count) = run.trials;
    let seen = took / count.max(1) * TRIALS;
    run.options.budget().mul_f64(RESERVE_MAX).min(needed.max(seen))
}

fn sample_ns(call_ns: f64) -> f64 {
    (call_ns * CALLS_PER_SAMPLE).max(2.0 * SAMPLE_NS_MIN)
}

/// Measures the finalists and confirms the winner: its time and its record. `None` without accepted candidates.
pub(super) fn decide(run: &mut Run<'_>) -> Result<Option<(Timed, String)>, Diagnostic> {
    let mut finalists = std::mem::take(&mut run.kept);
    if finalists.len() > 1 && !run.is_stopped() {
        run.progress(Phase::Finalists);
        finalists = measure_in_turns(run, finalists)?;
    }
    run.progress(Phase::Confirm);
    confirm(run, &finalists)
}

/// The finalists that pass again, fastest first by their times in turns.
fn measure_in_turns(run: &mut Run<'_>, finalists: Vec<Kept>) -> Result<Vec<Kept>, Diagnostic> {
    let best_ns = finalists[0].timed.time_ns.median;
    let pace = Pace { best_ns: Some(best_ns), ..run.pace() };
    let mut sessions = vec![];
    let mut ready = vec![];
    let mut result = vec![];
    let together = finalists.len();
    for kept in finalists {
        match prepare(run, &kept, together, &pace)? {
            Ok((session, passed)) => {
                sessions.push(session);
                ready.push((kept, passed));
            }
            Err(rejection) => tell(run, &kept, Role::Finalist, &Trial::rejected(rejection))?,
        }
    }
    let spare_ns = run.left().as_secs_f64() * 1e9 * 0.6;
    let affordable = spare_ns / (sessions.len().max(1) as f64 * sample_ns(best_ns));
    let rounds = (affordable as usize).clamp(ROUNDS_MIN, ROUNDS_MAX);
    let options = MeasureOptions {
        seed: run.options.seed,
        budget: nanoseconds(spare_ns),
        ..MeasureOptions::default()
    };
    let measured = interleave(&mut sessions, rounds, &options);
    for (((kept, passed), session), measurement) in
        ready.into_iter().zip(&mut sessions).zip(measured)
    {
        let trial = settle(run, session, &passed, measurement);
        tell(run, &kept, Role::Finalist, &trial)?;
        result.extend(timed(&kept.schedule, &trial).map(|timed| Kept { timed, ..kept }));
    }
    result.sort_by(|one, other| one.timed.time_ns.median.total_cmp(&other.timed.time_ns.median));
    Ok(result)
}

/// A session of a finalist, judged again and ready for the clock.
fn prepare(
    run: &mut Run<'_>,
    kept: &Kept,
    together: usize,
    pace: &Pace,
) -> Result<Result<(Session, Passed), Rejection>, Diagnostic> {
    let artifact = &kept.built.artifact;
    let mut options = session_options(artifact, slots(artifact, together), pace);
    // The clock runs many calls for one ring of the doorbell.
    options.deadline = options.deadline.saturating_add(Duration::from_secs(1));
    let mut session = match Session::start(artifact, &options) {
        Ok(session) => session,
        Err(Failure::Start(diagnostic)) => return Err(*diagnostic),
        Err(failure) => return Ok(Err(failure.into())),
    };
    let passed = match run.judge.check(&mut session) {
        Ok(passed) => passed,
        Err(rejection) => return Ok(Err(rejection)),
    };
    Ok(match run.judge.poison(&mut session) {
        Ok(()) => Ok((session, passed)),
        Err(failure) => Err(failure.into()),
    })
}

fn settle(
    run: &mut Run<'_>,
    session: &mut Session,
    passed: &Passed,
    measurement: Result<Measurement, Failure>,
) -> Trial {
    let mut trial = Trial {
        worst_ratio: Some(passed.worst_ratio),
        seed: Some(passed.seed),
        ..Trial::default()
    };
    match measurement {
        Ok(measurement) => trial.measurement = Some(measurement),
        Err(failure) => trial.rejection = Some(failure.into()),
    }
    if trial.rejection.is_none() {
        trial.rejection = run.judge.unchanged(session, passed).err();
    }
    trial
}

/// Measures the finalists alone in fresh processes, best first, until one holds what it promised.
fn confirm(run: &mut Run<'_>, finalists: &[Kept]) -> Result<Option<(Timed, String)>, Diagnostic> {
    let mut best: Option<(Timed, String)> = None;
    for (place, kept) in finalists.iter().enumerate() {
        // A candidate that fails or disappoints here is not slow: what it promised was wrong.
        let spare = run.left().mul_f64(0.5).min(CONFIRM_MAX);
        let pace = Pace { best_ns: None, careful: Some(spare), ..run.pace() };
        let trial = try_artifact(&mut run.judge, &kept.built.artifact, &pace)?;
        let tile_hash = Some(kept.built.tile_hash.to_string());
        let record = run.tell(None, Role::Winner, &kept.schedule, tile_hash, &trial)?;
        if let Some(timed) = timed(&kept.schedule, &trial) {
            let median = timed.time_ns.median;
            if best.as_ref().is_none_or(|(known, _)| median < known.time_ns.median) {
                best = Some((timed, record));
            }
        }
        let holds = |known: &(Timed, String)| {
            let next = finalists.get(place + 1).map(|next| next.timed.time_ns.median);
            next.is_none_or(|next_ns| known.0.time_ns.median <= next_ns * LUCKY)
        };
        let is_over = run.is_stopped() || run.left().is_zero();
        if best.as_ref().is_some_and(|known| is_over || holds(known)) {
            break;
        }
    }
    Ok(best)
}

fn tell(run: &mut Run<'_>, kept: &Kept, role: Role, trial: &Trial) -> Result<(), Diagnostic> {
    let tile_hash = Some(kept.built.tile_hash.to_string());
    run.tell(None, role, &kept.schedule, tile_hash, trial).map(|_| ())
}
