//! Makes a diagnostic whole: what was found, what was expected, one way out.
//!
//! The place that reports a fault says what it knows; what it leaves open follows from the code and from the text at
//! the place. Invariant: what a report says itself is never replaced.

use super::Diagnostic;
use crate::syntax::short;

/// For a code: what was expected, and one way out.
const USUAL: &[(&str, &str, &str)] = &[
    ("TW0101", "a symbol of the language", "remove it"),
    ("TW0103", "a number in digits", "write the number out, as in `64` or `1.5e-3`"),
    ("TW0104", "a smaller expression", "give parts of it names on lines of their own"),
    ("TW0105", "a closing bracket", "close it, or remove it"),
    ("TW0109", "one comparison", "write `a < b && b < c`"),
    ("TW0110", "a kernel", "write one, as in `kernel double(x: f32[i]) -> f32[i] { x + x }`"),
    ("TW0201", "a name that is known here", "define it on a line before, or correct its spelling"),
    ("TW0202", "a name that is not taken", "choose another name"),
    (
        "TW0203",
        "as many as its definition has",
        "leave out what is too much, or add what is missing",
    ),
    ("TW0204", "the name of an element type", "write one of the types, such as `f32`"),
    ("TW0205", "a value of another type", "cast it, `x : f32`, or compare it, `x != 0`"),
    ("TW0206", "a number that the type holds", "cast the other operand to a wider type, `x : f32`"),
    ("TW0207", "a value over that axis", "leave the axis out"),
    (
        "TW0208",
        "a value over the axes of the output",
        "remove the axis by a reduction, or add it to the output",
    ),
    (
        "TW0209",
        "a call of a function that does not lead back to it",
        "functions are inlined: write out what repeats",
    ),
    ("TW0210", "a name of another kind", "use the name as what it is, or choose another"),
    ("TW0211", "one result for each output", "write the results in parentheses, `(x, y)`"),
    ("TW0212", "each axis once", "give each axis a name of its own"),
    ("TW0213", "fewer axes", "make one axis of those that always stand together"),
    ("TW0214", "a smaller kernel", "give what repeats a name, or make several kernels of it"),
    ("TW0215", "an attribute of the language", "remove it, or write one that is expected"),
    ("TW0216", "numbers and constants", "write the number itself"),
    ("TW0217", "`outer*128 + inner`", "write the split as `k = outer*128 + inner`"),
    ("TW0218", "parts that only this split has", "give the parts of each split names of their own"),
    ("TW0219", "one stride for each axis", "leave the strides out for a row-major tensor"),
    ("TW0221", "one subscript for each axis", "name the axes that stay as they are"),
    ("TW0222", "a finite number", "correct it; infinity is written `inf`"),
    ("TW0231", "a use of it", "remove it, or let its name begin with `_`"),
    ("TW0232", "a use of it", "remove it, or let its name begin with `_`"),
    ("TW0233", "a use of it", "remove it, or let its name begin with `_`"),
    (
        "TW0234",
        "a result that varies over it",
        "remove the axis from the output, or let its name begin with `_`",
    ),
    ("TW0235", "a limit that some extent is not within", "remove it, or correct it"),
    ("TW0301", "an extent for each axis", "add it to the size set"),
    ("TW0302", "an axis of the kernel", "remove it, or correct its spelling"),
    ("TW0303", "a smaller tensor", "make one of its axes shorter"),
    ("TW0304", "a shorter axis", "make the axis shorter, or split it into two"),
    (
        "TW0305",
        "an extent that the kernel allows",
        "choose an extent within the limits of the `where` clause",
    ),
    (
        "TW0306",
        "a kernel before the size set",
        "put it after its kernel, or name it: `sizes small for f { .. }`",
    ),
    ("TW0307", "each axis and each name once", "remove one of the two"),
    (
        "TW0308",
        "extents that fit the split",
        "choose extents that fit the split, or leave some out",
    ),
    ("TW0309", "a shorter reach", "choose smaller strides or extents"),
    (
        "TW0401",
        "the kernel's own name",
        "write the kernel's name, or take the schedule of this kernel",
    ),
    ("TW0402", "a choice of this kernel", "`tilewright space FILE` lists the choices of a kernel"),
    ("TW0403", "each choice once", "remove one of the two"),
    ("TW0404", "a legal value", "write a legal value, or leave the line out for the default"),
    ("TW0405", "a legal value", "write a legal value, or leave the line out for the default"),
    ("TW0406", "a program that fits into the memory", "make steps smaller, or fuse fewer passes"),
    ("TW0501", "a character of a schedule", "remove it"),
    ("TW0505", "a number that the type holds", "write a smaller number"),
];

impl Diagnostic {
    /// The same diagnostic with what its report left open, for a text with this source.
    #[must_use]
    pub fn whole(mut self, source: &str) -> Self {
        let usual = USUAL.iter().find(|(code, ..)| *code == self.code);
        if let Some((_, expected, help)) = usual {
            self.expected.get_or_insert_with(|| (*expected).to_string());
            self.help.get_or_insert_with(|| (*help).to_string());
        }
        if let ("TW0102" | "TW0502", None, Some(expected)) = (self.code, &self.help, &self.expected)
        {
            self.help = Some(format!("write {expected} here"));
        }
        let place = self.span.map(|span| span.start as usize..span.end as usize);
        let text = place.and_then(|place| source.get(place)).filter(|text| !text.is_empty());
        if let (None, Some(text)) = (&self.found, text) {
            self.found = Some(format!("`{}`", short(text)));
        }
        let parts = [&mut self.found, &mut self.expected, &mut self.help];
        parts.into_iter().flatten().for_each(brief);
        self.labels.iter_mut().for_each(|label| brief(&mut label.text));
        brief(&mut self.message);
        self
    }
}

/// The longest part of a message in bytes.
const PART_BYTES_MAX: usize = 400;
/// The longest name that is shown whole.
const WORD_BYTES_MAX: usize = 64;

/// Cuts long names, and what is long all the same.
fn brief(text: &mut String) {
    if text.len() <= WORD_BYTES_MAX {
        return;
    }
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut cut = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() && cut.len() < PART_BYTES_MAX {
        let word = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let end = rest[word..].find(is_word).map_or(rest.len(), |other| word + other);
        cut.push_str(&if word > WORD_BYTES_MAX {
            short(&rest[..word])
        } else {
            rest[..word].to_string()
        });
        cut.push_str(&rest[word..end]);
        rest = &rest[end..];
    }
    if cut.len() > PART_BYTES_MAX {
        let end = (0..=PART_BYTES_MAX).rev().find(|&end| cut.is_char_boundary(end)).unwrap_or(0);
        cut.truncate(end);
    }
    if !rest.is_empty() || cut.len() >= PART_BYTES_MAX {
        cut.push_str("..");
    }
    *text = cut;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Span, code};

    #[test]
    fn the_rows_are_codes_in_order() {
        assert!(USUAL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(USUAL.iter().all(|(code, ..)| code::meaning(code).is_some()));
    }

    #[test]
    fn what_is_said_stays() {
        let fault = Diagnostic::new("TW0201", "no").at(Span { start: 2, end: 3 });
        let whole = fault.clone().help("this way").whole("a bcd");
        assert_eq!(whole.found.as_deref(), Some("`b`"));
        assert_eq!(whole.help.as_deref(), Some("this way"));
        assert!(whole.expected.is_some());
        assert_eq!(fault.whole("").found, None);
    }
}
