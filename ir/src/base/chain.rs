//! How many additions may stand in a row.
//!
//! Equal terms round with one sign, so a chain of L additions is off by up to L / 4 in units of u A (worst value out
//! of 20,000 for each L), while the bound for K terms allows 16 + sqrt(K). A sum is therefore cut into chains, and
//! the partial sums into chains again. Invariant: no chain is longer than `chain_terms_max`.

/// Chains that no sum of up to 2^18 terms needs to be longer than.
const CHAIN_TERMS: u64 = 1024;

/// The longest chain of additions in a sum of `terms` terms: 4 (16 + sqrt(K)), at most 1,024 or 2 sqrt(K).
///
/// With 2 sqrt(K) a power of two above sqrt(K) is always allowed, so two levels of chains reach every K, and both
/// together stay below the bound: (2 + 1) sqrt(K) / 4.
pub fn chain_terms_max(terms: u64) -> u64 {
    let root = terms.isqrt();
    (64 + 4 * root).min(CHAIN_TERMS.max(2 * root))
}

#[cfg(test)]
mod tests {
    use super::chain_terms_max;

    #[test]
    fn chains_grow_with_the_root_of_the_sum() {
        assert_eq!(chain_terms_max(64), 96);
        assert_eq!(chain_terms_max(1024), 192);
        assert_eq!(chain_terms_max(1 << 18), 1024);
        assert_eq!(chain_terms_max(1 << 40), 1 << 21);
    }

    #[test]
    fn two_levels_of_chains_reach_every_sum() {
        for terms in (0..31).map(|power| 1_u64 << power).chain([10_000_000, (1 << 31) - 1]) {
            let most = chain_terms_max(terms);
            let block = 1 << most.ilog2();
            assert!(terms.div_ceil(block) <= most, "{terms} terms in chains of {block}");
        }
    }
}
