//! The parser of the tile text, below the grid: statements, loops, carries, attributes.
//!
//! Invariant: a name that was read is declared even if the rest of its declaration is faulty, so that one mistake is
//! one fault and not one for each use.

use super::parse::Reader;
use super::{Buffer, Carry, For, Local, Micro, Place, Scan, Scope, Stmt, TileProgram};
use crate::base::{AxisId, AxisSet, BufferId, DType, Expr, Literal, LocalId, ReduceOp};
use crate::diag::{Diagnostic, Span};
use crate::text::{Failed, Names, Parsed, Resolve, TokenKind, code, quote_name};

/// Loops that stand in each other; every loop binds an axis, so more has no meaning.
const LOOPS_MAX: u32 = 64;

impl Names<TileProgram> {
    /// Adds a buffer; `None` if the name is taken.
    pub(super) fn declare_buffer(&mut self, buffer: Buffer) -> Option<BufferId> {
        if self.buffers.contains_key(&buffer.name) {
            return None;
        }
        let id = buffer_id(self.program.buffers.len());
        self.buffers.insert(buffer.name.clone(), id);
        self.program.buffers.push(buffer);
        Some(id)
    }

    /// Sorts the buffers of the head, before anything refers to them: inputs, outputs, device buffers.
    pub(super) fn order_arguments(&mut self) {
        let buffers = &mut self.program.buffers;
        buffers.sort_by_key(|buffer| rank(buffer.scope));
        for (position, buffer) in buffers.iter().enumerate() {
            self.buffers.insert(buffer.name.clone(), buffer_id(position));
        }
    }

    fn declare_local(&mut self, name: &str, dtype: DType, axes: AxisSet) -> Option<LocalId> {
        if self.locals.contains_key(name) {
            return None;
        }
        let local = LocalId(u32::try_from(self.program.locals.len()).unwrap_or(u32::MAX));
        self.program.locals.push(Local { name: name.to_string(), dtype, axes });
        self.locals.insert(name.to_string(), local);
        Some(local)
    }
}

fn buffer_id(position: usize) -> BufferId {
    BufferId(u32::try_from(position).unwrap_or(u32::MAX))
}

fn rank(scope: Scope) -> u32 {
    match scope {
        Scope::Input => 0,
        Scope::Output => 1,
        Scope::Device => 2,
        Scope::Group => 3,
    }
}

/// A carry whose yield has not been read yet.
struct Head {
    local: LocalId,
    axes: Vec<AxisId>,
    start: Literal,
    place: Place,
    span: Span,
    next: Option<(Expr, Micro)>,
    last: Option<Expr>,
    faulty: bool,
}

const STATEMENTS: [&str; 7] = ["let", "stage", "store", "scan", "for", "yield", "last"];

impl Reader {
    /// `{ statements }`.
    pub(super) fn body(&mut self) -> Parsed<Vec<Stmt>> {
        self.block(&mut [])
    }

    /// `{ statements, then yields of the carries }`.
    fn block(&mut self, carries: &mut [Head]) -> Parsed<Vec<Stmt>> {
        self.parser.expect("{")?;
        let mut body = vec![];
        let mut yields_begun = false;
        while !self.parser.at("}") && !self.parser.at_end() {
            let before = self.parser.span();
            let is_yield = self.parser.at_word("yield") || self.parser.at_word("last");
            yields_begun |= is_yield;
            let parsed = if is_yield {
                self.r#yield(carries)
            } else if yields_begun {
                Err(self.parser.unexpected("`yield`, `last` or `}`"))
            } else {
                self.stmt().map(|stmt| body.push(stmt))
            };
            if parsed.is_err() {
                if self.parser.span() == before {
                    self.parser.advance();
                }
                self.parser.recover(|parser| STATEMENTS.iter().any(|word| parser.at_word(word)));
            }
        }
        self.parser.expect("}")?;
        Ok(body)
    }

