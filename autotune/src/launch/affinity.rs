//! Which processors the parent and the child use: different ones, while something is timed.

const WORDS: usize = 128;
type Mask = [u64; WORDS];

fn mask() -> Option<Mask> {
    let mut mask = [0; WORDS];
    let bytes = size_of::<Mask>();
    // SAFETY: the mask has the stated length and lives through the call; 0 is this thread.
    let result = unsafe { libc::sched_getaffinity(0, bytes, (&raw mut mask).cast()) };
    (result == 0).then_some(mask)
}

fn set_mask(mask: &Mask) -> bool {
    // SAFETY: as above.
    let result =
        unsafe { libc::sched_setaffinity(0, size_of::<Mask>(), (&raw const *mask).cast()) };
    result == 0
}

/// The processors this thread may use, in order. Empty if the system does not say.
pub(super) fn allowed() -> Vec<u64> {
    let mask = mask().unwrap_or([0; WORDS]);
    let bit = |cpu: &u64| mask[*cpu as usize / 64] >> (cpu % 64) & 1 == 1;
    (0..WORDS as u64 * 64).filter(bit).collect()
}

/// The processors of the child's threads; empty if there are fewer than threads, or only one.
pub(super) fn processors(allowed: &[u64], threads: usize, first: Option<usize>) -> Vec<u64> {
    if allowed.len() < threads.max(2) {
        return vec![];
    }
    let first = first.unwrap_or(allowed.len() - threads);
    (first..first + threads).map(|index| allowed[index % allowed.len()]).collect()
}

/// While it lives, this thread keeps off some processors; then it may use all again that it could before.
#[derive(Debug)]
pub(super) struct KeepOff(Option<Mask>);

impl KeepOff {
    pub(super) fn new(cpus: &[u64]) -> Self {
        let Some(before) = mask() else { return Self(None) };
        let mut rest = before;
        for cpu in cpus {
            rest[*cpu as usize / 64] &= !(1 << (cpu % 64));
        }
        let changed = rest != before && rest != [0; WORDS] && set_mask(&rest);
        Self(changed.then_some(before))
    }
}

impl Drop for KeepOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            set_mask(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_off_ends_with_the_guard() {
        let before = allowed();
        assert!(!before.is_empty());
        let guard = KeepOff::new(&before[..1]);
        let during = allowed();
        drop(guard);
        assert_eq!(allowed(), before);
        if before.len() > 1 {
            assert_eq!(during, before[1..]);
        } else {
            assert_eq!(during, before, "the only processor is never given up");
        }
    }
}
