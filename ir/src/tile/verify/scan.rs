//! What a scan needs where it stands: an axis that no loop cuts, a buffer that holds all of it, chains that are short.
//!
//! Every prefix is a sum with a bound of its own, so the chain of one block has to be short enough for a sum of only
//! that many terms. Invariant: what passes here has one running value for each element of the other axes.

use super::super::{Scan, Span};
use super::code;
use super::walk::Walker;
use crate::base::{AxisSet, DType, ReduceOp, additions_max};

impl Walker<'_> {
    /// Checks a scan, but for the write.
    pub(super) fn scan(&mut self, scan: &Scan) {
        let program = self.program;
        let target = &program.buffers[scan.buffer.index()];
        let axes: AxisSet = target.axes.iter().copied().collect();
        self.stored_value(&scan.expr, axes, target.dtype, None);
        self.micro(&scan.micro, axes.without(scan.axis), AxisSet::EMPTY);
        if scan.op.scan_name().is_none() || target.dtype == DType::Bool {
            let what = format!("a scan by `{}` of {}", scan.op, target.dtype);
            self.fault(code::TYPES, &what, "scan numbers by sum, product, max or min");
        }
        let held = target.axes.iter().zip(&target.spans).find(|(axis, _)| **axis == scan.axis);
        let name = program.axes.name(scan.axis);
        if held.is_none_or(|(_, span)| *span != Span::Whole) {
            let what = format!("`{}` does not hold all of `{name}`", target.name);
            self.fault(code::AXES, &what, "scan into a buffer that holds the whole axis");
        }
        if self.bound().contains(scan.axis) {
            let what = format!("a scan along `{name}` inside of a loop over `{name}`");
            self.fault(code::LOOPS, &what, "loop over the other axes only");
        }
        let block = scan.block.min(program.axes.extent(scan.axis));
        let rounds = scan.op == ReduceOp::Sum && target.dtype.is_float();
        if scan.block == 0 || rounds && block > additions_max(block) {
            let what = format!("a running sum of {} terms in a row", scan.block);
            self.fault(code::CHAINS, &what, "use blocks of at most 16 terms");
        }
    }
}
