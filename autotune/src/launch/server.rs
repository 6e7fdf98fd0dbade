//! The runner's server: one small process that has been loaded already makes a child of ours for each session.
//!
//! It is asked by one thread that lives as long as this process: the server and its copies ask to be killed when the thread
//! that made them ends, so a session may outlive the thread that asked for it, but never the process.
//! Invariant: the descriptors of a request are open until its answer has come; a server that does not answer is killed.

use super::process::Process;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Most descriptors of a request.
const FILES_MAX: usize = 5;

/// Why there is no child.
#[derive(Debug)]
pub(super) enum Fault {
    /// The program cannot be executed.
    NotExecutable(io::Error),
    /// It runs and does not do what a server does.
    NotReady(String),
}

/// What a child is to be made of.
struct Request {
    program: PathBuf,
    files: Vec<RawFd>,
    plan_bytes: u64,
    limit: Duration,
    reply: Sender<Result<i32, Fault>>,
}

/// A child of the server of a program that inherits these files and nothing else; its process id.
pub(super) fn child(
    program: &Path,
    files: &[&File],
    plan_bytes: u64,
    limit: Duration,
) -> Result<i32, Fault> {
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        let work = move || {
            let mut server = None;
            for request in requests {
                let child = answer(&mut server, &request);
                // A caller that has gone away gets no child: the reply fails only if it panicked.
                let _ = request.reply.send(child);
            }
        };
        // Without the thread the sender has no receiver, and every request says so.
        let _ = std::thread::Builder::new().name("tilewright-starter".to_string()).spawn(work);
        sender
    });
    let (reply, answer) = channel();
    let files = files.iter().map(|file| file.as_raw_fd()).collect();
    let request = Request { program: program.to_path_buf(), files, plan_bytes, limit, reply };
    let gone = || Fault::NotReady("the thread that starts children could not be made".to_string());
    starter.send(request).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Has the server make a child. One that served before and does not any more has been ended by somebody, or stopped: another one is
/// asked once.
fn answer(server: &mut Option<Server>, request: &Request) -> Result<i32, Fault> {
    let served = server.as_ref().is_some_and(|server| server.has_served);
    let child = ask(server, request);
    if child.is_err() && served { ask(server, request) } else { child }
}

/// Has the server make a child; one that fails, or is of another program, goes.
fn ask(server: &mut Option<Server>, request: &Request) -> Result<i32, Fault> {
    if server.as_ref().is_none_or(|server| server.program != request.program) {
        *server = None;
        *server = Some(Server::start(&request.program).map_err(Fault::NotExecutable)?);
    }
    let Some(running) = server else { unreachable!("it has been started") };
    let child = running.child(&request.files, request.plan_bytes, request.limit);
    running.has_served |= child.is_ok();
    child.inspect_err(|_| *server = None)
}

/// A server that runs.
struct Server {
    program: PathBuf,
    socket: UnixStream,
    process: Process,
    /// Whether it has made a child.
    has_served: bool,
}

impl Server {
    fn start(program: &Path) -> io::Result<Self> {
        let (socket, other) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.arg(std::process::id().to_string());
        command.stdin(OwnedFd::from(other)).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: an interrupt from the terminal is for the parent to act on.
        command.current_dir("/").env_clear().process_group(0);
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", path);
        }
        let process = Process::new(command.spawn()?.id().cast_signed());
        Ok(Self { program: program.to_path_buf(), socket, process, has_served: false })
    }

    fn child(&mut self, files: &[RawFd], plan_bytes: u64, limit: Duration) -> Result<i32, Fault> {
        let told = |error: io::Error| Fault::NotReady(error.to_string());
        self.socket.set_read_timeout(Some(limit)).map_err(told)?;
        let sent = send(&self.socket, files, plan_bytes);
        let mut answer = [0; 8];
        let answered = sent.and_then(|()| (&self.socket).read_exact(&mut answer));
        match answered.map(|()| i64::from_ne_bytes(answer)) {
            Ok(id @ 1..) => i32::try_from(id).map_err(|_| Fault::NotReady(format!("child {id}"))),
            Ok(code) => Err(told(io::Error::from_raw_os_error((-code) as i32))),
            Err(error) if is_late(&error) => {
                Err(Fault::NotReady(format!("no sign of it within {limit:?}")))
            }
            Err(error) => Err(self.gone(&error)),
        }
    }

    /// Its end, or what went wrong with its socket.
    fn gone(&mut self, error: &io::Error) -> Fault {
        // A program that closes its socket is about to end.
        for _ in 0..50 {
            if let Some(end) = self.process.ended() {
                return Fault::NotReady(end.to_string());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Fault::NotReady(error.to_string())
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Descriptors as a message carries them.
#[repr(C)]
struct Rights {
    head: libc::cmsghdr,
    files: [RawFd; FILES_MAX],
}

/// Sends a number and descriptors.
fn send(socket: &UnixStream, files: &[RawFd], number: u64) -> io::Result<()> {
    let bytes = number.to_ne_bytes();
    let mut stretch =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let data_bytes = size_of_val(files) as libc::c_uint;
    // SAFETY: takes a number only.
    let rights_bytes = unsafe { libc::CMSG_LEN(data_bytes) } as usize;
    let mut rights = Rights {
        head: libc::cmsghdr {
            cmsg_len: rights_bytes,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        files: [0; FILES_MAX],
    };
    rights.files[..files.len()].copy_from_slice(files);
    // SAFETY: a message head of zeros is one without anything.
    let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
    head.msg_iov = &raw mut stretch;
    head.msg_iovlen = 1;
    head.msg_control = (&raw mut rights).cast();
    head.msg_controllen = rights_bytes;
    // SAFETY: the head and all that it points at live through the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const head, libc::MSG_NOSIGNAL) };
    if sent == bytes.len() as isize { Ok(()) } else { Err(io::Error::last_os_error()) }
}
