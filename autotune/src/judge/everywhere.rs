//! The second tier: all families wherever arrays may lie, one element changed, and many calls.
//!
//! Every layout has a process of its own, with one slot, so that new data comes to the same place. A library goes through it
//! behind the first tier, code of our own before it may be shown as a winner. Invariant: what passes has been compared in
//! every layout in which a caller may bring arrays.

use super::{Judge, Rejection};
use crate::launch::{Layout, Session, SessionOptions, Shape};
use tilewright_ir::backend::Artifact;

/// Calls of the last check, and how long they may take.
const ENDURED_CALLS: u64 = 100;
const ENDURED_NS: f64 = 50e6;

/// What the second tier has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The largest error, as a fraction of what is allowed.
    pub(crate) worst_ratio: f64,
    /// The fastest call, in nanoseconds, doorbell included.
    pub(crate) call_ns_min: f64,
}

impl Judge<'_> {
    /// Judges code of our own where arrays end with their memory, and where they begin with it.
    ///
    /// # Errors
    /// The first reason to reject it, with the layout.
    pub(crate) fn check_everywhere(
        &mut self,
        artifact: &Artifact,
        options: &SessionOptions,
    ) -> Result<Seen, Rejection> {
        let shape = Shape::of(self.graph);
        let options = SessionOptions { slots: 1, ..options.clone() };
        let mut all = Seen { worst_ratio: 0.0, call_ns_min: f64::INFINITY };
        for layout in [Layout::Right, Layout::Left] {
            let mut session = Session::start_in(artifact, (&shape, layout), &options)?;
            let seen = self.check_all(&mut session);
            let seen = seen.map_err(|rejection| rejection.in_layout(layout.name()))?;
            all.worst_ratio = all.worst_ratio.max(seen.worst_ratio);
            all.call_ns_min = all.call_ns_min.min(seen.call_ns_min);
        }
        Ok(all)
    }

    /// Judges in several arrays at once what was judged in one: all families come to addresses that were not the first.
    pub(super) fn check_slots(&mut self, session: &mut Session) -> Result<f64, Rejection> {
        let worst = self.check(session)?.worst_ratio;
        Ok(worst.max(self.check_families(session)?.worst_ratio))
    }

    /// All checks of the candidate of a session with one slot.
    pub(super) fn check_all(&mut self, session: &mut Session) -> Result<Seen, Rejection> {
        let first = self.check(session)?;
        let families = self.check_families(session)?;
        let changed = self.check_changed(session)?;
        let calls = (ENDURED_NS / changed.call_ns_min().max(1.0)) as u64;
        self.endures(session, &changed, calls.clamp(1, ENDURED_CALLS))?;
        Ok(Seen {
            worst_ratio: first.worst_ratio.max(families.worst_ratio).max(changed.worst_ratio),
            call_ns_min: first.call_ns_min().min(changed.call_ns_min()),
        })
    }
}
