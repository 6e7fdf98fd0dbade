//! The parser of the tile text.
//!
//! ```text
//! tile NAME { extents m=512, ..  input A: f32[m, k]  output ..  device ..  choose NAME = VALUE  PHASE .. }
//! PHASE = phase NAME [threads(2)] { group BUFFER ..  grid [m by 64, ..] { STATEMENT .. } }
//! BUFFER = T: f32[m:64, n] [layout(panel(n:8))]            # or strides(1, 512), panel(n:8, k:2) groups(16); m:64 holds one block, n the whole extent
//! STATEMENT = let z [: f32[m, n]] = EXPR  |  stage BUFFER = EXPR MICRO  |  store T = EXPR MICRO
//!   | scan T = sum[k](EXPR) block(64) MICRO
//!   | for k [in i - 4..min(i + 1, 2 * m)] by 256, .. [carry c: f32[m, n] = 0 @group, ..] { STATEMENT ..  YIELD .. }
//! YIELD = yield c = EXPR MICRO  |  last c = EXPR           # one yield for each carry, after the statements
//! MICRO = [micro(m:6, n:8)] [vector(n)] [order(n, m)] [unroll(4)] [fetch(8)] [ahead(i:2)] [streaming] [rising] [chain(32)]
//! ```
//!
//! A place is `@group` or `@out(C)`. Line ends mean nothing and `#` begins a comment. Names of axes, buffers and
//! locals do not meet: a bare name in an expression is a local, `load A` a buffer, `index(m)` an axis.
//! Invariant: buffers and locals are numbered in the order of their declaration.

use super::{Buffer, Grid, Layout, Phase, Scope, Span as Held, TileProgram};
use crate::base::{AxisTable, BufferId};
use crate::diag::{Diagnostic, Span};
use crate::text::{HasAxes, Names, Parsed, Parser, TokenKind, duplicate, extents};

/// Parses a tile program. The result still has to be verified.
///
/// # Errors
/// Every fault that can be seen, with its place.
pub fn parse(source: &str) -> Result<TileProgram, Vec<Diagnostic>> {
    let program = TileProgram {
        name: String::new(),
        axes: AxisTable::new(),
        buffers: vec![],
        locals: vec![],
        choices: vec![],
        phases: vec![],
    };
    let names = Names::new(program);
    let mut reader = Reader { parser: Parser::new(source), names, loops: 0 };
    let done = reader.program();
    let program = done.ok().map(|()| reader.names.program);
    reader.parser.finish(program)
}

pub(super) struct Reader {
    pub(super) parser: Parser,
    pub(super) names: Names<TileProgram>,
    /// Loops around the cursor.
    pub(super) loops: u32,
}

impl HasAxes for TileProgram {
    fn axes(&self) -> &AxisTable {
        &self.axes
    }
}

const HEAD: [&str; 6] = ["extents", "input", "output", "device", "choose", "phase"];

impl Reader {
    fn program(&mut self) -> Parsed<()> {
        self.parser.expect_word("tile")?;
        self.names.program.name = self.parser.name()?.0;
        self.parser.expect("{")?;
        while !self.parser.at("}") && !self.parser.at_end() {
            let before = self.parser.span();
            if self.head_item().is_err() {
                if self.parser.span() == before {
                    self.parser.advance();
                }
                self.parser.recover(|parser| HEAD.iter().any(|word| parser.at_word(word)));
            }
        }
        self.parser.expect("}")?;
        if self.names.program.phases.is_empty() {
            self.names.order_arguments();
        }
        if !self.parser.at_end() {
            return Err(self.parser.unexpected("the end of the text"));
        }
        Ok(())
    }

    fn head_item(&mut self) -> Parsed<()> {
        let phases_begun = !self.names.program.phases.is_empty();
        if self.parser.accept_word("phase") {
            if !phases_begun {
                self.names.order_arguments();
            }
            return self.phase();
        }
        if phases_begun {
            return Err(self.parser.unexpected("`phase` or `}`"));
        }
        if self.parser.accept_word("extents") {
            return extents(&mut self.parser, &mut self.names.program.axes);
        }
        if self.parser.accept_word("choose") {
            return self.choice();
        }
        let scopes =
            [("input", Scope::Input), ("output", Scope::Output), ("device", Scope::Device)];
        for (word, scope) in scopes {
            if self.parser.accept_word(word) {
                return self.buffer(scope).map(|_| ());
            }
        }
        Err(self.parser.unexpected("`extents`, `input`, `output`, `device`, `choose` or `phase`"))
    }

