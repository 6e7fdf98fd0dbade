//! The state of a campaign with what is due: decisions to commit and work to do.
//!
//! Invariant: a decision in a log is taken only if the engine makes the same one at that place.

use super::DIVERGED;
use super::engine::{Action, State};
use super::queue::Work;
use crate::protocol::CampaignEvent;
use crate::search::Moves;
use std::collections::VecDeque;
use tilewright_ir::diag::Diagnostic;

/// The state and what follows from it.
#[derive(Debug)]
pub struct Ledger<M> {
    state: State<M>,
    due: VecDeque<CampaignEvent>,
    work: Vec<Work>,
}

impl<M: Moves> Ledger<M> {
    /// The ledger before the first event, with the space of each kernel.
    pub fn new(moves: Vec<M>) -> Self {
        Self { state: State::new(moves), due: VecDeque::new(), work: vec![] }
    }

    /// The state.
    pub fn state(&self) -> &State<M> {
        &self.state
    }

    /// Decisions that are to be committed, in order.
    pub fn due(&self) -> impl Iterator<Item = &CampaignEvent> {
        self.due.iter()
    }

    /// Work that is to be done and is not known to be done.
    pub fn work(&self) -> &[Work] {
        &self.work
    }

    /// Takes the next event of the log.
    ///
    /// # Errors
    /// `TW0822` if it is a decision that the engine does not make, or the outcome of work that it does not ask for.
    pub fn see(&mut self, event: &CampaignEvent) -> Result<(), Diagnostic> {
        if event.is_decision() && self.due.pop_front().as_ref() != Some(event) {
            return Err(diverged(event));
        }
        let is_done = |work: &Work| match (event, work) {
            (CampaignEvent::Finished(done), Work::Evaluate(work)) => {
                (done.job, done.index) == (work.job, work.index)
            }
            (CampaignEvent::Confirmed(done), Work::Confirm(work)) => done.job == work.job,
            _ => false,
        };
        let is_outcome = matches!(event, CampaignEvent::Finished(_) | CampaignEvent::Confirmed(_));
        match self.work.iter().position(is_done) {
            Some(place) => drop(self.work.remove(place)),
            None if is_outcome => return Err(diverged(event)),
            None => {}
        }
        for action in self.state.step(event) {
            match action {
                Action::Record(event) => self.due.push_back(event),
                Action::Do(work) => self.work.push(work),
            }
        }
        Ok(())
    }
}

fn diverged(event: &CampaignEvent) -> Diagnostic {
    let text = serde_json::to_string(event).expect("events are maps with text keys");
    Diagnostic::new(DIVERGED, "the log of the campaign decides otherwise than this program does")
        .found(text)
        .expected("the decisions that follow from the events before it")
        .help("go on with the version that began it, or begin another under a new name; its log is left as it is")
}
