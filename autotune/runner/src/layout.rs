//! What the launcher and the runner say to each other: one control page and one plan.
//!
//! The control page is shared and writable on both sides; the launcher believes none of it but the answer's number.
//! The plan is a list of 64-bit words in front of the image, written once by the launcher and sealed. One visitor
//! serves both directions, so that the two programs cannot disagree about an order of fields.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// Changes with every change of this file.
pub(crate) const MAGIC: u64 = 0x5457_5255_4e00_0002;

/// `Control::state` (0 while the child sets up): the child waits for the doorbell.
pub(crate) const STATE_READY: u32 = 1;
/// `Control::state`: setting up failed; `stage` and `error` tell where and why.
pub(crate) const STATE_FAILED: u32 = 2;

/// `Control::state`: the library is being loaded: what happens now is its own doing.
pub(crate) const STATE_LOADING: u32 = 3;

/// Words of `Control::message`.
pub(crate) const MESSAGE_WORDS: usize = 32;

/// A word on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) AtomicU32);

/// The control page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Control {
    /// The number of the newest request; a futex.
    pub(crate) doorbell: Line,
    /// The number of the newest finished request; a futex.
    pub(crate) answer: Line,
    /// One of the `STATE_` words; a futex.
    pub(crate) state: Line,
    /// Calls of the request.
    pub(crate) calls: AtomicU64,
    /// The slot of the request's first call.
    pub(crate) slot: AtomicU64,
    /// 1 if all calls of the request are of that slot, 0 if they are of the slots in turn.
    pub(crate) stays: AtomicU32,
    /// The step of setting up that failed: 0 plan, 1 buffers, 2 limits, 3 threads, 4 locks, 5 library.
    pub(crate) stage: AtomicU32,
    /// Its errno.
    pub(crate) error: AtomicU32,
    /// 1 if the system call filter is in force.
    pub(crate) filtered: AtomicU32,
    /// The signal that the child's handler saw; 0: none.
    pub(crate) signal: AtomicU32,
    /// The address it was about.
    pub(crate) fault: AtomicU64,
    /// The instruction it was raised at.
    pub(crate) instruction: AtomicU64,
    /// Where the library was loaded.
    pub(crate) base: AtomicU64,
    /// The bytes of workspace that the library asks for.
    pub(crate) workspace_bytes: AtomicU64,
    /// The last code but 0 that the library's function returned.
    pub(crate) code: AtomicU32,
    /// 1 if the library's function has left other floating-point modes than it found.
    pub(crate) modes: AtomicU32,
    /// What the loader said, up to the first zero byte.
    pub(crate) message: [AtomicU64; MESSAGE_WORDS],
}

/// `Region::backing`: pages of the image file, readable and executable.
pub(crate) const BACKING_IMAGE: u64 = 0;
/// `Region::backing`: pages of the input file, readable.
pub(crate) const BACKING_INPUT: u64 = 1;
/// `Region::backing`: pages of the output file, readable and writable.
pub(crate) const BACKING_OUTPUT: u64 = 2;
/// `Region::backing`: the child's own pages, readable and writable.
pub(crate) const BACKING_PRIVATE: u64 = 3;

/// A buffer inside its pages. An inaccessible page lies on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    /// Where the pages begin in the child. The launcher chooses, so that a fault can be named by its buffer and
    /// equal sessions have equal addresses.
    pub(crate) address: u64,
    /// One of the `BACKING_` words.
    pub(crate) backing: u64,
    /// Where the pages begin in their memory file; 0 for private pages.
    pub(crate) file_offset: u64,
    /// Bytes of the pages.
    pub(crate) map_bytes: u64,
    /// Where the buffer begins in the pages.
    pub(crate) data_offset: u64,
}

/// One launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Offset of the entry in the image.
    pub(crate) entry: u64,
    /// Grid iterations.
    pub(crate) iterations: u64,
    /// Threads that share them.
    pub(crate) threads: u64,
}

/// `Plan::library`: the candidate is a shared library; 0: it is the image.
pub(crate) const LIBRARY: u64 = 1;

/// Everything the runner has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) magic: u64,
    /// Bytes of a page.
    pub(crate) page: u64,
    pub(crate) slots: u64,
    /// Threads, the first one included.
    pub(crate) threads: u64,
    /// The processor of each thread; empty: as the system likes.
    pub(crate) cpus: Vec<u64>,
    /// Inputs and outputs of one slot; device buffers.
    pub(crate) arguments: u64,
    pub(crate) devices: u64,
    /// The image, the arguments of slot 0, of slot 1, ..., the device buffers, the scratch of each thread.
    pub(crate) regions: Vec<Region>,
    pub(crate) phases: Vec<Phase>,
    /// Most bytes of address space; most seconds of processor time.
    pub(crate) address_bytes_max: u64,
    pub(crate) cpu_seconds_max: u64,
    /// What private memory holds at first.
    pub(crate) poison: u64,
    /// `LIBRARY` or 0.
    pub(crate) library: u64,
    /// Where in the image of a library the filters begin that come before and after it is loaded.
    pub(crate) locks: [u64; 2],
    /// Bytes of the workspace, which is then the last argument; 0: there is none.
    pub(crate) workspace_bytes: u64,
    /// The bytes of the function's name.
    pub(crate) symbol: Vec<u64>,
}

impl Plan {
    /// Shows every word of the plan in order; the visitor reads it or replaces it.
    pub(crate) fn visit(&mut self, word: &mut impl FnMut(&mut u64)) {
        for scalar in [
            &mut self.magic,
            &mut self.page,
            &mut self.slots,
            &mut self.threads,
            &mut self.arguments,
            &mut self.devices,
            &mut self.address_bytes_max,
            &mut self.cpu_seconds_max,
            &mut self.poison,
            &mut self.library,
            &mut self.workspace_bytes,
        ] {
            word(scalar);
        }
        self.locks.iter_mut().for_each(&mut *word);
        list(&mut self.cpus, word, |cpu, word| word(cpu));
        list(&mut self.symbol, word, |byte, word| word(byte));
        list(&mut self.regions, word, |region, word| {
            word(&mut region.address);
            word(&mut region.backing);
            word(&mut region.file_offset);
            word(&mut region.map_bytes);
            word(&mut region.data_offset);
        });
        list(&mut self.phases, word, |phase, word| {
            word(&mut phase.entry);
            word(&mut phase.iterations);
            word(&mut phase.threads);
        });
    }
}

fn list<T: Clone + Default, W: FnMut(&mut u64)>(
    items: &mut Vec<T>,
    word: &mut W,
    visit: impl Fn(&mut T, &mut W),
) {
    let mut count = items.len() as u64;
    word(&mut count);
    items.resize(count as usize, T::default());
    items.iter_mut().for_each(|item| visit(item, word));
}
