//! Running a program: first what lies across no cut, once; then the chunks, a few at a time, on all threads.
//!
//! Invariant: threads only choose when a chunk is computed; its numbers are the same whenever and wherever.

use super::chunk::{Cut, Region};
use super::contract::contract;
use super::program::Program;
use super::real::Real;
use super::reduce::State;
use super::rows::{Block, Kernel, ROW, Row};
use super::scan::scan;
use super::steps::Values;
use super::{Expected, HostTensor};
use crate::base::{AxisId, AxisSet, ReduceOp};
use crate::graph::{Graph, NodeId, Op};
use rayon::prelude::*;

/// Evaluates a bound graph with one kind of number.
pub(super) fn evaluate<R: Real>(graph: &Graph, inputs: &[HostTensor]) -> Vec<Expected> {
    let mut program = Program::new(graph);
    let threads = rayon::current_num_threads() as u64;
    let element_bytes = (size_of::<R>() + size_of::<f64>()) as u64;
    let cut = Cut::new(&program, threads, element_bytes);
    program.release_large(|axes| cut.elements(axes));
    let cut = Cut::new(&program, threads, element_bytes);
    let mut shared = Store::new(inputs, graph);
    let whole = cut.whole();
    for node in graph.ids().filter(|&node| program.held[node.index()]) {
        if graph.node(node).axes.is_disjoint(cut.axes) {
            shared.blocks[node.index()] = Some(compute(&program, &shared, node, &whole));
        }
    }
    let mut results: Vec<Expected> = graph.outputs.iter().map(|o| empty::<R>(graph, o)).collect();
    let regions = cut.regions();
    for group in regions.chunks(2 * threads as usize) {
        let blocks: Vec<Vec<Option<Block<R>>>> = group
            .par_iter()
            .with_max_len(1)
            .map(|region| chunk(&program, &shared, region))
            .collect();
        for (region, blocks) in group.iter().zip(&blocks) {
            for (result, output) in results.iter_mut().zip(&graph.outputs) {
                let own = blocks[output.node.index()].as_ref();
                let block = own.or(shared.block(output.node)).expect("outputs are held to the end");
                scatter(graph, &output.tensor.axes, region, block, result);
            }
        }
    }
    for result in &mut results {
        result.undecided = result.allowances.iter().filter(|e| e.is_infinite()).count() as u64;
    }
    results
}

/// The held blocks of a chunk, or those shared by all.
pub(super) struct Store<'a, R> {
    inputs: &'a [HostTensor],
    shared: Option<&'a Store<'a, R>>,
    blocks: Vec<Option<Block<R>>>,
}

impl<'a, R> Store<'a, R> {
    fn new(inputs: &'a [HostTensor], graph: &Graph) -> Self {
        let blocks = graph.nodes.iter().map(|_| None).collect();
        Self { inputs, shared: None, blocks }
    }
}

impl<R> Values<R> for Store<'_, R> {
    fn input(&self, input: usize) -> &HostTensor {
        &self.inputs[input]
    }

    fn block(&self, node: NodeId) -> Option<&Block<R>> {
        let own = self.blocks[node.index()].as_ref();
        own.or_else(|| self.shared.and_then(|shared| shared.block(node)))
    }
}

/// By node: the blocks of the outputs over a region, where they are not shared.
fn chunk<R: Real>(
    program: &Program<'_>,
    shared: &Store<'_, R>,
    region: &Region,
) -> Vec<Option<Block<R>>> {
    let graph = program.graph;
    let mut store = Store::new(shared.inputs, graph);
    store.shared = Some(shared);
    let last_use = last_uses(program);
    for node in graph.ids().filter(|&node| program.held[node.index()]) {
        if shared.blocks[node.index()].is_none() {
            store.blocks[node.index()] = Some(compute(program, &store, node, region));
        }
        for (other, &last) in last_use.iter().enumerate() {
            if last == node.index() {
                store.blocks[other] = None;
            }
        }
    }
    store.blocks
}

