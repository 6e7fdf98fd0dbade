//! Where everything of a session lies: the plan for the runner, and the same numbers for the parent.
//!
//! Equal artifacts and options have equal plans, up to the processors of the machine.

use super::layout::{
    BACKING_IMAGE, BACKING_INPUT, BACKING_OUTPUT, BACKING_PRIVATE, LIBRARY, MAGIC, Phase, Plan,
    Region,
};
use super::library::{ARRAYS_MAX, Layout, Library, Loading, Shape, WORKSPACE_ALIGN};
use super::locks::{self, Profile};
use super::{Failure, SessionOptions};
use tilewright_ir::backend::Artifact;

/// Every buffer begins at a multiple of this.
pub(super) const ALIGNMENT: u64 = 64;

/// Where the first buffer lies in the child: far from everything that the system places by itself.
const FIRST_ADDRESS: u64 = 1 << 36;

/// What uninitialised private memory holds: a NaN in every float type.
const PRIVATE_POISON: u64 = 0x7ff7_7ff7_7ff7_7ff7;

/// Address space for the runner's own code, stacks and allocator: once, and for each thread.
const OWN_BYTES: u64 = 1 << 30;
const OWN_BYTES_PER_THREAD: u64 = 256 << 20;

/// The same for a library with all that it loads, by its profile.
const OWN_BYTES_OF_LIBRARY: [u64; 2] = [1 << 30, 8 << 30];

/// Most threads of a session: each has a stack, and pages of its own for scratch.
const THREADS_MAX: u64 = 1024;

/// Most bytes of a function's name.
const SYMBOL_BYTES_MAX: usize = 1024;

/// A plan and the sizes of its memory files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) plan: Plan,
    /// Bytes of the inputs' and of the outputs' memory file.
    pub(super) input_file_bytes: u64,
    pub(super) output_file_bytes: u64,
    /// Bytes of each argument.
    pub(super) argument_bytes: Vec<u64>,
    /// How many arguments are inputs.
    pub(super) inputs: usize,
    /// How many of the last arguments are workspace, which holds nothing that is read.
    pub(super) scratches: usize,
    /// What the image holds, if it is not the candidate itself.
    pub(super) image: Option<Vec<u8>>,
}

impl Place {
    /// Arguments lie as the clock has them, or as `arrays` says.
    pub(super) fn new(
        artifact: &Artifact,
        arrays: Option<(&Shape, Layout)>,
        options: &SessionOptions,
    ) -> Result<Self, Failure> {
        check(artifact, options)?;
        let page = page_bytes();
        let mut cursor = Cursor { page, address: FIRST_ADDRESS, files: [0; 4], total: 0 };
        let threads = artifact.launches.iter().map(|launch| launch.threads).max().unwrap_or(1);
        let threads = threads.clamp(1, options.threads as u64);
        let mut regions = vec![cursor.image(artifact.image.len() as u64)];
        for _ in 0..options.slots {
            for (index, bytes) in artifact.argument_bytes.iter().enumerate() {
                let backing = if index < artifact.inputs { BACKING_INPUT } else { BACKING_OUTPUT };
                let align = |shape: &Shape| shape.arrays.get(index).map_or(1, |array| array.1);
                regions.push(match arrays {
                    Some((shape, layout)) => cursor.place(*bytes, backing, align(shape), layout),
                    None => cursor.take(*bytes, backing),
                });
            }
        }
        for bytes in &artifact.device_bytes {
            regions.push(cursor.take(*bytes, BACKING_PRIVATE));
        }
        let scratch = artifact.launches.iter().map(|launch| launch.scratch_bytes).max();
        for _ in 0..threads {
            regions.push(cursor.take(scratch.unwrap_or(0), BACKING_PRIVATE));
        }
        check_total(&cursor, options)?;
        let plan = Plan {
            magic: MAGIC,
            page,
            slots: options.slots as u64,
            threads,
            cpus: vec![],
            arguments: artifact.argument_bytes.len() as u64,
            devices: artifact.device_bytes.len() as u64,
            regions,
            phases: artifact.launches.iter().map(phase).collect(),
            address_bytes_max: cursor.address - FIRST_ADDRESS
                + OWN_BYTES
                + threads * OWN_BYTES_PER_THREAD,
            cpu_seconds_max: options.cpu_time_max.as_secs().max(1),
            poison: PRIVATE_POISON,
            library: 0,
            locks: [0; 2],
            workspace_bytes: 0,
            symbol: vec![],
        };
        let mut place = Self {
            plan,
            input_file_bytes: cursor.files[BACKING_INPUT as usize].max(page),
            output_file_bytes: cursor.files[BACKING_OUTPUT as usize].max(page),
            argument_bytes: artifact.argument_bytes.clone(),
            inputs: artifact.inputs,
            scratches: 0,
            image: None,
        };
        place.settle();
        Ok(place)
    }

