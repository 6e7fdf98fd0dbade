//! Whether a kernel's arrays fit the memory that is free, asked before any of them is made.
//!
//! Invariant: sizes that cannot fit are a refusal with both numbers, never an abort in the middle; a system that does
//! not tell what is free is believed to have enough.

use super::failure::Failure;
use std::fs::read_to_string;
use tilewright::ir::backend::Unsupported;
use tilewright::ir::graph::Graph;

/// Bytes an element of the reference takes: its value and its allowance.
const REFERENCE_BYTES: u64 = 16;
/// Bytes an element takes while it is drawn, read or summed up as f64.
const PASSING_BYTES: u64 = 8;

/// Refuses a graph whose arrays, `copies` of each argument, are larger than what is free.
///
/// # Errors
/// `Unsupported` with what is needed and what is free.
pub(super) fn check(graph: &Graph, copies: u64, with_reference: bool) -> Result<(), Failure> {
    let needed = needed(graph, copies, with_reference);
    refuse_above(graph, needed, free(), "free")
}

/// As `check` with a reference, of what is free and of what the caller allows.
///
/// # Errors
/// As `check`.
pub(super) fn check_within(
    graph: &Graph,
    copies: u64,
    memory_mib: Option<u64>,
) -> Result<(), Failure> {
    check(graph, copies, true)?;
    let allowed = memory_mib.map(|mib| mib.saturating_mul(1 << 20));
    refuse_above(graph, needed(graph, copies, true), allowed, "allowed")
}

fn refuse_above(graph: &Graph, needed: u64, most: Option<u64>, word: &str) -> Result<(), Failure> {
    match most {
        Some(most) if needed > most => {
            let (needed, most) = (show(needed), show(most));
            let what = format!("{needed} of arrays where {most} of memory are {word}");
            let place = format!("`{}` at these sizes", graph.name);
            Err(Unsupported { what, place }.into())
        }
        _ => Ok(()),
    }
}

fn needed(graph: &Graph, copies: u64, with_reference: bool) -> u64 {
    let outputs = graph.outputs.iter().map(|output| &output.tensor);
    let (mut bytes, mut elements, mut largest) = (0_u64, 0_u64, 0_u64);
    for tensor in graph.inputs.iter().chain(outputs) {
        let volume = graph.axes.volume(tensor.axes.iter().copied().collect());
        let span = tensor.memory(&graph.axes).map_or(u64::MAX, |memory| memory.span);
        bytes = bytes.saturating_add(tensor.dtype.bytes_of(span));
        elements = elements.saturating_add(volume);
        largest = largest.max(volume);
    }
    let reference = if with_reference { elements.saturating_mul(REFERENCE_BYTES) } else { 0 };
    bytes
        .saturating_mul(copies)
        .saturating_add(reference)
        .saturating_add(largest.saturating_mul(PASSING_BYTES))
}

/// The least of what the system, its control group and the limit of this process leave.
fn free() -> Option<u64> {
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let available = number_after(&meminfo, "MemAvailable:").map(|kib| kib.saturating_mul(1024));
    let limits = read_to_string("/proc/self/limits").unwrap_or_default();
    let space = number_after(&limits, "Max address space");
    let group = read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    [available, space, number_after(&group, "")].into_iter().flatten().min()
}

/// The number that follows the name at the start of a line; `None` for `unlimited` and `max`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `1.5 GB`.
fn show(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn limits_are_read_where_there_are_any() {
        let limits =
            "Limit  Soft\nMax address space  4096  unlimited  bytes\nMax data  unlimited\n";
        assert_eq!(number_after(limits, "Max address space"), Some(4096));
        assert_eq!(number_after(limits, "Max data"), None);
        assert_eq!(number_after("MemAvailable:   17 kB\n", "MemAvailable:"), Some(17));
        assert_eq!(number_after("max\n", ""), None);
    }
}
