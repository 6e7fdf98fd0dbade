//! Making a failing kernel file small: edits that keep the fault, until none does.
//!
//! Invariant: the smaller file is a legal text and has a fault of the same kind, with the seed given.

use crate::edits;
use crate::judge::{Effort, Fault, judge, judge_with};
use crate::tally::Tally;
use tilewright_ir::check::check;
use tilewright_ir::schedule::Schedule;

/// Files that are judged before the smallest so far is taken.
const JUDGED_MAX: usize = 1500;
/// Forms of a smaller file, where a form was at fault.
const FORMS: usize = 2;
/// Sampled schedules of a smaller file: its passes have other names, so the schedule that failed cannot be kept.
const SCHEDULES: usize = 4;

/// The smallest file found.
#[derive(Clone, Debug)]
pub struct Small {
    /// The file.
    pub text: String,
    /// Its fault.
    pub fault: Fault,
    /// The schedule that fails, without the settings that do not matter.
    pub schedule: Option<Schedule>,
}

/// Makes a file small that `judge` finds faulty with this seed.
pub fn shrink(text: &str, seed: u64, fault: &Fault) -> Small {
    let stages = fault.kind.starts_with("stage") || fault.kind.starts_with("panic");
    let of_form = fault.kind.starts_with("form");
    let effort = Effort { schedules: SCHEDULES, stages, forms: if of_form { FORMS } else { 0 } };
    let fails = |text: &str| {
        // Cheap first: most edits give no kernel.
        if fault.kind != "round trip" && fault.kind != "refused" && check(text).is_err() {
            return None;
        }
        let found = judge(text, seed, effort, &mut Tally::default()).err()?;
        (found.kind == fault.kind).then_some(found)
    };
    let mut small = Small { text: text.to_string(), fault: fault.clone(), schedule: None };
    let mut judged = 0;
    while judged < JUDGED_MAX {
        let smaller = edits::all(&small.text).into_iter().find_map(|edit| {
            let text = edit.apply(&small.text);
            judged += 1;
            fails(&text).map(|fault| (text, fault))
        });
        match smaller {
            Some((text, fault)) => (small.text, small.fault) = (text, fault),
            None => break,
        }
    }
    small.text = tidy(&small.text);
    // A schedule of a form is told with the form; it fits no other.
    let schedule = small.fault.schedule.clone().filter(|_| !of_form);
    small.schedule = schedule.map(|schedule| fewer(&small, seed, schedule));
    small
}

/// The canonical text, if it means the same.
fn tidy(text: &str) -> String {
    let parsed = tilewright_ir::syntax::parse(text);
    if parsed.faults.is_empty() { tilewright_ir::syntax::print(&parsed.file) } else { text.into() }
}

/// The schedule without the settings that do not matter for the fault.
fn fewer(small: &Small, seed: u64, schedule: Schedule) -> Schedule {
    let fails = |schedule: &Schedule| {
        let found = judge_with(&small.text, seed, schedule).err();
        found.is_some_and(|found| found.kind == small.fault.kind)
    };
    let mut least = schedule;
    if !fails(&least) {
        return least;
    }
    let mut position = 0;
    while position < least.settings.len() {
        let mut without = least.clone();
        without.settings.remove(position);
        if fails(&without) {
            least = without;
        } else {
            position += 1;
        }
    }
    least
}