    fn stmt(&mut self) -> Parsed<Stmt> {
        if self.parser.accept_word("let") {
            return self.r#let();
        }
        if self.parser.accept_word("stage") {
            let buffer = self.buffer(Scope::Group)?;
            self.parser.expect("=")?;
            let (expr, micro) = self.value()?;
            return Ok(Stmt::Stage { buffer, expr, micro });
        }
        if self.parser.accept_word("store") {
            let buffer = self.buffer_name()?;
            self.parser.expect("=")?;
            let (expr, micro) = self.value()?;
            return Ok(Stmt::Store { buffer, expr, micro });
        }
        if self.parser.accept_word("scan") {
            return self.scan().map(Stmt::Scan);
        }
        if self.parser.accept_word("for") {
            return self.r#for().map(Stmt::For);
        }
        Err(self.parser.unexpected("`let`, `stage`, `store`, `scan`, `for` or `}`"))
    }

    /// `y = sum[j](x) block(64)` and attributes.
    fn scan(&mut self) -> Parsed<Scan> {
        let buffer = self.buffer_name()?;
        self.parser.expect("=")?;
        let op = match &self.parser.peek().kind {
            TokenKind::Word(word) => ReduceOp::parse(word),
            _ => None,
        };
        let op = op.ok_or_else(|| self.parser.unexpected("`sum`, `product`, `max` or `min`"))?;
        self.parser.advance();
        self.parser.expect("[")?;
        let axis = self.parser.axis(&self.names)?;
        self.parser.expect("]")?;
        self.parser.expect("(")?;
        let expr = self.parser.expr(&self.names)?;
        self.parser.expect(")")?;
        self.parser.expect_word("block")?;
        self.parser.expect("(")?;
        let block = self.parser.count()?;
        self.parser.expect(")")?;
        Ok(Scan { buffer, op, axis, block, expr, micro: self.micro()? })
    }

    fn buffer_name(&mut self) -> Parsed<BufferId> {
        let (name, span) = self.parser.name()?;
        Ok(self.names.find_buffer(&name).unwrap_or_else(|| {
            self.parser.unknown("buffer", &name, span);
            BufferId(0)
        }))
    }

