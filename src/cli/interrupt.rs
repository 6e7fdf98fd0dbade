//! Ctrl-C: what it does to the command that runs.
//!
//! `tune` ends at the next candidate with what it has; a second Ctrl-C, and the first one of every other command, ends the
//! process at once. Invariant: either way the exit code is that of an interrupt, and with `--json` stderr ends with an
//! error object.

use super::failure::Failure;
use super::output::note;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C has been pressed.
static PRESSED: AtomicBool = AtomicBool::new(false);
/// Whether the command ends by itself when it sees that.
static ENDS_BY_ITSELF: AtomicBool = AtomicBool::new(false);

/// Takes over the handling of Ctrl-C.
pub(super) fn install(json: bool) -> Result<(), Failure> {
    let pressed = move || {
        let again = PRESSED.swap(true, Ordering::SeqCst);
        if ENDS_BY_ITSELF.load(Ordering::SeqCst) && !again {
            note("interrupted: ending with what there is (again to end at once)");
            return;
        }
        Failure::Interrupted.tell(json);
        std::process::exit(Failure::Interrupted.code().into());
    };
    ctrlc::set_handler(pressed)
        .map_err(|error| Failure::File(format!("the interrupt handler: {error}")))
}

/// The flag that the first Ctrl-C raises from now on, for a command that looks at it and ends.
pub(super) fn asks_to_stop() -> &'static AtomicBool {
    ENDS_BY_ITSELF.store(true, Ordering::SeqCst);
    &PRESSED
}
