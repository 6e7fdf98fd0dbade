//! Evaluating element-wise operations a row at a time.
//!
//! A kernel is the tree of operations between held blocks and inputs below one node. It is run on rows of at most
//! `ROW` neighbours along one axis, each step one loop over contiguous scratch.
//! Invariant: a row's values do not depend on where the row starts or ends.

use super::chunk::Region;
use super::freedom::Freedom;
use super::pivots::exponent_error;
use super::program::Program;
use super::real::{self, Real};
use super::rules::{self, Rounding, UNDECIDED};
use super::steps::{Source, Step, Values, needed, source};
use super::{HostTensor, tensor};
use crate::base::{AxisId, BinaryOp, CompareOp, DType, UnaryOp};
use crate::graph::{NodeId, Op};

/// Elements of a row.
pub(super) const ROW: usize = 256;

/// The values of a node over a region, row-major in the program's axis order.
#[derive(Clone, Debug)]
pub(super) struct Block<R> {
    pub(super) axes: Vec<AxisId>,
    pub(super) start: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) values: Vec<R>,
    /// The allowances; empty while all are 0.
    pub(super) allowances: Vec<f64>,
    /// Whether an honest computation may have overflowed somewhere.
    pub(super) overflow: bool,
}

impl<R: Real> Block<R> {
    /// A block of zeros over the axes in a region.
    pub(super) fn new(axes: Vec<AxisId>, region: &Region) -> Self {
        let shape: Vec<u64> = axes.iter().map(|&axis| region.len(axis) as u64).collect();
        Self {
            start: axes.iter().map(|&axis| region.start(axis)).collect(),
            strides: tensor::strides_of(&shape),
            values: vec![R::default(); region.volume(&axes)],
            allowances: vec![],
            overflow: false,
            axes,
        }
    }

    /// The position of the element at absolute coordinates (by axis index).
    pub(super) fn position(&self, at: &[usize]) -> usize {
        let places = self.axes.iter().zip(&self.start).zip(&self.strides);
        places.map(|((axis, start), stride)| (at[axis.index()] - start) * stride).sum()
    }

    /// The distance between neighbours along an axis; 0 if the block does not vary along it.
    pub(super) fn stride(&self, axis: AxisId) -> usize {
        self.axes.iter().position(|&other| other == axis).map_or(0, |place| self.strides[place])
    }

    /// The allowance at a position.
    pub(super) fn allowance(&self, position: usize) -> f64 {
        self.allowances.get(position).copied().unwrap_or(0.0)
    }

    /// Stores a row from a position on.
    pub(super) fn store(&mut self, position: usize, stride: usize, row: &Row<R>, count: usize) {
        for (index, &value) in row.values[..count].iter().enumerate() {
            self.values[position + index * stride] = value;
        }
        if !row.exact {
            self.allowances.resize(self.values.len(), 0.0);
            for (index, &allowance) in row.allowances[..count].iter().enumerate() {
                self.allowances[position + index * stride] = allowance;
            }
        }
        self.overflow |= row.overflow;
    }
}

/// A row of values with their allowances.
#[derive(Clone, Debug)]
pub(super) struct Row<R> {
    pub(super) values: Vec<R>,
    /// Meaningful unless `exact`.
    pub(super) allowances: Vec<f64>,
    /// Whether all allowances are 0.
    pub(super) exact: bool,
    /// Whether an honest computation may have overflowed somewhere.
    pub(super) overflow: bool,
}

impl<R: Real> Row<R> {
    pub(super) fn new() -> Self {
        Self {
            values: vec![R::default(); ROW],
            allowances: vec![0.0; ROW],
            exact: true,
            overflow: false,
        }
    }

    /// Sets the row to given values and allowances.
    pub(super) fn fill_from(&mut self, dtype: DType, count: usize, f: impl Fn(usize) -> (R, f64)) {
        for index in 0..count {
            (self.values[index], self.allowances[index]) = f(index);
        }
        self.settle(dtype, count);
    }

    pub(super) fn allowance(&self, index: usize) -> f64 {
        if self.exact { 0.0 } else { self.allowances[index] }
    }

    /// Derives `exact` and `overflow` from the elements.
    fn settle(&mut self, dtype: DType, count: usize) {
        let elements = self.values[..count].iter().zip(&self.allowances[..count]);
        self.overflow = dtype.is_float()
            && elements.fold(false, |any, (v, &e)| any | rules::overflows(dtype, v.high(), e));
        self.exact = self.allowances[..count].iter().all(|&e| e == 0.0);
    }
}

/// The operations below one node, ready to run over a region.
#[derive(Debug)]
pub(super) struct Kernel<'a, R> {
    steps: Vec<Step<'a, R>>,
    rows: Vec<Row<R>>,
    row_axis: Option<AxisId>,
}