/// By node: the last held node that reads it, directly or through operations computed in passing.
fn last_uses(program: &Program<'_>) -> Vec<usize> {
    let graph = program.graph;
    let mut last = vec![usize::MAX; graph.nodes.len()];
    for node in graph.ids().filter(|&node| program.held[node.index()]) {
        let mut open: Vec<NodeId> = graph.node(node).op.operands().collect();
        let mut seen = vec![false; graph.nodes.len()];
        while let Some(operand) = open.pop() {
            if !std::mem::replace(&mut seen[operand.index()], true) {
                last[operand.index()] = node.index();
                if !program.held[operand.index()] {
                    open.extend(graph.node(operand).op.operands());
                }
            }
        }
    }
    for output in &graph.outputs {
        last[output.node.index()] = usize::MAX;
    }
    last
}

fn compute<R: Real>(
    program: &Program<'_>,
    store: &Store<'_, R>,
    node: NodeId,
    region: &Region,
) -> Block<R> {
    match (program.contractions[node.index()], program.graph.node(node).op) {
        (Some(contraction), _) => contract(program, store, contraction, node, region),
        (None, Op::Reduce(op, axes, x)) => reduce(program, store, node, (op, axes, x), region),
        (None, Op::Scan(op, axis, x)) => scan(program, store, node, (op, axis, x), region),
        _ => map(program, store, node, region),
    }
}

fn map<R: Real>(
    program: &Program<'_>,
    store: &Store<'_, R>,
    node: NodeId,
    region: &Region,
) -> Block<R> {
    let axes = program.sorted(program.graph.node(node).axes);
    let row_axis = program.row_axis(node, true);
    let mut result = Block::new(axes.clone(), region);
    let mut kernel = Kernel::new(program, store, node, row_axis);
    let outer: Vec<AxisId> = axes.into_iter().filter(|&axis| Some(axis) != row_axis).collect();
    let stride = row_axis.map_or(0, |axis| result.stride(axis));
    let mut at = region.start.clone();
    each(&outer, region, &mut at, &mut |at| {
        each_row(row_axis, region, at, &mut |at, count| {
            let position = result.position(at);
            result.store(position, stride, kernel.run(at, count), count);
        });
    });
    result
}

fn reduce<R: Real>(
    program: &Program<'_>,
    store: &Store<'_, R>,
    node: NodeId,
    (op, reduced, x): (ReduceOp, AxisSet, NodeId),
    region: &Region,
) -> Block<R> {
    let dtype = program.graph.node(node).dtype;
    let row_axis = program.row_axis(x, !program.held[x.index()]);
    let others = |axes: AxisSet| -> Vec<AxisId> {
        program.sorted(axes).into_iter().filter(|&axis| Some(axis) != row_axis).collect()
    };
    let into_one = row_axis.is_none_or(|axis| reduced.contains(axis));
    let (kept, inner) = (others(program.graph.node(node).axes), others(reduced));
    let terms = region.volume(&program.sorted(reduced));
    let mut kernel = Kernel::new(program, store, x, row_axis);
    let grouped = program.freedoms[node.index()].grouped;
    let mut state = State::new(op, program.types(x, node), terms).grouped(grouped);
    let mut result = Block::new(program.sorted(program.graph.node(node).axes), region);
    let mut row = Row::new();
    let index = Position::new(program, reduced, row_axis);
    let mut at = region.start.clone();
    let stride = row_axis.map_or(0, |axis| result.stride(axis));
    each(&kept, region, &mut at, &mut |at| {
        let mut fold = |at: &mut [usize], lanes: Option<usize>| {
            state.clear();
            let position = result.position(at);
            each(&inner, region, at, &mut |at| match lanes {
                Some(count) => {
                    let base = index.of(at);
                    state.absorb(kernel.run(at, count), count, false, |_| base);
                }
                None => each_row(row_axis, region, at, &mut |at, count| {
                    let base = index.of(at);
                    let term = |i: usize| base + (i * index.row_stride) as f64;
                    state.absorb(kernel.run(at, count), count, true, term);
                }),
            });
            let count = lanes.unwrap_or(1);
            row.fill_from(dtype, count, |lane| {
                let (value, e) = state.finish(lane);
                (value, program.allow(node, value.high(), e))
            });
            result.store(position, stride, &row, count);
        };
        if into_one {
            fold(at, None);
        } else {
            each_row(row_axis, region, at, &mut |at, count| fold(at, Some(count)));
        }
    });
    result
}

