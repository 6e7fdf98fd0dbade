//! One candidate at a time: start, judge, time, judge again. Nothing compiles meanwhile.

use crate::clock::{MeasureOptions, Measurement, measure};
use crate::judge::{Judge, Passed, Rejection, Tier};
use crate::launch::{Failure, Session, SessionOptions};
use crate::protocol::{Role, TimeNs};
use crate::search::Outcome;
use crate::store::NewRecord;
use std::time::Duration;
use tilewright_ir::backend::Artifact;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

/// Copies of the arguments in a session: code that works on the first arrays only is wrong. Calls are timed on the same
/// arrays again and again, as other benchmarks do and most programs: two copies in turn leave a cache that holds one.
const SLOTS: usize = 2;
/// A call that takes longer is timed one by one: the doorbell no longer matters.
const LONG_CALL_NS: f64 = 50e6;
/// A candidate whose first samples are all this many times slower than the best is not judged: what the search learns of it,
/// they tell. A judgement costs ten times as much.
const SLOW: f64 = 1.6;
/// A call this many times slower than the best is given up. Half of it ends a long one at once; no disturbance is as large.
const HOPELESS: f64 = 8.0;
/// The class of a rejection that nothing is wrong with.
const SLOW_REASON: &str = "slow";
/// The class of a rejection that somebody else caused.
const KILLED_REASON: &str = "killed";
/// The class of a rejection of a time that the machine cannot have.
const IMPOSSIBLE_REASON: &str = "impossible";
/// The length of a first sample.
const SAMPLE_NS: f64 = 200e3;
/// Short samples before a candidate is called slow.
const FIRST_SAMPLES: usize = 3;
/// An interval this many times as high as low is measured again.
const UNSURE: f64 = 1.25;
/// A time this many times below the roofline is no time. The ceilings drift with the load of a shared machine, so
/// the limit is wider than their own error.
const IMPOSSIBLE: f64 = 1.5;

/// What is known when a candidate is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The best accepted median so far.
    pub(super) best_ns: Option<f64>,
    /// How many times as long as then it seems to take now: the machine may have become busy.
    pub(super) drift: f64,
    /// The shortest time that the ceilings allow; 0 without ceilings.
    pub(super) floor_ns: f64,
    /// The longest that one call may take while nothing is known.
    pub(super) first_call: Duration,
    /// Whether to take more samples than a search needs, and the time that they may take.
    pub(super) careful: Option<Duration>,
}

impl Pace {
    /// The pace of something that is timed however slow it is.
    pub(super) fn unhurried(floor_ns: f64, first_call: Duration) -> Self {
        Self { best_ns: None, drift: 1.0, floor_ns, first_call, careful: None }
    }
}

/// The pace of a second measurement.
const AGAIN: Pace = Pace {
    best_ns: None,
    drift: 1.0,
    floor_ns: 0.0,
    first_call: Duration::ZERO,
    careful: Some(Duration::from_millis(40)),
};

/// What became of a candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    pub(super) measurement: Option<Measurement>,
    pub(super) worst_ratio: Option<f64>,
    pub(super) seed: Option<u64>,
    /// The hash of its outputs on the data of digests.
    pub(super) digest: Option<String>,
    /// How much of the judge it has passed.
    pub(super) tier: Option<Tier>,
    pub(super) rejection: Option<Rejection>,
    /// Nanoseconds of the fastest of the first calls, doorbell included. Nothing was judged by then.
    pub(super) first_ns: Option<f64>,
}

impl Trial {
    pub(super) fn rejected(rejection: Rejection) -> Self {
        Self { rejection: Some(rejection), ..Self::default() }
    }

    /// Whether it was faster than the machine is known to be.
    pub(super) fn is_impossible(&self) -> bool {
        self.rejection.as_ref().is_some_and(|rejection| rejection.reason == IMPOSSIBLE_REASON)
    }

