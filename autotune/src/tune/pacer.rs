//! How fast a candidate has to be to be judged, on a machine that others use too.
//!
//! Candidates that are slow in their first calls are not judged, and slow is what is far slower than the best was. Where many
//! in a row are, it may be the machine that has become slow: then the best is timed again. Invariant: what is refused here has
//! not been judged, so it is no verdict on its numbers.

use super::trial::{Trial, retime};
use crate::judge::Judge;
use crate::search::Outcome;
use tilewright_ir::backend::Artifact;

/// So many slow candidates in a row are a reason to doubt the machine.
const DOUBT: u32 = 8;

/// The best so far and how it runs today.
#[derive(Debug)]
pub(crate) struct Pacer {
    best: Option<(f64, Artifact)>,
    /// Slow candidates in a row.
    slow: u32,
    drift: f64,
}

impl Default for Pacer {
    fn default() -> Self {
        Self { best: None, slow: 0, drift: 1.0 }
    }
}

impl Pacer {
    /// How many times as long as when it was measured the best takes now; 1 unless there was reason to look.
    pub(super) fn drift(&self) -> f64 {
        self.drift
    }

    /// Takes the outcome of a candidate, and times the best again if there is reason to doubt.
    pub(super) fn learn(&mut self, judge: &Judge<'_>, artifact: &Artifact, trial: &Trial) {
        match trial.outcome() {
            Outcome::Time(time_ns) => {
                self.slow = 0;
                if self.best.as_ref().is_none_or(|(best_ns, _)| time_ns < *best_ns) {
                    self.best = Some((time_ns, artifact.clone()));
                    self.drift = 1.0;
                }
            }
            Outcome::Slow(_) => self.slow += 1,
            Outcome::Rejected => {}
        }
        if self.slow >= DOUBT {
            self.slow = 0;
            if let Some((best_ns, artifact)) = &self.best {
                let now_ns = retime(judge, artifact, *best_ns);
                self.drift = now_ns.map_or(1.0, |now_ns| (now_ns / best_ns).max(1.0));
            }
        }
    }
}
