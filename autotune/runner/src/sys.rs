//! The system calls of the runner, declared by hand so that it needs no crate.
//!
//! Written for 64-bit Linux, where a C `long` has 64 bits. Every wrapper is safe to call with any value or says what its caller promises; failures are errno values.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::AtomicU32;

pub(crate) const PROT_NONE: c_int = 0;
pub(crate) const PROT_READ: c_int = 1;
pub(crate) const PROT_WRITE: c_int = 2;
pub(crate) const PROT_EXEC: c_int = 4;
pub(crate) const MAP_SHARED: c_int = 0x01;
pub(crate) const MAP_PRIVATE: c_int = 0x02;
pub(crate) const MAP_FIXED: c_int = 0x10;
pub(crate) const MAP_FIXED_NOREPLACE: c_int = 0x10_0000;
pub(crate) const MAP_ANONYMOUS: c_int = 0x20;
pub(crate) const MAP_NORESERVE: c_int = 0x4000;
pub(crate) const MAP_POPULATE: c_int = 0x8000;

const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_DUMPABLE: c_int = 4;
const PR_SET_NO_NEW_PRIVS: c_int = 38;
const SIGKILL: u64 = 9;

pub(crate) const RLIMIT_CPU: c_int = 0;
pub(crate) const RLIMIT_FSIZE: c_int = 1;
pub(crate) const RLIMIT_STACK: c_int = 3;
pub(crate) const RLIMIT_CORE: c_int = 4;
pub(crate) const RLIMIT_NOFILE: c_int = 7;
pub(crate) const RLIMIT_AS: c_int = 9;

/// Numbers of the few system calls without a C function. All but x86-64 share the generic table.
#[cfg(target_arch = "x86_64")]
pub(crate) mod number {
    pub(crate) const CLONE: i64 = 56;
    pub(crate) const FUTEX: i64 = 202;
    pub(crate) const ARCH_PRCTL: i64 = 158;
    pub(crate) const SCHED_YIELD: i64 = 24;
    pub(crate) const RT_SIGRETURN: i64 = 15;
    pub(crate) const RESTART_SYSCALL: i64 = 219;
    pub(crate) const SECCOMP: i64 = 317;
    pub(crate) const CLOSE_RANGE: i64 = 436;
}
#[cfg(not(target_arch = "x86_64"))]
pub(crate) mod number {
    pub(crate) const CLONE: i64 = 220;
    pub(crate) const FUTEX: i64 = 98;
    pub(crate) const SCHED_YIELD: i64 = 124;
    pub(crate) const RT_SIGRETURN: i64 = 139;
    pub(crate) const RESTART_SYSCALL: i64 = 128;
    pub(crate) const SECCOMP: i64 = 277;
    pub(crate) const CLOSE_RANGE: i64 = 436;
}

/// The same on all architectures.
pub(crate) const LANDLOCK_CREATE_RULESET: i64 = 444;
pub(crate) const LANDLOCK_ADD_RULE: i64 = 445;
pub(crate) const LANDLOCK_RESTRICT_SELF: i64 = 446;

/// What to do when a signal arrives, as the C library lays it out.
#[repr(C)]
pub(crate) struct SignalAction {
    pub(crate) handler: usize,
    pub(crate) mask: [u64; 16],
    pub(crate) flags: c_int,
    pub(crate) restorer: usize,
}

#[repr(C)]
struct Limit {
    soft: u64,
    hard: u64,
}

unsafe extern "C" {
    fn mmap(
        address: *mut c_void,
        bytes: usize,
        protection: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn prctl(option: c_int, ...) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut Limit) -> c_int;
    fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
    fn syscall(number: i64, ...) -> i64;
    fn sigaction(signal: c_int, new: *const SignalAction, old: *mut SignalAction) -> c_int;
    fn getppid() -> c_int;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn recvmsg(socket: c_int, header: *mut Header, flags: c_int) -> isize;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    fn sched_yield() -> c_int;
    fn sched_setaffinity(pid: c_int, bytes: usize, mask: *const u64) -> c_int;
}

/// The errno of the last failed call.
pub(crate) fn last_error() -> u32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0).unsigned_abs()
}

fn check(result: c_int) -> Result<(), u32> {
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Maps memory.
///
/// # Safety
/// With `MAP_FIXED`, the range at `address` belongs to the caller and nothing refers to what was there.
pub(crate) unsafe fn map(
    address: *mut u8,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: u64,
) -> Result<*mut u8, u32> {
    // SAFETY: the caller owns a fixed range; elsewhere the kernel picks a free one.
    let at = unsafe { mmap(address.cast(), bytes, protection, flags, file, offset.cast_signed()) };
    if at as usize == usize::MAX { Err(last_error()) } else { Ok(at.cast()) }
}

/// Asks to be killed when the launcher dies, and tells whether it is still there.
pub(crate) fn die_with_parent(parent: u32) -> bool {
    // SAFETY: sets an attribute of this process, no memory is involved.
    unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL) };
    // SAFETY: reads an attribute of this process.
    unsafe { getppid() }.unsigned_abs() == parent
}