    /// What a search learns of it.
    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.rejection.as_ref().map(|rejection| rejection.reason);
        match (self.time_ns(), reason, self.first_ns) {
            (Some(time_ns), ..) => Outcome::Time(time_ns.median),
            (None, Some(SLOW_REASON), Some(first_ns)) => Outcome::Slow(first_ns),
            _ => Outcome::Rejected,
        }
    }

    /// What is stored of it.
    pub(super) fn record(
        &self,
        role: Role,
        schedule: &Schedule,
        tile_hash: Option<String>,
        created: u64,
    ) -> NewRecord {
        let rejection = self.rejection.as_ref();
        NewRecord {
            tile_hash,
            reason: rejection.map(|rejection| rejection.reason.to_string()),
            evidence: rejection.map(|rejection| rejection.evidence.clone()),
            time_ns: self.time_ns(),
            samples_ns: self.measurement.as_ref().map_or(vec![], |m| m.samples_ns.clone()),
            worst_ratio: self.worst_ratio,
            seed: self.seed,
            digest: self.digest.clone(),
            tier: self.tier.map(Tier::number),
            ..NewRecord::new(role, schedule, created)
        }
    }

    /// The time, if it counts.
    pub(super) fn time_ns(&self) -> Option<TimeNs> {
        let measurement = self.measurement.as_ref().filter(|_| self.rejection.is_none())?;
        let Measurement { median, lo, hi, .. } = *measurement;
        Some(TimeNs { median, lo, hi })
    }
}

/// A duration of that many nanoseconds; what no duration holds is the longest one.
pub(super) fn nanoseconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count.max(0.0) / 1e9).unwrap_or(Duration::MAX)
}

/// The options of a session that tries an artifact.
pub(super) fn session_options(artifact: &Artifact, pace: &Pace) -> SessionOptions {
    let threads = artifact.launches.iter().map(|launch| launch.threads).max().unwrap_or(1);
    let call = match pace.best_ns {
        // A candidate this much slower than the best has lost; the constant covers a busy machine.
        Some(best_ns) => nanoseconds(HOPELESS * best_ns).saturating_add(Duration::from_millis(100)),
        None => pace.first_call,
    };
    SessionOptions {
        slots: SLOTS,
        threads: usize::try_from(threads.max(1)).unwrap_or(1),
        deadline: call.saturating_mul(SLOTS as u32),
        ..SessionOptions::default()
    }
}

/// Tries an artifact in a fresh process.
///
/// # Errors
/// Only if the machine lets no process start; what the candidate does wrong is in the trial.
pub(super) fn try_artifact(
    judge: &mut Judge<'_>,
    artifact: &Artifact,
    pace: &Pace,
) -> Result<Trial, Diagnostic> {
    let trial = try_once(judge, artifact, pace)?;
    // What somebody else ended has said nothing yet.
    match trial.rejection.as_ref().is_some_and(|rejection| rejection.reason == KILLED_REASON) {
        true => try_once(judge, artifact, pace),
        false => Ok(trial),
    }
}

fn try_once(judge: &mut Judge<'_>, artifact: &Artifact, pace: &Pace) -> Result<Trial, Diagnostic> {
    let options = session_options(artifact, pace);
    let mut session = match Session::start(artifact, &options) {
        Ok(session) => session,
        Err(Failure::Start(diagnostic)) => return Err(*diagnostic),
        Err(failure) => return Ok(Trial::rejected(failure.into())),
    };
    let mut trial = Trial::default();
    trial.rejection = judge_and_time(judge, &mut session, pace, &mut trial).err();
    Ok(trial)
}

fn judge_and_time(
    judge: &mut Judge<'_>,
    session: &mut Session,
    pace: &Pace,
    trial: &mut Trial,
) -> Result<(), Rejection> {
    judge.feed(session)?;
    session.stay(true);
    let call_ns = first_samples(session, pace)?;
    trial.first_ns = Some(call_ns);
    refuse_slow(call_ns, pace)?;
    session.stay(false);
    let passed = judge.check(session)?;
    trial.worst_ratio = Some(passed.worst_ratio);
    trial.seed = Some(passed.seed);
    trial.tier = Some(Tier::First);
    session.stay(true);
    judge.poison(session)?;
    let measurement = time(session, &passed, call_ns.min(passed.call_ns_min()), pace)?;
    session.stay(false);
    judge.unchanged(session, &passed)?;
    let (median, floor_ns) = (measurement.median, pace.floor_ns);
    if median.is_nan() || median <= 0.0 || median * IMPOSSIBLE < floor_ns {
        let evidence = format!("{median} ns, where the machine needs {floor_ns} ns");
        return Err(Rejection::new(IMPOSSIBLE_REASON, evidence));
    }
    trial.measurement = Some(measurement);
    Ok(())
}

