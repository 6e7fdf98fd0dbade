//! Finds the runner, has its server make a child with four memory files, and says what is wrong where it does not.
//!
//! Invariant: every fault names the file that was tried and the way out.

use super::server::{self, Fault};
use super::{Failure, memory};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;

/// The environment variable that names another runner.
pub const RUNNER_VARIABLE: &str = "TILEWRIGHT_RUNNER";
/// The file that the variable names cannot be run.
pub const CODE_RUNNER_FILE: &str = "TW0701";
/// The embedded runner cannot be run: no memory files, or they may not be executed.
pub const CODE_RUNNER_EMBEDDED: &str = "TW0702";
/// The runner started and stopped before it was ready.
pub const CODE_RUNNER_SETUP: &str = "TW0703";

/// The system cannot lock a foreign library in.
pub const CODE_RUNNER_LOCKS: &str = "TW0704";

/// The program as `build.rs` compiled it for this target.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runner"));

/// The way out that every message of this module names.
fn help() -> String {
    format!(
        "build the crate tilewright-runner for this machine and set {RUNNER_VARIABLE} to the path of its program"
    )
}

/// A runner that can be started.
#[derive(Clone, Debug)]
pub(super) enum Runner {
    /// The file that the variable names.
    Named(PathBuf),
    /// The memory file of this process with the embedded program.
    Embedded(PathBuf),
}

/// Finds the runner, in the order that the module above documents.
pub(super) fn find() -> Result<Runner, Failure> {
    let variable = std::env::var_os(RUNNER_VARIABLE).filter(|path| !path.is_empty());
    match variable {
        Some(path) => Ok(Runner::Named(path.into())),
        None => Ok(Runner::Embedded(embedded()?)),
    }
}

impl Runner {
    /// Starts a child that inherits `files` and nothing else; returns its process id.
    pub(super) fn start(
        &self,
        files: &[&File; 4],
        library: Option<&File>,
        plan_bytes: usize,
        limit: Duration,
    ) -> Result<i32, Failure> {
        let files: Vec<&File> = files.iter().copied().chain(library).collect();
        let (Self::Named(path) | Self::Embedded(path)) = self;
        server::child(path, &files, plan_bytes as u64, limit).map_err(|fault| match fault {
            Fault::NotExecutable(error) => self.not_executable(&error),
            Fault::NotReady(detail) => self.not_ready(&detail),
        })
    }

    fn not_executable(&self, error: &io::Error) -> Failure {
        let diagnostic = match self {
            Self::Named(path) => {
                let path = path.display();
                Diagnostic::new(CODE_RUNNER_FILE, format!("the runner {path} cannot be executed"))
                    .found(format!("{RUNNER_VARIABLE}={path}: {error}"))
                    .expected("the path of an executable file")
                    .help(format!("unset {RUNNER_VARIABLE} to use the embedded runner"))
            }
            Self::Embedded(_) => {
                Diagnostic::new(CODE_RUNNER_EMBEDDED, "the embedded runner cannot be executed")
                    .found(error.to_string())
                    .expected("a Linux system that executes memory files")
                    .help(help())
            }
        };
        Failure::Start(Box::new(diagnostic))
    }

    /// What the user is told when a library cannot be locked in.
    pub(super) fn not_locked(detail: &str) -> Failure {
        let message = "this system cannot lock a foreign library in";
        let diagnostic = Diagnostic::new(CODE_RUNNER_LOCKS, message)
            .found(detail)
            .expected("Linux with landlock and filters of system calls (seccomp)")
            .help("judge it on a system with both; schedules of our own need neither");
        Failure::Start(Box::new(diagnostic))
    }

    /// What the user is told when the runner does not become ready.
    pub(super) fn not_ready(&self, detail: &str) -> Failure {
        let message = "the runner stopped before it was ready";
        let diagnostic = Diagnostic::new(CODE_RUNNER_SETUP, message).found(detail);
        let diagnostic = match self {
            Self::Named(path) => {
                let path = path.display();
                let help =
                    format!("{RUNNER_VARIABLE} is {path}; unset it to use the embedded runner");
                diagnostic.expected("the runner of this version of the library").help(help)
            }
            Self::Embedded(_) => diagnostic.help(help()),
        };
        Failure::Start(Box::new(diagnostic))
    }
}

/// The path of the embedded runner's memory file, which is made on first use and then kept.
fn embedded() -> Result<PathBuf, Failure> {
    static FILE: OnceLock<Result<OwnedFd, String>> = OnceLock::new();
    let file = FILE.get_or_init(|| write_embedded().map_err(|error| error.to_string()));
    match file {
        // The path is looked up in the new process, which has inherited the descriptor by then.
        Ok(file) => Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))),
        Err(error) => {
            let message = "the embedded runner cannot be put into a memory file";
            let diagnostic = Diagnostic::new(CODE_RUNNER_EMBEDDED, message)
                .found(error.clone())
                .expected("a Linux system with memfd_create")
                .help(help());
            Err(Failure::Start(Box::new(diagnostic)))
        }
    }
}

fn write_embedded() -> io::Result<OwnedFd> {
    let mut file = memory::memory_file()?;
    file.write_all(EMBEDDED)?;
    memory::seal(&file)?;
    Ok(file.into())
}
