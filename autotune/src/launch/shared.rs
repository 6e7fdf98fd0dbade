//! The memory files of a session, and what of them is kept for the sessions to come.
//!
//! New pages cost more than the filling of old ones, so the files of inputs and outputs are used again where their lengths
//! are the same. Invariants: a file is kept only once the last process that could write to it has gone; who takes one
//! fills all of it before foreign code sees it.

use super::garbage::Garbage;
use super::memory::{Mapping, memory_file, seal, seal_future};
use super::place::Place;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// Most bytes that are kept, and most files.
const SPARE_BYTES_MAX: u64 = 64 << 20;
const SPARE_FILES_MAX: usize = 16;

/// What a file is for: the launcher alone may write to inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inputs,
    Outputs,
}

/// A memory file with its mapping.
#[derive(Debug)]
struct Buffer {
    kind: Kind,
    bytes: u64,
    file: File,
    mapping: Mapping,
}

static SPARE: Mutex<Vec<Buffer>> = Mutex::new(vec![]);

impl Buffer {
    /// One that is kept, or a new one.
    fn take(kind: Kind, bytes: u64) -> io::Result<Self> {
        match Self::kept(kind, bytes) {
            Some(buffer) => Ok(buffer),
            None => Self::new(kind, bytes),
        }
    }

    fn kept(kind: Kind, bytes: u64) -> Option<Self> {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Self| buffer.kind == kind && buffer.bytes == bytes;
        spare.iter().position(fits).map(|place| spare.remove(place))
    }

    fn new(kind: Kind, bytes: u64) -> io::Result<Self> {
        let file = memory_file()?;
        let mapping = Mapping::new(&file, bytes)?;
        if kind == Kind::Inputs {
            // Without this seal the child's mapping is still read-only, and its system calls are filtered.
            let _ = seal_future(&file);
        }
        Ok(Self { kind, bytes, file, mapping })
    }

    /// Keeps it, and gives up those that have been kept longest where there are too many.
    fn keep(self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(self);
        let bytes = |spare: &[Self]| spare.iter().map(|buffer| buffer.bytes).sum::<u64>();
        while spare.len() > SPARE_FILES_MAX || bytes(&spare) > SPARE_BYTES_MAX {
            spare.remove(0);
        }
    }
}

/// The inputs and outputs of a session.
#[derive(Debug)]
pub(super) struct Arrays {
    /// Inputs and outputs; `None` once they have been kept for others.
    buffers: Option<[Buffer; 2]>,
    /// Whether others may have them afterwards.
    is_shared: bool,
}

impl Arrays {
    fn new(place: &Place, is_shared: bool) -> io::Result<Self> {
        let get = if is_shared { Buffer::take } else { Buffer::new };
        let inputs = get(Kind::Inputs, place.input_file_bytes)?;
        let outputs = get(Kind::Outputs, place.output_file_bytes)?;
        Ok(Self { buffers: Some([inputs, outputs]), is_shared })
    }

    fn buffers(&mut self) -> &mut [Buffer; 2] {
        self.buffers.as_mut().expect("they are kept when the session ends")
    }

    pub(super) fn inputs(&mut self) -> &mut Mapping {
        &mut self.buffers()[0].mapping
    }

    pub(super) fn outputs_mut(&mut self) -> &mut Mapping {
        &mut self.buffers()[1].mapping
    }

    pub(super) fn outputs(&self) -> &Mapping {
        &self.buffers.as_ref().expect("they are kept when the session ends")[1].mapping
    }

    /// Fills the inputs with garbage. The outputs, too, before foreign code: its constructors run before the first poison, and
    /// what a process before it left there is not theirs to see.
    pub(super) fn spoil(&mut self, is_foreign: bool) {
        for buffer in self.buffers().iter_mut().take(if is_foreign { 2 } else { 1 }) {
            let bytes = buffer.bytes;
            Garbage::new(0, usize::MAX).fill(buffer.mapping.slice_mut(0, bytes));
        }
    }

    /// Keeps them for other sessions. The child has ended and been reaped.
    pub(super) fn keep(&mut self) {
        let buffers = self.buffers.take().filter(|_| self.is_shared);
        buffers.into_iter().flatten().for_each(Buffer::keep);
    }
}

/// All memory of a session.
pub(super) struct Shared {
    control_file: File,
    image: File,
    pub(super) control: Mapping,
    pub(super) arrays: Arrays,
}

impl Shared {
    /// The memory that a place describes, with the plan and what is to run.
    pub(super) fn new(place: &Place, candidate: &[u8], new_memory: bool) -> io::Result<Self> {
        let control_file = memory_file()?;
        let control = Mapping::new(&control_file, place.plan.page)?;
        let mut image = memory_file()?;
        let words: Vec<u8> = place.words().iter().flat_map(|word| word.to_ne_bytes()).collect();
        image.write_all(&words)?;
        image.write_all(candidate)?;
        image.set_len(words.len() as u64 + place.plan.regions[0].map_bytes)?;
        seal(&image)?;
        Ok(Self { control_file, image, control, arrays: Arrays::new(place, !new_memory)? })
    }

    /// The files to hand down: control, image, inputs, outputs.
    pub(super) fn files(&mut self) -> [&File; 4] {
        let Self { control_file, image, arrays, .. } = self;
        let [inputs, outputs] = arrays.buffers();
        [control_file, image, &inputs.file, &outputs.file]
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Kind, SPARE, SPARE_BYTES_MAX};

    #[test]
    fn a_file_is_used_again_at_its_length_and_for_its_purpose() {
        // A length that no session of another test has.
        let bytes = 7 * 4096 + (1 << 20);
        let mut first = Buffer::take(Kind::Outputs, bytes).unwrap();
        first.mapping.slice_mut(0, 1)[0] = 77;
        first.keep();
        assert_eq!(Buffer::take(Kind::Inputs, bytes).unwrap().mapping.slice(0, 1), [0]);
        let again = Buffer::take(Kind::Outputs, bytes).unwrap();
        assert_eq!(again.mapping.slice(0, 1), [77]);
        assert_eq!(Buffer::take(Kind::Outputs, bytes).unwrap().mapping.slice(0, 1), [0]);
        again.keep();
        for _ in 0..3 {
            Buffer::take(Kind::Inputs, SPARE_BYTES_MAX / 2).unwrap().keep();
        }
        let kept: u64 = SPARE.lock().unwrap().iter().map(|buffer| buffer.bytes).sum();
        assert!(kept <= SPARE_BYTES_MAX, "{kept}");
    }
}
