//! What a schedule will take, guessed from those that were tried: gradient-boosted trees.
//!
//! Trees cut each choice apart, so they need no scale and learn from a few dozen outcomes which choices matter (Chen and
//! Guestrin, "`XGBoost`", 2016). What was refused counts as slower than anything that ran, so what refused schedules have in
//! common is avoided. Invariant: the same outcomes in the same order give the same guesses.

use super::Outcome;
use super::features::Columns;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};
use tilewright_ir::schedule::Schedule;

/// Outcomes with a time without which nothing is guessed.
const LEAST: usize = 10;
/// The most outcomes that are learnt from: the latest, and the fastest of those before.
const MOST: usize = 400;
/// With so many outcomes of its own a search asks for no others.
const PRIORS: usize = 96;
/// Slower than the best by this power of e is slow, however much.
const SLOW: f64 = 2.5;
/// What a refusal counts as.
const REFUSED: f64 = 3.0;
const TREES: usize = 50;
const DEPTH: u16 = 5;
const RATE: f64 = 0.2;
const SHARE: f64 = 0.8;

type Trees = XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

/// A fitted model.
#[derive(Debug)]
pub(super) struct Model {
    columns: Columns,
    trees: Trees,
}

impl Model {
    /// Learns from outcomes, and while they are few from what is known of like tasks. `None` while those with a time are too
    /// few, or all alike.
    pub(super) fn fit(
        outcomes: &[(Schedule, Outcome)],
        priors: &[(Schedule, Outcome)],
    ) -> Option<Self> {
        let known = chosen(outcomes);
        // Of a search that knows enough itself nobody else's outcomes are asked.
        let priors = &priors[..priors.len().min(PRIORS.saturating_sub(known.len()))];
        let told = [targets(&known), targets(priors)].concat();
        if told.iter().filter(|(_, target)| *target < REFUSED).count() < LEAST {
            return None;
        }
        let columns = Columns::of(told.iter().map(|(schedule, _)| *schedule));
        let rows: Vec<Vec<f64>> = told.iter().map(|(schedule, _)| columns.row(schedule)).collect();
        let targets: Vec<f64> = told.iter().map(|(_, target)| *target).collect();
        let parameters = XGRegressorParameters::default()
            .with_n_estimators(TREES)
            .with_max_depth(DEPTH)
            .with_learning_rate(RATE)
            .with_subsample(SHARE)
            .with_base_score(targets.iter().sum::<f64>() / targets.len() as f64)
            .with_seed(known.len() as u64);
        let matrix = DenseMatrix::from_2d_vec(&rows).ok()?;
        let trees = XGRegressor::fit(&matrix, &targets, parameters).ok()?;
        Some(Self { columns, trees })
    }

    /// The schedules that should be fastest first; on equal guesses in the order given.
    pub(super) fn rank(&self, schedules: Vec<Schedule>) -> Vec<Schedule> {
        let rows: Vec<Vec<f64>> =
            schedules.iter().map(|schedule| self.columns.row(schedule)).collect();
        let guesses =
            DenseMatrix::from_2d_vec(&rows).ok().and_then(|rows| self.trees.predict(&rows).ok());
        let Some(guesses) = guesses else { return schedules };
        let mut ranked: Vec<(f64, Schedule)> = guesses.into_iter().zip(schedules).collect();
        ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
        ranked.into_iter().map(|(_, schedule)| schedule).collect()
    }
}

/// What is learnt of each outcome of one task: the logarithm of its time as a part of the best.
fn targets(outcomes: &[(Schedule, Outcome)]) -> Vec<(&Schedule, f64)> {
    let times = outcomes.iter().filter_map(|(_, outcome)| outcome.ns());
    let best_ns = times.fold(f64::INFINITY, f64::min);
    let target = |outcome: Outcome| match outcome.ns() {
        Some(ns) => (ns / best_ns).ln().min(SLOW),
        None => REFUSED,
    };
    outcomes.iter().map(|(schedule, outcome)| (schedule, target(*outcome))).collect()
}

/// At most `MOST` outcomes: the latest half, and the fastest of the others.
pub(super) fn chosen(outcomes: &[(Schedule, Outcome)]) -> Vec<(Schedule, Outcome)> {
    if outcomes.len() <= MOST {
        return outcomes.to_vec();
    }
    let (early, late) = outcomes.split_at(outcomes.len() - MOST / 2);
    let mut early = early.to_vec();
    early.sort_by(|one, other| {
        let key = |outcome: Outcome| outcome.ns().unwrap_or(f64::INFINITY);
        key(one.1).total_cmp(&key(other.1))
    });
    early.truncate(MOST / 2);
    early.extend_from_slice(late);
    early
}
