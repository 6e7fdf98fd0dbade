//! Functions that no kernel calls: their names are checked, since nothing else of them can be.

use super::call::EXPECTED_FUNCTION;
use super::constant::Constants;
use super::context::CONSTANTS;
use super::habits;
use super::library::{Functions, is_operation, nearest};
use crate::diag::{Diagnostic, Faults};
use crate::syntax::ast::{Expr, ExprKind, Function};
use crate::syntax::short;
use std::collections::BTreeSet;

/// Reports the unknown names in functions that were not inlined anywhere.
pub(super) fn check_uncalled(
    functions: &Functions<'_>,
    called: &BTreeSet<&str>,
    faults: &mut Faults,
) {
    for (name, function) in &functions.user {
        if !called.contains(name) {
            let mut known = parameters(function);
            known.extend(functions.constants.names());
            Walk { functions, known, faults }.body(function);
        }
    }
}

/// Reports parameters that would hide a constant.
pub(super) fn check_parameters(
    function: &Function,
    constants: &Constants<'_>,
    faults: &mut Faults,
) {
    let mut seen = BTreeSet::new();
    for name in function.axes.iter().chain(&function.parameters) {
        if !seen.insert(name.text.as_str()) {
            let message = format!("`{}` is already defined", name.text);
            let fault = Diagnostic::new("TW0202", message).at(name.span);
            faults.push(fault.help("give each parameter a name of its own"));
        }
        if let Some(place) = constants.place(&name.text) {
            let message = format!("`{}` is already defined", name.text);
            let fault = Diagnostic::new("TW0202", message).at(name.span);
            faults.push(fault.label(place, "a constant of the file"));
        }
    }
}

fn parameters(function: &Function) -> BTreeSet<&str> {
    let names = function.axes.iter().chain(&function.parameters);
    names.map(|name| name.text.as_str()).chain(CONSTANTS).collect()
}

struct Walk<'a, 'f> {
    functions: &'a Functions<'a>,
    known: BTreeSet<&'a str>,
    faults: &'f mut Faults,
}

impl<'a> Walk<'a, '_> {
    fn body(&mut self, function: &'a Function) {
        for statement in &function.body.statements {
            self.expr(&statement.value);
            if let Some(name) = &statement.name
                && !self.known.insert(&name.text)
            {
                let message = format!("`{}` is already defined", name.text);
                self.faults.push(Diagnostic::new("TW0202", message).at(name.span));
            }
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Name(name) if !self.known.contains(name.as_str()) => {
                let mut fault = Diagnostic::new(
                    "TW0201",
                    format!("there is no value or axis `{}`", short(name)),
                );
                if !self.faults.is_full() {
                    let known = self.known.iter().copied();
                    fault.help = habits::value(name).or_else(|| nearest(name, known.clone()));
                    fault.expected = Some(habits::one_of(known));
                }
                self.faults.push(fault.at(expr.span));
            }
            ExprKind::Call(call) => {
                let name = call.name.text.as_str();
                let known = is_operation(name)
                    || self.functions.faulty.contains(name)
                    || self.functions.find(name).is_some();
                if !known {
                    let mut fault = Diagnostic::new(
                        "TW0201",
                        format!("there is no function `{}`", short(name)),
                    );
                    if !self.faults.is_full() {
                        let known = self.functions.names();
                        fault.help = habits::function(name).or_else(|| nearest(name, known));
                    }
                    self.faults.push(fault.at(call.name.span).expected(EXPECTED_FUNCTION));
                }
            }
            _ => {}
        }
        expr.children().into_iter().for_each(|part| self.expr(part));
    }
}