/// The row-major index of a term among the reduced axes in index order.
struct Position {
    strides: Vec<(AxisId, usize)>,
    row_stride: usize,
}

impl Position {
    fn new(program: &Program<'_>, reduced: AxisSet, row_axis: Option<AxisId>) -> Self {
        let mut strides: Vec<(AxisId, usize)> = reduced.iter().map(|axis| (axis, 1)).collect();
        for place in (1..strides.len()).rev() {
            let (axis, stride) = strides[place];
            strides[place - 1].1 = stride * program.graph.axes.extent(axis) as usize;
        }
        let along = strides.iter().find(|(axis, _)| Some(*axis) == row_axis);
        let row_stride = along.map_or(0, |(_, stride)| *stride);
        Self { strides, row_stride }
    }

    fn of(&self, at: &[usize]) -> f64 {
        self.strides.iter().map(|(axis, stride)| at[axis.index()] * stride).sum::<usize>() as f64
    }
}

/// Calls `f` with every coordinate of some axes in a region, the last axis fastest. `at` is as before afterwards.
pub(super) fn each(
    axes: &[AxisId],
    region: &Region,
    at: &mut [usize],
    f: &mut impl FnMut(&mut [usize]),
) {
    if axes.iter().any(|&axis| region.len(axis) == 0) {
        return;
    }
    loop {
        f(at);
        let mut place = axes.len();
        loop {
            if place == 0 {
                return;
            }
            place -= 1;
            let axis = axes[place];
            at[axis.index()] += 1;
            if at[axis.index()] < region.start(axis) + region.len(axis) {
                break;
            }
            at[axis.index()] = region.start(axis);
        }
    }
}

/// Calls `f` with the start and length of every row along the row axis; once with 1 where there is none.
pub(super) fn each_row(
    axis: Option<AxisId>,
    region: &Region,
    at: &mut [usize],
    f: &mut impl FnMut(&mut [usize], usize),
) {
    let Some(axis) = axis else { return f(at, 1) };
    let (start, end) = (region.start(axis), region.start(axis) + region.len(axis));
    for first in (start..end).step_by(ROW) {
        at[axis.index()] = first;
        f(at, ROW.min(end - first));
    }
    at[axis.index()] = start;
}

fn empty<R: Real>(graph: &Graph, output: &crate::graph::Output) -> Expected {
    let count = output.tensor.axes.iter().map(|&axis| graph.axes.extent(axis) as usize).product();
    let low = if size_of::<R>() > size_of::<f64>() { count } else { 0 };
    Expected {
        values: vec![0.0; count],
        low: vec![0.0; low],
        allowances: vec![0.0; count],
        undecided: 0,
    }
}

/// Copies a chunk's block to its place in the output, repeated along axes that the value lacks.
fn scatter<R: Real>(
    graph: &Graph,
    axes: &[AxisId],
    region: &Region,
    block: &Block<R>,
    result: &mut Expected,
) {
    let shape: Vec<u64> = axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
    let strides = super::tensor::strides_of(&shape);
    let mut at = region.start.clone();
    each(axes, region, &mut at, &mut |at| {
        let to: usize = axes.iter().zip(&strides).map(|(axis, s)| at[axis.index()] * s).sum();
        let from = block.position(at);
        result.values[to] = block.values[from].high();
        result.allowances[to] = block.allowance(from);
        if !result.low.is_empty() {
            result.low[to] = block.values[from].low();
        }
    });
}
