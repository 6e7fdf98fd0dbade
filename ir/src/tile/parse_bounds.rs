//! The parser of loop heads: axes, the parts of them that are visited, and steps.
//!
//! ```text
//! AXIS [in [BOUND | max(BOUND, ..)]..[BOUND | min(BOUND, ..)]] by STEP, ..
//! BOUND = [-] TERM {(+ | -) TERM}      TERM = NUMBER [* AXIS] | AXIS
//! ```
//!
//! Invariant: a bound is read as the sum it is, terms of one axis together.

use super::Bounds;
use super::parse::Reader;
use crate::base::{Affine, AxisId};
use crate::diag::Diagnostic;
use crate::text::{Failed, Parsed, TokenKind, code};
use std::collections::{BTreeMap, BTreeSet};

/// The axes of a loop with their steps, and the parts of them that it visits.
type Steps = (Vec<(AxisId, u64)>, BTreeMap<AxisId, Bounds>);

impl Reader {
    /// ` m by 64, n by 8`, or nothing.
    pub(super) fn steps(&mut self) -> Parsed<Vec<(AxisId, u64)>> {
        let place = self.parser.span();
        let (axes, bounds) = self.bounded_steps()?;
        if !bounds.is_empty() {
            let fault = Diagnostic::new(code::UNEXPECTED, "a grid runs over whole axes").at(place);
            self.parser.report(fault.help("leave the bounds out"));
        }
        Ok(axes)
    }

    /// ` m in i..n + 3 by 64, n by 8`, or nothing.
    pub(super) fn bounded_steps(&mut self) -> Parsed<Steps> {
        let mut axes = vec![];
        let mut all = BTreeMap::new();
        let mut seen = BTreeSet::new();
        if self.parser.at("{") || self.parser.at_word("carry") {
            return Ok((axes, all));
        }
        loop {
            let span = self.parser.span();
            let axis = self.parser.axis(&self.names)?;
            if self.parser.accept_word("in") {
                let bounds = self.bounds()?;
                if !bounds.is_open() {
                    all.insert(axis, bounds);
                }
            }
            self.parser.expect_word("by")?;
            axes.push((axis, self.parser.count()?));
            if !seen.insert(axis) {
                let name = self.names.program.axes.name(axis).to_string();
                self.duplicate("axis", &name, span);
            }
            if !self.parser.accept(",") {
                return Ok((axes, all));
            }
        }
    }

    fn bounds(&mut self) -> Parsed<Bounds> {
        let from = if self.parser.at("..") { vec![] } else { self.side("max")? };
        self.parser.expect("..")?;
        let to = if self.parser.at_word("by") { vec![] } else { self.side("min")? };
        Ok(Bounds { from, to })
    }

    /// One bound, or several of which the largest or the smallest counts.
    fn side(&mut self, word: &str) -> Parsed<Vec<Affine>> {
        if !self.parser.at_attribute(word) {
            return Ok(vec![self.bound()?]);
        }
        self.parser.advance();
        self.parser.expect("(")?;
        let mut list = vec![];
        loop {
            list.push(self.bound()?);
            if !self.parser.accept(",") {
                self.parser.expect(")")?;
                return Ok(list);
            }
        }
    }

    fn bound(&mut self) -> Parsed<Affine> {
        let mut sum = Affine::default();
        let mut sign = if self.parser.accept("-") { -1 } else { 1 };
        loop {
            sum = sum.plus(&self.term()?.scaled(sign));
            sign = match (self.parser.accept("+"), self.parser.accept("-")) {
                (true, _) => 1,
                (_, true) => -1,
                _ => return Ok(sum),
            };
        }
    }

    fn term(&mut self) -> Parsed<Affine> {
        let is_number = matches!(self.parser.peek().kind, TokenKind::Number(_));
        let factor = if is_number { self.number()? } else { 1 };
        if is_number && !self.parser.accept("*") {
            return Ok(Affine::constant(factor));
        }
        let axis = self.parser.axis(&self.names)?;
        Ok(Affine { constant: 0, factors: [(axis, 1)].into() }.scaled(factor))
    }

    fn number(&mut self) -> Parsed<i64> {
        let place = self.parser.span();
        i64::try_from(self.parser.count()?).map_err(|_| {
            let fault = Diagnostic::new(code::UNEXPECTED, "a bound is too large").at(place);
            self.parser.report(fault.expected("a whole number below 2^63"));
            Failed
        })
    }
}
