//! The loops of one nest: main parts in register tiles, the rest in smaller ones.
//!
//! Each axis of the target is cut into parts. Along the vector axis the last part ends in a masked vector. Inside the
//! innermost part stand the reductions, and inside them the expression.
//! Invariant: pointers point at the element of the current loop position with every unrolled offset zero.

use super::code::Code;
use super::memory::in_bytes;
use super::part::{Kind, Part, Stretch};
use super::{BlockShape, Surroundings, Word, lanes_of};
use crate::machine::{Memo, Nest, Panel, Place};
use crate::wide::program::{Leaf, Limit, Node, Op, Predicate, Scalar};
use std::collections::BTreeMap;
use tilewright_ir::AxisId;
use tilewright_ir::backend::Unsupported;

/// Register tiles larger than this are a mistake of the schedule, not a wish.
pub(super) const TILE_VECTORS_MAX: u64 = 64;

/// Which lanes of a vector along the vector axis are elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All.
    Whole,
    /// All, but in the vector at this offset only those of the predicate.
    /// `known`: how many, where that is known now.
    Tail { offset: u64, mask: Predicate, known: Option<u64> },
    /// Lane 0.
    One,
}

/// The state of lowering one nest.
pub(super) struct NestLowering<'n> {
    pub(super) code: Code,
    pub(super) nest: &'n Nest,
    pub(super) around: &'n Surroundings<'n>,
    /// Lanes of every vector of this nest.
    pub(super) lanes: u64,
    pub(super) mode: Mode,
    /// Whether values run along the vector axis at the moment.
    pub(super) places: Vec<&'n Place>,
    pub(super) pointers: Vec<Scalar>,
    /// The index of each looped axis inside the current block; an absent axis is at 0.
    pub(super) indices: BTreeMap<AxisId, Scalar>,
    pub(super) memo: Memo<super::value::Value>,
    words: Vec<Word>,
    frame: BTreeMap<Word, Scalar>,
    /// Where the target holds the carried values: everywhere, or nowhere in the first block.
    pub(super) held: Option<Predicate>,
    /// Unrolled positions along each target axis in the current part.
    pub(super) counts: Vec<(AxisId, u64)>,
    /// The groups of the reduction, while it is written.
    pub(super) dot: Option<super::dot::Dot>,
    /// How the sum is added in tile registers, if it is.
    pub(super) tiling: Option<super::tiling::Tiling>,
    /// Whether the current part of the target's axis of groups begins with one.
    pub(super) in_groups: bool,
    /// Which copies of factors have zeros behind their last term.
    pub(super) filled: super::padding::Filled,
    /// What is fetched for later while products of tiles are added.
    pub(super) ahead: Option<super::more::Ahead>,
    /// The current part of the axis of a tile's rows.
    pub(super) row_part: Option<Part>,
    /// How the chains of the reductions are cut, where they are too long.
    pub(super) chain: Option<super::chain::Chain>,
    /// The innermost reduced axis while its steps are written, if vectors are fetched ahead along it.
    pub(super) fetching: Option<AxisId>,
    /// Bytes that what is stored lies behind the place of the result.
    pub(super) behind: i64,
    /// Whether whole vectors are stored past the caches.
    pub(super) streaming: bool,
    /// How many target axes are in a part behind their first one. Such code covers a rest, so it is kept short.
    pub(super) rests: usize,
}

impl<'n> NestLowering<'n> {
    pub(super) fn new(nest: &'n Nest, around: &'n Surroundings<'n>) -> Result<Self, Unsupported> {
        let places: Vec<&Place> = nest.dag.places.iter().chain([&nest.target]).collect();
        let lanes = lanes_of(nest, around);
        let mut lowering = Self {
            code: Code::default(),
            nest,
            around,
            lanes,
            mode: Mode::One,
            places,
            pointers: vec![],
            indices: BTreeMap::new(),
            memo: Memo::default(),
            words: vec![],
            frame: BTreeMap::new(),
            held: None,
            counts: vec![],
            dot: None,
            tiling: None,
            filled: super::padding::Filled::default(),
            ahead: None,
            row_part: None,
            in_groups: false,
            chain: None,
            fetching: None,
            behind: 0,
            streaming: false,
            rests: 0,
        };
        lowering.tiling = lowering.find_tiling();
        lowering.check()?;
        for place in 0..lowering.places.len() {
            let pointer = lowering.word(Word::Pointer(place));
            lowering.pointers.push(pointer);
        }
        Ok(lowering)
    }

