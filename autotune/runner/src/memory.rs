//! The child's buffers: each between two inaccessible pages, each with no more rights than it needs.
//!
//! Invariant: nothing is ever writable and executable, and no input or image page is ever writable.

use crate::layout::{
    BACKING_IMAGE, BACKING_INPUT, BACKING_OUTPUT, BACKING_PRIVATE, LIBRARY, Plan, Region,
};
use crate::sys;

/// The mapped image and buffers. They live as long as the process.
#[derive(Debug)]
pub(crate) struct Memory {
    /// The first byte of the image.
    pub(crate) image: *const u8,
    /// The argument list of each slot.
    pub(crate) arguments: Vec<Vec<*mut u8>>,
    /// The scratch of each thread.
    pub(crate) scratch: Vec<*mut u8>,
}

/// The descriptors handed down by the launcher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    pub(crate) control: i32,
    pub(crate) image: i32,
    pub(crate) inputs: i32,
    pub(crate) outputs: i32,
    /// 0: there is none.
    pub(crate) library: i32,
}

/// Maps everything that the plan asks for. Errors are errno values.
pub(crate) fn map_all(plan: &Plan, files: Files) -> Result<Memory, u32> {
    let mut pointers = vec![];
    for region in &plan.regions {
        let pages = map_region(plan, *region, files)?;
        pointers.push(pages.wrapping_add(region.data_offset as usize));
    }
    let mut rest = pointers.into_iter();
    let mut take = |count: u64| -> Vec<*mut u8> { rest.by_ref().take(count as usize).collect() };
    let image = take(1)[0];
    let mut arguments: Vec<_> = (0..plan.slots).map(|_| take(plan.arguments)).collect();
    let devices = take(plan.devices);
    arguments.iter_mut().for_each(|list| list.extend(&devices));
    Ok(Memory { image, arguments, scratch: take(plan.threads) })
}

/// Maps the pages of one region between two inaccessible ones.
fn map_region(plan: &Plan, region: Region, files: Files) -> Result<*mut u8, u32> {
    const EXISTS: u32 = 17;
    let (guard, bytes) = (plan.page as usize, region.map_bytes as usize);
    let wanted = (region.address as usize - guard) as *mut u8;
    let reserve =
        sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: the flag replaces nothing: a range that is in use is an error.
    let at = unsafe { sys::map(wanted, bytes + 2 * guard, sys::PROT_NONE, reserve, -1, 0) }?;
    if at != wanted {
        return Err(EXISTS);
    }
    let (read, write) = (sys::PROT_READ, sys::PROT_WRITE);
    let (file, protection) = match region.backing {
        BACKING_IMAGE if plan.library == LIBRARY => (files.image, read),
        BACKING_IMAGE => (files.image, read | sys::PROT_EXEC),
        BACKING_INPUT => (files.inputs, read),
        BACKING_OUTPUT => (files.outputs, read | write),
        _ => (-1, read | write),
    };
    let kind = match region.backing {
        BACKING_PRIVATE => sys::MAP_PRIVATE | sys::MAP_ANONYMOUS,
        _ => sys::MAP_SHARED | sys::MAP_POPULATE,
    };
    let (at, flags) = (at.wrapping_add(guard), kind | sys::MAP_FIXED);
    // SAFETY: the range lies inside the one just reserved, and nothing refers to it.
    let at = unsafe { sys::map(at, bytes, protection, flags, file, region.file_offset) }?;
    if region.backing == BACKING_PRIVATE {
        // SAFETY: the pages were just mapped writable, are aligned, and nothing else refers to them.
        unsafe { std::slice::from_raw_parts_mut(at.cast::<u64>(), bytes / 8) }.fill(plan.poison);
    }
    Ok(at)
}
