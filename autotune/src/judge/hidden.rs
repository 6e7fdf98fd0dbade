//! Sizes at which a kernel of ours is judged beside the one that it was tuned for.
//!
//! A schedule that is right at its size alone has learned the size: its rests, its empty loops and its last blocks may
//! all be wrong. Each set is to be compiled anew with the schedule where that is legal, and then to be right, or to be
//! refused with a code. Invariant: no set is the tuned one, and none is much larger.

use tilewright_ir::base::Sizes;

/// One less, one more, primes above, one of everything, and each axis alone with one element and with none.
pub fn hidden_sizes(tuned: &Sizes) -> Vec<Sizes> {
    let all = |change: &dyn Fn(u64) -> u64| -> Sizes {
        tuned.iter().map(|(axis, &extent)| (axis.clone(), change(extent))).collect()
    };
    let alone = |extent: u64| {
        tuned.keys().map(move |axis| {
            let mut sizes = tuned.clone();
            sizes.insert(axis.clone(), extent);
            sizes
        })
    };
    let whole = [
        all(&|extent| extent.saturating_sub(1)),
        all(&|extent| extent + 1),
        all(&prime_above),
        all(&|_| 1),
    ];
    let mut sets: Vec<Sizes> = vec![];
    for set in whole.into_iter().chain(alone(1)).chain(alone(0)) {
        if set != *tuned && !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

fn prime_above(extent: u64) -> u64 {
    let is_prime = |number: &u64| {
        *number > 1
            && (2..)
                .take_while(|part| part * part <= *number)
                .all(|part| !number.is_multiple_of(part))
    };
    (extent + 1..).find(is_prime).unwrap_or(extent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(extents: [u64; 2]) -> Sizes {
        ["m", "n"].into_iter().map(String::from).zip(extents).collect()
    }

    #[test]
    fn every_kind_of_size_is_there_once() {
        let wanted = [[15, 0], [17, 2], [17, 2], [1, 1], [1, 1], [16, 1], [0, 1], [16, 0]];
        let mut expected: Vec<Sizes> = vec![];
        for set in wanted.map(sizes) {
            if set != sizes([16, 1]) && !expected.contains(&set) {
                expected.push(set);
            }
        }
        assert_eq!(hidden_sizes(&sizes([16, 1])), expected);
        assert_eq!(prime_above(1024), 1031);
    }
}
