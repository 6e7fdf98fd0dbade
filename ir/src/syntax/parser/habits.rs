//! What people write out of habit from other languages, and what to write here instead.
//!
//! The parser asks for a way out after it has found a token that cannot stand where it does. The tables are looked
//! through in order: characters that look like others, members, symbols, words, and last the place itself.
//! Invariant: an answer is a way out that is right in this language, or there is none.

use super::super::lexer::TokenKind;
use crate::base::DType;

/// A token that cannot stand here, and its surroundings.
pub(super) struct Glimpse<'a> {
    /// The texts of the two tokens before it, the nearest first.
    pub(super) before: [&'a str; 2],
    pub(super) kind: TokenKind,
    pub(super) found: &'a str,
    pub(super) after: &'a str,
    /// Whether it begins a line.
    pub(super) starts_line: bool,
    pub(super) expected: &'a str,
}

/// Characters that look like others.
const LOOKALIKES: &[(&str, &str)] = &[
    ("\u{2212}\u{2013}\u{2014}\u{2010}\u{2011}\u{ff0d}", "-"),
    ("\u{d7}\u{22c5}\u{b7}\u{2217}\u{ff0a}\u{2022}", "*"),
    ("\u{f7}\u{2215}\u{2044}\u{ff0f}", "/"),
    ("\u{2264}\u{2a7d}", "<="),
    ("\u{2265}\u{2a7e}", ">="),
    ("\u{2260}", "!="),
    ("\u{2192}\u{21d2}\u{27f6}", "->"),
    ("\u{ff08}", "("),
    ("\u{ff09}", ")"),
    ("\u{ff3b}", "["),
    ("\u{ff3d}", "]"),
    ("\u{ff5b}", "{"),
    ("\u{ff5d}", "}"),
    ("\u{ff0c}\u{3001}", ","),
    ("\u{ff1a}", ":"),
    ("\u{ff1b}", ";"),
    ("\u{ff1d}", "="),
    ("\u{ff0b}", "+"),
    ("\u{2227}", "&&"),
    ("\u{2228}", "||"),
    ("\u{ac}", "!"),
    ("\u{221e}", "inf"),
    ("\u{2211}", "sum[axis](x)"),
    ("\u{220f}", "product[axis](x)"),
    ("\u{221a}", "sqrt(x)"),
    ("\u{b2}", "x * x"),
    ("\u{3c0}", "3.141592653589793"),
];

/// Letters of other alphabets with the ASCII letters that they look like, one by one.
const LETTERS: (&str, &str) = (
    "\u{430}\u{435}\u{43e}\u{440}\u{441}\u{445}\u{443}\u{456}\u{458}\u{455}\u{410}\u{412}\u{415}\u{41a}\u{41c}\u{41d}\
     \u{41e}\u{420}\u{421}\u{422}\u{425}\u{391}\u{392}\u{395}\u{396}\u{397}\u{399}\u{39a}\u{39c}\u{39d}\u{39f}\u{3a1}\
     \u{3a4}\u{3a5}\u{3a7}\u{3bf}\u{3bd}",
    "aeopcxyijsABEKMHOPCTXABEZHIKMNOPTYXov",
);

/// Symbols of other languages.
const SYMBOLS: &[(&str, &str)] = &[
    ("**", "a power is `pow(x, y)`"),
    ("^", "a power is `pow(x, y)`"),
    ("//", "a comment starts with `#`; a quotient is rounded down by `floor(x / y)`"),
    ("%", "a remainder is `x - floor(x / y) * y`"),
    ("@", "a matrix product is a sum over the axis that both have, `sum[k](A * B)`"),
    ("&", "logical and is `&&`"),
    ("|", "logical or is `||`"),
    ("~", "logical not is `!`"),
    ("?", "a choice is `where(condition, x, y)`"),
    ("\"", "there are no strings; names stand without quotes"),
    ("'", "there are no strings; names stand without quotes"),
    ("\\", "an expression goes on in the next line after an operator or inside brackets"),
    ("$", "names are made of letters, digits and `_`"),
];

/// Words that stand before the found token and belong to another language.
const WORDS_BEFORE: &[(&str, &str)] = &[
    ("let", "a value is defined by its name alone, `y = x + 1`"),
    ("var", "a value is defined by its name alone, `y = x + 1`"),
    ("const", "a value is defined by its name alone, `y = x + 1`"),
    ("return", "the result is the last line of the body: write it without a word before it"),
    (
        "for",
        "there are no loops: an expression holds at every index of its axes, and `sum[j](x)` runs over one",
    ),
    (
        "while",
        "there are no loops: an expression holds at every index of its axes, and `sum[j](x)` runs over one",
    ),
    ("if", "a choice is `where(condition, x, y)`"),
    ("not", "logical not is `!x`"),
    ("lambda", "a function is `fn name(x) { .. }`, outside of the kernel"),
];

/// Words that are the found token.
const WORDS: &[(&str, &str)] = &[
    ("and", "logical and is `&&`"),
    ("or", "logical or is `||`"),
    ("not", "logical not is `!x`"),
    ("if", "a choice is `where(condition, x, y)`"),
    ("else", "a choice is `where(condition, x, y)`"),
    ("as", "a cast is `x : f32`"),
    ("in", "a condition on an index is a comparison, `0 <= i && i < 4`"),
];

