//! The end of a run: the best few and the stored winner in turns, then the winner once more in a fresh process.
//!
//! A search that takes the smallest of many noisy times picks the luckiest; measuring the best few in turns and
//! the winner alone again undoes that. Where the intervals of the fastest and of the stored winner overlap it is a tie, and
//! the stored winner stays.

use super::report::Timed;
use super::run::{FINALISTS, Kept, Run, timed};
use super::standing::{Incumbent, Standing};
use super::trial::{Pace, Trial, nanoseconds, session_options, slots, try_artifact};
use crate::clock::{MeasureOptions, Measurement, interleave};
use crate::judge::{Passed, Rejection};
use crate::launch::{Failure, Session};
use crate::protocol::{Phase, Role};
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

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
/// A candidate this many times slower than the best has lost, however busy the machine was; its calls would take the
/// time of the others' (the naive loop nest's may take seconds each).
const LOST: f64 = 3.0;
/// A confirmed time this much above the next finalist's is not believed to be the best.
const LUCKY: f64 = 1.05;

/// The time to keep back for the finals.
pub(super) fn reserve(run: &Run<'_>) -> Duration {
    let Some(best_ns) = run.best_ns() else { return Duration::ZERO };
    let samples = ((FINALISTS + 1) * ROUNDS_MAX + 2 * ROUNDS_MAX) as f64;
    let needed = nanoseconds(samples * sample_ns(best_ns) * 1.3 + 200e6);
    // What trials really take tells how busy the machine is.
    let (took, count) = run.trials;
    let seen = took / count.max(1) * TRIALS;
    run.options.budget().mul_f64(RESERVE_MAX).min(needed.max(seen))
}

fn sample_ns(call_ns: f64) -> f64 {
    (call_ns * CALLS_PER_SAMPLE).max(2.0 * SAMPLE_NS_MIN)
}

/// What the finals came to.
pub(super) struct Decision {
    /// The best of this run: its confirmed time, and its record.
    pub(super) best: Timed,
    pub(super) record: String,
    /// The stored winner, where it is faster than that and stays.
    pub(super) standing: Option<Standing>,
}

/// The best of this run, and who may not be replaced by it.
struct Bar {
    /// The record of the stored winner when the finals began.
    known: Option<String>,
    /// The stored winner, if this run could not have found it, with its time in turns with the others.
    outside: Option<Standing>,
}

/// Measures the finalists in turns with the stored winner and confirms the fastest. `None` without accepted candidates.
pub(super) fn decide(run: &mut Run<'_>) -> Result<Option<Decision>, Diagnostic> {
    let mut finalists = std::mem::take(&mut run.kept);
    let Some(best) = finalists.first() else { return Ok(None) };
    let lost_ns = LOST * best.timed.time_ns.median;
    finalists.retain(|kept| kept.timed.time_ns.median <= lost_ns);
    if run.is_stopped() {
        // The stored winner is asked all the same: nothing replaces it unseen.
        finalists.truncate(1);
    }
    let incumbent = run.incumbent(&finalists)?;
    if let Some(incumbent) = &incumbent
        && !finalists.iter().any(|kept| kept.schedule == incumbent.kept.schedule)
    {
        finalists.push(incumbent.kept.clone());
    }
    if finalists.len() > 1 {
        run.progress(Phase::Finalists);
        finalists = measure_in_turns(run, finalists)?;
        if let Some(incumbent) = &incumbent {
            keep_tied(&mut finalists, &incumbent.kept.schedule);
        }
    }
    let bar = set_bar(&mut finalists, incumbent);
    run.progress(Phase::Confirm);
    confirm(run, &finalists, &bar)
}

/// Puts the stored winner first where its interval meets that of the fastest.
fn keep_tied(finalists: &mut [Kept], stored: &Schedule) {
    let Some(fastest) = finalists.first().map(|kept| kept.timed.time_ns.hi) else { return };
    let place = finalists.iter().position(|kept| kept.schedule == *stored);
    if let Some(place) = place.filter(|&place| finalists[place].timed.time_ns.lo <= fastest) {
        finalists[..=place].rotate_right(1);
    }
}

/// Takes a stored winner that this run could not have found from among the finalists.
fn set_bar(finalists: &mut Vec<Kept>, incumbent: Option<Incumbent>) -> Bar {
    let Some(Incumbent { record, kept, is_outside }) = incumbent else {
        return Bar { known: None, outside: None };
    };
    let place = finalists.iter().position(|known| is_outside && known.schedule == kept.schedule);
    let outside = place.map(|place| finalists.remove(place)).map(|kept| Standing {
        record: record.clone(),
        schedule: kept.schedule,
        time_ns: kept.timed.time_ns,
    });
    Bar { known: Some(record), outside }
}