    /// As `new`, for a library: the image is what locks it in.
    pub(super) fn of_library(
        library: &Library,
        shape: &Shape,
        loading: Loading,
        options: &SessionOptions,
    ) -> Result<Self, Failure> {
        check_library(library, shape, loading, options)?;
        let page = page_bytes();
        let mut cursor = Cursor { page, address: FIRST_ADDRESS, files: [0; 4], total: 0 };
        let workspace = (loading.workspace_bytes, WORKSPACE_ALIGN);
        let scratches = usize::from(loading.workspace_bytes > 0);
        let arrays = shape.arrays.iter().chain([&workspace].into_iter().take(scratches));
        // The addresses of the programs do not change their lengths.
        let (program, _) = locks::programs(library.profile, 0, 0);
        let mut regions = vec![cursor.image(program.len() as u64 * 8)];
        for _ in 0..options.slots {
            for (index, &(bytes, align)) in arrays.clone().enumerate() {
                let backing = if index < shape.inputs { BACKING_INPUT } else { BACKING_OUTPUT };
                let align = if loading.layout == Layout::Usual { ALIGNMENT } else { align };
                regions.push(cursor.place(bytes, backing, align, loading.layout));
            }
        }
        // The runner's one thread has a scratch as others have.
        regions.push(cursor.take(0, BACKING_PRIVATE));
        check_total(&cursor, options)?;
        let own = OWN_BYTES_OF_LIBRARY[usize::from(library.profile == Profile::Vendor)];
        let argument_bytes: Vec<u64> = arrays.map(|&(bytes, _)| bytes).collect();
        let plan = Plan {
            magic: MAGIC,
            page,
            slots: options.slots as u64,
            threads: 1,
            cpus: vec![],
            arguments: argument_bytes.len() as u64,
            devices: 0,
            regions,
            phases: vec![],
            address_bytes_max: cursor.address - FIRST_ADDRESS + own,
            cpu_seconds_max: options.cpu_time_max.as_secs().max(1),
            poison: PRIVATE_POISON,
            library: LIBRARY,
            locks: [0; 2],
            workspace_bytes: loading.workspace_bytes,
            symbol: library.symbol.bytes().map(u64::from).collect(),
        };
        let mut place = Self {
            plan,
            input_file_bytes: cursor.files[BACKING_INPUT as usize].max(page),
            output_file_bytes: cursor.files[BACKING_OUTPUT as usize].max(page),
            argument_bytes,
            inputs: shape.inputs,
            scratches,
            image: None,
        };
        let end = locks::end_of(&place.plan);
        let (program, starts) =
            locks::programs(library.profile, place.plan.regions[0].address, end);
        place.plan.locks = starts;
        place.image = Some(program.iter().flat_map(|word| word.to_ne_bytes()).collect());
        place.settle();
        Ok(place)
    }

    /// Puts the image's pages behind the plan in their file. To be called whenever the plan has become longer.
    pub(super) fn settle(&mut self) {
        self.plan.regions[0].file_offset = self.words().len() as u64 * 8;
    }

    /// The arguments that are outputs.
    pub(super) fn outputs(&self) -> std::ops::Range<usize> {
        self.inputs..self.argument_bytes.len() - self.scratches
    }

    /// The plan as words, filled up to whole pages.
    pub(super) fn words(&self) -> Vec<u64> {
        let mut words = vec![];
        self.plan.clone().visit(&mut |word| words.push(*word));
        words.resize(words.len().next_multiple_of(self.plan.page as usize / 8), 0);
        words
    }

    /// The pages of an argument in a slot.
    pub(super) fn region(&self, slot: usize, argument: usize) -> Region {
        self.plan.regions[1 + slot * self.argument_bytes.len() + argument]
    }

    /// Names an address of the child: `argument 1 of slot 0, 64 bytes past its end`. `None`: no buffer is near.
    pub(super) fn describe(&self, address: u64) -> Option<String> {
        let page = self.plan.page;
        let near = |region: &&Region| {
            (region.address - page..region.address + region.map_bytes + page).contains(&address)
        };
        let index = self.plan.regions.iter().position(|region| near(&region))?;
        let region = self.plan.regions[index];
        let (name, bytes) = self.name(index);
        let start = region.address + region.data_offset;
        let offset = address.wrapping_sub(start).cast_signed();
        Some(if offset < 0 {
            format!("{name}, {} bytes before its start", -offset)
        } else if offset.cast_unsigned() < bytes {
            format!("{name}, at byte {offset}")
        } else {
            format!("{name}, {} bytes past its end", offset.cast_unsigned() - bytes)
        })
    }