/// Words with which other languages begin what stands at the outermost level.
const ITEMS: &[(&str, &str)] = &[
    (
        "def",
        "a kernel is `kernel name(x: f32[i]) -> f32[i] { .. }`, a function `fn name(x) { .. }`",
    ),
    ("func", "a function is `fn name(x) { .. }`"),
    ("function", "a function is `fn name(x) { .. }`"),
    ("void", "a kernel is `kernel name(x: f32[i]) -> f32[i] { .. }`"),
    ("__global__", "a kernel is `kernel name(x: f32[i]) -> f32[i] { .. }`"),
    ("import", "there is nothing to import: the library's functions are known everywhere"),
    ("use", "there is nothing to import: the library's functions are known everywhere"),
    ("from", "there is nothing to import: the library's functions are known everywhere"),
    ("schedule", "a schedule stands in a file of its own, which `run --schedule FILE` takes"),
    ("size", "extents are given by `sizes name { i=64 }`"),
    ("/", "a comment starts with `#` and ends with the line"),
    ("//", "a comment starts with `#`"),
    ("}", "this brace closes nothing: remove it, or the one before it"),
    (")", "this bracket closes nothing: remove it"),
];

/// Names of element types in other languages.
const TYPES: &[(&str, &str)] = &[
    ("float32 float single fp32 float32_t", "f32"),
    ("float64 double fp64", "f64"),
    ("float16 half fp16", "f16"),
    ("bfloat16 bfloat", "bf16"),
    ("int32 int int32_t", "i32"),
    ("int16 short int16_t", "i16"),
    ("int8 char int8_t", "i8"),
    ("uint8 byte uchar uint8_t", "u8"),
    ("int4", "i4"),
    ("boolean bool_ i1", "bool"),
];

/// Modules of other languages whose functions people know.
const MODULES: [&str; 9] = ["np", "numpy", "torch", "math", "jnp", "tl", "tf", "F", "nn"];

/// A way out for a token that cannot stand here.
pub(super) fn way_out(glimpse: &Glimpse<'_>) -> Option<String> {
    let known = character(glimpse.found)
        .or_else(|| member(glimpse))
        .or_else(|| item(glimpse))
        .or_else(|| assignment(glimpse))
        .or_else(|| slice(glimpse));
    known.or_else(|| {
        let word = row(WORDS, glimpse.found).or(row(WORDS_BEFORE, glimpse.before[0]));
        word.or(row(SYMBOLS, glimpse.found)).map(str::to_string).or_else(|| place(glimpse))
    })
}

fn row(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == word).map(|(_, help)| *help)
}

/// The type that a name of another language means.
pub(super) fn type_spelling(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let spelt = TYPES.iter().find(|(names, _)| names.split(' ').any(|known| known == lower));
    if let Some((_, dtype)) = spelt {
        return Some(format!("write `{dtype}`"));
    }
    if DType::parse(&lower).is_some() {
        return Some(format!("write `{lower}`"));
    }
    match lower.as_str() {
        "i64" | "int64" | "long" | "u64" | "uint64" | "u32" | "uint32" | "u16" | "uint16"
        | "size_t" => Some("the widest integer is `i32`".to_string()),
        "f8" | "fp8" | "e4m3" | "e5m2" => {
            Some("the narrowest floats are `f16` and `bf16`".to_string())
        }
        _ => None,
    }
}

/// The name of a character that is not ASCII: `U+2212`.
pub(super) fn code_point(text: &str) -> Option<String> {
    let foreign = text.chars().next().filter(|char| !char.is_ascii())?;
    Some(format!("U+{:04X}", u32::from(foreign)))
}

fn character(found: &str) -> Option<String> {
    let foreign = found.chars().next()?;
    if foreign == '\r' {
        return Some(
            "end lines with a line feed, or a carriage return and a line feed".to_string(),
        );
    }
    if foreign.is_ascii() {
        return None;
    }
    if foreign.is_whitespace()
        || ('\u{200b}'..='\u{200f}').contains(&foreign)
        || foreign == '\u{feff}'
    {
        return Some("write an ordinary space, or nothing".to_string());
    }
    if ('\u{2018}'..='\u{201f}').contains(&foreign) {
        return row(SYMBOLS, "\"").map(str::to_string);
    }
    if let Some((_, ascii)) = LOOKALIKES.iter().find(|(alike, _)| alike.contains(foreign)) {
        return Some(format!("write `{ascii}`"));
    }
    let alike = LETTERS.0.chars().zip(LETTERS.1.chars()).find(|(letter, _)| *letter == foreign);
    Some(match alike {
        Some((_, ascii)) => {
            format!("this letter only looks like `{ascii}`: write the one of the keyboard")
        }
        None => "names are made of the letters a to z and A to Z, digits and `_`".to_string(),
    })
}

