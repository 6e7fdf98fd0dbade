//! `explain --buckets AXIS`: which form is expected to be fastest over the extents of one axis.
//!
//! One e-graph serves all sizes; only the choice among its forms is made again at each. Invariant: neighbouring extents
//! with one form are one bucket, and a call at any extent takes the form of its own size, whatever is shown here.

use super::failure::Failure;
use super::select::Selected;
use crate::report::{Table, passes, time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The extents that are looked at: powers of two.
const LOG_EXTENTS: std::ops::RangeInclusive<u32> = 0..=24;

/// Extents in a row at which one form is expected to be fastest.
#[derive(Debug)]
pub(super) struct Bucket {
    from: u64,
    to: u64,
    /// The form as a text: it has no extents.
    program: String,
    passes: BTreeMap<String, u32>,
    /// The times expected at both ends, in nanoseconds.
    predicted_ns: (f64, f64),
}

/// The buckets of an axis, the other sizes as selected.
pub(super) fn buckets(selected: &Selected, axis: &str) -> Result<Vec<Bucket>, Failure> {
    if !selected.sizes.contains_key(axis) {
        let known: Vec<_> = selected.sizes.keys().map(String::as_str).collect();
        let known = known.join(", ");
        return Err(Failure::Usage(format!("the kernel has no size `{axis}`; it has {known}")));
    }
    let mut list: Vec<Bucket> = vec![];
    for log in LOG_EXTENTS {
        let extent = 1_u64 << log;
        let mut sizes = selected.sizes.clone();
        sizes.insert(axis.to_string(), extent);
        // What the `where` clause does not allow, or what is too large, has no bucket.
        let Ok(bound) = selected.kernel.bind_sizes(&sizes) else { continue };
        let form = bound.forms().preferred();
        let program = form.graph.print();
        match list.last_mut().filter(|last| last.program == program) {
            Some(last) => (last.to, last.predicted_ns.1) = (extent, form.predicted_ns),
            None => list.push(Bucket {
                from: extent,
                to: extent,
                program,
                passes: form.passes.clone(),
                predicted_ns: (form.predicted_ns, form.predicted_ns),
            }),
        }
    }
    if list.is_empty() {
        let what = format!("the `where` clause allows no power of two for `{axis}` at these sizes");
        return Err(Failure::Usage(what));
    }
    Ok(list)
}

/// A table, and the text of each form once.
pub(super) fn text(axis: &str, list: &[Bucket]) -> String {
    let mut table = Table::new(&[axis, "form", "passes", "predicted"]);
    let mut programs: Vec<&str> = vec![];
    for bucket in list {
        let known = programs.iter().position(|program| *program == bucket.program);
        let place = known.unwrap_or_else(|| {
            programs.push(&bucket.program);
            programs.len() - 1
        });
        let extents = match bucket.from == bucket.to {
            true => bucket.from.to_string(),
            false => format!("{} to {}", bucket.from, bucket.to),
        };
        let (first, last) = bucket.predicted_ns;
        let predicted = match bucket.from == bucket.to {
            true => time(first),
            false => format!("{} to {}", time(first), time(last)),
        };
        table.row([extents, letter(place), passes(&bucket.passes), predicted]);
    }
    let mut text = table.render();
    for (place, program) in programs.iter().enumerate() {
        text.push_str(&format!("\n# {}\n{program}", letter(place)));
    }
    text
}

fn letter(place: usize) -> String {
    format!("form {}", place + 1)
}

/// The same as data.
pub(super) fn value(list: &[Bucket]) -> Value {
    let bucket = |bucket: &Bucket| {
        json!({
            "from": bucket.from,
            "to": bucket.to,
            "passes": bucket.passes,
            "predicted_ns_from": bucket.predicted_ns.0,
            "predicted_ns_to": bucket.predicted_ns.1,
            "program": bucket.program,
        })
    };
    list.iter().map(bucket).collect()
}