    pub(super) fn run(mut self) -> Result<(Leaf, Vec<Word>), Unsupported> {
        self.memo.enter();
        self.fill_padding();
        match self.may_stream() {
            true => self.streamed_or_not()?,
            false => self.outer_loops(0)?,
        }
        let leaf = self.code.finish(&self.nest.name, self.lanes);
        Ok((leaf, self.words))
    }

    /// Whether stores may go past the caches: of whole vectors that are aligned if the first one is, and that nothing
    /// reads soon.
    fn may_stream(&self) -> bool {
        let target = &self.nest.target;
        let again =
            self.nest.carried.is_some() && !(self.around.always_first && self.around.always_last);
        let vector = self.around.isa.vector_bytes().cast_signed();
        let aligned = |term: &crate::machine::Term| {
            let is_vector = self.is_vector(term.axis);
            is_vector && term.stride_bytes == target.dtype.bytes().cast_signed()
                || !is_vector && term.stride_bytes % vector == 0
        };
        let whole = self.lanes * target.dtype.bytes() == self.around.isa.vector_bytes();
        let is_output = matches!(target.base, crate::machine::Base::Argument(_));
        let one = self.nest.micro.vector.is_some_and(|axis| target.term(axis).is_some());
        self.nest.micro.streaming
            && whole
            && one
            && !again
            && is_output
            && !self.vector_is_reduced()
            && target.panels.is_empty()
            && target.terms.iter().all(aligned)
    }

    /// All loops twice: for a target whose vectors are aligned, and for any.
    fn streamed_or_not(&mut self) -> Result<(), Unsupported> {
        let condition = self.word(Word::Aligned);
        let outer = self.code.open();
        self.streaming = true;
        self.memo.enter();
        self.outer_loops(0)?;
        self.memo.leave();
        self.streaming = false;
        let then = self.code.close(outer);
        let outer = self.code.open();
        self.memo.enter();
        self.outer_loops(0)?;
        self.memo.leave();
        let otherwise = self.code.close(outer);
        self.code.node(Node::If { condition, then, otherwise });
        Ok(())
    }

    /// Refuses what a leaf cannot say as a whole.
    fn check(&self) -> Result<(), Unsupported> {
        if self.nest.scan.is_some() {
            return Err(self.refused("a scan in wide vectors"));
        }
        if self.vector_is_reduced() && self.places.iter().any(|place| place.packed) {
            return Err(self.refused("packed i4 along a sum in wide vectors"));
        }
        if self.places.iter().any(|place| place.packed && !self.begins_a_byte(place)) {
            return Err(self.refused("packed i4 that begin inside of bytes in wide vectors"));
        }
        for place in &self.places {
            for panel in &place.panels {
                self.check_panel(place, panel)?;
            }
        }
        let axes = self.nest.outer.iter().chain(&self.nest.reduce);
        let vectors: u64 = axes.map(|&axis| self.tile_positions(axis)).product();
        if vectors > TILE_VECTORS_MAX && self.tiling.is_none() {
            return Err(self.refused(&format!("a register tile of {vectors} vectors")));
        }
        Ok(())
    }

    /// Panels must line up with register tiles, so that offsets inside a tile are known now.
    fn check_panel(&self, place: &Place, panel: &Panel) -> Result<(), Unsupported> {
        let tile = self.tile_of(panel.axis);
        let block = self.block(panel.axis);
        let absolute = place.term(panel.axis).is_some_and(|term| !term.relative);
        let misplaced = absolute && block.moves && !block.step.is_multiple_of(panel.width);
        let split = !tile.is_multiple_of(panel.width) && !panel.width.is_multiple_of(tile);
        if misplaced || split {
            let what = format!("panels of {} under a register tile of {tile}", panel.width);
            return Err(self.refused(&what));
        }
        Ok(())
    }

    pub(super) fn refused(&self, what: &str) -> Unsupported {
        (self.around.refuse)(what)
    }

    /// A word of the frame, read once, at the beginning.
    pub(super) fn word(&mut self, word: Word) -> Scalar {
        if let Some(&known) = self.frame.get(&word) {
            return known;
        }
        let to = self.code.scalar();
        let position = u32::try_from(self.words.len()).expect("a frame has few words");
        self.words.push(word);
        self.code.first(Op::Frame { to, word: position });
        self.frame.insert(word, to);
        to
    }

    pub(super) fn block(&self, axis: AxisId) -> BlockShape {
        self.around.blocks[&axis]
    }

    pub(super) fn is_vector(&self, axis: AxisId) -> bool {
        self.nest.micro.vector == Some(axis)
    }