/// A dot: methods, modules, numbers.
fn member(glimpse: &Glimpse<'_>) -> Option<String> {
    if glimpse.found != "." {
        return None;
    }
    let (object, name) = (glimpse.before[0], glimpse.after);
    let digits = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    Some(match name {
        _ if digits(name) => format!("write `0.{name}`"),
        _ if digits(object) => format!("write `{object}.0`"),
        "T" | "transpose" | "mT" | "permute" => format!(
            "axes are matched by name, so nothing needs to be transposed: write `{object}`, and the order of the axes of \
             the result in the signature"
        ),
        "shape" | "size" | "len" => "the extent of axis `i` is `len(i)`".to_string(),
        "astype" | "to" | "float" | "half" | "type" => format!("a cast is `{object} : f32`"),
        "reshape" | "view" | "flatten" => {
            "axes have names; an axis is split in the `where` clause".to_string()
        }
        _ if MODULES.contains(&object) => {
            format!("functions stand without a module: write `{name}`")
        }
        "sum" | "mean" | "max" | "min" | "prod" | "argmax" | "softmax" => {
            let name = if name == "prod" { "product" } else { name };
            format!("there are no methods: write `{name}[axis]({object})`")
        }
        _ => format!("there are no methods or fields: write `{name}({object})`"),
    })
}

fn item(glimpse: &Glimpse<'_>) -> Option<String> {
    if glimpse.expected != super::item::ITEM_EXPECTED {
        return None;
    }
    row(ITEMS, glimpse.found).map(str::to_string)
}

fn assignment(glimpse: &Glimpse<'_>) -> Option<String> {
    if glimpse.found == ":" && glimpse.expected == "`=`" {
        return Some(format!("write `{}=`", glimpse.before[0]));
    }
    if glimpse.found != "=" {
        return None;
    }
    Some(match glimpse.before {
        ["axis" | "axes" | "dim" | "dims", _] => {
            "the axes of a reduction stand in brackets after its name, `sum[k](x)`".to_string()
        }
        ["+" | "-" | "*" | "/", name] => {
            format!("a value does not change: define another one, `{name}2 = {name} ..`")
        }
        _ if glimpse.after == ">" => "write `->`".to_string(),
        _ => "equality is `==`; only a line of its own defines a name".to_string(),
    })
}

/// A colon inside the brackets of a tensor.
fn slice(glimpse: &Glimpse<'_>) -> Option<String> {
    let inside = ["[", ","].contains(&glimpse.before[0]) || glimpse.expected == "`,` or `]`";
    (glimpse.found == ":" && inside && glimpse.expected != "`:` and the type of the tensor").then(|| {
        "there are no slices: a name alone is the whole value, and a subscript stands for each axis, `A[i, 0]`; the axis \
         itself leaves it whole"
            .to_string()
    })
}

/// What the place itself asks for.
fn place(glimpse: &Glimpse<'_>) -> Option<String> {
    let Glimpse { kind, found, before: [before, _], expected, .. } = *glimpse;
    let begins = matches!(kind, TokenKind::Name | TokenKind::Number | TokenKind::LeftParen);
    Some(match expected {
        "`->` and the output" => match kind {
            TokenKind::LeftBrace => {
                "name the type and the axes of the result, `-> f32[i,j]`".to_string()
            }
            TokenKind::Colon => "write `->`".to_string(),
            _ => format!("put `->` before `{found}`"),
        },
        "`:` and the type of the tensor" => match kind {
            TokenKind::LeftBracket => format!("write `{before}: f32[..]`"),
            _ => format!("write `{before}: {found}`"),
        },
        "`{` and the body" if kind == TokenKind::Arrow => {
            "a function states no type for its result".to_string()
        }
        "`{` and the body" => "a body stands in braces, `{ .. }`".to_string(),
        "`(` and the inputs" if matches!(kind, TokenKind::Minus) => {
            "names are made of letters, digits and `_`".to_string()
        }
        "the name of an axis" if kind == TokenKind::Number => {
            "axes have names, `f32[i,j]`; their extents are given by `sizes name { i=64, j=32 }`"
                .to_string()
        }
        "`(` and the parameters" => {
            "the parameters stand in brackets, `fn name(x, y) { .. }`".to_string()
        }
        "the name of the size set" => "name it, `sizes small { i=64 }`".to_string(),
        "an extent" if kind == TokenKind::Minus => "an extent is 0 or more".to_string(),
        "`,` or `)`" if kind == TokenKind::Colon => {
            "the parameters of a function have no types: they take those of the arguments"
                .to_string()
        }
        _ if begins && expected.starts_with("`,` or") => format!("put `,` before `{found}`"),
        "an operator, or the end of the statement" => match kind {
            TokenKind::RightParen | TokenKind::RightBracket => {
                format!("this `{found}` closes nothing: remove it, or open it before")
            }
            _ if begins => {
                format!("put an operator between `{before}` and `{found}`, or begin a new line")
            }
            _ => return None,
        },
        "an expression"
            if glimpse.starts_line
                && matches!(kind, TokenKind::Plus | TokenKind::Star | TokenKind::Slash) =>
        {
            format!("a line ends its statement: put the `{found}` at the end of the line before")
        }
        _ => return None,
    })
}