impl<'a, R: Real> Kernel<'a, R> {
    /// The kernel that computes `root` from what is held below it.
    pub(super) fn new(
        program: &Program<'_>,
        values: &'a impl Values<R>,
        root: NodeId,
        row_axis: Option<AxisId>,
    ) -> Self {
        let mut kernel = Self { steps: vec![], rows: vec![], row_axis };
        let mut slots = vec![None; program.graph.nodes.len()];
        for id in needed(program.graph, values, root) {
            let (source, from) = source(program.graph, values, id, &slots);
            let last_rounding = program.last_roundings[id.index()];
            slots[id.index()] = Some(kernel.steps.len());
            let dtype = program.graph.node(id).dtype;
            let masked = program.masked[id.index()];
            let unpivoted = program.unpivoted[id.index()];
            let masks_pivot = program.masked_pivots[id.index()];
            let freedom = program.freedoms[id.index()];
            let step = Step {
                source,
                dtype,
                from,
                last_rounding,
                masked,
                unpivoted,
                freedom,
                masks_pivot,
            };
            kernel.steps.push(step);
            kernel.rows.push(Row::new());
        }
        kernel
    }

    /// Computes `count` elements along the row axis from the coordinates on.
    pub(super) fn run(&mut self, at: &[usize], count: usize) -> &Row<R> {
        for slot in 0..self.steps.len() {
            let mut row = std::mem::replace(
                &mut self.rows[slot],
                Row { values: vec![], allowances: vec![], exact: true, overflow: false },
            );
            self.fill(slot, at, count, &mut row);
            self.rows[slot] = row;
        }
        self.rows.last().expect("a kernel has a step for its root")
    }

    fn fill(&self, slot: usize, at: &[usize], count: usize, row: &mut Row<R>) {
        let step = &self.steps[slot];
        match &step.source {
            Source::Splat(value) => row.values[..count].fill(R::of(*value)),
            Source::Index(axis) => {
                let along = usize::from(Some(*axis) == self.row_axis);
                for (index, value) in row.values[..count].iter_mut().enumerate() {
                    *value = R::of((at[axis.index()] + along * index) as f64);
                }
            }
            Source::Input(data, strides) => {
                let start = strides.iter().map(|(axis, stride)| at[axis.index()] * stride).sum();
                let stride = strides.iter().find(|(axis, _)| Some(*axis) == self.row_axis);
                read_input(data, start, stride.map_or(0, |(_, stride)| *stride), row, count);
            }
            Source::Gather(gather) => gather.fill(&self.rows, (at, self.row_axis), row, count),
            Source::Block(block) => {
                let stride = self.row_axis.map_or(0, |axis| block.stride(axis));
                read_block(block, block.position(at), stride, row, count);
            }
            Source::Compute(op, operands) => {
                let [x, y, z] = operands.map(|slot| &self.rows[slot]);
                match *op {
                    Op::Unary(op, _) => unary_row(op, step, x, row, count),
                    Op::Binary(op, ..) => binary_row(op, step, x, y, row, count),
                    Op::Compare(op, ..) => compare_row(op, step.from, [x, y], row, count),
                    Op::Select(..) => select_row(step, [x, y, z], row, count),
                    Op::Cast(_) => cast_row(step, x, row, count),
                    Op::Wrap(_) => wrap_row(step.dtype, x, row, count),
                    Op::Input(_)
                    | Op::Literal(_)
                    | Op::Index(_)
                    | Op::Len(_)
                    | Op::Gather(..)
                    | Op::Reduce(..)
                    | Op::Scan(..)
                    | Op::Roll(..)
                    | Op::Before(_)
                    | Op::After(_)
                    | Op::Held => {
                        unreachable!(
                            "reductions are held, leaves have a source, and the text has no rolls"
                        )
                    }
                }
            }
        }
    }
}

fn read_input<R: Real>(
    data: &HostTensor,
    start: usize,
    stride: usize,
    row: &mut Row<R>,
    count: usize,
) {
    let mut buffer = [0.0; ROW];
    if stride == 0 {
        buffer[..count].fill(data.get(start));
    } else {
        data.read(start, stride, &mut buffer[..count]);
    }
    for (value, &number) in row.values[..count].iter_mut().zip(&buffer[..count]) {
        *value = R::of(number);
    }
    row.exact = true;
    row.overflow = false;
}

fn read_block<R: Real>(
    block: &Block<R>,
    start: usize,
    stride: usize,
    row: &mut Row<R>,
    count: usize,
) {
    row.exact = block.allowances.is_empty();
    row.overflow = block.overflow;
    copy(&block.values, start, stride, &mut row.values[..count]);
    if !row.exact {
        copy(&block.allowances, start, stride, &mut row.allowances[..count]);
    }
}

