//! Parses expressions: precedence climbing over the levels that the printer knows.
//!
//! Invariant: no tree is higher than `HEIGHT_MAX`, so that recursion over a parsed expression is safe everywhere.

use super::expr_print::{LEVEL_COMPARE, LEVEL_PREFIX, infix_level};
use super::lexer::TokenKind;
use super::{Failed, Parsed, Parser, code};
use crate::base::{
    AxisId, AxisSet, BinaryOp, BufferId, CompareOp, DType, Expr, LocalId, ReduceOp, UnaryOp,
};
use crate::diag::{Diagnostic, Span};

/// What the names in an expression stand for.
pub trait Resolve {
    /// The axis of that name.
    fn find_axis(&self, name: &str) -> Option<AxisId>;
    /// The buffer of that name, if it may be loaded here.
    fn find_buffer(&self, name: &str) -> Option<BufferId>;
    /// The local of that name, if it may be used here.
    fn find_local(&self, name: &str) -> Option<LocalId>;
}

/// The height of the highest tree that is accepted.
const HEIGHT_MAX: u32 = 200;

/// An expression and the height of its tree.
struct Tree {
    expr: Expr,
    height: u32,
}

enum Infix {
    Binary(BinaryOp),
    Compare(CompareOp),
}

impl Parser {
    /// An expression. An unknown name is reported and does not stop the parse.
    ///
    /// # Errors
    /// Reported.
    pub fn expr(&mut self, names: &impl Resolve) -> Parsed<Expr> {
        self.tree(names, 0).map(|tree| tree.expr)
    }

    /// The name of an axis.
    ///
    /// # Errors
    /// Reported.
    pub fn axis(&mut self, names: &impl Resolve) -> Parsed<AxisId> {
        let (name, span) = self.name()?;
        match names.find_axis(&name) {
            Some(axis) => Ok(axis),
            None => {
                self.unknown("axis", &name, span);
                Err(Failed)
            }
        }
    }

    /// Reports an unknown name.
    pub fn unknown(&mut self, what: &str, name: &str, span: Span) {
        let shown = super::quote_name(name);
        let fault = Diagnostic::new(code::UNKNOWN_NAME, format!("no {what} of the name {shown}"));
        self.report(fault.at(span).found(shown).help("declare the name before its first use"));
    }

    /// Everything at `level` and tighter.
    fn tree(&mut self, names: &impl Resolve, level: u32) -> Parsed<Tree> {
        let mut left = self.prefix(names)?;
        while let Some((infix, here)) = self.infix().filter(|(_, here)| *here >= level) {
            let span = self.advance().span;
            let right = self.tree(names, here + 1)?;
            let height = left.height.max(right.height);
            let expr = match infix {
                Infix::Binary(op) => Expr::binary(op, left.expr, right.expr),
                Infix::Compare(op) => Expr::compare(op, left.expr, right.expr),
            };
            left = self.grown(expr, height, span)?;
            if here == LEVEL_COMPARE && self.infix().is_some_and(|(_, next)| next == here) {
                return Err(self.unexpected("no second comparison without parentheses"));
            }
        }
        Ok(left)
    }

    fn infix(&self) -> Option<(Infix, u32)> {
        let TokenKind::Symbol(symbol) = self.peek().kind else { return None };
        if let Some(op) = BinaryOp::parse(symbol) {
            return infix_level(op).map(|level| (Infix::Binary(op), level));
        }
        CompareOp::parse(symbol).map(|op| (Infix::Compare(op), LEVEL_COMPARE))
    }

    /// A tree one higher than `height`, unless that is too high.
    fn grown(&mut self, expr: Expr, height: u32, span: Span) -> Parsed<Tree> {
        if height < HEIGHT_MAX {
            Ok(Tree { expr, height: height + 1 })
        } else {
            self.too_deep(span)
        }
    }