/// No core dump, no tracer of the same user, no privileges by exec.
pub(crate) fn give_up_privileges() -> Result<(), u32> {
    // SAFETY: sets an attribute of this process, no memory is involved.
    check(unsafe { prctl(PR_SET_DUMPABLE, 0_u64) })?;
    let (on, none): (u64, u64) = (1, 0);
    // SAFETY: as above.
    check(unsafe { prctl(PR_SET_NO_NEW_PRIVS, on, none, none, none) })
}

/// Sets the soft limit, and the hard one `grace` above it; a limit that is lower already stays.
pub(crate) fn limit(resource: c_int, value: u64, grace: u64) -> Result<(), u32> {
    let mut limit = Limit { soft: 0, hard: 0 };
    // SAFETY: `limit` lives through the call.
    check(unsafe { getrlimit(resource, &raw mut limit) })?;
    let hard = value.saturating_add(grace).min(limit.hard);
    let limit = Limit { soft: value.min(hard), hard };
    // SAFETY: `limit` lives through the call.
    check(unsafe { setrlimit(resource, &raw const limit) })
}

/// Installs a signal action.
pub(crate) fn set_action(signal: c_int, action: &SignalAction) -> Result<(), u32> {
    // SAFETY: the action has the C library's layout and lives through the call; no old one is asked for.
    check(unsafe { sigaction(signal, &raw const *action, std::ptr::null_mut()) })
}

/// Asks for the right to use tile registers, which candidates may. Where there are none the system refuses.
pub(crate) fn ask_for_tiles() {
    #[cfg(target_arch = "x86_64")]
    {
        let (request, tiles): (u64, u64) = (0x1023, 18);
        // SAFETY: takes two numbers and sets an attribute of this process.
        unsafe { syscall(number::ARCH_PRCTL, request, tiles) };
    }
}

/// A word and the descriptors that came with it.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Message {
    /// Bytes of the part with the descriptors, its own head included.
    bytes: usize,
    level: c_int,
    kind: c_int,
    files: [c_int; FILES_MAX],
    pub(crate) word: u64,
}

const FILES_MAX: usize = 6;
/// Bytes of a `cmsghdr` before its data.
const MESSAGE_HEAD: usize = 16;

impl Message {
    /// The descriptors.
    pub(crate) fn files(&self) -> &[c_int] {
        const SOL_SOCKET: c_int = 1;
        const SCM_RIGHTS: c_int = 1;
        let is_rights = self.level == SOL_SOCKET && self.kind == SCM_RIGHTS;
        let count = self.bytes.saturating_sub(MESSAGE_HEAD) / size_of::<c_int>();
        &self.files[..if is_rights { count.min(FILES_MAX) } else { 0 }]
    }

    /// Closes the descriptors.
    pub(crate) fn close(&self) {
        self.files().iter().for_each(|&file| close(file));
    }
}

/// A stretch of memory, as the C library lays it out.
#[repr(C)]
struct Stretch {
    start: *mut c_void,
    bytes: usize,
}

/// The head of a message, as the C library lays it out.
#[repr(C)]
struct Header {
    name: *mut c_void,
    name_bytes: u32,
    stretches: *mut Stretch,
    stretch_count: usize,
    control: *mut c_void,
    control_bytes: usize,
    flags: c_int,
}

/// Waits for a message. `false`: whoever sends them has gone.
pub(crate) fn receive(socket: c_int, message: &mut Message) -> bool {
    let mut stretch =
        Stretch { start: (&raw mut message.word).cast(), bytes: size_of_val(&message.word) };
    let mut header = Header {
        name: std::ptr::null_mut(),
        name_bytes: 0,
        stretches: &raw mut stretch,
        stretch_count: 1,
        control: (&raw mut message.bytes).cast(),
        control_bytes: MESSAGE_HEAD + size_of_val(&message.files),
        flags: 0,
    };
    // SAFETY: the header, the word and the first fields of the message live through the call and have the stated lengths.
    let count = unsafe { recvmsg(socket, &raw mut header, 0) };
    count == size_of_val(&message.word) as isize
}

/// Sends a number. `false`: nobody takes it.
pub(crate) fn send(socket: c_int, number: i64) -> bool {
    let bytes = size_of_val(&number);
    // SAFETY: the number lives through the call and has so many bytes.
    let written = unsafe { write(socket, (&raw const number).cast(), bytes) };
    written == bytes as isize
}