fn copy<T: Copy>(from: &[T], start: usize, stride: usize, to: &mut [T]) {
    match stride {
        0 => to.fill(from[start]),
        1 => to.copy_from_slice(&from[start..start + to.len()]),
        _ => to.iter_mut().zip(from[start..].iter().step_by(stride)).for_each(|(t, &f)| *t = f),
    }
}

fn unary_row<R: Real>(op: UnaryOp, step: &Step<'_, R>, x: &Row<R>, row: &mut Row<R>, count: usize) {
    let rounding = Rounding::new(op.ulps(), step.dtype);
    let of_pivot = if step.unpivoted { exponent_error(op, step.dtype) } else { 0.0 };
    for index in 0..count {
        let (high, e) = (x.values[index].high(), x.allowance(index) + of_pivot);
        let value = real::unary(op, step.dtype, x.values[index]);
        row.values[index] = value;
        let mut handed = rules::unary(op, high, e, value.high());
        if x.overflow && rules::overflows(step.from, high, e) {
            handed = rules::overflowed_unary(op, value.high(), handed);
        }
        if matches!(op, UnaryOp::Exp | UnaryOp::Exp2) {
            handed += rules::vanished(step.dtype, high, value.high());
            handed += rules::left_range(step.dtype, step.freedom, high, value.high());
        }
        handed += rules::freed_operand(step.freedom, step.dtype, 0, high);
        row.allowances[index] = rounding.finish(handed, value.high());
    }
    row.settle(step.dtype, count);
}

/// Whether a row holds exact powers of two alone: a product with them, or a quotient by them, is not rounded.
fn scales<R: Real>(row: &Row<R>, count: usize) -> bool {
    row.exact && row.values[..count].iter().all(|value| rules::is_power_of_two(value.high()))
}

/// Adds what the specials of a step may become in f64, and in other forms of the text.
fn doubt_specials<R: Real>(
    op: BinaryOp,
    step: &Step<'_, R>,
    (xs, ys): (&[R], &[R]),
    row: &mut Row<R>,
) {
    if step.dtype == DType::F64 {
        let scales = matches!(op, BinaryOp::Mul | BinaryOp::Div | BinaryOp::Pow);
        for (index, (x, y)) in xs.iter().zip(ys).enumerate() {
            let (value, x, y) = (row.values[index].high(), x.high(), y.high());
            row.allowances[index] += rules::made_nan(step.dtype, value, x, y);
            if scales {
                row.allowances[index] += rules::underflow(step.dtype, value, x, y);
            }
        }
    }
    if step.freedom != Freedom::default() {
        for (index, (x, y)) in xs.iter().zip(ys).enumerate() {
            let (value, operands) = (row.values[index].high(), [x.high(), y.high()]);
            row.allowances[index] += rules::freed(step.freedom, step.dtype, operands, value);
        }
    }
}

fn binary_row<R: Real>(
    op: BinaryOp,
    step: &Step<'_, R>,
    x: &Row<R>,
    y: &Row<R>,
    row: &mut Row<R>,
    count: usize,
) {
    let (xs, ys) = (&x.values[..count], &y.values[..count]);
    let values = row.values[..count].iter_mut().zip(xs.iter().zip(ys));
    match op {
        BinaryOp::Add if step.dtype.is_float() => values.for_each(|(v, (&x, &y))| *v = x + y),
        BinaryOp::Sub if step.dtype.is_float() => values.for_each(|(v, (&x, &y))| *v = x - y),
        BinaryOp::Mul if step.dtype.is_float() => values.for_each(|(v, (&x, &y))| *v = x * y),
        BinaryOp::Div if step.dtype.is_float() => values.for_each(|(v, (&x, &y))| *v = x / y),
        _ => values.for_each(|(v, (&x, &y))| *v = real::binary(op, step.dtype, x, y)),
    }
    let scales = match op {
        BinaryOp::Mul => scales(x, count) || scales(y, count),
        BinaryOp::Div => scales(y, count),
        _ => false,
    };
    let ulps = if scales { 0.0 } else { op.ulps() };
    let rounding = Rounding::new(ulps, step.dtype);
    let results = row.values[..count].iter().zip(&mut row.allowances[..count]);
    if x.exact && y.exact {
        results.for_each(|(value, e)| *e = rounding.finish(0.0, value.high()));
    } else {
        for (index, (value, e)) in results.enumerate() {
            let left = (xs[index].high(), x.allowance(index));
            let right = (ys[index].high(), y.allowance(index));
            let handed = match step.dtype.is_integer() {
                true => rules::integer(op, step.dtype, left, right, value.high()),
                false => rules::binary(op, left, right, value.high()),
            };
            *e = rounding.finish(handed, value.high());
        }
    }
    if matches!(op, BinaryOp::Max | BinaryOp::Min) {
        for (e, (x, y)) in row.allowances.iter_mut().zip(xs.iter().zip(ys)) {
            *e += rules::mixed_zeros(step.dtype, x.high(), y.high());
        }
    }
    doubt_specials(op, step, (xs, ys), row);
    doubt_masked(step.masked, [x, y], row, count);
    if x.overflow || y.overflow {
        for index in 0..count {
            let over = (
                x.overflow && rules::overflows(step.from, xs[index].high(), x.allowance(index)),
                y.overflow && rules::overflows(step.from, ys[index].high(), y.allowance(index)),
            );
            let (value, e) = (row.values[index].high(), row.allowances[index]);
            let vanishes = (
                rules::vanishes(step.dtype, xs[index].high(), x.allowance(index)),
                rules::vanishes(step.dtype, ys[index].high(), y.allowance(index)),
            );
            // Infinity times a factor that may have been flushed to zero is NaN.
            let meets_zero = op == BinaryOp::Mul && (over.0 && vanishes.1 || over.1 && vanishes.0);
            let cancels =
                (over.0 || over.1) && rules::cancels(op, xs[index].high(), ys[index].high());
            let e = rules::overflowed_binary(op, step.dtype, over, value, e);
            row.allowances[index] = if meets_zero || cancels { UNDECIDED } else { e };
        }
    }
    row.settle(step.dtype, count);
}

