//! The tuning run: propose, compile, judge, time, record, until the budget is spent.
//!
//! Nothing is timed while something compiles, and nothing compiles while something is timed. A rejected candidate
//! costs one record, never the run. Invariant: every outcome is committed to the store before the search learns it.

mod build;
mod carried;
mod ceilings;
mod compare;
mod evaluate;
mod finals;
mod foreign;
mod hint;
mod options;
mod pacer;
mod repeat;
mod report;
mod run;
mod standing;
mod tally;
mod trial;
mod tried;
mod turns;
mod workbench;

pub(crate) use build::Built;
pub use carried::{carried, priors};
pub(crate) use ceilings::doubted;
pub use ceilings::{KnownCeilings, ceilings};
pub use compare::{Compared, Side, compare};
pub use evaluate::{Code, Proposal, Refused, evaluate};
pub use foreign::Foreign;
pub use options::{PATIENCE, TuneOptions};
pub use repeat::{Repeated, repeat};
pub use report::{Timed, TuneReport};
pub use standing::Standing;
pub(crate) use workbench::Workbench;

use crate::protocol::Event;
use crate::store::Store;
use std::sync::atomic::AtomicBool;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;

/// The threads that compile could not be started.
pub const NO_THREADS: &str = "TW0812";

/// Tunes a bound graph for the machine of a back end.
///
/// `observer` sees every event in order, the last one being `Event::Result`. Setting `stop` (a signal handler may)
/// ends the search at the next candidate; what was found is still confirmed and reported.
///
/// # Errors
/// The first fault of `options.fixed` (`TW04xx`), the store's (`TW0801` to `TW0805`), the launcher's if no child process can be started, and `TW0812` if there are
/// no threads to compile with. Candidates that fail are no errors.
pub fn tune(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    observer: &mut dyn FnMut(&Event),
    stop: &AtomicBool,
) -> Result<TuneReport, Diagnostic> {
    run::Run::start(backend, graph, options, store, observer, stop)?.finish()
}

/// The end of a run without its search: measures `candidates`, which passed the judge before, in turns with the stored
/// winner, and the fastest once more; stores the winner as `tune` does.
///
/// # Errors
/// As `tune`.
pub(crate) fn confirm(
    backend: &dyn Backend,
    graph: &Graph,
    options: &TuneOptions,
    store: &mut Store,
    candidates: &[Timed],
    stop: &AtomicBool,
) -> Result<TuneReport, Diagnostic> {
    let mut observer = |_: &Event| {};
    run::Run::start(backend, graph, options, store, &mut observer, stop)?.settle(candidates)
}
