//! The end of a run: the best of the search and the champion in turns, then the fastest once more in a fresh process.
//!
//! A search that takes the smallest of many noisy times picks the luckiest. So many candidates meet in a first heat of
//! few rounds, the fastest of them in a second of many, and the fastest of those meets its rival once more in fresh
//! processes. The champion is the stored winner or, without one, the default schedule: it stays unless another is faster
//! in the rounds that both had, for the other was picked and it was not.

use super::report::Timed;
use super::run::{FINALISTS, Kept, Run};
use super::standing::{Incumbent, Standing};
use super::trial::{Pace, Trial, nanoseconds, session_options};
use super::turns::{self, Heats, SPARE, Turn, sample_ns};
use crate::clock::{Paired, paired};
use crate::judge::{Rejection, Tier};
use crate::protocol::{Phase, Role, TimeNs};
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

/// The rounds of the finals, where the time allows: all, then the fastest.
const HEATS: Heats = Heats { first: 5, stay: 4, last: 16, share: SPARE, briefly: false };
/// The rounds that still say something, of an interrupted run.
const FEWEST: Heats = Heats { first: 3, stay: 2, last: 0, share: SPARE, briefly: false };
/// The rounds of the fastest and its rival in fresh processes.
const DUEL: Heats = Heats { first: 5, stay: 2, last: 10, share: SPARE, briefly: false };
/// Fewest candidates of the first heat, the champion not counted.
const FINALISTS_MIN: usize = 4;
/// The largest share of the budget that is kept back for the finals.
const RESERVE_MAX: f64 = 0.2;
/// A candidate this many times slower than the best has lost, however busy the machine was; its calls would take the
/// time of the others' (the naive loop nest's may take seconds each).
const LOST: f64 = 1.5;
/// Calls of a candidate that is judged in every layout, roughly, and the part of the budget that they may take beyond it.
const EVERYWHERE_CALLS: f64 = 60.0;
const OVERTIME: f64 = 0.1;
/// A champion is given up in the last turns only for a rival that is faster by this factor.
const LUCKY: f64 = 1.05;

/// The time to keep back for the finals.
pub(super) fn reserve(run: &Run<'_>) -> Duration {
    let Some(best_ns) = run.best_ns() else { return Duration::ZERO };
    let heats = |heats: Heats, count| heats.first * count + heats.last * heats.stay.min(count);
    let samples = (heats(HEATS, FINALISTS_MIN + 1) + heats(DUEL, 2)) as f64;
    let needed = nanoseconds(samples * sample_ns(best_ns) * 1.3 + 200e6);
    // What trials really take tells how busy the machine is.
    let seen = mean_trial(run) * (2 * FINALISTS_MIN + 4) as u32;
    run.options.budget().mul_f64(RESERVE_MAX).min(needed.max(seen))
}

/// The wall-clock time of an accepted candidate.
fn mean_trial(run: &Run<'_>) -> Duration {
    let (took, count) = run.trials;
    took / count.max(1)
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
    /// Who stays unless another is faster.
    champion: Option<Schedule>,
}

impl Bar {
    fn is_champion(&self, schedule: &Schedule) -> bool {
        self.champion.as_ref() == Some(schedule)
    }
}

/// Measures the finalists in turns with the champion and confirms the fastest. `None` without accepted candidates.
pub(super) fn decide(run: &mut Run<'_>) -> Result<Option<Decision>, Diagnostic> {
    let mut left = std::mem::take(&mut run.kept);
    // Where all of the best fail after all, those that had lost against them have not.
    while let Some(best) = left.first() {
        let lost_ns = LOST * best.timed.time_ns.median;
        let near = left.partition_point(|kept| kept.timed.time_ns.median <= lost_ns);
        // The champion is asked even by an interrupted run: nothing replaces it unseen.
        let most = if run.is_stopped() { 1 } else { entrants(run) };
        let rest = left.split_off(near.clamp(1, most.max(1)));
        let decision = decide_among(run, std::mem::replace(&mut left, rest), lost_ns)?;
        if decision.is_some() {
            return Ok(decision);
        }
    }
    Ok(None)
}

