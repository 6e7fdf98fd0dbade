//! Candidates that passed before, measured in turns by processes of their own.
//!
//! Invariant: each is judged again before it is timed, and no candidate has a time whose outputs were not looked at after
//! the last of its calls.

use super::report::Timed;
use super::run::{Kept, Run, timed};
use super::trial::{Pace, Trial, nanoseconds, session_options};
use crate::clock::{MeasureOptions, Measurement, interleave};
use crate::judge::{Passed, Rejection, Tier};
use crate::launch::{Failure, Session};
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

/// What a sample takes at least: a batch and what surrounds it.
const SAMPLE_NS_MIN: f64 = 3e6;
/// The part of the time that is left that the finals may use.
pub(super) const SPARE: f64 = 0.6;

/// How many rounds, and how many go on to the last ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heats {
    /// Rounds of all.
    pub(super) first: usize,
    /// How many of the fastest stay after them.
    pub(super) stay: usize,
    /// Most further rounds of those.
    pub(super) last: usize,
    /// The part of the time that is left that the rounds may take.
    pub(super) share: f64,
    /// Whether a few families of inputs are enough, where all have been judged just now.
    pub(super) briefly: bool,
}

/// A candidate and what it did.
pub(super) struct Turn {
    pub(super) kept: Kept,
    pub(super) trial: Trial,
    /// Its position among the candidates.
    pub(super) place: usize,
    /// Whether it left after the first rounds.
    left: bool,
}

impl Turn {
    /// The samples in the order of the rounds.
    pub(super) fn samples_ns(&self) -> &[f64] {
        self.trial.measurement.as_ref().map_or(&[], |measurement| &measurement.samples_ns)
    }

    /// The candidate with this time, if it passed.
    fn timed(&self) -> Option<Timed> {
        timed(&self.kept.schedule, &self.trial)
    }
}

/// What a sample of a call of that length takes, in nanoseconds.
pub(super) fn sample_ns(call_ns: f64) -> f64 {
    (1.2 * call_ns).max(SAMPLE_NS_MIN)
}

/// A candidate on its way through the rounds.
struct Runner {
    place: usize,
    kept: Kept,
    passed: Passed,
    session: Session,
    samples_ns: Vec<f64>,
    failure: Option<Failure>,
}

/// Measures candidates in turns: those that pass, fastest first and those that left after the first rounds behind the
/// others, and those that fail. The champion does not leave.
pub(super) fn measure(
    run: &mut Run<'_>,
    candidates: Vec<Kept>,
    heats: Heats,
    champion: Option<&Schedule>,
) -> Result<(Vec<Turn>, Vec<Turn>), Diagnostic> {
    let (mut runners, mut done) = (vec![], vec![]);
    for (place, kept) in candidates.into_iter().enumerate() {
        match start(run, &kept, heats.briefly)? {
            Ok((session, passed)) => {
                let (samples_ns, failure) = (vec![], None);
                runners.push(Runner { place, kept, passed, session, samples_ns, failure });
            }
            Err(rejection) => {
                let trial = Trial::rejected(rejection);
                done.push(Turn { kept, trial, place, left: true });
            }
        }
    }
    rounds(run, &mut runners, heats.first, (0, heats.share));
    runners.sort_by(|one, other| one.median_ns().total_cmp(&other.median_ns()));
    let mut left = runners.split_off(runners.len().min(heats.stay));
    let place = left.iter().position(|runner| Some(&runner.kept.schedule) == champion);
    runners.extend(place.map(|place| left.remove(place)));
    done.extend(left.into_iter().map(|runner| settle(run, runner, true)));
    if heats.last > 0 {
        let further = affordable(run, &runners, heats);
        rounds(run, &mut runners, further, (1, heats.share));
    }
    done.extend(runners.into_iter().map(|runner| settle(run, runner, false)));
    let (mut passed, failed): (Vec<Turn>, Vec<Turn>) =
        done.into_iter().partition(|turn| turn.timed().is_some());
    for turn in &mut passed {
        turn.kept.timed = turn.timed().expect("it passed");
    }
    let median = |turn: &Turn| turn.kept.timed.time_ns.median;
    passed.sort_by(|one, other| {
        one.left.cmp(&other.left).then(median(one).total_cmp(&median(other)))
    });
    Ok((passed, failed))
}

