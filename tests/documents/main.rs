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
mod rules;
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
            kernels::refuse(block, message(document, position)).err()
        };
        refused.filter_map(refuse).collect()
    });
}

/// The message that belongs to a refused example: the block after it.
fn message(document: &Document, position: usize) -> Option<&Block> {
    document.blocks.get(position + 1).filter(|next| next.kind == Kind::Message)
}

#[test]
fn quoted_code_is_that_of_its_file() {
    all("a block of kind `rust FILE` holds lines of that file", |document| {
        let quoted = document.blocks.iter().filter(|block| block.kind == Kind::Quoted);
        let differs = |block: &&Block| {
            let file = std::fs::read_to_string(blocks::root().join(&block.arguments[0]));
            !file.is_ok_and(|file| file.contains(&block.text))
        };
        let complain = |block: &Block| block.complain("the file has no such lines");
        quoted.filter(differs).map(complain).collect()
    });
}

#[test]
fn schedule_examples_are_accepted_and_right() {
    all("a schedule fits the kernel example before it, and the result agrees", |document| {
        let mut kernel = None;
        let mut complaints = vec![];
        for (position, block) in document.blocks.iter().enumerate() {
            let verdict = match (block.kind, kernel) {
                (Kind::Kernel, _) => {
                    kernel = Some(block);
                    Ok(())
                }
                (Kind::Schedule, Some(kernel)) => kernels::schedule(kernel, block),
                (Kind::RefusedSchedule, Some(kernel)) => {
                    kernels::refuse_schedule(kernel, block, message(document, position))
                }
                (Kind::Schedule | Kind::RefusedSchedule, None) => {
                    Err(block.complain("no kernel stands before this schedule"))
                }
                _ => Ok(()),
            };
            complaints.extend(verdict.err());
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