fn time(
    session: &mut Session,
    passed: &Passed,
    call_ns: f64,
    pace: &Pace,
) -> Result<Measurement, Rejection> {
    session.set_deadline(nanoseconds(40.0 * call_ns).saturating_add(Duration::from_secs(1)));
    if call_ns > LONG_CALL_NS {
        return time_long(session, passed, pace);
    }
    let measurement = measure(session, &measure_options(passed.seed, pace))?;
    let is_record = pace.best_ns.is_some_and(|best_ns| measurement.median < best_ns);
    let is_unsure = measurement.hi > UNSURE * measurement.lo;
    if pace.careful.is_some() || !(is_record || is_unsure) {
        return Ok(measurement);
    }
    // A record is measured once more before it steers the search, and so is a time that something disturbed: noise
    // likes to win.
    let again = measure(session, &measure_options(passed.seed, &AGAIN))?;
    let samples = measurement.samples_ns.into_iter().chain(again.samples_ns).collect();
    Ok(Measurement::of(samples, passed.seed))
}

/// The nanoseconds of the fastest of a few calls, doorbell included; of more, the slower it seems: one disturbance must not
/// cost a good candidate.
fn first_samples(session: &mut Session, pace: &Pace) -> Result<f64, Failure> {
    let mut best_ns = session.run(1)? as f64;
    for _ in 0..FIRST_SAMPLES {
        let hopeless = best_ns > LONG_CALL_NS
            && pace.best_ns.is_some_and(|best| best_ns > HOPELESS / 2.0 * best);
        if hopeless || refuse_slow(best_ns, pace).is_ok() {
            break;
        }
        // Long enough to hide the doorbell.
        let calls = (SAMPLE_NS / best_ns).clamp(1.0, 1000.0) as u64;
        best_ns = best_ns.min(session.run(calls)? as f64 / calls as f64);
    }
    Ok(best_ns)
}

/// Nanoseconds of the first calls of code that was judged before, as `first_samples` takes them; `None` if it fails.
pub(super) fn retime(judge: &Judge<'_>, artifact: &Artifact, best_ns: f64) -> Option<f64> {
    let pace = Pace { best_ns: Some(best_ns), ..AGAIN };
    let mut session = Session::start(artifact, &session_options(artifact, &pace)).ok()?;
    judge.feed(&mut session).ok()?;
    session.stay(true);
    first_samples(&mut session, &pace).ok()
}

/// A call of this length is its own sample.
fn time_long(
    session: &mut Session,
    passed: &Passed,
    pace: &Pace,
) -> Result<Measurement, Rejection> {
    let mut samples = passed.calls_ns.clone();
    let wanted = if pace.careful.is_some() { 5 } else { 3 };
    // The outputs have been filled with garbage again, so it runs once at least.
    loop {
        samples.push(session.run(1)? as f64);
        if samples.len() >= wanted {
            return Ok(Measurement::of(samples, passed.seed));
        }
    }
}

fn refuse_slow(sample_ns: f64, pace: &Pace) -> Result<(), Rejection> {
    match pace.best_ns {
        Some(best_ns) if sample_ns > SLOW * pace.drift * best_ns => Err(Rejection::new(
            SLOW_REASON,
            format!("the first samples have {sample_ns:.0} ns, the best has {best_ns:.0} ns"),
        )),
        _ => Ok(()),
    }
}

fn measure_options(seed: u64, pace: &Pace) -> MeasureOptions {
    let (samples, warm_up, budget) = match pace.careful {
        Some(budget) => (15, Duration::from_millis(5), budget),
        None => (5, Duration::from_micros(500), Duration::from_millis(15)),
    };
    MeasureOptions { samples, warm_up, budget, seed, ..MeasureOptions::default() }
}
