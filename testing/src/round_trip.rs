//! What must hold of every text that the checker accepts: printing gives a text of the same meaning that prints as itself.

use tilewright_ir::check::{CheckedFile, check};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::syntax::{parse, print};

/// Checks, prints and checks again.
///
/// # Errors
/// What differs. A text with faults is fine as long as they are reported the second time, too.
pub fn round_trip(text: &str) -> Result<Option<CheckedFile>, String> {
    let parsed = parse(text);
    let checked = check(text);
    if !parsed.faults.is_empty() {
        return match checked {
            Ok(_) => Err("the checker accepts what the parser refuses".to_string()),
            Err(_) => Ok(None),
        };
    }
    let printed = print(&parsed.file);
    let again = parse(&printed);
    if !again.faults.is_empty() {
        return Err(format!("the printed text has faults: {:?}\n{printed}", again.faults));
    }
    let twice = print(&again.file);
    if twice != printed {
        return Err(format!("printing is not stable\n{printed}\nthen\n{twice}"));
    }
    match (checked, check(&printed)) {
        (Ok(first), Ok(second)) => same_meaning(&first, &second).map(|()| Some(first)),
        (Err(first), Err(second)) => same_faults(&first, &second).map(|()| None),
        (Ok(_), Err(faults)) => Err(format!("printing broke the text: {faults:?}\n{printed}")),
        (Err(faults), Ok(_)) => Err(format!("printing mended the text: {faults:?}\n{printed}")),
    }
}

fn same_meaning(first: &CheckedFile, second: &CheckedFile) -> Result<(), String> {
    if first.kernels.len() != second.kernels.len() {
        return Err("printing changed the number of kernels".to_string());
    }
    for (first, second) in first.kernels.iter().zip(&second.kernels) {
        let (one, other) = (first.graph.print(), second.graph.print());
        let beside = (&first.size_sets, &first.attributes, &first.limits)
            == (&second.size_sets, &second.attributes, &second.limits);
        if one != other || !beside {
            return Err(format!("printing changed a kernel\n{one}\nnow\n{other}"));
        }
    }
    Ok(())
}

fn same_faults(first: &[Diagnostic], second: &[Diagnostic]) -> Result<(), String> {
    let codes = |faults: &[Diagnostic]| -> Vec<&str> { faults.iter().map(|f| f.code).collect() };
    let (one, other) = (codes(first), codes(second));
    if one == other { Ok(()) } else { Err(format!("faults {one:?}, printed {other:?}")) }
}