    pub(super) fn duplicate(&mut self, what: &str, name: &str, span: Span) {
        duplicate(&mut self.parser, what, name, span);
    }

    fn choice(&mut self) -> Parsed<()> {
        let name = self.choice_text()?;
        self.parser.expect("=")?;
        let value = if self.parser.accept("(") {
            let words = self.parser.list(")", path)?;
            format!("({})", words.join(", "))
        } else {
            self.choice_text()?
        };
        self.names.program.choices.push((name, value));
        Ok(())
    }

    fn choice_text(&mut self) -> Parsed<String> {
        match &self.parser.peek().kind {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.parser.advance();
                Ok(text)
            }
            TokenKind::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let text = text.clone();
                self.parser.advance();
                Ok(text)
            }
            _ => path(&mut self.parser),
        }
    }

    /// Declares a buffer.
    pub(super) fn buffer(&mut self, scope: Scope) -> Parsed<BufferId> {
        let (name, span) = self.parser.name()?;
        self.parser.expect(":")?;
        let dtype = self.parser.dtype()?;
        let mut axes = vec![];
        let mut spans = vec![];
        if self.parser.accept("[") {
            let names = &self.names;
            let list = self.parser.list("]", |parser| {
                let axis = parser.axis(names)?;
                let block = if parser.accept(":") { Some(parser.count()?) } else { None };
                Ok((axis, block.map_or(Held::Whole, Held::Block)))
            })?;
            (axes, spans) = list.into_iter().unzip();
        }
        let layout = self.layout()?;
        let buffer = Buffer { name: name.clone(), scope, dtype, axes, spans, layout };
        match self.names.declare_buffer(buffer) {
            Some(buffer) => Ok(buffer),
            None => {
                self.duplicate("buffer", &name, span);
                Ok(self.names.buffers[&name])
            }
        }
    }

    fn layout(&mut self) -> Parsed<Layout> {
        if !self.parser.at_attribute("layout") {
            return Ok(Layout::Rows);
        }
        self.parser.advance();
        self.parser.expect("(")?;
        let layout = if self.parser.accept_word("rows") {
            Layout::Rows
        } else if let Some(strides) = self.parser.strides()? {
            Layout::Strides(strides)
        } else {
            self.parser.expect_word("panel")?;
            self.parser.expect("(")?;
            let axis = self.parser.axis(&self.names)?;
            self.parser.expect(":")?;
            let width = self.parser.count()?;
            let depth = match self.parser.accept(",") {
                true => {
                    let axis = self.parser.axis(&self.names)?;
                    self.parser.expect(":")?;
                    Some((axis, self.parser.count()?))
                }
                false => None,
            };
            self.parser.expect(")")?;
            let groups = match self.parser.accept_word("groups") {
                true => {
                    self.parser.expect("(")?;
                    let groups = self.parser.count()?;
                    self.parser.expect(")")?;
                    groups
                }
                false => 1,
            };
            Layout::Panel { axis, width, depth, groups }
        };
        self.parser.expect(")")?;
        Ok(layout)
    }

    fn phase(&mut self) -> Parsed<()> {
        let (name, span) = self.parser.name()?;
        if self.names.program.phases.iter().any(|phase| phase.name == name) {
            self.duplicate("phase", &name, span);
        }
        // The phase is entered before its body, so that a fault in it does not hide that phases have begun.
        let position = self.names.program.phases.len();
        let grid = Grid { axes: vec![], threads: 1 };
        self.names.program.phases.push(Phase { name, grid, group: vec![], body: vec![] });
        if self.parser.at_attribute("threads") {
            self.parser.advance();
            self.parser.expect("(")?;
            self.names.program.phases[position].grid.threads = self.parser.count()?;
            self.parser.expect(")")?;
        }
        self.parser.expect("{")?;
        while self.parser.accept_word("group") {
            let buffer = self.buffer(Scope::Group)?;
            self.names.program.phases[position].group.push(buffer);
        }
        self.parser.expect_word("grid")?;
        self.names.program.phases[position].grid.axes = self.steps()?;
        let body = self.body()?;
        self.names.program.phases[position].body = body;
        self.parser.expect("}")
    }
}

/// Words joined by dots.
fn path(parser: &mut Parser) -> Parsed<String> {
    let mut text = String::new();
    loop {
        let TokenKind::Word(word) = &parser.peek().kind else {
            return Err(parser.unexpected("a word"));
        };
        text.push_str(word);
        parser.advance();
        if !parser.accept(".") {
            return Ok(text);
        }
        text.push('.');
    }
}
