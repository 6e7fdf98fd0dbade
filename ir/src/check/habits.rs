//! Names of other languages' functions and values, and what to write here.
//!
//! Invariant: an answer is right in this language. A name that the language or its library has never gets here.

/// Functions of other languages.
const FUNCTIONS: &[(&str, &str)] = &[
    ("maximum fmax fmaxf", "write `max(x, y)`"),
    ("minimum fmin fminf", "write `min(x, y)`"),
    ("amax reduce_max", "write `max[axis](x)`"),
    ("amin reduce_min", "write `min[axis](x)`"),
    ("fabs absolute", "write `abs(x)`"),
    ("expf", "write `exp(x)`"),
    ("sqrtf", "write `sqrt(x)`"),
    ("ln logf", "write `log(x)`, the natural logarithm"),
    ("log10", "write `log(x) * 0.4342944819032518`"),
    ("log1p", "write `log(1 + x)`"),
    ("expm1", "write `exp(x) - 1`"),
    ("power powf", "write `pow(x, y)`"),
    ("square", "write `x * x`"),
    ("cbrt", "write `pow(x, 1 / 3)`, for x of at least 0"),
    ("reciprocal", "write `recip(x)`"),
    ("clip clamp", "write `min(max(x, low), high)`"),
    ("ceil", "write `-floor(-x)`"),
    ("trunc fix", "write `where(x < 0, -floor(-x), floor(x))`"),
    ("rint nearbyint", "write `round(x)`, which rounds halves to even"),
    ("sign sgn", "write `where(x > 0, 1, where(x < 0, -1, 0))`"),
    ("mod fmod remainder", "write `x - floor(x / y) * y`"),
    ("tan", "write `sin(x) / cos(x)`"),
    ("fma", "write `x * y + z`"),
    ("avg average", "write `mean[axis](x)`"),
    ("prod reduce_prod", "write `product[axis](x)`"),
    ("reduce_sum", "write `sum[axis](x)`"),
    ("var", "write `variance[axis](x)`"),
    ("std stddev", "write `sqrt(variance[axis](x))`"),
    ("norm", "write `sqrt(sum[axis](x * x))`"),
    ("select ifelse cond", "write `where(condition, x, y)`"),
    ("masked_fill", "write `where(condition, value, x)`"),
    ("isnan", "write `x != x`"),
    ("isinf", "write `abs(x) == inf`"),
    (
        "matmul mm bmm dot einsum tensordot inner",
        "write `sum[k](A * B)`: a sum over the axis that both have",
    ),
    ("outer", "write `x * y`: values over different axes broadcast"),
    (
        "transpose permute swapaxes moveaxis",
        "nothing is transposed: axes are matched by name, whatever their order",
    ),
    (
        "broadcast broadcast_to expand unsqueeze expand_dims",
        "values broadcast along the axes that they lack",
    ),
    (
        "gather take index_select embedding lookup",
        "write subscripts, `table[ids,d]`: one for each axis, and the name of an axis that stays",
    ),
    (
        "reshape view flatten",
        "an axis is split in the `where` clause, `where k = outer*128 + inner`",
    ),
    ("zeros zeros_like", "write `0`, which broadcasts"),
    ("ones ones_like", "write `1`, which broadcasts"),
    ("full", "write the number, which broadcasts"),
    ("arange iota range", "the index along an axis is its name, `i`"),
    ("tril", "write `where(j <= i, x, 0)`"),
    ("triu", "write `where(j >= i, x, 0)`"),
    ("swish", "write `silu(x)`"),
    ("logistic expit", "write `sigmoid(x)`"),
    ("layer_norm", "write `layernorm[axis](x, gain, bias, eps)`"),
    ("rms_norm", "write `rmsnorm[axis](x, gain, eps)`"),
    ("int float double half", "a cast is written `x : f32`"),
    ("size shape", "the extent of an axis is `len(i)`"),
];

/// Values of other languages.
const VALUES: &[(&str, &str)] = &[
    ("INFINITY Infinity Inf INF infinity", "write `inf`"),
    ("NaN NAN", "write `nan`"),
    ("True TRUE", "write `true`"),
    ("False FALSE", "write `false`"),
    ("pi PI M_PI", "write `3.141592653589793`"),
    ("e E", "write `2.718281828459045`"),
    ("None null", "every value has an element at every index: leave it out"),
];

fn row(table: &[(&str, &'static str)], name: &str) -> Option<String> {
    let found = table.iter().find(|(names, _)| names.split(' ').any(|known| known == name));
    found.map(|(_, help)| (*help).to_string())
}

/// What to write instead of a function of another language.
pub(super) fn function(name: &str) -> Option<String> {
    row(FUNCTIONS, name)
}

/// What to write instead of a value of another language.
pub(super) fn value(name: &str) -> Option<String> {
    row(VALUES, name)
}

/// `one of x, y, z`; a long list is cut.
pub(super) fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN_MAX: usize = 8;
    let mut names = names;
    let list: Vec<_> = names.by_ref().take(SHOWN_MAX).collect();
    let count = list.len() + names.count();
    let list = list.join(", ");
    match count {
        0 => "none, for there is none".to_string(),
        _ if count > SHOWN_MAX => format!("one of {list} and {} more", count - SHOWN_MAX),
        1 => format!("`{list}`"),
        _ => format!("one of {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::library::{Functions, is_operation};
    use super::*;
    use crate::diag::to_text;

    #[test]
    fn no_row_hides_a_name_of_the_language() {
        let library = Functions::library();
        for (names, _) in FUNCTIONS {
            for name in names.split(' ') {
                assert!(!is_operation(name) && library.find(name).is_none(), "{name}");
            }
        }
    }

    /// What a row tells to write is right where x, y and the other names are values.
    #[test]
    fn what_is_advised_is_accepted() {
        let mut tried = 0;
        for (names, help) in FUNCTIONS.iter().chain(VALUES) {
            let Some(code) = help.split('`').nth(1).filter(|_| help.starts_with("write `")) else {
                continue;
            };
            let code = code.replace("[axis]", "[k]");
            let text = format!(
                "kernel f(x: f32[i,j,k], y: f32[i,j,k], z: f32[i], A: f32[k], B: f32[k], low: f32[i], high: f32[i], \
                 value: f32[i], gain: f32[i], bias: f32[i], eps: f32[i], c: i32[i]) -> f32[i,j,k] {{\n  \
                 condition = c == 1\n  a = {code}\n  x\n}}\n"
            );
            let fault = |faults: Vec<_>| panic!("{names}: {}", to_text("advice", &text, &faults));
            crate::check::check(&text).map_err(fault).expect("no fault");
            tried += 1;
        }
        assert!(tried > 40, "{tried}");
    }
}
