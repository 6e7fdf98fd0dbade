//! The parser of the plan text.
//!
//! ```text
//! plan NAME [exact] { extents m=512, ..  chunks c = k by 128  input A: f32[m, k] [strides(1, 512)] ..  output C: f32[m, n] ..  value s: f32[m] ..  PASS .. }
//! GROUP = group [j] { PASS .. }, in the place of a pass
//! PASS = pass NAME [m, n] [stream [k] | scan [n]] [optional] { ITEM .. }
//! ITEM = let t = EXPR  |  state c = sum(EXPR) [before b after a]  |  update c = EXPR  |  result C = EXPR
//! ```
//!
//! A `let` before the last state belongs to the bodies, one before the last update to the updates, one after both to the
//! results. A map has no states, so all its
//! lets belong to the results. Invariant: locals are numbered in the order of their declaration.

use super::{Chunk, Let, Local, Pass, PassProgram, PassResult, Running, State, Value, ValueKind};
use crate::base::{AxisId, AxisSet, AxisTable, BufferId, DType, Expr, LocalId, ReduceOp};
use crate::diag::{Diagnostic, Span};
use crate::text::{Failed, HasAxes, Names, Parsed, Parser, Resolve, TokenKind, duplicate, extents};

/// Parses a pass program. The result still has to be verified.
///
/// # Errors
/// Every fault that can be seen, with its place.
pub fn parse(source: &str) -> Result<PassProgram, Vec<Diagnostic>> {
    let program = PassProgram {
        name: String::new(),
        exact: false,
        axes: AxisTable::new(),
        chunks: vec![],
        values: vec![],
        locals: vec![],
        groups: vec![],
        passes: vec![],
    };
    let mut reader = Reader { parser: Parser::new(source), names: Names::new(program) };
    let done = reader.program().is_ok();
    let program = reader.names.program;
    reader.parser.finish(done.then_some(program))
}

impl HasAxes for PassProgram {
    fn axes(&self) -> &AxisTable {
        &self.axes
    }
}

struct Reader {
    parser: Parser,
    names: Names<PassProgram>,
}

const HEAD: [&str; 7] = ["extents", "chunks", "input", "output", "value", "pass", "group"];
const ITEMS: [&str; 4] = ["let", "state", "update", "result"];

impl Reader {
    fn program(&mut self) -> Parsed<()> {
        self.parser.expect_word("plan")?;
        self.names.program.name = self.parser.name()?.0;
        self.names.program.exact = self.parser.accept_word("exact");
        self.parser.expect("{")?;
        self.items(&HEAD, Self::head_item)?;
        if !self.parser.at_end() {
            return Err(self.parser.unexpected("the end of the text"));
        }
        Ok(())
    }

    /// Items up to the closing brace; after a fault goes on at the next item.
    fn items(
        &mut self,
        words: &[&str],
        mut item: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
        while !self.parser.at("}") && !self.parser.at_end() {
            let before = self.parser.span();
            if item(self).is_err() {
                if self.parser.span() == before {
                    self.parser.advance();
                }
                self.parser.recover(|parser| words.iter().any(|word| parser.at_word(word)));
            }
        }
        self.parser.expect("}")
    }

    fn head_item(&mut self) -> Parsed<()> {
        if self.parser.accept_word("extents") {
            return extents(&mut self.parser, &mut self.names.program.axes);
        }
        if self.parser.accept_word("chunks") {
            return self.chunks();
        }
        if self.parser.accept_word("pass") {
            return self.pass(None);
        }
        if self.parser.accept_word("group") {
            return self.group();
        }
        let kinds = [
            ("input", ValueKind::Input),
            ("output", ValueKind::Output),
            ("value", ValueKind::Intermediate),
        ];
        for (word, kind) in kinds {
            if self.parser.accept_word(word) {
                return self.value(kind);
            }
        }
        Err(self
            .parser
            .unexpected("`extents`, `chunks`, `input`, `output`, `value`, `pass` or `group`"))
    }

    fn chunks(&mut self) -> Parsed<()> {
        let axis = self.parser.axis(&self.names)?;
        self.parser.expect("=")?;
        let of = self.parser.axis(&self.names)?;
        self.parser.expect_word("by")?;
        let length = self.parser.count()?;
        self.names.program.chunks.push(Chunk { axis, of, length });
        Ok(())
    }

    fn axes(&mut self) -> Parsed<Vec<AxisId>> {
        if !self.parser.accept("[") {
            return Ok(vec![]);
        }
        let names = &self.names;
        self.parser.list("]", |parser| parser.axis(names))
    }

    fn value(&mut self, kind: ValueKind) -> Parsed<()> {
        let (name, span) = self.parser.name()?;
        self.parser.expect(":")?;
        let dtype = self.parser.dtype()?;
        let axes = self.axes()?;
        let strides = self.parser.strides()?;
        let values = &mut self.names.program.values;
        let id = u32::try_from(values.len()).map_err(|_| Failed)?;
        values.push(Value { name: name.clone(), kind, dtype, axes, strides });
        if self.names.buffers.insert(name.clone(), BufferId(id)).is_some() {
            duplicate(&mut self.parser, "value", &name, span);
        }
        Ok(())
    }