    /// The register tile along an axis; along the vector axis a whole number of vectors.
    pub(super) fn tile_of(&self, axis: AxisId) -> u64 {
        let entry = self.nest.micro.tile.iter().find(|entry| entry.0 == axis);
        let tile = entry.map_or(1, |entry| entry.1).max(1);
        if self.is_vector(axis) { tile.next_multiple_of(self.lanes) } else { tile }
    }

    /// Elements that an unrolled position along an axis stands for.
    fn unit(&self, axis: AxisId) -> u64 {
        match self.dot.filter(|dot| dot.axis == axis) {
            Some(dot) => dot.of.count(),
            None if self.is_vector(axis) => self.lanes,
            None => 1,
        }
    }

    fn tile_positions(&self, axis: AxisId) -> u64 {
        self.tile_of(axis) / if self.is_vector(axis) { self.lanes } else { 1 }
    }

    fn outer_loops(&mut self, level: usize) -> Result<(), Unsupported> {
        let Some(&axis) = self.nest.outer.get(level) else {
            return self.tile();
        };
        let stretch = self.whole(axis);
        let tiling = self.tiling.filter(|tiling| tiling.rows == axis);
        let parts = match tiling {
            Some(tiling) => self.row_parts(tiling, &stretch),
            None => self.target_parts(axis, &stretch),
        };
        self.cut(axis, &stretch, &parts, true, |lowering, part| {
            let saved = lowering.mode;
            if lowering.is_vector(axis) {
                lowering.mode = lowering.mode_of(axis, &stretch, part);
            }
            lowering.row_part = tiling.map(|_| part).or(lowering.row_part);
            lowering.counts.push((axis, part.count));
            let copies = lowering.nest.accumulators.is_empty() && lowering.nest.micro.fetch > 0;
            if copies && level + 1 == lowering.nest.outer.len() {
                lowering.fetching = Some(axis);
            }
            let outcome = lowering.outer_loops(level + 1);
            lowering.fetching = None;
            lowering.counts.pop();
            lowering.mode = saved;
            outcome
        })
    }

    /// All indices of the current block.
    pub(super) fn whole(&mut self, axis: AxisId) -> Stretch {
        let block = self.block(axis);
        let end = match block.extent {
            Some(extent) => Limit::Constant(extent.cast_signed()),
            None => Limit::Scalar(self.word(Word::Length(axis))),
        };
        let mut lengths: Vec<u64> = block.lengths().collect();
        if block.extent.is_some() {
            lengths.truncate(1);
        }
        Stretch { start: None, end, lengths }
    }

    /// The parts of an axis in steps of `tile`. A rest that is the same in all blocks is one smaller tile.
    pub(super) fn parts(&self, axis: AxisId, stretch: &Stretch, tile: u64) -> Vec<Part> {
        let unit = self.unit(axis);
        let lengths = &stretch.lengths;
        let mut parts = vec![];
        if lengths.iter().any(|&length| length >= tile) {
            parts.push(Part { step: tile, count: tile / unit, kind: Kind::Whole });
        }
        let mut rests: Vec<u64> = lengths.iter().map(|length| length % tile).collect();
        rests.retain(|&rest| rest != 0);
        rests.dedup();
        match rests[..] {
            [] => {}
            [rest] => {
                let kind = Kind::Rest(rest % unit);
                parts.push(Part { step: rest, count: rest.div_ceil(unit), kind });
            }
            _ => {
                let last = if unit > 1 { Kind::Tail } else { Kind::Whole };
                if unit > 1 && tile > unit {
                    parts.push(Part { step: unit, count: 1, kind: Kind::Whole });
                }
                parts.push(Part { step: unit, count: 1, kind: last });
            }
        }
        parts
    }

    /// The mode inside a part along the vector axis.
    pub(super) fn mode_of(&mut self, axis: AxisId, stretch: &Stretch, part: Part) -> Mode {
        let count = match part.kind {
            Kind::Whole | Kind::Before(_) | Kind::Rest(0) => return Mode::Whole,
            Kind::Rest(rest) => self.code.set(rest.cast_signed()),
            Kind::Tail => {
                let end = self.scalar_of(stretch.end);
                match self.indices.get(&axis).copied() {
                    Some(index) => self.code.subtract(end, index),
                    None => end,
                }
            }
        };
        let mask = self.code.predicate();
        self.code.op(Op::FirstLanes { to: mask, count });
        let known = if let Kind::Rest(rest) = part.kind { Some(rest) } else { None };
        Mode::Tail { offset: part.count - 1, mask, known }
    }

    fn scalar_of(&mut self, limit: Limit) -> Scalar {
        match limit {
            Limit::Constant(value) => self.code.set(value),
            Limit::Scalar(scalar) => scalar,
        }
    }

