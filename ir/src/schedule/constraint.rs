//! Which combinations of choices are legal for one pass.
//!
//! Invariant: for each pass the smallest register tile with scalar code and the longest legal chain is always legal,
//! so a repair that only makes things smaller ends.

use super::key::Field;
use super::shape::{Part, Shape, Touch, contractions, is_given};
use super::{Config, Pack, PassConfig, PhaseConfig, chains};
use crate::base::{AxisId, AxisSet};
use crate::lower::{Contraction, dots, panel, parts, tiled};
use crate::plan::PassProgram;
use crate::target::{TILE_ROWS, TILES, Target};

/// Axes of a register tile with more than one element.
const TILE_AXES_MAX: usize = 3;

/// A broken rule: the choice to change, why, and what would be legal.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) field: Field,
    pub(super) message: String,
    pub(super) legal: String,
}

/// A pass with its choices inside of its phase.
pub(super) struct Site<'a> {
    pub(super) plan: &'a PassProgram,
    pub(super) position: usize,
    pub(super) shape: &'a Shape,
    pub(super) config: &'a PassConfig,
    pub(super) all: &'a Config,
    pub(super) phase: &'a PhaseConfig,
    pub(super) target: &'a Target,
}

impl Site<'_> {
    /// The legal values of the register tile along an axis are multiples of this.
    pub(super) fn tile_unit(&self, axis: AxisId) -> u64 {
        if self.config.vector == Some(axis) { self.shape.lanes } else { 1 }
    }

    /// The step of the loop around the inner loops of an axis: that of the grid or of the pass's own loop.
    pub(super) fn step(&self, axis: AxisId) -> u64 {
        let grid = self.phase.grid.iter().find(|(of, _)| *of == axis).map(|&(_, step)| step);
        let pass = &self.plan.passes[self.position];
        let step = grid.unwrap_or_else(|| match self.phase.stream_step(pass.group, axis) {
            Some(step) => step,
            // A member of a group loops over nothing but streams.
            None if pass.group.is_some() && pass.axes.contains(&axis) => u64::MAX,
            None => self.config.block.get(&axis).copied().unwrap_or(1),
        });
        step.min(self.plan.axes.extent(axis)).max(1)
    }

    /// The largest register tile along an axis.
    pub(super) fn tile_max(&self, axis: AxisId) -> u64 {
        let unit = self.tile_unit(axis);
        self.step(axis).div_ceil(unit) * unit
    }

    /// The register tile along an axis; 1 where the axis has none.
    pub(super) fn tile(&self, axis: AxisId) -> u64 {
        let tiled = self.shape.axes.contains(&axis) || self.config.vector == Some(axis);
        if tiled { self.config.micro.get(&axis).copied().unwrap_or(1) } else { 1 }
    }

    /// The axis of the rows of a register tile of tile registers, that of their terms, and how many a row has; `None`
    /// where it is one of vectors.
    pub(super) fn tiles(&self) -> Option<(AxisId, (AxisId, u64))> {
        if !matches!(self.config.pack_b, Pack::Tiles | Pack::Parts) {
            return None;
        }
        let pass = &self.plan.passes[self.position];
        let found = contractions(self.plan, pass, self.config.vector);
        self.tiles_of(found.first()?)
    }

    /// The rows, the axis of the terms and the terms of a row of a contraction's tiles.
    fn tiles_of(&self, found: &Contraction) -> Option<(AxisId, (AxisId, u64))> {
        let pass = &self.plan.passes[self.position];
        if self.config.pack_b == Pack::Parts {
            let found = parts(self.plan, pass, found, self.target)?;
            return Some((found.rows, (found.depth.0, found.terms)));
        }
        let found = tiled(self.plan, pass, found, self.target)?;
        found.tiles.map(|(rows, terms)| (rows, (found.depth.0, terms)))
    }

    /// Whether the additions of a block of parts may stand in a row.
    fn is_short(&self, found: &Contraction) -> bool {
        let pass = &self.plan.passes[self.position];
        let Some(found) = parts(self.plan, pass, found, self.target) else { return true };
        let others = self.shape.stream.iter().filter(|&&axis| axis != found.depth.0);
        let steps = others.fold(1, |all: u64, &axis| all.saturating_mul(self.step(axis)));
        let additions = found.additions(self.step(found.depth.0), steps, true);
        let behind = chains::behind(self.plan, &self.stream());
        self.config.pack_b != Pack::Parts
            || additions.saturating_add(behind) <= chains::additions_max(self.plan, self.shape)
    }

    /// Tile registers that the tile needs, if its sums are in them: sums, the fewer of both factors, one of the other.
    fn tile_registers(&self) -> Option<u64> {
        let rows = self.tile(self.tiles()?.0).div_ceil(TILE_ROWS);
        let columns = self.config.vector.map_or(1, |axis| self.tile(axis));
        let columns = columns.div_ceil(self.shape.lanes);
        Some(rows.saturating_mul(columns).saturating_add(rows.min(columns) + 1))
    }

    /// Registers that the tile needs: accumulators, vectors of the second operand, one broadcast.
    pub(super) fn registers(&self) -> u64 {
        if let Some(needed) = self.tile_registers() {
            // As many of all vector registers as of all tile registers.
            return needed.saturating_mul(self.target.vector_registers.div_ceil(TILES));
        }
        let volume: u64 =
            self.shape.all_axes().fold(1, |all: u64, axis| all.saturating_mul(self.tile(axis)));
        let vector = self.config.vector.map_or(1, |axis| self.tile(axis));
        let lanes = if self.config.vector.is_some() { self.shape.lanes } else { 1 };
        let accumulators = volume.div_ceil(lanes).saturating_mul(self.shape.states);
        accumulators.saturating_add(vector.div_ceil(lanes)).saturating_add(1)
    }

    /// How long the code of the inner loops gets, roughly in operations.
    pub(super) fn code(&self) -> u64 {
        let evaluated = |part: &&Part| part.map.is_none_or(|map| !self.all.passes[map].stored);
        let parts = self.shape.parts.iter().filter(evaluated);
        parts.map(|part| self.part_code(part)).fold(0, u64::saturating_add)
    }

    fn part_code(&self, part: &Part) -> u64 {
        let operations = part.operations.iter();
        let operations = operations.map(|(axes, count)| self.copies(*axes).saturating_mul(*count));
        let packed = self.is_contraction() && self.config.pack_b.copies();
        let touches = part.touched.iter().map(|touch| {
            let instructions = if packed { 1 } else { self.instructions(touch) };
            self.copies(touch.axes).saturating_mul(instructions)
        });
        operations.chain(touches).fold(0, u64::saturating_add)
    }

    /// How often an operation over these axes is written: once for each position of the register tile and each copy of
    /// it, and for the positions of the smaller tiles behind.
    fn copies(&self, axes: AxisSet) -> u64 {
        let product = |count: &dyn Fn(AxisId) -> u64| {
            let over = self.shape.all_axes().filter(|&axis| axes.contains(axis));
            over.map(count).fold(1, u64::saturating_mul)
        };
        // Rows of tile registers are looped over.
        let rows = self.tiles().map(|tiles| tiles.0);
        let main = |axis: AxisId| match rows == Some(axis) {
            true => 1,
            false => self.tile(axis).div_ceil(self.tile_unit(axis)),
        };
        let all = product(&|axis| main(axis) + self.rest_positions(axis));
        let main = product(&main);
        let mut traversed = self.shape.stream.iter().copied().chain(self.shape.scan);
        let streamed = traversed.any(|axis| axes.contains(axis));
        let copies = if streamed { self.config.unroll + 1 } else { 1 };
        main.saturating_mul(copies).saturating_add(all - main)
    }

    /// Positions of the smaller tiles behind the register tile along an axis.
    fn rest_positions(&self, axis: AxisId) -> u64 {
        let (tile, step, extent) = (self.tile(axis), self.step(axis), self.plan.axes.extent(axis));
        let rest = [step, extent % step].into_iter().map(|length| length % tile).max();
        match (rest.unwrap_or(0), self.tile_unit(axis)) {
            (0, _) => 0,
            (rest, 1) => rest,
            (rest, unit) => u64::from(rest >= unit) + u64::from(!rest.is_multiple_of(unit)),
        }
    }

    /// Instructions of a load or a store: one, or two a lane where a vector's elements lie apart.
    fn instructions(&self, touch: &Touch) -> u64 {
        let vector = self.config.vector.filter(|&axis| touch.axes.contains(axis));
        let apart = vector.is_some_and(|axis| touch.adjacent != Some(axis));
        if apart { 2 * self.shape.lanes } else { 1 }
    }

    /// Whether the tile is as small as it can be.
    pub(super) fn is_smallest(&self) -> bool {
        self.shape.all_axes().all(|axis| self.tile(axis) <= self.tile_unit(axis))
    }

    /// The stream and its steps.
    fn stream(&self) -> Vec<(AxisId, u64, u64)> {
        let stepper = |axis| &self.all.passes[self.plan.stepper(self.position, axis)];
        chains::stream_of(self.shape, |axis| self.step(axis), stepper)
    }

    /// Whether the vector axis can be cut by its loop's step: whole vectors, or the whole axis.
    pub(super) fn is_whole(&self, axis: AxisId, step: u64) -> bool {
        step.is_multiple_of(self.shape.lanes) || step >= self.plan.axes.extent(axis)
    }

    /// Whether an operand packed in panels has an axis to cut.
    pub(super) fn has_panel(&self, field: Field) -> bool {
        let pass = &self.plan.passes[self.position];
        let found = contractions(self.plan, pass, self.config.vector);
        found.iter().all(|found| {
            let operand = if field == Field::PackA { &found.a } else { &found.b };
            panel(&self.shape.axes, operand.axes(self.plan), self.config).is_some()
        })
    }

    /// Whether the second operand may be copied whole: it is made of arguments, and no loop cuts its panels.
    pub(super) fn is_copied_whole(&self) -> bool {
        let pass = &self.plan.passes[self.position];
        let found = contractions(self.plan, pass, self.config.vector);
        let fits = |found: &Contraction| {
            let panel = panel(&self.shape.axes, found.b.axes(self.plan), self.config);
            let cut = panel.is_some_and(|(axis, width)| {
                let step = self.step(axis);
                step < self.plan.axes.extent(axis) && !step.is_multiple_of(width)
            });
            is_given(self.plan, pass, &found.b) && !cut
        };
        self.all.cuts(self.plan, self.position).is_empty() && found.iter().all(fits)
    }

    /// Whether the products of every contraction are added in groups that blocks do not cut.
    pub(super) fn has_dots(&self) -> bool {
        let pass = &self.plan.passes[self.position];
        let found = contractions(self.plan, pass, self.config.vector);
        let of_result = self.config.vector.is_some_and(|axis| pass.axes.contains(&axis));
        let whole = |(axis, count): (AxisId, u64)| {
            let step = self.step(axis);
            step.is_multiple_of(count) || step >= self.plan.axes.extent(axis)
        };
        let in_groups = |found| match self.config.pack_b {
            Pack::Tiles | Pack::Parts => self.tiles_of(found).is_some_and(|(rows, terms)| {
                let of_rows = self.tile(rows).is_multiple_of(TILE_ROWS);
                let fits = of_rows || self.tile(rows) >= self.step(rows);
                whole(terms) && fits && self.is_short(found)
            }),
            _ => {
                let dots = dots(self.plan, pass, found, self.target);
                dots.is_some_and(|dots| whole(dots.depth))
            }
        };
        of_result && !found.is_empty() && found.iter().all(in_groups)
    }

    pub(super) fn is_contraction(&self) -> bool {
        let pass = &self.plan.passes[self.position];
        !contractions(self.plan, pass, self.config.vector).is_empty()
    }

    /// Every broken rule.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![];
        self.tile_faults(&mut faults);
        self.vector_faults(&mut faults);
        let tiled: Vec<AxisId> =
            self.shape.all_axes().filter(|&axis| self.tile(axis) > 1).collect();
        if let Some(&axis) = tiled.get(TILE_AXES_MAX) {
            let message = format!("a register tile has at most {TILE_AXES_MAX} axes");
            faults.push(Fault { field: Field::Micro(axis), message, legal: "1".to_string() });
        }
        let (needed, most) = (self.registers(), self.target.vector_registers);
        if needed > most && !self.is_smallest() {
            let widest = self.shape.all_axes().max_by_key(|&axis| self.tile(axis));
            let field = Field::Micro(widest.expect("a tile above the smallest has an axis"));
            let message = format!("the register tile needs {needed} registers of {most}");
            faults.push(Fault { field, message, legal: "a smaller tile".to_string() });
        }
        self.stream_faults(&mut faults);
        self.copy_faults(&mut faults);
        // What has no effect breaks no rule: a schedule that is silent about it is legal.
        let contracts = self.is_contraction();
        let by_rows = !self.config.pack_b.is_grouped() || self.config.pack_b == Pack::Tiles;
        let packs = [
            (contracts && by_rows).then_some((Field::PackA, self.config.pack_a)),
            contracts.then_some((Field::PackB, self.config.pack_b)),
        ];
        for (field, pack) in packs.into_iter().flatten() {
            if matches!(pack, Pack::Panel | Pack::Dots | Pack::Tiles | Pack::Parts)
                && !self.has_panel(field)
            {
                let message = "the operand has no axis with a register tile".to_string();
                faults.push(Fault { field, message, legal: "no, rows".to_string() });
            }
            if pack.is_grouped() && !self.has_dots() {
                let message = "no instruction adds these products in groups".to_string();
                faults.push(Fault { field, message, legal: "no, rows, panel".to_string() });
            }
        }
        faults
    }

    fn copy_faults(&self, faults: &mut Vec<Fault>) {
        let copies = self.config.pack_b.copies() && self.config.pack_b != Pack::Parts;
        if self.config.once_b && copies && !self.is_copied_whole() {
            let message = "blocks of the operand are not whole panels of arguments".to_string();
            faults.push(Fault { field: Field::CopyB, message, legal: "block".to_string() });
        }
    }

    fn stream_faults(&self, faults: &mut Vec<Fault>) {
        let Some(&axis) = self.shape.stream.first() else {
            return;
        };
        let field = Field::Block(axis);
        let (plan, stream) = (self.plan, self.stream());
        if chains::is_cut_well(plan, self.shape, &stream, self.config) {
            return;
        }
        let blocks = chains::blocks(plan, &stream);
        if !self.shape.rounds {
            let legal = format!("steps that make at most {} blocks", chains::BLOCKS_MAX);
            faults.push(Fault { field, message: format!("the stream has {blocks} blocks"), legal });
            return;
        }
        let additions = chains::additions(plan, self.shape, &stream, self.config);
        let most = chains::additions_max(plan, self.shape);
        let message = format!(
            "a term passes through {additions} additions in {blocks} blocks, {most} are allowed"
        );
        let steps = chains::steps_cut_well(plan, self.shape, &stream, self.config);
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        let legal = match steps.is_empty() {
            true => "other steps along the other axes too".to_string(),
            false => steps.join(", "),
        };
        faults.push(Fault { field, message, legal });
    }

    fn tile_faults(&self, faults: &mut Vec<Fault>) {
        for axis in self.shape.all_axes() {
            let (tile, unit, most) = (self.tile(axis), self.tile_unit(axis), self.tile_max(axis));
            if !tile.is_multiple_of(unit) || tile > most {
                let of = self.plan.axes.name(axis);
                let message = format!("a register tile of {tile} along {of} does not fit its step");
                let legal = format!("multiples of {unit} up to {most}");
                faults.push(Fault { field: Field::Micro(axis), message, legal });
            }
        }
    }

    fn vector_faults(&self, faults: &mut Vec<Fault>) {
        let Some(axis) = self.config.vector else {
            return;
        };
        let grid = self.phase.grid.iter().find(|(of, _)| *of == axis);
        let (field, step) = match grid {
            Some(&(_, step)) => (Field::Grid(axis), step),
            None => (Field::Block(axis), self.step(axis)),
        };
        if !self.is_whole(axis, step) {
            let lanes = self.shape.lanes;
            let of = self.plan.axes.name(axis);
            let message = format!("a step of {step} cuts the vectors along {of}");
            let legal = format!("multiples of {lanes}, or the whole extent");
            faults.push(Fault { field, message, legal });
        }
    }
}

/// The site of each stored pass.
pub(super) fn sites<'a>(
    plan: &'a PassProgram,
    shapes: &'a [Shape],
    target: &'a Target,
    config: &'a Config,
    phases: &'a [PhaseConfig],
) -> Vec<Site<'a>> {
    let site = |phase: &'a PhaseConfig, position: usize| Site {
        plan,
        position,
        shape: &shapes[position],
        config: &config.passes[position],
        all: config,
        phase,
        target,
    };
    let sites = phases.iter().flat_map(|phase| phase.passes.iter().map(move |&pass| (phase, pass)));
    sites.map(|(phase, pass)| site(phase, pass)).collect()
}
