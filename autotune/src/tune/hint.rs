//! What an analytic model would try next, for somebody who proposes by hand.
//!
//! Invariant: it is drawn from the neighbours of what is best so far, by a seed that the question gives, and has not been tried;
//! it promises nothing.

use crate::store::{Store, Task};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{Forms, Schedule};

/// Neighbours that are ranked.
const DRAWN: usize = 64;
/// Settings that a hint names at most: more of them are no hint.
const SETTINGS: usize = 8;
/// An estimate that is this part of the best one's, or more, is no reason.
const PROMISING: f64 = 0.97;

/// The change to the best schedule so far, or to `own` without one, that the model likes best.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn hint(
    store: &Store,
    task: &Task,
    (forms, own): (&Forms, &Schedule),
    seed: u64,
) -> Result<Option<String>, Diagnostic> {
    let best = store.best(task)?.and_then(|row| Schedule::parse(&row.schedule).ok());
    let best = best.filter(|best| forms.check(best).is_ok());
    let (base, name) = match best {
        Some(best) => (best, "the best so far"),
        None if forms.check(own).is_ok() => (own.clone(), "this"),
        None => return Ok(None),
    };
    let rows = store.outcomes(task)?.into_iter();
    let tried: BTreeSet<_> =
        rows.filter_map(|row| Some(Schedule::parse(&row.schedule).ok()?.hash())).collect();
    let Some(known) = forms.estimate(&base) else { return Ok(None) };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found: Option<(f64, Schedule)> = None;
    for _ in 0..DRAWN {
        let near = forms.canonical(&forms.neighbour(&base, &mut random));
        if near.form_name() != base.form_name()
            || base.diff(&near).len() > SETTINGS
            || tried.contains(&near.hash())
        {
            continue;
        }
        let Some(estimate) = forms.estimate(&near) else { continue };
        let part = estimate.time_ns / known.time_ns;
        if part < found.as_ref().map_or(PROMISING, |(least, _)| *least) {
            found = Some((part, near));
        }
    }
    Ok(found.map(|(part, near)| {
        let changes = base.diff(&near).into_iter();
        let changes: Vec<String> =
            changes.filter_map(|(name, _, value)| Some(format!("{name} = {}", value?))).collect();
        format!(
            "{name} with {} should take {part:.2} of its time (an estimate)",
            changes.join(", ")
        )
    }))
}