/// Doubts products of zeros that a mask may have made.
fn doubt_masked<R: Real>(masked: [bool; 2], [x, y]: [&Row<R>; 2], row: &mut Row<R>, count: usize) {
    if masked == [false; 2] {
        return;
    }
    for index in 0..count {
        let left = (x.values[index].high(), x.allowance(index));
        let right = (y.values[index].high(), y.allowance(index));
        row.allowances[index] += rules::masked(masked, left, right);
    }
}

fn compare_row<R: Real>(
    op: CompareOp,
    from: DType,
    [x, y]: [&Row<R>; 2],
    row: &mut Row<R>,
    count: usize,
) {
    for index in 0..count {
        let (a, b) = (x.values[index], y.values[index]);
        let (ea, eb) = (x.allowance(index), y.allowance(index));
        let holds = match op {
            CompareOp::Lt => a < b,
            CompareOp::Le => a <= b,
            CompareOp::Gt => a > b,
            CompareOp::Ge => a >= b,
            CompareOp::Eq => a == b,
            CompareOp::Ne => a != b,
        };
        row.values[index] = R::of(f64::from(u8::from(holds)));
        let difference = (a - b).high();
        let mut e = rules::compare(a.high(), ea, b.high(), eb, difference);
        let infinite = |v: f64, e: f64| v.is_infinite() || rules::overflows(from, v, e);
        let over = x.overflow && rules::overflows(from, a.high(), ea)
            || y.overflow && rules::overflows(from, b.high(), eb);
        let same_side = a.high().is_sign_positive() == b.high().is_sign_positive();
        if over && infinite(a.high(), ea) && infinite(b.high(), eb) && same_side {
            e = UNDECIDED;
        }
        row.allowances[index] = e;
    }
    row.settle(DType::Bool, count);
}

fn select_row<R: Real>(
    step: &Step<'_, R>,
    [c, x, y]: [&Row<R>; 3],
    row: &mut Row<R>,
    count: usize,
) {
    for index in 0..count {
        let (chosen, other) = if c.values[index].high() != 0.0 { (x, y) } else { (y, x) };
        row.values[index] = chosen.values[index];
        let hides_nan = step.masks_pivot && other.values[index].high().is_nan();
        let decided = c.allowance(index) == 0.0 && !hides_nan;
        row.allowances[index] = if decided { chosen.allowance(index) } else { UNDECIDED };
    }
    row.settle(step.dtype, count);
}

fn wrap_row<R: Real>(dtype: DType, x: &Row<R>, row: &mut Row<R>, count: usize) {
    for index in 0..count {
        row.values[index] = real::wrap(dtype, x.values[index]);
        row.allowances[index] = rules::wrap(x.values[index].high(), x.allowance(index));
    }
    row.settle(dtype, count);
}

fn cast_row<R: Real>(step: &Step<'_, R>, x: &Row<R>, row: &mut Row<R>, count: usize) {
    let rounding = Rounding::new(0.0, step.dtype);
    for index in 0..count {
        let (operand, e) = (x.values[index], x.allowance(index));
        let value = real::cast(step.dtype, operand);
        row.values[index] = value;
        let mut handed = if step.last_rounding {
            e
        } else {
            rules::cast(step.from, step.dtype, operand.high(), e, value.high())
        };
        let fits = value.high().abs() <= step.dtype.max_finite();
        if x.overflow && rules::overflows(step.from, operand.high(), e) && fits {
            handed = UNDECIDED;
        }
        row.allowances[index] = rounding.finish(handed, value.high());
    }
    row.settle(step.dtype, count);
}