    fn too_deep<T>(&mut self, span: Span) -> Parsed<T> {
        let message = format!("the expression nests deeper than {HEIGHT_MAX}");
        let fault = Diagnostic::new(code::TOO_DEEP, message).at(span);
        self.report(fault.help("name a part of it with `let`"));
        Err(Failed)
    }

    fn prefix(&mut self, names: &impl Resolve) -> Parsed<Tree> {
        let span = self.span();
        if self.depth >= HEIGHT_MAX {
            return self.too_deep(span);
        }
        self.depth += 1;
        let tree = self.prefix_nested(names, span);
        self.depth -= 1;
        tree
    }

    fn prefix_nested(&mut self, names: &impl Resolve, span: Span) -> Parsed<Tree> {
        if self.at_literal() {
            return Ok(Tree { expr: Expr::Literal(self.literal()?), height: 1 });
        }
        for (symbol, op) in [("-", UnaryOp::Neg), ("!", UnaryOp::Not)] {
            if self.accept(symbol) {
                let operand = self.tree(names, LEVEL_PREFIX)?;
                return self.grown(Expr::unary(op, operand.expr), operand.height, span);
            }
        }
        if self.accept("(") {
            let inner = self.tree(names, 0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.word(names, span)
    }

    fn word(&mut self, names: &impl Resolve, span: Span) -> Parsed<Tree> {
        if self.accept_word("load") {
            let (name, span) = self.name()?;
            return Ok(self.found(names.find_buffer(&name).map(Expr::Load), "buffer", &name, span));
        }
        if self.accept_word("at") {
            return self.gather(names, span);
        }
        if self.at_word("reduce") {
            return self.reduction(names, span);
        }
        let head = match &self.peek().kind {
            TokenKind::Word(word) => word.clone(),
            _ => String::new(),
        };
        if head == "mma" && self.second_is("[") {
            self.advance();
            let axes = self.axis_set(names)?;
            let ([a, b, c], height) = self.arguments(names)?;
            return self.grown(Expr::mma(axes, a, b, c), height, span);
        }
        if self.second_is("(") {
            if let Some(tree) = self.call(names, &head, span) {
                return tree;
            }
            if !head.is_empty() {
                let known = "a function, a type, `select`, `index` or `len`";
                return Err(self.unexpected(known));
            }
        }
        if head.is_empty() && !matches!(self.peek().kind, TokenKind::Name(_)) {
            return Err(self.unexpected("an expression"));
        }
        let (name, span) = self.name()?;
        Ok(self.found(names.find_local(&name).map(Expr::Local), "local value", &name, span))
    }

    /// `A[i: x, j: y]` behind the word `at`; the axes are sorted.
    fn gather(&mut self, names: &impl Resolve, span: Span) -> Parsed<Tree> {
        let (name, name_span) = self.name()?;
        self.expect("[")?;
        let picks = self.list("]", |parser| {
            let axis = parser.axis(names)?;
            parser.expect(":")?;
            Ok((axis, parser.tree(names, 0)?))
        })?;
        let height = picks.iter().map(|(_, tree)| tree.height).max().unwrap_or(0);
        let mut picks: Vec<_> = picks.into_iter().map(|(axis, tree)| (axis, tree.expr)).collect();
        picks.sort_by_key(|pick| pick.0);
        let expr = names.find_buffer(&name).map(|buffer| Expr::At(buffer, picks));
        let expr = self.found(expr, "buffer", &name, name_span).expr;
        self.grown(expr, height, span)
    }

    fn second_is(&self, symbol: &str) -> bool {
        matches!(self.peek_second().kind, TokenKind::Symbol(here) if here == symbol)
    }

    /// The expression for a name, or a stand-in after the report that there is none.
    fn found(&mut self, expr: Option<Expr>, what: &str, name: &str, span: Span) -> Tree {
        if expr.is_none() {
            self.unknown(what, name, span);
        }
        Tree { expr: expr.unwrap_or(Expr::literal(0.0, DType::F32)), height: 1 }
    }

    /// A call of the word under the cursor; `None` if it is no function.
    fn call(&mut self, names: &impl Resolve, head: &str, span: Span) -> Option<Parsed<Tree>> {
        if head == "index" || head == "len" {
            return Some(self.of_axis(names, head));
        }
        let unary = UnaryOp::parse(head);
        let binary = BinaryOp::parse(head);
        let dtype = DType::parse(head);
        let wrapped =
            head.strip_prefix("wrap_").and_then(DType::parse).filter(|to| to.is_integer());
        let conversion = dtype.or(wrapped).is_some();
        if unary.is_none() && binary.is_none() && !conversion && head != "select" {
            return None;
        }
        self.advance();
        let parsed = if let Some(op) = unary {
            self.arguments(names).map(|([x], height)| (Expr::unary(op, x), height))
        } else if let Some(op) = binary {
            self.arguments(names).map(|([x, y], height)| (Expr::binary(op, x, y), height))
        } else if let Some(dtype) = dtype {
            self.arguments(names).map(|([x], height)| (Expr::cast(dtype, x), height))
        } else if let Some(dtype) = wrapped {
            self.arguments(names).map(|([x], height)| (Expr::wrap(dtype, x), height))
        } else {
            self.arguments(names).map(|([c, x, y], height)| (Expr::select(c, x, y), height))
        };
        Some(parsed.and_then(|(expr, height)| self.grown(expr, height, span)))
    }

    fn of_axis(&mut self, names: &impl Resolve, head: &str) -> Parsed<Tree> {
        self.advance();
        self.expect("(")?;
        let axis = self.axis(names)?;
        self.expect(")")?;
        let expr = if head == "index" { Expr::Index(axis) } else { Expr::Len(axis) };
        Ok(Tree { expr, height: 1 })
    }

    fn reduction(&mut self, names: &impl Resolve, span: Span) -> Parsed<Tree> {
        self.advance();
        let op = match &self.peek().kind {
            TokenKind::Word(word) => ReduceOp::parse(word),
            _ => None,
        };
        let Some(op) = op else {
            let known: Vec<_> = ReduceOp::ALL.iter().map(|op| op.name()).collect();
            return Err(self.unexpected(&format!("a reduction ({})", known.join(", "))));
        };
        self.advance();
        let axes = self.axis_set(names)?;
        let ([x], height) = self.arguments(names)?;
        self.grown(Expr::reduce(op, axes, x), height, span)
    }

    /// `[i, j]`: axes, each at most once.
    ///
    /// # Errors
    /// Reported.
    pub fn axis_set(&mut self, names: &impl Resolve) -> Parsed<AxisSet> {
        self.expect("[")?;
        let mut set = AxisSet::EMPTY;
        self.list("]", |parser| {
            let span = parser.span();
            let axis = parser.axis(names)?;
            if set.contains(axis) {
                let fault =
                    Diagnostic::new(code::DUPLICATE, "the axis is named twice in this list");
                parser.report(fault.at(span).help("name it once"));
            }
            set = set.with(axis);
            Ok(())
        })?;
        Ok(set)
    }

    /// Exactly `N` arguments in parentheses, and the height of the highest.
    fn arguments<const N: usize>(&mut self, names: &impl Resolve) -> Parsed<([Expr; N], u32)> {
        let span = self.span();
        self.expect("(")?;
        let trees = self.list(")", |parser| parser.tree(names, 0))?;
        let height = trees.iter().map(|tree| tree.height).max().unwrap_or(0);
        let found = trees.len();
        let exprs: Vec<_> = trees.into_iter().map(|tree| tree.expr).collect();
        match <[Expr; N]>::try_from(exprs) {
            Ok(exprs) => Ok((exprs, height)),
            Err(_) => {
                let message = format!("{N} operands are expected here");
                let fault = Diagnostic::new(code::UNEXPECTED, message).at(span);
                self.report(fault.found(found.to_string()).expected(N.to_string()));
                Err(Failed)
            }
        }
    }
}
