//! How many additions may stand in a row.
//!
//! Equal terms round with one sign, so a chain of L additions is off by up to L / 4 in units of u A (worst value out
//! of 20,000 for each L), while the bound for K terms allows 16 + sqrt(K). A sum is therefore cut into chains, and
//! the partial sums into chains again. Invariant: no chain is longer than `chain_terms_max`.

/// Chains that no sum needs to be longer than.
const CHAIN_TERMS: u64 = 1024;

/// The longest chain of additions in a sum of `terms` terms: 4 (16 + sqrt(K)), at most 1,024.
pub fn chain_terms_max(terms: u64) -> u64 {
    (64 + 4 * terms.isqrt()).min(CHAIN_TERMS)
}

#[cfg(test)]
mod tests {
    use super::chain_terms_max;

    #[test]
    fn chains_grow_with_the_root_of_the_sum() {
        assert_eq!(chain_terms_max(64), 96);
        assert_eq!(chain_terms_max(1024), 192);
        assert_eq!(chain_terms_max(1 << 40), 1024);
    }
}
