//! What the fuzz targets do with their bytes, so that an ordinary test can replay what they once found.

use crate::choices::Choices;
use crate::judge::{Effort, Fault, judge};
use crate::tally::Tally;
use crate::{draw, round_trip};

/// Bytes as a kernel file: it is parsed, checked, printed and checked again.
///
/// # Errors
/// What differs between the text and the printed text.
pub fn text(bytes: &[u8]) -> Result<(), String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => round_trip(text).map(|_| ()),
        Err(_) => match tilewright_ir::check::check_bytes(bytes) {
            Ok(_) => Err("bytes that are no text were accepted".to_string()),
            Err(_) => Ok(()),
        },
    }
}

/// Bytes as choices: first the seed of schedules and inputs, then the kernel file.
///
/// # Errors
/// The file and its first fault.
pub fn kernels(bytes: &[u8]) -> Result<(), String> {
    let (seed, text) = kernels_of(bytes);
    let result = judge(&text, seed, Effort::default(), &mut Tally::default());
    result.map_err(|Fault { kind, detail, .. }| format!("seed {seed}\n{text}{kind}: {detail}"))
}

/// The seed and the file that bytes stand for.
pub fn kernels_of(bytes: &[u8]) -> (u64, String) {
    let mut choices = Choices::of_bytes(bytes);
    let seed = choices.below(256) as u64;
    (seed, draw::file_of(&mut choices))
}
