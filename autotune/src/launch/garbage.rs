//! What outputs hold before a run: numbers nobody would compute, mostly NaN, different for every seed.
//!
//! The garbage of a byte is a function of (seed, argument, offset), so the bytes around an output can be checked
//! later without keeping a copy.

/// The garbage of one argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Garbage {
    key: u64,
}

impl Garbage {
    pub(super) fn new(seed: u64, argument: usize) -> Self {
        Self { key: mix(mix(seed) ^ argument as u64) }
    }

    /// Fills whole lines that begin at offset 0.
    pub(super) fn fill(self, bytes: &mut [u8]) {
        let (lines, rest) = bytes.as_chunks_mut::<LINE_BYTES>();
        let last = lines.len();
        for (number, line) in lines.iter_mut().enumerate() {
            let mixed = self.line(number);
            let words = line.as_chunks_mut::<8>().0.iter_mut().enumerate();
            words.for_each(|(index, word)| *word = word_of(mixed, index).to_le_bytes());
        }
        for (index, word) in rest.chunks_mut(8).enumerate() {
            word.copy_from_slice(&word_of(self.line(last), index).to_le_bytes()[..word.len()]);
        }
    }

    /// The first byte of a range that is no longer what `fill` wrote.
    pub(super) fn first_change(self, bytes: &[u8], range: std::ops::Range<usize>) -> Option<usize> {
        let mut range = range;
        let word = |at: usize| word_of(self.line(at / LINE_BYTES), at % LINE_BYTES / 8);
        range.find(|&at| bytes[at] != word(at).to_le_bytes()[at % 8])
    }

    /// What the words of a line are made of.
    fn line(self, line: usize) -> u64 {
        mix(self.key.wrapping_add(line as u64))
    }
}

/// Every half word has all exponent bits of a bf16, an f16 and a high half of an f32 and f64, and some mantissa.
fn word_of(mixed: u64, index: usize) -> u64 {
    const EXPONENTS: u64 = 0x7ff1_7ff1_7ff1_7ff1;
    const FREE: u64 = 0x800e_800e_800e_800e;
    EXPONENTS | (mixed.rotate_left(5 * index as u32) & FREE)
}

/// Bytes whose garbage comes of one number.
const LINE_BYTES: usize = 64;

/// The finalizer of the splitmix64 generator.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::Garbage;

    fn filled(seed: u64, argument: usize) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        Garbage::new(seed, argument).fill(&mut bytes);
        bytes
    }

    #[test]
    fn garbage_is_nan_in_every_float_type() {
        let bytes = filled(3, 1);
        for word in bytes.as_chunks::<8>().0 {
            assert!(f64::from_le_bytes(*word).is_nan());
        }
        for word in bytes.as_chunks::<4>().0 {
            assert!(f32::from_le_bytes(*word).is_nan());
        }
        for half in bytes.as_chunks::<2>().0 {
            let bits = u16::from_le_bytes(*half);
            assert!(bits & 0x7f80 == 0x7f80 && bits & 0x7f != 0, "{bits:x} is no bf16 NaN");
            assert!(bits & 0x7c00 == 0x7c00 && bits & 0x3ff != 0, "{bits:x} is no f16 NaN");
        }
    }

    #[test]
    fn garbage_depends_on_seed_and_argument_only() {
        assert_eq!(filled(3, 1), filled(3, 1));
        assert_ne!(filled(3, 1), filled(4, 1));
        assert_ne!(filled(3, 1), filled(3, 2));
    }

    #[test]
    fn a_changed_byte_is_found() {
        let (mut bytes, garbage) = (filled(5, 0), Garbage::new(5, 0));
        assert_eq!(garbage.first_change(&bytes, 0..4096), None);
        bytes[4001] ^= 1;
        assert_eq!(garbage.first_change(&bytes, 64..4096), Some(4001));
        assert_eq!(garbage.first_change(&bytes, 0..4001), None);
    }
}