    /// The name and the size of a region; regions without a stated size have that of their pages.
    fn name(&self, index: usize) -> (String, u64) {
        let region = self.plan.regions[index];
        let body = region.map_bytes - region.data_offset;
        let arguments = self.argument_bytes.len();
        let Some(rest) = index.checked_sub(1) else { return ("the image".to_string(), body) };
        let Some(private) = rest.checked_sub(arguments * self.plan.slots as usize) else {
            let (slot, argument) = (rest / arguments, rest % arguments);
            if argument >= arguments - self.scratches {
                return (format!("the workspace of slot {slot}"), self.argument_bytes[argument]);
            }
            let name = format!("argument {argument} of slot {slot}");
            return (name, self.argument_bytes[argument]);
        };
        match private.checked_sub(self.plan.devices as usize) {
            None => (format!("device buffer {private}"), body),
            Some(thread) => (format!("the scratch of thread {thread}"), body),
        }
    }
}

fn check_total(cursor: &Cursor, options: &SessionOptions) -> Result<(), Failure> {
    let (total, most) = (cursor.total, options.memory_bytes_max);
    if total <= most {
        return Ok(());
    }
    Err(Failure::refused(format!("the buffers take {total} bytes, the session may have {most}")))
}

fn check_library(
    library: &Library,
    shape: &Shape,
    loading: Loading,
    options: &SessionOptions,
) -> Result<(), Failure> {
    if options.slots == 0 || shape.inputs > shape.arrays.len() {
        return Err(Failure::refused("a session has at least one slot, and no inputs but arrays"));
    }
    if shape.arrays.len() > ARRAYS_MAX {
        let (count, most) = (shape.arrays.len(), ARRAYS_MAX);
        return Err(Failure::refused(format!("{count} arrays, where a library may have {most}")));
    }
    if library.symbol.is_empty() || library.symbol.len() > SYMBOL_BYTES_MAX {
        return Err(Failure::refused("the name of the function is empty or too long"));
    }
    let mut sizes = shape.arrays.iter().map(|(bytes, _)| *bytes).chain([loading.workspace_bytes]);
    if sizes.any(|bytes| bytes > options.memory_bytes_max) {
        return Err(Failure::refused("an array or the workspace is larger than the session"));
    }
    Ok(())
}

fn phase(launch: &tilewright_ir::backend::Launch) -> Phase {
    Phase { entry: launch.entry, iterations: launch.iterations, threads: launch.threads.max(1) }
}

fn check(artifact: &Artifact, options: &SessionOptions) -> Result<(), Failure> {
    let refuse = |detail: &str| Err(Failure::refused(detail));
    if options.slots == 0 || options.threads == 0 {
        return refuse("a session has at least one slot and one thread");
    }
    if artifact.launches.iter().any(|launch| launch.threads > THREADS_MAX) {
        return Err(Failure::refused(format!("a launch of more than {THREADS_MAX} threads")));
    }
    if artifact.inputs > artifact.argument_bytes.len() {
        return refuse("the artifact has more inputs than arguments");
    }
    let image = artifact.image.len() as u64;
    if artifact.launches.iter().any(|launch| launch.entry >= image) {
        return refuse("an entry of the artifact lies outside its image");
    }
    let sizes = artifact.argument_bytes.iter().chain(&artifact.device_bytes);
    let mut sizes = sizes.chain(artifact.launches.iter().map(|launch| &launch.scratch_bytes));
    if sizes.any(|bytes| *bytes > 1 << 40) {
        return refuse("a buffer of the artifact is larger than a terabyte");
    }
    Ok(())
}

pub(super) fn page_bytes() -> u64 {
    // SAFETY: reads a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).expect("the system has a page size")
}

/// Hands out pages in the order asked.
struct Cursor {
    page: u64,
    address: u64,
    /// The length of the file of each backing so far.
    files: [u64; 4],
    total: u64,
}

impl Cursor {
    /// Pages for a buffer that ends where they end, as near as its alignment allows.
    fn take(&mut self, bytes: u64, backing: u64) -> Region {
        self.place(bytes, backing, ALIGNMENT, Layout::Usual)
    }

