//! Which schedule a command uses: that of a file, of a form, of the store, or the default.
//!
//! Invariant: a form that does not exist is answered with those that do, before anything is compiled.

use super::failure::Failure;
use super::output::note;
use super::select::Source;
use std::path::{Path, PathBuf};
use tilewright::ir::diag::Diagnostic;
use tilewright::ir::schedule::{FORM, FormSpace, Schedule, WRITTEN};
use tilewright::{BoundKernel, Origin};

/// The options that choose a schedule.
#[derive(Debug, clap::Args)]
pub(super) struct ScheduleArgs {
    /// A schedule to use instead of the stored winner
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    schedule: Option<PathBuf>,
    #[command(flatten)]
    form: FormArgs,
}

/// The option that chooses a form.
#[derive(Debug, clap::Args)]
pub(super) struct FormArgs {
    /// The form of the kernel: `written`, or an id of `explain --stage forms`; without it that of the stored winner, else
    /// the one that should be fastest
    #[arg(long, value_name = "ID")]
    form: Option<String>,
}

impl ScheduleArgs {
    /// The schedule that the options name, else what the store or the forms say. Notes which.
    pub(super) fn choose(&self, bound: &BoundKernel) -> Result<(Schedule, Origin), Failure> {
        let (schedule, origin) = match &self.schedule {
            Some(path) => (read(bound, path)?, Origin::Given),
            None => self.form.choose(bound)?,
        };
        match schedule.get(FORM) {
            Some(form) => note(&format!("with the {origin} of form {form}")),
            None => note(&format!("with the {origin}")),
        }
        Ok((schedule, origin))
    }
}

impl FormArgs {
    /// The stored winner, if it is of this form, else the form's default.
    fn choose(&self, bound: &BoundKernel) -> Result<(Schedule, Origin), Failure> {
        for refused in bound.refused_records()? {
            note(&refused.to_string());
        }
        let Some(name) = &self.form else { return Ok(bound.schedule()?) };
        // The form as written needs no other to be found.
        let space = if name == WRITTEN { bound.space() } else { &of_name(bound, name)?.space };
        match bound.stored_schedule() {
            Ok(Some((schedule, origin))) if schedule.form_name() == *name => Ok((schedule, origin)),
            _ => Ok((space.default_schedule(), Origin::Default)),
        }
    }

    /// The form that the option names; `None` without the option.
    pub(super) fn named<'b>(
        &self,
        bound: &'b BoundKernel,
    ) -> Result<Option<&'b FormSpace>, Failure> {
        self.form.as_deref().map(|name| of_name(bound, name)).transpose()
    }

    /// The form that the option names, else that of the schedule that a run uses.
    pub(super) fn form<'b>(&self, bound: &'b BoundKernel) -> Result<&'b FormSpace, Failure> {
        if let Some(form) = self.named(bound)? {
            return Ok(form);
        }
        let (schedule, _) = bound.schedule()?;
        Ok(bound.forms().of(&schedule)?)
    }
}

/// The form of a name.
fn of_name<'b>(bound: &'b BoundKernel, name: &str) -> Result<&'b FormSpace, Failure> {
    let told = |faults: Vec<Diagnostic>| {
        faults.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
    };
    bound.forms().named(name).map_err(|faults| Failure::Usage(told(faults)))
}

/// The schedule of a file, with all that it leaves out.
pub(super) fn read(bound: &BoundKernel, path: &Path) -> Result<Schedule, Failure> {
    let source = Source::read(path)?;
    let schedule = bound.forms().read(&source.text).map_err(|faults| source.faults(faults.into()));
    Ok(bound.forms().canonical(&schedule?))
}
