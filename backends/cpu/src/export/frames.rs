//! The unwinding tables of a text: the entries of `.eh_frame`, and where each points into the text.
//!
//! Code generators leave pointers relative to themselves, as if table and text lay in one image; here they become a
//! list, which an object says as relocations and a shared library resolves. Invariant: every pointer is on the list.

/// One pointer of a table to the code of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Where its entry begins in `Frames::bytes`.
    pub(super) entry: u64,
    /// The offset of the function in the text.
    pub(super) function: u64,
}

/// Bytes from the head of an entry to its pointer.
pub(super) const POINTER_AT: u64 = 8;

/// The tables of one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// The entries, without a terminator.
    pub(super) bytes: Vec<u8>,
    pub(super) pointers: Vec<Pointer>,
}

impl Frames {
    /// Adds a section whose pointers are right where its head lies `at` bytes behind the head of the text.
    pub(super) fn add(&mut self, section: &[u8], at: i64) {
        let word = |offset: usize| -> Option<u32> {
            let bytes = section.get(offset..offset + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let mut head = 0;
        while let Some(length) = word(head).filter(|&length| length > 0) {
            let end = head + 4 + length as usize;
            let Some(entry) = section.get(head..end) else { return };
            let place = self.bytes.len() as u64;
            // A common entry has 0 here, and no pointer.
            let is_function = word(head + 4).is_some_and(|common| common != 0);
            if let Some(pointer) = word(head + POINTER_AT as usize).filter(|_| is_function) {
                let distance = i64::from(pointer.cast_signed());
                let function = at + (head as i64) + POINTER_AT as i64 + distance;
                self.pointers.push(Pointer { entry: place, function: function.cast_unsigned() });
            }
            self.bytes.extend(entry);
            head = end;
        }
    }
}