    /// Pages for a buffer.
    fn place(&mut self, bytes: u64, backing: u64, align: u64, layout: Layout) -> Region {
        let map_bytes = bytes.max(1).next_multiple_of(self.page);
        let data_offset = match layout {
            Layout::Left => 0,
            Layout::Usual | Layout::Right => (map_bytes - bytes) & !(align - 1),
        };
        let file = &mut self.files[backing as usize];
        let file_offset = if backing == BACKING_PRIVATE { 0 } else { *file };
        *file += map_bytes;
        let address = self.address + self.page;
        // One inaccessible page on each side.
        self.address = address + map_bytes + self.page;
        self.total += map_bytes;
        Region { address, backing, file_offset, map_bytes, data_offset }
    }

    /// Pages for the image, which begins where they begin.
    fn image(&mut self, bytes: u64) -> Region {
        Region { data_offset: 0, ..self.take(bytes, BACKING_IMAGE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilewright_ir::backend::Launch;

    fn artifact() -> Artifact {
        let launch = |threads| Launch { entry: 0, iterations: 4, scratch_bytes: 100, threads };
        Artifact {
            image: vec![0xc3; 70],
            unwind: None,
            launches: vec![launch(1), launch(8)],
            argument_bytes: vec![48, 0, 5000],
            input_layouts: vec![],
            inputs: 2,
            device_bytes: vec![64],
            least_isa: None,
        }
    }

    #[test]
    fn buffers_are_aligned_apart_and_end_at_a_guard() {
        let options = SessionOptions { slots: 3, threads: 2, ..SessionOptions::default() };
        let place = Place::new(&artifact(), None, &options).unwrap();
        let page = place.plan.page;
        assert_eq!((place.plan.threads, place.plan.regions.len()), (2, 1 + 3 * 3 + 1 + 2));
        let mut end = 0;
        for (index, region) in place.plan.regions.iter().enumerate() {
            assert!(region.address >= end + page, "region {index} touches the one before");
            assert_eq!((region.address % page, region.map_bytes % page), (0, 0));
            assert_eq!(region.data_offset % ALIGNMENT, 0);
            end = region.address + region.map_bytes + page;
        }
        for slot in 0..3 {
            for (argument, bytes) in [48, 0, 5000].into_iter().enumerate() {
                let region = place.region(slot, argument);
                let slack = region.map_bytes - region.data_offset - bytes;
                assert!(slack < ALIGNMENT, "argument {argument} ends {slack} bytes early");
            }
        }
    }

    #[test]
    fn a_plan_survives_its_words() {
        let place = Place::new(&artifact(), None, &SessionOptions::default()).unwrap();
        let words = place.words();
        let mut rest = words.iter();
        let mut plan = Plan::default();
        plan.visit(&mut |word| *word = *rest.next().unwrap());
        assert_eq!(plan, place.plan);
        assert_eq!(plan.regions[0].file_offset, words.len() as u64 * 8);
    }

    #[test]
    fn addresses_have_names() {
        let place = Place::new(&artifact(), None, &SessionOptions::default()).unwrap();
        let start = |argument| {
            let region = place.region(0, argument);
            region.address + region.data_offset
        };
        let name = |address| place.describe(address).unwrap_or_default();
        assert_eq!(name(start(2) + 7), "argument 2 of slot 0, at byte 7");
        assert_eq!(name(start(2) + 5000), "argument 2 of slot 0, 0 bytes past its end");
        assert_eq!(name(start(0) - 64), "argument 0 of slot 0, 64 bytes before its start");
        assert_eq!(name(FIRST_ADDRESS + place.plan.page + 3), "the image, at byte 3");
        assert_eq!(place.describe(0), None);
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Artifact, &mut SessionOptions), word: &str) {
        let (mut artifact, mut options) = (artifact(), SessionOptions::default());
        change(&mut artifact, &mut options);
        let failure = Place::new(&artifact, None, &options).unwrap_err();
        assert_eq!(failure.reason(), "refused");
        assert!(failure.to_string().contains(word), "{failure}");
    }

    #[test]
    fn broken_contracts_are_refused() {
        refused(|artifact, _| artifact.launches[0].entry = 70, "entry");
        refused(|artifact, _| artifact.inputs = 4, "inputs");
        refused(|artifact, _| artifact.launches[1].threads = 1 << 31, "threads");
        refused(|artifact, _| artifact.device_bytes[0] = u64::MAX, "terabyte");
        refused(|_, options| options.slots = 0, "slot");
        refused(|_, options| options.memory_bytes_max = 4096, "bytes");
    }
}
