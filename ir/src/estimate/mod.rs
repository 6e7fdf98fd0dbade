//! What a call of a tile program should take on a machine: an analytic model, for choosing what is measured first.
//!
//! Each statement is a loop nest. Its instructions fill the units of a core (`instructions`), its accesses fetch what the
//! caches do not hold from one use to the next (`traffic`); the slower of both counts, and a little of the other. The
//! iterations of a phase's grid are shared among threads. The roofline as loop nests have it: Williams, Waterman,
//! Patterson, 2009; which loop reuses what: Wolf and Lam, 1991, section 4.
//! Invariant: the estimate depends on program and machine alone; it ranks, and nothing is believed because of it.

pub(crate) mod cycles;
mod instructions;
mod machine;
mod matrix;
mod nest;
mod traffic;

pub use machine::{Level, Machine};

use crate::tile::{For, Stmt, TileProgram};
use nest::{Nest, Scope};
use traffic::Touched;

/// Nanoseconds to share a phase among threads and to wait for the last.
const FORK_NS: f64 = 1500.0;
/// Nanoseconds of a phase, of an iteration of its grid, and of a block of a loop, beside their work.
const PHASE_NS: f64 = 30.0;
const ITERATION_NS: f64 = 15.0;
const BLOCK_NS: f64 = 3.0;
/// The part of the lesser of instructions and traffic that is not hidden behind the other.
const EXPOSED: f64 = 0.3;

/// What a call should take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Nanoseconds of a call.
    pub time_ns: f64,
    /// Nanoseconds of the instructions of all threads together.
    pub instructions_ns: f64,
    /// Nanoseconds that the memory of all threads together takes beyond the nearest cache.
    pub traffic_ns: f64,
}

/// What a call of a verified program should take.
pub fn estimate(program: &TileProgram, machine: &Machine) -> Estimate {
    let mut whole = Estimate::default();
    let held_bytes = traffic::held_bytes(program);
    for phase in &program.phases {
        let (estimate, touched) = (Estimate::default(), Touched::default());
        let mut sum = Sum { program, machine, held_bytes, touched, estimate };
        let scope = Scope::of(program, phase, machine);
        sum.statements(&phase.body, &scope);
        let one = sum.estimate;
        let iterations = scope.iterations();
        let threads = (phase.grid.threads as f64).min(iterations).max(1.0);
        // The last round has work for some of the threads only.
        let rounds = (iterations / threads).ceil();
        let share = rounds / iterations.max(1.0);
        let fork_ns = if threads > 1.0 { FORK_NS } else { PHASE_NS };
        whole.time_ns += one.time_ns * share + rounds * ITERATION_NS + fork_ns;
        whole.instructions_ns += one.instructions_ns;
        whole.traffic_ns += one.traffic_ns;
    }
    whole
}

/// What the statements of a phase take on one thread.
struct Sum<'a> {
    program: &'a TileProgram,
    machine: &'a Machine,
    held_bytes: f64,
    touched: Touched,
    estimate: Estimate,
}

impl Sum<'_> {
    fn statements(&mut self, body: &[Stmt], scope: &Scope<'_>) {
        for (number, stmt) in body.iter().enumerate() {
            match stmt {
                Stmt::Let { .. } => {}
                Stmt::For(of) => self.blocks((number, of), scope),
                Stmt::Stage { buffer, expr, micro } | Stmt::Store { buffer, expr, micro } => {
                    let axes = self.program.buffers[buffer.index()].axes.clone();
                    self.add(&Nest::new(self.program, scope, (&axes, micro), Some(*buffer), expr));
                }
                Stmt::Scan(scan) => {
                    let axes = self.program.buffers[scan.buffer.index()].axes.clone();
                    let target = (axes.as_slice(), &scan.micro);
                    self.add(&Nest::new(
                        self.program,
                        scope,
                        target,
                        Some(scan.buffer),
                        &scan.expr,
                    ));
                }
            }
        }
    }

    fn blocks(&mut self, (number, of): (usize, &For), scope: &Scope<'_>) {
        let inside = scope.inside(number, of);
        self.statements(&of.body, &inside);
        for carry in &of.carries {
            let target = (carry.axes.as_slice(), &carry.micro);
            let place = nest::place(carry);
            self.add(&Nest::new(self.program, &inside, target, place, &carry.next));
            if let Some(last) = &carry.last {
                self.add(&Nest::new(self.program, scope, target, place, last));
            }
        }
        self.estimate.time_ns += inside.times() * BLOCK_NS;
    }

    fn add(&mut self, nest: &Nest<'_>) {
        let cycles = instructions::cycles(nest, self.machine);
        let instructions_ns = cycles * nest.scope.times() / self.machine.cycles_per_ns;
        let traffic_ns = traffic::time_ns(nest, self.machine, self.held_bytes, &mut self.touched);
        let (more, less) = (instructions_ns.max(traffic_ns), instructions_ns.min(traffic_ns));
        self.estimate.time_ns += more + EXPOSED * less;
        self.estimate.instructions_ns += instructions_ns;
        self.estimate.traffic_ns += traffic_ns;
    }
}
