//! A winner at sizes that it was not tuned for: one more, one less, primes, one, none.
//!
//! A winner is used at its own sizes alone, and a call with others is refused. Elsewhere the schedule is where a search begins,
//! and what is wrong there is a fault of the compiler near the winner. Invariant: a size is right, refused with a code,
//! or told with what is wrong.

use super::{BoundKernel, Kernel};
use crate::error::Error;
use std::fmt;
use tilewright_autotune::judge::{Judge, Rejection, hidden_sizes};
use tilewright_autotune::launch::{Session, SessionOptions};
use tilewright_autotune::stats::work_of_text;
use tilewright_ir::base::Sizes;
use tilewright_ir::schedule::Schedule;

/// Sizes with more operations, or bytes of arguments, are not looked at: their references would take longer than a search.
const FLOPS_MAX: f64 = 4e6;
const BYTES_MAX: f64 = 4e6;

/// What became of a schedule at other sizes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hidden {
    /// How many it is right at.
    pub right: u64,
    /// Sizes at which the kernel or the schedule is refused, each with the code and the words.
    pub refused: Vec<(Sizes, String)>,
    /// Sizes at which it is wrong, and how.
    pub wrong: Vec<(Sizes, String)>,
    /// How many were not looked at, since they are large.
    pub skipped: u64,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} right, {} refused, {} wrong",
            self.right,
            self.refused.len(),
            self.wrong.len()
        )?;
        if self.skipped > 0 {
            write!(f, ", {} too large to be looked at", self.skipped)?;
        }
        Ok(())
    }
}

/// How a schedule does at one size.
enum Outcome {
    Right,
    Refused(String),
    Wrong(String),
    Skipped,
}

impl Kernel {
    /// Judges a schedule that was tuned at some sizes at others, as it would be there, on at most so many threads.
    ///
    /// # Errors
    /// Only if the machine lets no process start.
    pub fn check_hidden(
        &self,
        tuned: &Sizes,
        schedule: &Schedule,
        (threads_max, seed): (Option<u64>, u64),
    ) -> Result<Hidden, Error> {
        let mut hidden = Hidden::default();
        for sizes in hidden_sizes(tuned) {
            let outcome = match self.bind_sizes(&sizes) {
                Ok(mut bound) => {
                    bound.set_threads_max(threads_max);
                    at(&bound, tuned, schedule, seed)?
                }
                Err(refused) => Outcome::Refused(refused.to_string()),
            };
            match outcome {
                Outcome::Right => hidden.right += 1,
                Outcome::Skipped => hidden.skipped += 1,
                Outcome::Refused(why) => hidden.refused.push((sizes, why)),
                Outcome::Wrong(why) => hidden.wrong.push((sizes, why)),
            }
        }
        Ok(hidden)
    }
}

fn at(
    bound: &BoundKernel,
    tuned: &Sizes,
    schedule: &Schedule,
    seed: u64,
) -> Result<Outcome, Error> {
    let work = work_of_text(bound.graph());
    if work.flops > FLOPS_MAX || work.bytes > BYTES_MAX {
        return Ok(Outcome::Skipped);
    }
    let Some(schedule) = bound.forms().adapted(schedule, tuned) else {
        return Ok(Outcome::Refused("no legal schedule is near it".to_string()));
    };
    let artifact = match bound.artifact(&schedule) {
        Ok(artifact) => artifact,
        Err(refused) => return Ok(Outcome::Refused(refused.to_string())),
    };
    let threads = bound.backend().target().threads.max(1) as usize;
    let options = SessionOptions { threads, ..SessionOptions::default() };
    let mut judge = Judge::new(bound.graph(), seed);
    let judged = Session::start(&artifact, &options)
        .map_err(Rejection::from)
        .and_then(|mut session| judge.check(&mut session));
    Ok(match judged {
        Ok(_) => Outcome::Right,
        Err(Rejection { fault: Some(fault), .. }) => return Err((*fault).into()),
        Err(rejection) if rejection.reason == "undecided" => Outcome::Skipped,
        Err(rejection) => Outcome::Wrong(rejection.to_string()),
    })
}
