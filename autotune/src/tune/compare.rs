//! Two schedules of one kernel against each other: faster, slower or a tie.
//!
//! Both are judged, then measured in turns by several pairs of fresh processes, since where memory lies moves a time by a
//! percent. Invariant: nothing is said of a schedule whose numbers are wrong; a difference below the smallest effect, or one
//! that not all pairs show, is a tie.

use super::TuneOptions;
use super::run::{Kept, Run, timed};
use super::trial::{Pace, Trial, try_artifact};
use super::turns::{self, Heats};
use crate::clock::against::Verdict;
use crate::clock::{Measurement, Paired, lower_quartile, paired_groups};
use crate::judge::Rejection;
use crate::protocol::{Role, TimeNs};
use crate::store::Store;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::Schedule;

/// Pairs of processes. Where their memory lies differs more than what one pair measures again and again.
const GROUPS: usize = 16;
/// The longest first call of a schedule.
const FIRST_CALL: Duration = Duration::from_secs(10);

/// One of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Its schedule.
    pub schedule: Schedule,
    /// Its time in turns with the other; `None` if it was rejected.
    pub time_ns: Option<TimeNs>,
    /// The lower quartile of its samples, of which the ratio is made.
    pub quartile_ns: Option<f64>,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
    /// Its record in the store.
    pub record: String,
}

/// What the comparison came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Both, in the order given.
    pub sides: [Side; 2],
    /// The first one's time as a part of the second's; `None` if one was rejected.
    pub ratio: Option<Paired>,
    /// What that says of the first; `None` if one was rejected.
    pub verdict: Option<Verdict>,
    /// The samples of both, in nanoseconds of one call, for each pair of processes.
    pub groups: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Compares two schedules within the budget of the options. `effect_min` is the part of the time that counts as a
/// difference: 0.01 for one percent.
///
/// # Errors
/// As `tune`; what a schedule does wrong is in its side.
pub fn compare(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    schedules: [Schedule; 2],
    (effect_min, stop): (f64, &AtomicBool),
) -> Result<Compared, Diagnostic> {
    let mut ignore = |_: &crate::protocol::Event| {};
    let mut run = Run::start(backend, graph, options, store, &mut ignore, stop)?;
    let mut ready = vec![];
    for (schedule, built) in schedules.iter().zip(run.build(&schedules)) {
        ready.push(judged(&mut run, schedule, built)?);
    }
    let mut samples = [vec![], vec![]];
    let mut groups = vec![];
    if let [Ok(one), Ok(other)] = &ready[..] {
        for left in (1..=GROUPS).rev() {
            if run.is_stopped() {
                break;
            }
            let Some(group) = group(&mut run, [one, other], left)? else { break };
            samples[0].extend_from_slice(&group.0);
            samples[1].extend_from_slice(&group.1);
            groups.push(group);
        }
    }
    let ratio = paired_groups(&groups, options.seed);
    let [one, other] = schedules;
    let mut sides = vec![];
    for ((schedule, ready), samples_ns) in [one, other].into_iter().zip(ready).zip(samples) {
        sides.push(side(&mut run, schedule, ready, samples_ns)?);
    }
    let sides = sides.try_into().expect("there are two");
    Ok(Compared { sides, ratio, verdict: ratio.map(|ratio| ratio.verdict(effect_min)), groups })
}

/// A schedule that the judge has passed, with a first time, or why not.
pub(super) fn judged(
    run: &mut Run<'_>,
    schedule: &Schedule,
    built: Result<super::Built, Rejection>,
) -> Result<Result<Kept, Rejection>, Diagnostic> {
    let built = match built {
        Ok(built) => built,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let pace = Pace::unhurried(0.0, FIRST_CALL);
    let trial = try_artifact(&mut run.judge, &built.artifact, &pace)?;
    Ok(match (timed(schedule, &trial), trial.rejection) {
        (Some(timed), _) => Ok(Kept { schedule: schedule.clone(), built, timed }),
        (None, rejection) => Err(rejection
            .unwrap_or_else(|| Rejection::new("untimed", "the clock gave no sample".to_string()))),
    })
}

/// Nanoseconds of both sides, round for round.
type PairedSamples = (Vec<f64>, Vec<f64>);

/// The samples of one pair of processes; `None` if one of them fails.
fn group(
    run: &mut Run<'_>,
    pair: [&Kept; 2],
    left: usize,
) -> Result<Option<PairedSamples>, Diagnostic> {
    let heats = Heats { first: 3, stay: 2, last: 60, share: 0.8 / left as f64, briefly: true };
    // Who starts first has other memory than who comes second, so they take turns in that, too.
    let is_swapped = left.is_multiple_of(2);
    let mut both = pair.map(Clone::clone).to_vec();
    if is_swapped {
        both.reverse();
    }
    let (turns, _) = turns::measure(run, both, heats, None)?;
    // Of two equal schedules either one may come first: they are told apart by their place.
    let mut found: Vec<(usize, Vec<f64>)> =
        turns.iter().map(|turn| (turn.place, turn.samples_ns().to_vec())).collect();
    found.sort_by_key(|(place, _)| *place);
    if is_swapped {
        found.reverse();
    }
    let mut found = found.into_iter().map(|(_, samples_ns)| samples_ns);
    Ok(found.next().zip(found.next()))
}

fn side(
    run: &mut Run<'_>,
    schedule: Schedule,
    ready: Result<Kept, Rejection>,
    samples_ns: Vec<f64>,
) -> Result<Side, Diagnostic> {
    let seed = run.options.seed;
    let quartile_ns = lower_quartile(samples_ns.clone());
    let (trial, tile_hash) = match ready {
        Ok(kept) => {
            let is_measured = !samples_ns.is_empty();
            let measurement = is_measured.then(|| Measurement::of(samples_ns, seed));
            let worst_ratio = Some(kept.timed.worst_ratio);
            let tile_hash = Some(kept.built.tile_hash.to_string());
            (Trial { measurement, worst_ratio, ..Trial::default() }, tile_hash)
        }
        Err(rejection) => (Trial::rejected(rejection), None),
    };
    let record = run.tell(None, Role::Finalist, &schedule, tile_hash, &trial)?;
    let (time_ns, rejection) = (trial.time_ns(), trial.rejection);
    Ok(Side { schedule, time_ns, quartile_ns, rejection, record })
}
