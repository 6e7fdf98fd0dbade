//! Finds the runner and starts it with four memory files.
//!
//! Children are started by one thread that lives as long as the process: a child asks to be killed when the thread
//! that made it ends, so a session may outlive the thread that asked for it, but never the process.

use super::{Failure, memory};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
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
    /// Starts the runner so that it inherits `files` and nothing else; returns its process id.
    pub(super) fn start(
        &self,
        files: &[&File; 4],
        library: Option<&File>,
        plan_bytes: usize,
    ) -> Result<i32, Failure> {
        let fds = files.iter().copied().chain(library).map(AsRawFd::as_raw_fd).collect();
        let (Self::Named(path) | Self::Embedded(path)) = self;
        spawn(command(path, fds, plan_bytes)).map_err(|error| self.not_executable(&error))
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

fn command(program: &Path, fds: Vec<RawFd>, plan_bytes: usize) -> Command {
    let mut command = Command::new(program);
    // 0 stands for no library.
    let numbers = fds.iter().copied().chain([0]).take(5);
    command.args(numbers.map(|fd| fd.to_string()));
    command.args([plan_bytes.to_string(), std::process::id().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: an interrupt from the terminal is for the parent to act on.
    command.current_dir("/").env_clear().process_group(0);
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", path);
    }
    let inherit = move || {
        for &fd in &fds {
            // SAFETY: clears the close-on-exec flag of a descriptor of the new process; async-signal-safe.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe calls and allocates nothing.
    unsafe { command.pre_exec(inherit) };
    command
}

struct Request {
    command: Command,
    reply: Sender<io::Result<i32>>,
}

/// Runs the command on the thread that starts all children.
fn spawn(command: Command) -> io::Result<i32> {
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        let work = move || {
            for mut request in requests {
                let child = request.command.spawn().map(|child| child.id().cast_signed());
                // A caller that has gone away gets no child: the reply fails only if it panicked.
                let _ = request.reply.send(child);
            }
        };
        // Without the thread the sender has no receiver, and every request says so.
        let _ = std::thread::Builder::new().name("tilewright-starter".to_string()).spawn(work);
        sender
    });
    let (reply, answer) = channel();
    let gone = |_| io::Error::other("the thread that starts children could not be made");
    starter.send(Request { command, reply }).map_err(|_| io::ErrorKind::BrokenPipe)?;
    answer.recv().map_err(gone)?
}