    fn group(&mut self) -> Parsed<()> {
        let stream = self.axes()?;
        let group = self.names.program.groups.len();
        self.names.program.groups.push(stream);
        self.parser.expect("{")?;
        self.items(&["pass"], |reader| {
            reader.parser.expect_word("pass")?;
            reader.pass(Some(group))
        })
    }

    fn pass(&mut self, group: Option<usize>) -> Parsed<()> {
        let (name, axes) = (self.parser.name()?.0, self.axes()?);
        let stream = if self.parser.accept_word("stream") { self.axes()? } else { vec![] };
        let scan = if self.parser.accept_word("scan") {
            self.parser.expect("[")?;
            let axis = self.parser.axis(&self.names)?;
            self.parser.expect("]")?;
            Some(axis)
        } else {
            None
        };
        let optional = self.parser.accept_word("optional");
        self.parser.expect("{")?;
        let (states, results) = (vec![], vec![]);
        let (body_lets, update_lets, result_lets) = (vec![], vec![], vec![]);
        let mut pass = Pass {
            name,
            axes,
            stream,
            scan,
            body_lets,
            states,
            update_lets,
            result_lets,
            results,
            optional,
            group,
        };
        self.items(&ITEMS, |reader| reader.pass_item(&mut pass))?;
        self.names.program.passes.push(pass);
        Ok(())
    }

    fn pass_item(&mut self, pass: &mut Pass) -> Parsed<()> {
        if self.parser.accept_word("let") {
            let (name, span) = self.equals()?;
            let expr = self.parser.expr(&self.names)?;
            let (dtype, axes) = (expr.dtype(&self.names.program), expr.axes(&self.names.program));
            let local = self.local(&name, span, dtype, axes)?;
            pass.result_lets.push(Let { local, expr });
            return Ok(());
        }
        if self.parser.accept_word("state") {
            return self.state(pass);
        }
        if self.parser.accept_word("update") {
            return self.update(pass);
        }
        if self.parser.accept_word("result") {
            let (name, span) = self.equals()?;
            let value = self.parser.expr(&self.names)?;
            let Some(buffer) = self.names.find_buffer(&name) else {
                self.parser.unknown("value", &name, span);
                return Err(Failed);
            };
            pass.results.push(PassResult { buffer, value });
            return Ok(());
        }
        Err(self.parser.unexpected("`let`, `state`, `update` or `result`"))
    }

    fn equals(&mut self) -> Parsed<(String, Span)> {
        let name = self.parser.name()?;
        self.parser.expect("=")?;
        Ok(name)
    }

    fn state(&mut self, pass: &mut Pass) -> Parsed<()> {
        let (name, span) = self.equals()?;
        let op = match &self.parser.peek().kind {
            TokenKind::Word(word) => ReduceOp::parse(word),
            _ => None,
        };
        let Some(op) = op else {
            let names: Vec<_> = ReduceOp::ALL.iter().map(|op| op.name()).collect();
            return Err(self.parser.unexpected(&format!("a reduction ({})", names.join(", "))));
        };
        self.parser.advance();
        self.parser.expect("(")?;
        let body = self.parser.expr(&self.names)?;
        self.parser.expect(")")?;
        let dtype = body.dtype(&self.names.program);
        let axes = pass.axes.iter().copied().collect();
        let local = self.local(&name, span, dtype, axes)?;
        pass.body_lets.append(&mut pass.result_lets);
        let mut running = None;
        if self.parser.accept_word("before") {
            let (name, span) = self.parser.name()?;
            let before = self.local(&name, span, dtype, axes)?;
            self.parser.expect_word("after")?;
            let (name, span) = self.parser.name()?;
            let after = self.local(&name, span, dtype, axes)?;
            running = Some(Running { before, after, update: Expr::Local(before) });
        }
        pass.states.push(State { local, op, body, running });
        Ok(())
    }

    fn update(&mut self, pass: &mut Pass) -> Parsed<()> {
        let (name, span) = self.equals()?;
        let update = self.parser.expr(&self.names)?;
        pass.update_lets.append(&mut pass.result_lets);
        let local = self.names.find_local(&name);
        let state = pass.states.iter_mut().find(|state| Some(state.local) == local);
        match state.and_then(|state| state.running.as_mut()) {
            Some(running) => running.update = update,
            None => {
                self.parser.unknown("running state", &name, span);
                return Err(Failed);
            }
        }
        Ok(())
    }

    fn local(&mut self, name: &str, span: Span, dtype: DType, axes: AxisSet) -> Parsed<LocalId> {
        let locals = &mut self.names.program.locals;
        let id = LocalId(u32::try_from(locals.len()).map_err(|_| Failed)?);
        locals.push(Local { name: name.to_string(), dtype, axes });
        if self.names.locals.insert(name.to_string(), id).is_some() {
            duplicate(&mut self.parser, "local", name, span);
        }
        Ok(id)
    }
}
