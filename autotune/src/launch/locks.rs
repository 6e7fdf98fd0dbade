//! The two locks around a foreign library: which system calls are left while it is loaded, and which afterwards.
//!
//! The launcher assembles both and seals them; the child maps them between its buffers, where no call of its own can
//! put anything else: that part of its memory is not its to map. So the kernel's count of filters proves that both are in force.
//! Invariant: behind neither lock can a file be written, anything be sent or started, or a buffer's mapping be changed.

use super::filter::{Otherwise, Rule, Test, any, assemble, at_address};
use super::layout::{Plan, Region};
use libc::{MAP_ANONYMOUS, MAP_FIXED, PROT_EXEC};

/// What a library may do besides computing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Nothing but memory of its own; any other call kills it.
    #[default]
    Strict,
    /// It may start threads while it is loaded, read the clock and sleep; any other call fails.
    Vendor,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 2] = [Self::Strict, Self::Vendor];

    /// The profile's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Vendor => "vendor",
        }
    }

    fn otherwise(self) -> Otherwise {
        match self {
            Self::Strict => Otherwise::Kill,
            Self::Vendor => Otherwise::Fail,
        }
    }
}

/// What the kernel is asked: a filter for all threads.
const SET_FILTER: u64 = 1;
const ALL_THREADS: u64 = 1;

fn rule(number: libc::c_long, tests: Vec<Test>) -> Rule {
    Rule { number, tests }
}

fn bits(flags: libc::c_int) -> u32 {
    flags.cast_unsigned()
}

/// The words of both programs for an image at `address`, and where each begins.
pub(super) fn programs(profile: Profile, address: u64, end: u64) -> (Vec<u64>, [u64; 2]) {
    // Programs lie one behind the other; the first knows where the second begins.
    let last = (end >> 32) as u32;
    let after = assemble(&after_loading(profile, last), profile.otherwise());
    let after = at_address(&after, address);
    let before_at = after.len() as u64 * 8;
    let before = assemble(&before_loading(profile, last, address), profile.otherwise());
    let before = at_address(&before, address + before_at);
    (after.into_iter().chain(before).collect(), [before_at, 0])
}

/// The calls of the loader, and of constructors that only look around.
fn before_loading(profile: Profile, last: u32, second: u64) -> Vec<Rule> {
    const WRITES: libc::c_int = libc::O_WRONLY
        | libc::O_RDWR
        | libc::O_CREAT
        | libc::O_TRUNC
        | libc::O_APPEND
        | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    let mut rules = waiting();
    rules.extend(looking().map(any));
    rules.extend([
        rule(libc::SYS_openat, vec![Test::Clear(2, bits(WRITES))]),
        rule(libc::SYS_mmap, vec![Test::NoneOrAbove(0, last), Test::Below(1, 8)]),
        rule(libc::SYS_munmap, vec![Test::Above(0, last)]),
        rule(libc::SYS_mprotect, vec![Test::Above(0, last)]),
        rule(libc::SYS_madvise, vec![Test::Above(0, last)]),
        rule(libc::SYS_prlimit64, vec![Test::Is(0, 0)]),
        rule(
            libc::SYS_seccomp,
            vec![Test::Is(0, SET_FILTER), Test::Is(1, ALL_THREADS), Test::Is(2, second)],
        ),
    ]);
    rules.extend(tiles());
    if profile == Profile::Vendor {
        rules.push(rule(libc::SYS_clone, vec![Test::Set(0, bits(libc::CLONE_THREAD))]));
        rules.extend(threading().map(any));
    }
    rules
}

/// Waiting, and memory that is not executable.
fn after_loading(profile: Profile, last: u32) -> Vec<Rule> {
    let mut rules = waiting();
    rules.extend([
        any(libc::SYS_brk),
        rule(
            libc::SYS_mmap,
            vec![
                Test::NoneOrAbove(0, last),
                Test::Below(1, 8),
                Test::Clear(2, bits(PROT_EXEC)),
                Test::Clear(3, bits(MAP_FIXED)),
                Test::Set(3, bits(MAP_ANONYMOUS)),
            ],
        ),
        rule(libc::SYS_munmap, vec![Test::Above(0, last)]),
        rule(libc::SYS_madvise, vec![Test::Above(0, last)]),
    ]);
    rules.extend(tiles());
    if profile == Profile::Vendor {
        rules.push(rule(
            libc::SYS_mprotect,
            vec![Test::Above(0, last), Test::Clear(2, bits(PROT_EXEC))],
        ));
        rules.extend(threading().map(any));
    }
    rules
}

/// What the waiting loops need.
fn waiting() -> Vec<Rule> {
    [libc::SYS_futex, libc::SYS_sched_yield, libc::SYS_rt_sigreturn, libc::SYS_restart_syscall]
        .map(any)
        .into()
}

/// What the loader needs, and what changes nothing outside of the process. Files are landlock's to guard.
fn looking() -> impl Iterator<Item = libc::c_long> {
    let calls = [
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_lseek,
        libc::SYS_brk,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_uname,
        libc::SYS_getcwd,
        libc::SYS_sysinfo,
        libc::SYS_sched_getaffinity,
        libc::SYS_clock_gettime,
        libc::SYS_readlinkat,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_getrandom,
    ];
    #[cfg(target_arch = "x86_64")]
    let own = [libc::SYS_access, libc::SYS_readlink];
    #[cfg(not(target_arch = "x86_64"))]
    let own: [libc::c_long; 0] = [];
    calls.into_iter().chain(own)
}

/// What threads of a library need.
fn threading() -> impl Iterator<Item = libc::c_long> {
    [
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_exit,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_getaffinity,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_rt_sigprocmask,
        libc::SYS_getdents64,
        libc::SYS_gettid,
        libc::SYS_getpid,
    ]
    .into_iter()
}

/// Asking for the use of tile registers.
fn tiles() -> Option<Rule> {
    const FEATURES: [u32; 3] = [0x1021, 0x1022, 0x1023];
    #[cfg(target_arch = "x86_64")]
    return Some(rule(libc::SYS_arch_prctl, vec![Test::OneOf(0, FEATURES.to_vec())]));
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The end of the part of memory that is not the child's to map.
pub(super) fn end_of(plan: &Plan) -> u64 {
    let end = |region: &Region| region.address + region.map_bytes + plan.page;
    plan.regions.iter().map(end).max().unwrap_or(0)
}

/// What the kernel says about a child: filters in force and threads. `None`: it does not say.
pub(super) fn state_of(process: i32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some((field("Seccomp_filters:")?, field("Threads:")?))
}
