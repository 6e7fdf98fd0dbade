//! How many additions a term of a sum may pass through.
//!
//! Each addition may round by u times its result. In units of u A, A the sum of the magnitudes, a chain of L additions is off
//! by up to L / 4 for equal terms (worst value out of 20,000 for each L), and by L where small terms come behind a large one:
//! 1 + 2^-24 + 2^-24 + .. stays 1. The bound for K terms of one sign allows 16 + sqrt(K). So a sum is cut into chains, the sums of
//! chains into chains again, and those of blocks once more; what counts is how many additions a term passes through in
//! all of them together (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2).
//! Invariant: no term of a sum of K passes through more than `additions_max(K)` additions, so terms of one sign obey the bound
//! whatever they are, and terms of both signs where `additions_max` is at most 32.

/// The most additions that a term may pass through in a sum of `terms` terms: 16 + sqrt(K), what the bound allows.
pub fn additions_max(terms: u64) -> u64 {
    16 + terms.isqrt()
}

/// The terms of a block that one accumulator adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    terms: u64,
    /// Whether they run along several axes: then a piece of a cut chain may be little longer than half of what is asked for.
    several: bool,
    /// Additions of the accumulators that stand side by side, and of their lanes.
    across: u64,
}

impl Row {
    /// The row of a block of these lengths.
    pub fn new(lengths: impl IntoIterator<Item = u64>) -> Self {
        let lengths: Vec<u64> = lengths.into_iter().filter(|&length| length != 1).collect();
        let terms = lengths.iter().copied().fold(1, u64::saturating_mul);
        Self { terms, several: lengths.len() > 1, across: 0 }
    }

    /// The row where so many terms along an axis are added side by side, in vectors of so many lanes: all but the first
    /// accumulator are added to it, and its lanes in pairs.
    pub fn beside(self, side_by_side: u64, lanes: u64) -> Self {
        let lanes = lanes.clamp(1, side_by_side.max(1));
        let across = side_by_side.div_ceil(lanes).saturating_sub(1);
        Self { across: self.across + across + u64::from(lanes.next_power_of_two().ilog2()), ..self }
    }

    /// The additions that a term passes through where no more than `chain` stand in a row; 0: where the row is not cut.
    pub fn additions(self, chain: u64) -> u64 {
        self.across.saturating_add(match chain {
            0 => self.terms,
            _ if self.terms <= chain => self.terms,
            _ => chain.saturating_add(self.pieces(chain)),
        })
    }

    fn pieces(self, chain: u64) -> u64 {
        let shorter = if self.several { 2 } else { 1 };
        self.terms.saturating_mul(shorter).div_ceil(chain)
    }

    /// The fewest additions that a term can pass through.
    pub fn additions_min(self) -> u64 {
        let root = self.terms.isqrt().max(1);
        let near = [root, root + 1, root * 3 / 2, root * 3 / 2 + 1];
        let cut = near.into_iter().map(|chain| self.additions(chain)).min();
        cut.unwrap_or(self.terms).min(self.additions(0))
    }

    /// The longest chain such that no term passes through more than `most` additions, in units of `unit` where that is
    /// possible; 0 where the row need not be cut. Where nothing suffices, the chain of the fewest additions.
    pub fn chain_within(self, most: u64, unit: u64) -> u64 {
        if self.additions(0) <= most {
            return 0;
        }
        let fits = |chain: &u64| self.additions(*chain) <= most;
        let longest = (1..=most.min(self.terms)).rev().find(fits);
        let whole =
            longest.map(|chain| chain - chain % unit).filter(|&chain| chain > 0 && fits(&chain));
        whole.or(longest).unwrap_or_else(|| self.terms.isqrt().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, additions_max};

    #[test]
    fn the_sum_of_all_levels_counts() {
        let row = Row::new([256]);
        assert_eq!(row.additions(0), 256);
        assert_eq!(row.additions(32), 32 + 8);
        assert_eq!(Row::new([16, 16]).additions(32), 32 + 16);
        assert_eq!(Row::new([16]).beside(64, 16).additions(0), 16 + 3 + 4);
    }

    #[test]
    fn the_longest_chain_leaves_room() {
        let row = Row::new([256]);
        assert_eq!(row.chain_within(256, 8), 0);
        assert_eq!(row.chain_within(44, 8), 32);
        assert_eq!(row.chain_within(32, 8), 16);
        assert_eq!(row.chain_within(44, 1), 37);
        assert_eq!(row.chain_within(3, 8), 16);
    }

    #[test]
    fn four_blocks_are_always_few_enough() {
        for terms in (0..31).map(|power| 1_u64 << power).chain([10_000_000, (1 << 31) - 1]) {
            let row = Row::new([terms.div_ceil(4)]);
            assert!(row.additions_min() + 4 <= additions_max(terms), "{terms} terms");
        }
    }
}