    /// Runs `inner` over the parts of an axis, one after the other. `with_target`: the target's pointer moves, too.
    pub(super) fn cut(
        &mut self,
        axis: AxisId,
        stretch: &Stretch,
        parts: &[Part],
        with_target: bool,
        mut inner: impl FnMut(&mut Self, Part) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        if let [part] = parts
            && stretch.extent() == Some(part.step)
        {
            self.memo.enter();
            inner(self, *part)?;
            self.memo.leave();
            return Ok(());
        }
        let saved = self.pointers.clone();
        let index = match stretch.start {
            Some(start) => self.code.moved(start),
            None => self.code.set(0),
        };
        let moving = self.moving(axis, with_target);
        for &place in &moving {
            self.pointers[place] = self.code.moved(saved[place]);
        }
        let saved_index = self.indices.insert(axis, index);
        for (position, &part) in parts.iter().enumerate() {
            self.rests += usize::from(position > 0);
            let first = position == 0;
            self.part((axis, stretch), part, (index, first), (&saved, &moving), &mut inner)?;
            self.rests -= usize::from(position > 0);
        }
        self.indices.remove(&axis);
        self.indices.extend(saved_index.map(|index| (axis, index)));
        self.pointers = saved;
        Ok(())
    }

    /// The places whose address depends on an axis.
    fn moving(&self, axis: AxisId, with_target: bool) -> Vec<usize> {
        let count = self.places.len() - usize::from(!with_target);
        (0..count)
            .filter(|&place| self.places[place].linear_stride_bytes(axis, 1) != Some(0))
            .collect()
    }

    fn part(
        &mut self,
        (axis, stretch): (AxisId, &Stretch),
        part: Part,
        (index, is_first): (Scalar, bool),
        (saved, moving): (&[Scalar], &[usize]),
        inner: &mut impl FnMut(&mut Self, Part) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        let extent = stretch.extent();
        let loops = match (part.kind, extent) {
            // A known rest of a known length comes once.
            (Kind::Rest(_), Some(_)) => false,
            (_, Some(extent)) => !(is_first && extent / part.step == 1),
            (_, None) => true,
        };
        let behind = match part.kind {
            Kind::Tail => 0,
            Kind::Whole | Kind::Rest(_) => part.step.cast_signed() - 1,
            Kind::Before(last) => (part.step + last).cast_signed() - 1,
        };
        let end = self.code.limit(stretch.end, behind);
        let outer = self.code.open();
        self.memo.enter();
        let inside = match stretch.start {
            Some(start) => self.code.subtract(index, start),
            None => index,
        };
        self.place_in_panels(axis, part, inside, (saved, moving));
        inner(self, part)?;
        self.memo.leave();
        self.advance(axis, part, moving);
        if !loops {
            self.code.op(Op::AddConstant { to: index, x: index, value: part.step.cast_signed() });
        }
        let body = self.code.close(outer);
        if loops {
            let entered = is_first && extent.is_some_and(|extent| extent >= part.step);
            self.code.node(Node::Loop { index, end, step: part.step.cast_signed(), entered, body });
        } else {
            for node in body {
                self.code.node(node);
            }
        }
        Ok(())
    }

    /// Pointers into panels that a step does not cross whole are computed from the index.
    fn place_in_panels(
        &mut self,
        axis: AxisId,
        part: Part,
        index: Scalar,
        (saved, moving): (&[Scalar], &[usize]),
    ) {
        for &place in moving {
            let of = self.places[place];
            if of.linear_stride_bytes(axis, part.step).is_some() {
                continue;
            }
            let panel = of.panel_of(axis).expect("only panel axes are not linear");
            let stride = of.term(axis).expect("a panel axis has a term").stride_bytes;
            let number = self.code.divide(index, panel.width);
            let whole = self.code.times(number, panel.width.cast_signed());
            let inside = self.code.subtract(index, whole);
            let panels = self.code.times(number, panel.stride_bytes);
            let rest = self.code.times(inside, stride);
            let offset = self.code.add(panels, rest);
            let to = self.pointers[place];
            self.code.op(Op::Add { to, x: saved[place], y: offset });
        }
    }

    /// Moves the pointers behind a step.
    fn advance(&mut self, axis: AxisId, part: Part, moving: &[usize]) {
        for &place in moving {
            let Some(stride) = self.places[place].linear_stride_bytes(axis, part.step) else {
                continue;
            };
            let value = in_bytes(self.places[place], stride * part.step.cast_signed());
            let to = self.pointers[place];
            self.code.op(Op::AddConstant { to, x: to, value });
        }
    }
}
