//! The ceilings of a machine as the store knows them, measured anew when they are old.
//!
//! Invariant: one key for each target and code generator, so that a change of either measures again.

use crate::ceiling::Ceilings;
use crate::protocol::TargetName;
use crate::store::Store;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;

/// Ceilings older than this are measured again.
const AGE_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// What measuring takes, as far as is known beforehand.
pub(super) const TIME: Duration = Duration::from_secs(6);

/// Ceilings and when they were measured.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownCeilings {
    /// The ceilings.
    pub ceilings: Ceilings,
    /// Seconds since the Unix epoch.
    pub measured_unix: u64,
}

/// The ceilings of the store while they are fresh, else measured and stored: the higher of the old and the new rates,
/// since what was reached once is possible. `None` for a back end without probes, which has no roofline, when `stop` is
/// raised meanwhile, or when measuring takes longer than `budget`: a short measurement would give ceilings that good code
/// breaks. Candidates are judged and timed all the same.
///
/// # Errors
/// The store's.
pub fn ceilings(
    backend: &dyn Backend,
    store: &mut Store,
    budget: Duration,
    now_unix: u64,
    stop: &AtomicBool,
) -> Result<Option<KnownCeilings>, Diagnostic> {
    if let Some((ceilings, measured_unix)) = stored(store, &key(backend))?
        && now_unix.saturating_sub(measured_unix) <= AGE_SECONDS_MAX
    {
        return Ok(Some(KnownCeilings { ceilings, measured_unix }));
    }
    if budget < TIME {
        return Ok(None);
    }
    Ok(raise(backend, store, now_unix, stop)?.map(|(known, _)| known))
}

/// Measures the ceilings though they are fresh, since something was faster than they allow: they may have been measured
/// while the machine was busy. `None` if they are as they were, or cannot be measured.
///
/// # Errors
/// The store's.
pub(crate) fn doubted(
    backend: &dyn Backend,
    store: &mut Store,
    now_unix: u64,
    stop: &AtomicBool,
) -> Result<Option<Ceilings>, Diagnostic> {
    let raised = raise(backend, store, now_unix, stop)?;
    Ok(raised.filter(|(_, is_higher)| *is_higher).map(|(known, _)| known.ceilings))
}

/// Measures and stores the higher of the old and the new rates; and whether any is higher than it was.
fn raise(
    backend: &dyn Backend,
    store: &mut Store,
    now_unix: u64,
    stop: &AtomicBool,
) -> Result<Option<(KnownCeilings, bool)>, Diagnostic> {
    let key = key(backend);
    let earlier = stored(store, &key)?.map(|(ceilings, _)| ceilings);
    let Some(measured) = measure(backend, stop) else { return Ok(None) };
    let ceilings = match &earlier {
        Some(earlier) => measured.raised_to(earlier),
        None => measured,
    };
    let is_higher = earlier.as_ref() != Some(&ceilings);
    let text = serde_json::to_string(&ceilings).expect("ceilings are plain data");
    if !store.is_read_only() {
        store.put_ceilings(&key, &text, now_unix)?;
    }
    Ok(Some((KnownCeilings { ceilings, measured_unix: now_unix }, is_higher)))
}

fn key(backend: &dyn Backend) -> String {
    format!("{} {}", TargetName::new(backend.target()).hash, backend.version())
}

fn stored(store: &Store, key: &str) -> Result<Option<(Ceilings, u64)>, Diagnostic> {
    let stored = store.ceilings(key)?;
    Ok(stored.and_then(|(text, at)| Some((serde_json::from_str(&text).ok()?, at))))
}

/// What the back end's probes show. A probe that fails here is a machine without ceilings, not a run without result.
fn measure(backend: &dyn Backend, stop: &AtomicBool) -> Option<Ceilings> {
    let probes = backend.probes().ok().filter(|probes| !probes.is_empty())?;
    Ceilings::measure(backend.target(), &probes, stop).ok().flatten()
}
