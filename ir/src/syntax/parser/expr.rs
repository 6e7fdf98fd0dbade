//! Expressions, by precedence climbing.
//!
//! From loose to tight: `||`, `&&`, comparisons (which do not chain), `+ -`, `* /`, prefix `- !`, postfix `: type`.
//! Invariant: the height of a tree and the depth of recursion are bounded.

use super::super::ast::{Call, Expr, ExprKind, Infix, Name, Prefix, TypeName};
use super::super::lexer::{Token, TokenKind};
use super::super::{HEIGHT_MAX, short};
use super::{Parser, Reported, Result, habits};
use crate::base::{BinaryOp, CompareOp, DType};
use crate::diag::{Diagnostic, Span};

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.nested(|parser| parser.infix(1))
    }

    /// An expression of operators that bind at least as tightly as `tightness`.
    fn infix(&mut self, tightness: u8) -> Result<Expr> {
        let mut left = self.prefix()?;
        while let Some(op) = infix_operator(self.kind()) {
            let precedence = op.precedence();
            if precedence < tightness {
                break;
            }
            self.refuse_chain(&left, op)?;
            self.next();
            self.skip_to_operand()?;
            let right = self.nested(|parser| parser.infix(precedence + 1))?;
            let span = Span { start: left.span.start, end: right.span.end };
            let kind = ExprKind::Infix(op, Box::new(left), Box::new(right));
            left = self.tree(kind, span)?;
        }
        Ok(left)
    }

    fn refuse_chain(&mut self, left: &Expr, op: Infix) -> Result<()> {
        let ExprKind::Infix(Infix::Compare(_), ..) = left.kind else { return Ok(()) };
        let Infix::Compare(_) = op else { return Ok(()) };
        let span = self.peek().span;
        let fault = Diagnostic::new("TW0109", "comparisons do not chain")
            .at(span)
            .label(left.span, "this is already a truth value")
            .help("write `a < b && b < c`");
        Err(self.report(fault))
    }

    fn prefix(&mut self) -> Result<Expr> {
        let token = self.peek();
        let op = match token.kind {
            TokenKind::Minus => Prefix::Neg,
            TokenKind::Bang => Prefix::Not,
            _ => return self.postfix(),
        };
        self.next();
        let operand = self.nested(Self::prefix)?;
        let span = Span { start: token.span.start, end: operand.span.end };
        self.tree(ExprKind::Prefix(op, Box::new(operand)), span)
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut expr = self.primary()?;
        while self.at(TokenKind::Colon) {
            self.next();
            let ty = self.type_name()?;
            let span = Span { start: expr.span.start, end: ty.span.end };
            expr = self.tree(ExprKind::Typed(Box::new(expr), ty), span)?;
        }
        Ok(expr)
    }

    /// The name of an element type. An unknown one is reported and gives a type of `None`.
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        let name = self.name("an element type")?;
        let dtype = DType::parse(&name.text);
        if dtype.is_none() {
            let types: Vec<_> = DType::all().map(DType::name).collect();
            let fault =
                Diagnostic::new("TW0204", format!("there is no type `{}`", short(&name.text)));
            let mut fault = fault.at(name.span).found(format!("`{}`", short(&name.text)));
            fault.help = habits::type_spelling(&name.text);
            self.report(fault.expected(format!("one of {}", types.join(", "))));
        }
        Ok(TypeName { dtype, span: name.span })
    }

    fn primary(&mut self) -> Result<Expr> {
        let token = self.peek();
        match token.kind {
            TokenKind::Number => {
                self.next();
                let text = self.text(token.span).to_string();
                self.tree(ExprKind::Number(text), token.span)
            }
            TokenKind::Name => self.named(),
            TokenKind::LeftParen => self.parenthesised(token),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn parenthesised(&mut self, open: Token) -> Result<Expr> {
        let mut parts = self.list(TokenKind::RightParen, "`,` or `)`", Self::expr)?;
        let span = self.span_from(open.span);
        let kind = match parts.pop() {
            None => {
                let fault = Diagnostic::new("TW0102", "there is nothing between the parentheses");
                return Err(self.report(fault.at(span).expected("an expression")));
            }
            Some(only) if parts.is_empty() => ExprKind::Paren(Box::new(only)),
            Some(last) => {
                parts.push(last);
                ExprKind::Tuple(parts)
            }
        };
        self.tree(kind, span)
    }

    /// A name, a call, or elements of a tensor.
    fn named(&mut self) -> Result<Expr> {
        let name = self.name("a name")?;
        let start = name.span;
        let indices = match self.kind() {
            TokenKind::LeftBracket => {
                Some(self.list(TokenKind::RightBracket, "`,` or `]`", Self::expr)?)
            }
            _ => None,
        };
        if self.at(TokenKind::LeftParen) {
            let arguments = self.list(TokenKind::RightParen, "`,` or `)`", Self::expr)?;
            let axes = indices.map(|indices| self.call_axes(indices)).transpose()?;
            let call = Call { name, axes, arguments };
            return self.tree(ExprKind::Call(call), self.span_from(start));
        }
        let kind = match indices {
            Some(indices) => ExprKind::Subscript(name, indices),
            None => ExprKind::Name(name.text),
        };
        self.tree(kind, self.span_from(start))
    }

    fn call_axes(&mut self, indices: Vec<Expr>) -> Result<Vec<Name>> {
        indices
            .into_iter()
            .map(|index| match index.kind {
                ExprKind::Name(text) => Ok(Name { text, span: index.span }),
                _ => Err(self.no_axis(index.span)),
            })
            .collect()
    }

    fn no_axis(&mut self, span: Span) -> Reported {
        let fault = Diagnostic::new("TW0102", "the brackets of a call hold the names of axes");
        self.report(fault.at(span).found("an expression").expected("the name of an axis"))
    }

    /// A node over parts that have been parsed.
    fn tree(&mut self, kind: ExprKind, span: Span) -> Result<Expr> {
        let height = 1 + kind.parts_height();
        if height <= HEIGHT_MAX {
            return Ok(Expr { kind, span, height });
        }
        let fault = Diagnostic::new("TW0104", "the expression has too many operators in a row")
            .at(span)
            .expected(format!("at most {HEIGHT_MAX}"))
            .help("give parts of it names on lines of their own");
        Err(self.report(fault))
    }
}

fn infix_operator(kind: TokenKind) -> Option<Infix> {
    Some(match kind {
        TokenKind::OrOr => Infix::Binary(BinaryOp::Or),
        TokenKind::AndAnd => Infix::Binary(BinaryOp::And),
        TokenKind::Plus => Infix::Binary(BinaryOp::Add),
        TokenKind::Minus => Infix::Binary(BinaryOp::Sub),
        TokenKind::Star => Infix::Binary(BinaryOp::Mul),
        TokenKind::Slash => Infix::Binary(BinaryOp::Div),
        _ => Infix::Compare(compare_operator(kind)?),
    })
}

pub(super) fn compare_operator(kind: TokenKind) -> Option<CompareOp> {
    Some(match kind {
        TokenKind::Less => CompareOp::Lt,
        TokenKind::LessEqual => CompareOp::Le,
        TokenKind::Greater => CompareOp::Gt,
        TokenKind::GreaterEqual => CompareOp::Ge,
        TokenKind::EqualEqual => CompareOp::Eq,
        TokenKind::BangEqual => CompareOp::Ne,
        _ => return None,
    })
}