/// A copy of this process that is a child of its parent; 0 in the copy. This process has one thread.
pub(crate) fn sibling() -> Result<i64, u32> {
    const CLONE_PARENT: u64 = 0x8000;
    const SIGCHLD: u64 = 17;
    let none = 0_u64;
    // SAFETY: without a stack of its own the copy goes on here, on its copy of this one.
    let id = unsafe { syscall(number::CLONE, CLONE_PARENT | SIGCHLD, none, none, none, none) };
    if id < 0 { Err(last_error()) } else { Ok(id) }
}

/// Closes a descriptor.
pub(crate) fn close(file: c_int) {
    let file = u64::from(file.unsigned_abs());
    close_range(file, file);
}

/// Closes every descriptor but one.
pub(crate) fn close_all_but(file: c_int) {
    let file = u64::from(file.unsigned_abs());
    if file > 0 {
        close_range(0, file - 1);
    }
    close_range(file + 1, 0xffff_ffff);
}

/// Closes every descriptor.
pub(crate) fn close_all() {
    close_range(0, 0xffff_ffff);
}

fn close_range(first: u64, last: u64) {
    let flags = 0_u64;
    // SAFETY: the runner uses no descriptor after this; its memory stays mapped.
    unsafe { syscall(number::CLOSE_RANGE, first, last, flags) };
}

/// Installs a system call filter on every thread. `program` is a `sock_fprog`.
///
/// # Safety
/// `program` points at a valid filter program.
pub(crate) unsafe fn filter(program: *const c_void) -> Result<(), u32> {
    let (set_filter, all_threads): (u64, u64) = (1, 1);
    // SAFETY: the caller vouches for the program.
    let result = unsafe { syscall(number::SECCOMP, set_filter, all_threads, program as u64) };
    check(c_int::from(result != 0))
}

/// Sleeps while the word holds `value`. May return early.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    const WAIT: u64 = 0;
    let (address, none): (u64, u64) = (word.as_ptr() as u64, 0);
    // SAFETY: the word lives through the call; a null timeout means for ever.
    unsafe { syscall(number::FUTEX, address, WAIT, u64::from(value), none) };
}

/// Wakes every sleeper on the word.
pub(crate) fn futex_wake(word: &AtomicU32) {
    const WAKE: u64 = 1;
    let (address, all): (u64, u64) = (word.as_ptr() as u64, 0x7fff_ffff);
    // SAFETY: the word lives through the call.
    unsafe { syscall(number::FUTEX, address, WAKE, all) };
}

/// Lets another thread run.
pub(crate) fn yield_now() {
    // SAFETY: has no preconditions.
    unsafe { sched_yield() };
}

/// Binds this thread to one processor. A processor that is not there any more leaves it where it is.
pub(crate) fn pin(cpu: u64) {
    let mut mask = [0u64; 128];
    if let Some(word) = mask.get_mut(cpu as usize / 64) {
        *word |= 1 << (cpu % 64);
    }
    // SAFETY: the mask lives through the call and has the stated length.
    unsafe { sched_setaffinity(0, size_of_val(&mask), mask.as_ptr()) };
}

/// Makes a system call that answers with a number.
///
/// # Safety
/// Pointers among the arguments lead to what the call reads or writes.
pub(crate) unsafe fn call(number: i64, arguments: [u64; 4]) -> Result<u64, u32> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: the caller vouches for the arguments.
    let result = unsafe { syscall(number, first, second, third, fourth) };
    u64::try_from(result).map_err(|_| last_error())
}

/// A descriptor that names a file or folder without opening it. `None`: there is no such file.
pub(crate) fn name_file(path: &CStr) -> Option<c_int> {
    const O_PATH_CLOEXEC: c_int = 0o12_000_000;
    // SAFETY: the path is a C string.
    let file = unsafe { open(path.as_ptr(), O_PATH_CLOEXEC) };
    (file >= 0).then_some(file)
}

/// Loads a library, which runs its constructors. The error is what the loader says.
pub(crate) fn load(path: &CStr) -> Result<*mut c_void, &'static CStr> {
    const NOW: c_int = 2;
    // SAFETY: the path is a C string; what the constructors do is the candidate's matter.
    let library = unsafe { dlopen(path.as_ptr(), NOW) };
    if library.is_null() { Err(loader_error()) } else { Ok(library) }
}

/// The address of a symbol.
///
/// # Safety
/// `library` came from `load`.
pub(crate) unsafe fn find(library: *mut c_void, name: &CStr) -> Result<*mut c_void, &'static CStr> {
    // SAFETY: the caller vouches for the library, and the name is a C string.
    let address = unsafe { dlsym(library, name.as_ptr()) };
    if address.is_null() { Err(loader_error()) } else { Ok(address) }
}

fn loader_error() -> &'static CStr {
    // SAFETY: no preconditions; the text lives until the next call of the loader on this thread.
    let text = unsafe { dlerror() };
    if text.is_null() {
        return c"the loader does not say why";
    }
    // SAFETY: the loader gives a C string.
    unsafe { CStr::from_ptr(text) }
}
