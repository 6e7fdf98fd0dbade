//! A child process by its id: stop, go on, kill, and what became of it.
//!
//! Invariant: the id is used only until the child has been reaped, so it never names another process.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// A child; dropped, it is killed and reaped.
#[derive(Debug)]
pub(super) struct Process {
    id: i32,
    ended: Option<ExitStatus>,
}

impl Process {
    pub(super) fn new(id: i32) -> Self {
        Self { id, ended: None }
    }

    /// The id, which is the child's own until it has been reaped.
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// The nanoseconds of processor time that all threads of the child have taken; 0 once it has ended.
    pub(super) fn processor_ns(&self) -> u64 {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `clock` lives through the call.
        if unsafe { libc::clock_getcpuclockid(self.id, &raw mut clock) } != 0 {
            return 0;
        }
        // SAFETY: `time` lives through the call.
        if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
            return 0;
        }
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }

    /// How the child ended; `None` while it lives.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.wait(libc::WNOHANG);
        self.ended
    }

    /// Stops the child and waits until every thread of it stands still. `Err`: it has ended.
    pub(super) fn stop(&mut self) -> Result<(), ExitStatus> {
        self.signal(libc::SIGSTOP);
        match self.wait(libc::WUNTRACED) {
            None => Ok(()),
            Some(status) => Err(status),
        }
    }

    pub(super) fn go_on(&mut self) {
        self.signal(libc::SIGCONT);
    }

    /// Kills and reaps the child.
    pub(super) fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        while self.ended.is_none() {
            self.wait(0);
        }
    }

    fn signal(&self, signal: i32) {
        if self.ended.is_none() {
            // SAFETY: the child has not been reaped, so the id is still its own; no memory is involved.
            unsafe { libc::kill(self.id, signal) };
        }
    }

    /// Waits for a change of state. Returns the end of the child, if that is what has happened.
    fn wait(&mut self, options: i32) -> Option<ExitStatus> {
        while self.ended.is_none() {
            let mut status = 0;
            // SAFETY: `status` lives through the call.
            let result = unsafe { libc::waitpid(self.id, &raw mut status, options) };
            if result == self.id && libc::WIFSTOPPED(status) || result == 0 {
                return None;
            }
            let error = std::io::Error::last_os_error();
            if result == self.id {
                self.ended = Some(ExitStatus::from_raw(status));
            } else if error.kind() != std::io::ErrorKind::Interrupted {
                // Somebody else has reaped it: all that is known is that it is gone.
                self.ended = Some(ExitStatus::from_raw(libc::SIGKILL));
            }
        }
        self.ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The name of a signal.
pub(super) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV (bad address)",
        libc::SIGBUS => "SIGBUS (bad memory)",
        libc::SIGILL => "SIGILL (illegal instruction)",
        libc::SIGFPE => "SIGFPE (bad arithmetic)",
        libc::SIGTRAP => "SIGTRAP (breakpoint)",
        libc::SIGSYS => "SIGSYS (forbidden system call)",
        libc::SIGXCPU => "SIGXCPU (processor time limit)",
        libc::SIGKILL => "SIGKILL",
        libc::SIGABRT => "SIGABRT",
        other => return format!("signal {other}"),
    };
    name.to_string()
}