impl Runner {
    fn median_ns(&self) -> f64 {
        let ns = Measurement::of(self.samples_ns.clone(), 0).median;
        if self.failure.is_some() || ns.is_nan() { f64::INFINITY } else { ns }
    }
}

/// A session of a candidate, judged again and ready for the clock.
fn start(
    run: &mut Run<'_>,
    kept: &Kept,
    briefly: bool,
) -> Result<Result<(Session, Passed), Rejection>, Diagnostic> {
    let artifact = &kept.built.artifact;
    // Each may take its own time: what the caller fixed may be far slower than the stored winner.
    let own_ns = kept.timed.time_ns.median.max(run.best_ns().unwrap_or(0.0));
    let pace = Pace { best_ns: Some(own_ns), ..run.pace() };
    let mut options = session_options(artifact, &pace);
    // The clock runs many calls for one ring of the doorbell.
    options.deadline = options.deadline.saturating_add(Duration::from_secs(1));
    options.new_memory = true;
    let mut session = match Session::start(artifact, &options) {
        Ok(session) => session,
        Err(Failure::Start(diagnostic)) => return Err(*diagnostic),
        Err(failure) => return Ok(Err(failure.into())),
    };
    let judged = match briefly {
        true => run.judge.check_first(&mut session),
        false => run.judge.check(&mut session),
    };
    let passed = match judged {
        Ok(passed) => passed,
        Err(rejection) => return Ok(Err(rejection)),
    };
    session.stay(true);
    Ok(match run.judge.poison(&mut session) {
        Ok(()) => Ok((session, passed)),
        Err(failure) => Err(failure.into()),
    })
}

/// Further rounds that the time allows.
fn affordable(run: &Run<'_>, runners: &[Runner], heats: Heats) -> usize {
    let round_ns: f64 = runners.iter().map(|runner| sample_ns(runner.median_ns())).sum();
    let spare_ns = run.left().as_secs_f64() * 1e9 * heats.share;
    ((spare_ns / round_ns.max(1.0)) as usize).min(heats.last)
}

fn rounds(run: &Run<'_>, runners: &mut [Runner], rounds: usize, (stage, share): (u64, f64)) {
    let (mut sessions, mut samples): (Vec<&mut Session>, Vec<_>) = runners
        .iter_mut()
        .map(|runner| (&mut runner.session, (&mut runner.samples_ns, &mut runner.failure)))
        .unzip();
    let options = MeasureOptions {
        seed: run.options.seed.wrapping_add(stage),
        budget: nanoseconds(run.left().as_secs_f64() * 1e9 * share),
        ..MeasureOptions::default()
    };
    let measured = interleave(&mut sessions, rounds, &options);
    for ((known, failure), measurement) in samples.iter_mut().zip(measured) {
        match measurement {
            Ok(measurement) => known.extend(measurement.samples_ns),
            Err(why) => **failure = Some(why),
        }
    }
}

/// Looks at the outputs once more.
fn settle(run: &mut Run<'_>, runner: Runner, left: bool) -> Turn {
    let Runner { place, kept, passed, mut session, samples_ns, failure } = runner;
    session.stay(false);
    let mut trial = Trial {
        worst_ratio: Some(passed.worst_ratio),
        seed: Some(passed.seed),
        tier: Some(Tier::First),
        ..Trial::default()
    };
    trial.rejection = match failure {
        Some(failure) => Some(failure.into()),
        None => run.judge.unchanged(&mut session, &passed).err(),
    };
    if trial.rejection.is_none() {
        match run.judge.digest(&mut session) {
            Ok(digest) => trial.digest = Some(digest),
            Err(failure) => trial.rejection = Some(failure.into()),
        }
    }
    trial.measurement = Some(Measurement::of(samples_ns, passed.seed));
    Turn { kept, trial, place, left }
}