fn decide_among(
    run: &mut Run<'_>,
    mut finalists: Vec<Kept>,
    lost_ns: f64,
) -> Result<Option<Decision>, Diagnostic> {
    let incumbent = run.incumbent(&finalists)?;
    let default = run.default.as_ref().filter(|kept| kept.timed.time_ns.median <= lost_ns);
    let stored = incumbent.as_ref().map(|incumbent| &incumbent.kept);
    let has_won = incumbent.as_ref().is_some_and(|incumbent| incumbent.has_won);
    let champion = if has_won { stored } else { default }.cloned();
    for kept in stored.into_iter().chain(&champion) {
        if !finalists.iter().any(|known| known.schedule == kept.schedule) {
            finalists.push(kept.clone());
        }
    }
    if finalists.len() > 1 {
        run.progress(Phase::Finalists);
        finalists = rank(run, finalists, champion.as_ref().map(|kept| &kept.schedule))?;
    }
    let bar = set_bar(&mut finalists, incumbent, champion);
    run.progress(Phase::Confirm);
    confirm(run, finalists, &bar)
}

/// How many candidates the time kept back can judge again.
fn entrants(run: &Run<'_>) -> usize {
    let spare = run.left().mul_f64(0.3).as_secs_f64();
    let affordable = (spare / mean_trial(run).as_secs_f64().max(1e-3)) as usize;
    affordable.clamp(FINALISTS_MIN, FINALISTS)
}

/// The finalists that pass again, fastest first, but the champion before all that are not surely faster.
fn rank(
    run: &mut Run<'_>,
    finalists: Vec<Kept>,
    champion: Option<&Schedule>,
) -> Result<Vec<Kept>, Diagnostic> {
    let heats = if run.is_stopped() { FEWEST } else { HEATS };
    let (mut passed, failed) = turns::measure(run, finalists, heats, champion)?;
    for turn in failed.iter().chain(&passed) {
        tell(run, &turn.kept, Role::Finalist, &turn.trial)?;
    }
    let place = passed.iter().position(|turn| Some(&turn.kept.schedule) == champion);
    if let Some(place) = place {
        let stays = |fastest: &Turn| !is_faster(run, fastest, &passed[place]);
        if passed.first().is_some_and(stays) {
            passed[..=place].rotate_right(1);
        }
    }
    Ok(passed.into_iter().map(|turn| turn.kept).collect())
}

/// The time of one as a part of another's, by the rounds that both had.
fn ratio(run: &Run<'_>, one: &Turn, other: &Turn) -> Option<Paired> {
    paired(one.samples_ns(), other.samples_ns(), run.options.seed)
}

/// Whether one is surely faster than another.
fn is_faster(run: &Run<'_>, one: &Turn, other: &Turn) -> bool {
    ratio(run, one, other).is_some_and(|ratio| ratio.hi < 1.0)
}

/// Takes a stored winner that this run could not have found from among the finalists.
fn set_bar(finalists: &mut Vec<Kept>, incumbent: Option<Incumbent>, champion: Option<Kept>) -> Bar {
    let champion = champion.map(|kept| kept.schedule);
    let Some(Incumbent { record, kept, is_outside, .. }) = incumbent else {
        return Bar { known: None, outside: None, champion };
    };
    let place = finalists.iter().position(|known| is_outside && known.schedule == kept.schedule);
    let outside = place.map(|place| finalists.remove(place)).map(|kept| Standing {
        record: record.clone(),
        schedule: kept.schedule,
        time_ns: kept.timed.time_ns,
    });
    Bar { known: Some(record), outside, champion }
}

/// Measures the fastest and its rival in fresh processes, until one of the two passes.
fn confirm(
    run: &mut Run<'_>,
    mut finalists: Vec<Kept>,
    bar: &Bar,
) -> Result<Option<Decision>, Diagnostic> {
    while !finalists.is_empty() {
        let mut pair = vec![finalists.remove(0)];
        let rival = finalists.iter().position(|kept| bar.is_champion(&kept.schedule)).unwrap_or(0);
        if rival < finalists.len() && !run.is_stopped() {
            pair.push(finalists.remove(rival));
        }
        let Some((mut turn, in_turns, rest)) = duel(run, pair, bar)? else { continue };
        if judge_everywhere(run, &mut turn)? {
            return settle_winner(run, &turn, in_turns, bar).map(Some);
        }
        tell(run, &turn.kept, Role::Winner, &turn.trial)?;
        finalists.splice(0..0, rest);
    }
    Ok(None)
}

