//! The documents keep their word: every example in `docs/*.md`, `README.md` and the other guides is run.
//!
//! A fenced block says by its first line what it is (`blocks` has the list). Kernel examples are checked, compiled and
//! compared with the reference; refused ones give the code and the message that stands below them; schedules are
//! accepted and run; sessions of the program print what they say. A path that a document names exists.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod constructs;
mod kernels;
mod paths;
mod sessions;

use blocks::{Block, Document, Kind};

/// Fails with all complaints at once.
fn none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n\n{}", complaints.join("\n\n"));
}

/// Runs a check on every document and gathers what it complains about.
fn all(rule: &str, check: impl Fn(&Document) -> Vec<String>) {
    let complaints: Vec<_> = blocks::documents().iter().flat_map(check).collect();
    none(rule, &complaints);
}

#[test]
fn every_block_says_what_it_is() {
    all("the first line of a fenced block is in the list of `blocks`", |document| {
        let unknown = document.blocks.iter().filter(|block| block.kind == Kind::Unknown);
        unknown.map(|block| block.complain("unknown kind of block")).collect()
    });
}

#[test]
fn kernel_examples_are_right() {
    all("a kernel example is canonical and agrees with the reference", |document| {
        let examples = document.blocks.iter().filter(|block| block.kind == Kind::Kernel);
        examples.filter_map(|block| kernels::accept(block).err()).collect()
    });
}

#[test]
fn refused_examples_are_refused_as_shown() {
    all("a refused example gives the codes and the message shown", |document| {
        let refused = document.blocks.iter().enumerate();
        let refused = refused.filter(|(_, block)| block.kind == Kind::Refused);
        let refuse = |(position, block): (usize, &Block)| {
            let next = document.blocks.get(position + 1);
            let message = next.filter(|next| next.kind == Kind::Message);
            kernels::refuse(block, message).err()
        };
        refused.filter_map(refuse).collect()
    });
}

#[test]
fn schedule_examples_are_accepted_and_right() {
    all("a schedule fits the kernel example before it, and the result agrees", |document| {
        let mut kernel = None;
        let mut complaints = vec![];
        for block in &document.blocks {
            match block.kind {
                Kind::Kernel => kernel = Some(block),
                Kind::Schedule => {
                    let verdict = match kernel {
                        Some(kernel) => kernels::schedule(kernel, block),
                        None => Err(block.complain("no kernel stands before this schedule")),
                    };
                    complaints.extend(verdict.err());
                }
                _ => {}
            }
        }
        complaints
    });
}

#[test]
fn sessions_print_what_they_say() {
    all("a session of the program prints what the document says", sessions::replay);
}

#[test]
fn paths_exist() {
    all("a path that a document names exists", paths::missing);
}