/// The finalists that pass again, fastest first by their times in turns.
fn measure_in_turns(run: &mut Run<'_>, finalists: Vec<Kept>) -> Result<Vec<Kept>, Diagnostic> {
    let mut sessions = vec![];
    let mut round_ns = 0.0;
    let mut ready = vec![];
    let mut result = vec![];
    let together = finalists.len();
    for kept in finalists {
        // Each may take its own time: what the caller fixed may be far slower than the stored winner.
        let median = kept.timed.time_ns.median;
        let pace = Pace { best_ns: Some(median.max(run.best_ns().unwrap_or(0.0))), ..run.pace() };
        match prepare(run, &kept, together, &pace)? {
            Ok((session, passed)) => {
                round_ns += sample_ns(median);
                sessions.push(session);
                ready.push((kept, passed));
            }
            Err(rejection) => {
                tell(run, &kept, Role::Finalist, &Trial::rejected(rejection))?;
            }
        }
    }
    let spare_ns = run.left().as_secs_f64() * 1e9 * 0.6;
    let affordable = (spare_ns / round_ns.max(1.0)) as usize;
    let most = if run.is_stopped() { ROUNDS_MIN } else { ROUNDS_MAX };
    let rounds = affordable.clamp(ROUNDS_MIN, most);
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
fn confirm(
    run: &mut Run<'_>,
    finalists: &[Kept],
    bar: &Bar,
) -> Result<Option<Decision>, Diagnostic> {
    let mut best: Option<(&Kept, Trial, Timed)> = None;
    for (place, kept) in finalists.iter().enumerate() {
        // A candidate that fails or disappoints here is not slow: what it promised was wrong.
        let spare = run.left().mul_f64(0.5).min(CONFIRM_MAX);
        let pace = Pace { best_ns: None, careful: Some(spare), ..run.pace() };
        let trial = try_artifact(&mut run.judge, &kept.built.artifact, &pace)?;
        match timed(&kept.schedule, &trial) {
            None => {
                tell(run, kept, Role::Winner, &trial)?;
            }
            Some(timed) => {
                let median = |timed: &Timed| timed.time_ns.median;
                let loser = match best.take() {
                    Some(known) if median(&known.2) <= median(&timed) => {
                        best = Some(known);
                        Some((kept, trial))
                    }
                    earlier => {
                        best = Some((kept, trial, timed));
                        earlier.map(|(kept, trial, _)| (kept, trial))
                    }
                };
                if let Some((kept, trial)) = loser {
                    tell(run, kept, Role::Finalist, &trial)?;
                }
            }
        }
        let next_ns = finalists.get(place + 1).map(|next| next.timed.time_ns.median);
        let is_over = run.is_stopped() || run.left().is_zero();
        let holds = |ns: f64| next_ns.is_none_or(|next_ns| ns <= next_ns * LUCKY);
        if best.as_ref().is_some_and(|known| is_over || holds(known.2.time_ns.median)) {
            break;
        }
    }
    let Some((kept, trial, best)) = best else { return Ok(None) };
    settle_winner(run, kept, &trial, best, bar).map(Some)
}

/// Records the best of this run, as the winner unless a stored one is faster or as fast.
fn settle_winner(
    run: &mut Run<'_>,
    kept: &Kept,
    trial: &Trial,
    best: Timed,
    bar: &Bar,
) -> Result<Decision, Diagnostic> {
    let median = best.time_ns.median;
    let is_faster = |standing: &&Standing| {
        let in_turns = &kept.timed.time_ns;
        standing.time_ns.lo <= in_turns.hi || standing.time_ns.median * LUCKY < median
    };
    let standing = match bar.outside.as_ref().filter(is_faster) {
        Some(standing) => Some(standing.clone()),
        None => run.overtaken_by(bar.known.as_deref(), &best.schedule, median)?,
    };
    let role = if standing.is_some() { Role::Finalist } else { Role::Winner };
    let record = tell(run, kept, role, trial)?;
    Ok(Decision { best, record, standing })
}

fn tell(run: &mut Run<'_>, kept: &Kept, role: Role, trial: &Trial) -> Result<String, Diagnostic> {
    let tile_hash = Some(kept.built.tile_hash.to_string());
    run.tell(None, role, &kept.schedule, tile_hash, trial)
}