/// Judges a winner in every layout, unless somebody waits for the end of the run or its calls would take far longer than the
/// run may: then it has the first tier alone, and its record says so. `false`: it failed, as its trial says.
fn judge_everywhere(run: &mut Run<'_>, turn: &mut Turn) -> Result<bool, Diagnostic> {
    let time_ns = turn.kept.timed.time_ns.median;
    let spare = run.left().max(run.options.budget().mul_f64(OVERTIME));
    if run.is_stopped() || nanoseconds(EVERYWHERE_CALLS * time_ns) > spare {
        return Ok(true);
    }
    let pace = Pace { best_ns: Some(time_ns), ..run.pace() };
    let artifact = &turn.kept.built.artifact;
    let mut options = session_options(artifact, &pace);
    // Many calls come with one ring of the doorbell.
    options.deadline = options.deadline.saturating_add(Duration::from_secs(1));
    match run.judge.check_everywhere(artifact, &options) {
        Ok(seen) => {
            let known = turn.trial.worst_ratio.unwrap_or(0.0);
            turn.trial.worst_ratio = Some(known.max(seen.worst_ratio));
            turn.trial.tier = Some(Tier::Second);
            Ok(true)
        }
        Err(Rejection { fault: Some(fault), .. }) => Err(*fault),
        Err(rejection) => {
            turn.trial.rejection = Some(rejection);
            Ok(false)
        }
    }
}

/// The first of a pair, unless it fails or the second is faster now; with its time in turns with all others, and the second.
fn duel(
    run: &mut Run<'_>,
    pair: Vec<Kept>,
    bar: &Bar,
) -> Result<Option<(Turn, TimeNs, Vec<Kept>)>, Diagnostic> {
    let known: Vec<_> =
        pair.iter().map(|kept| (kept.schedule.clone(), kept.timed.time_ns)).collect();
    let is_first = |turn: &Turn| turn.kept.schedule == known[0].0;
    let (mut passed, failed) = turns::measure(run, pair, DUEL, None)?;
    for turn in &failed {
        // What the first promised was wrong.
        let role = if is_first(turn) { Role::Winner } else { Role::Finalist };
        tell(run, &turn.kept, role, &turn.trial)?;
    }
    passed.sort_by_key(|turn| !is_first(turn));
    if let [first, second] = &passed[..]
        && loses(run, first, second, bar)
    {
        passed.reverse();
    }
    for turn in passed.iter().skip(1) {
        tell(run, &turn.kept, Role::Finalist, &turn.trial)?;
    }
    let mut passed = passed.into_iter();
    Ok(passed.next().map(|turn| {
        let in_turns = known.iter().find(|(schedule, _)| *schedule == turn.kept.schedule);
        let time_ns = in_turns.map_or(turn.kept.timed.time_ns, |(_, time_ns)| *time_ns);
        (turn, time_ns, passed.map(|turn| turn.kept).collect())
    }))
}

/// Whether the fastest of the finals loses against its rival in fresh processes.
fn loses(run: &Run<'_>, first: &Turn, second: &Turn, bar: &Bar) -> bool {
    let Some(ratio) = ratio(run, second, first) else { return false };
    if bar.is_champion(&first.kept.schedule) {
        ratio.hi < 1.0 / LUCKY
    } else if bar.is_champion(&second.kept.schedule) {
        ratio.estimate <= 1.0
    } else {
        ratio.hi < 1.0
    }
}

/// Records the best of this run, as the winner unless a stored one is faster or as fast.
fn settle_winner(
    run: &mut Run<'_>,
    turn: &Turn,
    in_turns: TimeNs,
    bar: &Bar,
) -> Result<Decision, Diagnostic> {
    let best = turn.kept.timed.clone();
    let is_faster = |standing: &&Standing| standing.time_ns.lo <= in_turns.hi;
    let standing = match bar.outside.as_ref().filter(is_faster) {
        Some(standing) => Some(standing.clone()),
        None => run.overtaken_by(bar.known.as_deref(), &best.schedule, best.time_ns.median)?,
    };
    let role = if standing.is_some() { Role::Finalist } else { Role::Winner };
    let record = tell(run, &turn.kept, role, &turn.trial)?;
    Ok(Decision { best, record, standing })
}

fn tell(run: &mut Run<'_>, kept: &Kept, role: Role, trial: &Trial) -> Result<String, Diagnostic> {
    let tile_hash = Some(kept.built.tile_hash.to_string());
    run.tell(None, role, &kept.schedule, tile_hash, trial)
}
