//! The kernel catalogue: kernel texts with example sizes, for tests, benches, examples and first steps.
//!
//! A kernel is one `.tw` file beside this crate's manifest and one line here. The first size set of a file is the one
//! that is tuned by default: a real shape of moderate cost; the sets named `small*` are for tests.

/// A kernel of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The kernel's name, which is the file's name without `.tw`.
    pub name: &'static str,
    /// The text.
    pub source: &'static str,
    /// The file, relative to the crate.
    pub file: &'static str,
}

macro_rules! catalogue {
    ($($name:literal),* $(,)?) => {
        &[$(Entry {
            name: $name,
            source: include_str!(concat!("../", $name, ".tw")),
            file: concat!($name, ".tw"),
        }),*]
    };
}

/// Every kernel of the catalogue, in alphabetical order.
pub fn all() -> &'static [Entry] {
    catalogue![
        "attention",
        "attention_causal",
        "attention_gqa",
        "batched_matmul",
        "conv2d",
        "conv2d_stride2",
        "cumulative_sum",
        "decode_attention",
        "embedding",
        "group_norm",
        "layernorm",
        "linear_gelu",
        "log_softmax",
        "logsumexp",
        "matmul",
        "matmul_bf16",
        "matmul_f16",
        "matmul_i8",
        "matmul_w4a16",
        "matmul_w8a16",
        "moe_grouped_matmul",
        "paged_kv_attention",
        "rmsnorm",
        "rope",
        "sliding_window_attention",
        "softmax",
        "swiglu",
        "swiglu_mlp",
        "top1_routing",
    ]
}

/// The kernel of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_file_is_listed_in_order() {
        let entries = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> = names.filter(|name| name.ends_with(".tw")).collect();
        files.sort();
        let listed: Vec<_> = all().iter().map(|entry| entry.file).collect();
        assert_eq!(listed, files);
    }
}