    fn r#let(&mut self) -> Parsed<Stmt> {
        let (name, span) = self.parser.name()?;
        let stated = if self.parser.accept(":") { Some(self.value_type()?) } else { None };
        let parsed = self.parser.expect("=").and_then(|()| self.parser.expr(&self.names));
        let (dtype, axes) = match (&stated, &parsed) {
            (Some((dtype, axes)), _) => (*dtype, axes.iter().copied().collect()),
            (None, Ok(expr)) => (expr.dtype(&self.names.program), expr.axes(&self.names.program)),
            (None, Err(_)) => (DType::F32, AxisSet::EMPTY),
        };
        let local = self.local(&name, span, dtype, axes);
        Ok(Stmt::Let { local, expr: parsed? })
    }

    /// Declares a local, or reports that the name is taken.
    fn local(&mut self, name: &str, span: Span, dtype: DType, axes: AxisSet) -> LocalId {
        self.names.declare_local(name, dtype, axes).unwrap_or_else(|| {
            self.duplicate("local", name, span);
            self.names.locals[name]
        })
    }

    /// `f32[m, n]`, `f32`.
    fn value_type(&mut self) -> Parsed<(DType, Vec<AxisId>)> {
        let dtype = self.parser.dtype()?;
        if !self.parser.accept("[") {
            return Ok((dtype, vec![]));
        }
        let names = &self.names;
        Ok((dtype, self.parser.list("]", |parser| parser.axis(names))?))
    }

    /// An expression and its attributes.
    fn value(&mut self) -> Parsed<(Expr, Micro)> {
        let expr = self.parser.expr(&self.names)?;
        Ok((expr, self.micro()?))
    }

    fn micro(&mut self) -> Parsed<Micro> {
        let mut micro = Micro::default();
        let mut seen: Vec<&str> = vec![];
        loop {
            let words = [
                "micro",
                "vector",
                "order",
                "unroll",
                "fetch",
                "ahead",
                "chain",
                "streaming",
                "rising",
            ];
            let is_next = |word: &&str| match *word {
                "streaming" | "rising" => self.parser.at_word(word),
                _ => self.parser.at_attribute(word),
            };
            let Some(word) = words.into_iter().find(is_next) else {
                return Ok(micro);
            };
            if seen.contains(&word) {
                let span = self.parser.span();
                self.duplicate("attribute", word, span);
            }
            seen.push(word);
            self.parser.advance();
            if word == "streaming" || word == "rising" {
                micro.streaming |= word == "streaming";
                micro.rising |= word == "rising";
                continue;
            }
            self.parser.expect("(")?;
            let (parser, names) = (&mut self.parser, &self.names);
            match word {
                "micro" => {
                    micro.tile = parser.list(")", |parser| {
                        let axis = parser.axis(names)?;
                        parser.expect(":")?;
                        Ok((axis, parser.count()?))
                    })?;
                }
                "order" => micro.order = parser.list(")", |parser| parser.axis(names))?,
                "vector" => {
                    micro.vector = Some(parser.axis(names)?);
                    parser.expect(")")?;
                }
                "fetch" => {
                    micro.fetch = parser.count()?;
                    parser.expect(")")?;
                }
                "ahead" => {
                    let axis = parser.axis(names)?;
                    parser.expect(":")?;
                    micro.ahead = Some((axis, parser.count()?));
                    parser.expect(")")?;
                }
                "chain" => {
                    micro.chain = parser.count()?;
                    parser.expect(")")?;
                }
                _ => {
                    micro.unroll = parser.count()?;
                    parser.expect(")")?;
                }
            }
        }
    }

    fn r#for(&mut self) -> Parsed<For> {
        let (axes, bounds) = self.bounded_steps()?;
        let mut heads = vec![];
        if self.parser.accept_word("carry") {
            loop {
                heads.push(self.head()?);
                if !self.parser.accept(",") {
                    break;
                }
            }
        }
        if self.loops == LOOPS_MAX {
            let message = format!("loops nest deeper than {LOOPS_MAX}");
            let fault = Diagnostic::new(code::TOO_DEEP, message).at(self.parser.span());
            self.parser.report(fault.help("loop over several axes at once: for i by 8, j by 8"));
            return Err(Failed);
        }
        self.loops += 1;
        let body = self.block(&mut heads);
        self.loops -= 1;
        let body = body?;
        let carries = heads.into_iter().filter_map(|head| self.carry(head)).collect();
        Ok(For { axes, bounds, carries, body })
    }

    /// `c: f32[m, n] = 0 @out(C)`.
    fn head(&mut self) -> Parsed<Head> {
        let (name, span) = self.parser.name()?;
        self.parser.expect(":")?;
        let (dtype, axes) = self.value_type()?;
        let local = self.local(&name, span, dtype, axes.iter().copied().collect());
        self.parser.expect("=")?;
        let start = self.parser.literal()?;
        self.parser.expect("@")?;
        let place = if self.parser.accept_word("group") {
            Place::Group
        } else {
            self.parser.expect_word("out")?;
            self.parser.expect("(")?;
            let buffer = self.buffer_name()?;
            self.parser.expect(")")?;
            Place::Out(buffer)
        };
        Ok(Head { local, axes, start, place, span, next: None, last: None, faulty: false })
    }

    /// `yield c = ..` or `last c = ..`.
    fn r#yield(&mut self, carries: &mut [Head]) -> Parsed<()> {
        let is_last = self.parser.advance().kind == TokenKind::Word("last".into());
        let (name, span) = self.parser.name()?;
        let local = self.names.find_local(&name);
        let Some(head) = carries.iter_mut().find(|head| Some(head.local) == local) else {
            self.parser.unknown("carry of this loop", &name, span);
            return Err(Failed);
        };
        if (is_last && head.last.is_some()) || (!is_last && head.next.is_some()) {
            self.duplicate(if is_last { "`last` of" } else { "`yield` of" }, &name, span);
        }
        // Until the value is read the carry counts as faulty, so that a broken yield is not also a missing one.
        head.faulty = true;
        self.parser.expect("=")?;
        if is_last {
            head.last = Some(self.parser.expr(&self.names)?);
        } else {
            head.next = Some(self.value()?);
        }
        head.faulty = false;
        Ok(())
    }

    fn carry(&mut self, head: Head) -> Option<Carry> {
        let Head { local, axes, start, place, span, next, last, faulty } = head;
        let Some((next, micro)) = next else {
            if !faulty {
                let name = quote_name(&self.names.program.locals[local.index()].name);
                let message = format!("the loop has no `yield {name} = ..`");
                let fault = Diagnostic::new(code::UNEXPECTED, message).at(span);
                self.parser.report(fault.help("every carry is yielded once, at the loop's end"));
            }
            return None;
        };
        Some(Carry { local, axes, start, place, next, micro, last })
    }
}
