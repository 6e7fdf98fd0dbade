//! What comes before a library is loaded: its constructors are as hostile as its functions.
//!
//! Landlock leaves libraries of the system, and those in folders that the caller named, to read, and no network; the launcher's first filter leaves the calls of the
//! loader. Invariant: where either cannot be had, no library is loaded.

use crate::layout::Plan;
use crate::memory::Memory;
use crate::sys;
use std::ffi::{CStr, CString};

/// Where the system keeps libraries.
const FOLDERS: [&CStr; 6] =
    [c"/usr/lib", c"/usr/lib64", c"/usr/local/lib", c"/lib", c"/lib64", c"/lib32"];
/// What the loader and libraries of mathematics read besides.
const FILES: [&CStr; 4] =
    [c"/etc/ld.so.cache", c"/proc/cpuinfo", c"/proc/meminfo", c"/sys/devices/system/cpu/online"];

const READ_FILE: u64 = 1 << 2;
const READ_FOLDER: u64 = 1 << 3;

/// What a ruleset governs. Later kernels know more words than earlier ones.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct Rule {
    allowed: u64,
    file: i32,
}

/// All rights over files that a version of landlock knows.
fn file_rights(version: u64) -> u64 {
    let count = match version {
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    (1 << count) - 1
}

/// Takes away all files but the system's libraries, all connections, and signals to others.
pub(crate) fn restrict_files() -> Result<(), u32> {
    const ASK_VERSION: u64 = 1;
    // SAFETY: with this flag the call takes no memory.
    let version = unsafe { sys::call(sys::LANDLOCK_CREATE_RULESET, [0, 0, ASK_VERSION, 0]) }?;
    let ruleset = Ruleset {
        files: file_rights(version),
        network: if version >= 4 { 3 } else { 0 },
        scopes: if version >= 6 { 3 } else { 0 },
    };
    let bytes: u64 = match version {
        ..=3 => 8,
        4 | 5 => 16,
        _ => 24,
    };
    let address = (&raw const ruleset) as u64;
    // SAFETY: the ruleset lives through the call and has at least so many bytes.
    let rules = unsafe { sys::call(sys::LANDLOCK_CREATE_RULESET, [address, bytes, 0, 0]) }?;
    for path in FOLDERS {
        allow(rules, path, READ_FILE | READ_FOLDER)?;
    }
    for path in FILES {
        allow(rules, path, READ_FILE)?;
    }
    for path in named_folders() {
        allow(rules, &path, READ_FILE | READ_FOLDER)?;
    }
    // SAFETY: takes a descriptor only.
    unsafe { sys::call(sys::LANDLOCK_RESTRICT_SELF, [rules, 0, 0, 0]) }.map(drop)
}

/// Where the caller keeps libraries that others need: the loader looks there too.
fn named_folders() -> Vec<CString> {
    let list = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = list.split(':').filter(|folder| folder.starts_with('/'));
    folders.filter_map(|folder| CString::new(folder).ok()).collect()
}

/// Leaves rights over a path. One that does not exist needs none.
fn allow(rules: u64, path: &CStr, allowed: u64) -> Result<(), u32> {
    const BENEATH_PATH: u64 = 1;
    let Some(file) = sys::name_file(path) else { return Ok(()) };
    let rule = Rule { allowed, file };
    let arguments = [rules, BENEATH_PATH, (&raw const rule) as u64, 0];
    // SAFETY: the rule lives through the call.
    unsafe { sys::call(sys::LANDLOCK_ADD_RULE, arguments) }.map(drop)
}

/// Puts one of the launcher's filters in force, for all threads.
pub(crate) fn filter(plan: &Plan, memory: &Memory, lock: usize) -> Result<(), u32> {
    let program = memory.image.wrapping_add(plan.locks[lock] as usize);
    // SAFETY: the launcher wrote a program there and sealed it.
    unsafe { sys::filter(program.cast()) }
}
