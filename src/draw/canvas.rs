//! The SVG writer: boxes, texts and curves in whole pixels.
//!
//! The page has a background of its own, so that it looks the same on light and on dark ones. Invariant: whatever the
//! texts, the result is one well-formed XML document.

use std::fmt::Write as _;

/// Around everything.
pub(super) const MARGIN: i64 = 24;
/// From one line of text to the next.
pub(super) const LINE: i64 = 18;

const STYLE: &str = "\
.page{fill:#fdfdfb;stroke:#d5d3cb}\
text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#23272e}\
.title{font-size:18px;font-weight:bold}\
.head{font-weight:bold}\
.soft{fill:#66707c}\
.carry{fill:#8a3d00;font-weight:bold}\
.memory{fill:#a02020}\
.light{fill:#fff;font-weight:bold}\
.card{fill:#fff;stroke:#7b8794;stroke-width:1.3}\
.input{fill:#e3edf9;stroke:#4a78b5;stroke-width:1.3}\
.output{fill:#e2f2e4;stroke:#3f8f4d;stroke-width:1.3}\
.frame{fill:#f2f3f5;stroke:#9aa3ae;stroke-width:1.3}\
.stream{fill:#fff3df;stroke:#d98a1f;stroke-width:2.4}\
.tab{fill:#d98a1f}\
.tab2{fill:#7b8794}\
.carried{fill:#ffe2b3}\
.chosen{fill:#ffd994;stroke:#d98a1f;stroke-width:2}\
.written{fill:#e3edf9;stroke:#4a78b5;stroke-width:1.3}\
.other{fill:#fff;stroke:#b8bfc7}\
.class{fill:#f7f7f5;stroke:#b8bfc7;stroke-dasharray:4 3}\
.wire{fill:none;stroke:#66707c;stroke-width:1.5}\
.thick{fill:none;stroke:#a02020;stroke-width:2.6}\
.strong{fill:none;stroke:#d98a1f;stroke-width:2.4}\
.faint{fill:none;stroke:#c6ccd2;stroke-width:1}\
.tip{fill:#66707c}\
.tip2{fill:#a02020}\
.grid{fill:none;stroke:#e4e3de}\
.line0{fill:none;stroke:#d98a1f;stroke-width:2.4}\
.line1{fill:none;stroke:#4a78b5;stroke-width:2.4}\
.dot0{fill:#d98a1f}\
.dot1{fill:#4a78b5}\
";

/// A picture under way; it grows to whatever is drawn.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
    width: i64,
    height: i64,
}

impl Canvas {
    /// A box with round corners.
    pub(super) fn rect(
        &mut self,
        (x, y): (i64, i64),
        (width, height): (i64, i64),
        class: &str,
        round: i64,
    ) {
        self.reach(x + width, y + height);
        self.put(&format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>"
        ));
    }

    /// A text whose baseline begins at a place.
    pub(super) fn text(&mut self, (x, y): (i64, i64), text: &str, class: &str) {
        self.reach(x + width(text, class), y);
        self.put(&format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
            escape(text)
        ));
    }

    /// A curve by its SVG path; it has to stay within what boxes and texts reach.
    pub(super) fn path(&mut self, path: &str, class: &str) {
        self.put(&format!("<path class=\"{class}\" d=\"{path}\"/>"));
    }

    /// A small arrow head that points down, or to the left, at a place.
    pub(super) fn tip(&mut self, (x, y): (i64, i64), to_left: bool, heavy: bool) {
        let path = match to_left {
            false => format!("M{x} {y}l-4 -8h8z"),
            true => format!("M{x} {y}l8 -4v8z"),
        };
        self.path(&path, if heavy { "tip2" } else { "tip" });
    }

    /// A round dot.
    pub(super) fn dot(&mut self, (x, y): (i64, i64), class: &str) {
        self.put(&format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"));
    }

    /// Makes room up to a place.
    pub(super) fn reach(&mut self, x: i64, y: i64) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        let (width, height) = (self.width + MARGIN, self.height + MARGIN);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n"
        );
        let (inner_width, inner_height) = (width - 2, height - 2);
        writeln!(
            out,
            "<rect class=\"page\" x=\"1\" y=\"1\" width=\"{inner_width}\" height=\"{inner_height}\" rx=\"12\"/>"
        )
        .expect("writing to a string does not fail");
        out.push_str(&self.body);
        out.push_str("</svg>\n");
        out
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// The width of a text in pixels, rounded up: fixed-width faces have letters of about three fifths of their size.
pub(super) fn width(text: &str, class: &str) -> i64 {
    // Ideographs and the like are twice as wide.
    let cells: usize = text.chars().map(|char| if char > '\u{2e7f}' { 2 } else { 1 }).sum();
    let cells = i64::try_from(cells).unwrap_or(i64::MAX / 1000);
    let tenths = if class.contains("title") { 112 } else { 80 };
    cells * tenths / 10 + 1
}

/// A text as XML shows it; characters that XML cannot have become the replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

/// A text cut to so many characters.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    match text.chars().count() <= chars_max {
        true => text.to_string(),
        false => text.chars().take(chars_max.saturating_sub(2)).collect::<String>() + " …",
    }
}
