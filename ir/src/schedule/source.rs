//! From the text of a schedule to a schedule that a space accepts, with the place of every fault.
//!
//! Invariant: a fault of a setting has that setting's place; one of several settings has the place of the last of them.

use super::text::{Placed, placed};
use super::{FORM, Forms, Schedule, Setting, Space, code};
use crate::diag::{Diagnostic, Span};
use crate::text::Parser;

impl Space {
    /// Reads a schedule of this space.
    ///
    /// # Errors
    /// Every fault of the text; else that it is for another kernel; else every setting that the space does not accept, in
    /// text order.
    pub fn read(&self, source: &str) -> Result<Schedule, Vec<Diagnostic>> {
        let text = parse(source)?;
        let schedule = text.schedule();
        let place = |fault: Diagnostic| match place(&fault, &text) {
            Some(span) => fault.at(span),
            None => fault,
        };
        let checked = self.check(&schedule);
        checked.map_err(|mut faults| {
            // What another kernel's schedule says about its choices is no news.
            if let Some(other) = faults.iter().position(|fault| fault.code == code::KERNEL) {
                faults = vec![faults.swap_remove(other)];
            }
            let mut faults = whole(source, faults.into_iter().map(place).collect());
            faults.sort_by_key(|fault| fault.span);
            faults
        })?;
        Ok(schedule)
    }
}

impl Forms {
    /// Reads a schedule of any form.
    ///
    /// # Errors
    /// Every fault of the text; else an unknown form; else as `Space::read` in the space of its form.
    pub fn read(&self, source: &str) -> Result<Schedule, Vec<Diagnostic>> {
        let text = parse(source)?;
        let first = &self.list()[0].space;
        if text.kernel != first.kernel {
            return first.read(source);
        }
        match self.of(&text.schedule()) {
            Ok(form) => form.space.read(source),
            Err(faults) => {
                let of_form = text.settings.iter().find(|(setting, _)| setting.name == FORM);
                let place = |fault: Diagnostic| match of_form {
                    Some((_, span)) => fault.at(*span),
                    None => fault,
                };
                Err(whole(source, faults.into_iter().map(place).collect()))
            }
        }
    }
}

fn whole(source: &str, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.into_iter().map(|fault| fault.whole(source)).collect()
}

fn parse(source: &str) -> Result<Placed, Vec<Diagnostic>> {
    let mut parser = Parser::new(source);
    let text = placed(&mut parser).ok();
    parser.finish(text).map_err(|faults| whole(source, faults))
}

impl Placed {
    fn schedule(&self) -> Schedule {
        Schedule {
            kernel: self.kernel.clone(),
            settings: self.settings.iter().map(|(setting, _)| setting.clone()).collect(),
        }
    }
}

/// The place of a fault: the setting that it names.
fn place(fault: &Diagnostic, text: &Placed) -> Option<Span> {
    if fault.code == code::KERNEL {
        return Some(text.kernel_span);
    }
    let found = fault.found.as_deref().unwrap_or_default();
    let names = |setting: &Setting| {
        let name = setting.name.as_str();
        found == name
            || found.strip_prefix(name).is_some_and(|rest| rest.starts_with(" = "))
            || fault.message.split([' ', ',']).any(|word| word == name)
    };
    // A name that is set twice is at fault where it stands again.
    text.settings.iter().rev().find(|(setting, _)| names(setting)).map(|(_, span)| *span)
}
