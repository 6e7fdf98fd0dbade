//! The choices of a plan and the values each may take.
//!
//! Invariant: a domain does not depend on the values of other choices; what combinations are legal is `constraint`'s.

use super::key::{Field, Key, word, yes_no};
use super::shape::{Shape, contractions, is_given, stores_output};
use super::{Choice, ChoiceValue, Config, Domain, Pack, ahead, chains, keep, splits};
use crate::base::AxisId;
use crate::lower::{Contraction, dots, parts, tiled};
use crate::plan::PassProgram;
use crate::target::Target;

/// Steps that whole register tiles fill, besides the powers of two.
const STEPS: [u64; 8] = [6, 12, 24, 48, 96, 144, 192, 336];
/// Rows of a register tile.
const ROWS: [u64; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// Vectors of a register tile.
const VECTORS: [u64; 6] = [1, 2, 3, 4, 6, 8];

/// The choices in canonical order, each with what it decides.
pub(super) fn choices(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    default: &Config,
) -> Vec<(Key, Choice)> {
    let chunks_max = splits::chunks_max(target);
    let positions = 0..plan.passes.len();
    let ahead = positions.map(|position| ahead::may_fetch(plan, shapes, position)).collect();
    let mut list = List { plan, default, target, chunks_max, ahead, choices: vec![] };
    if default.form.is_some() {
        list.one_of(Key::Form, vec![], "The form of the kernel that is computed.");
    }
    list.one_of(Key::Threads, counts(powers(target.threads.max(1))), "Threads of each phase.");
    for (position, shape) in shapes.iter().enumerate() {
        list.pass(position, shape);
    }
    list.choices
}

struct List<'a> {
    plan: &'a PassProgram,
    default: &'a Config,
    target: &'a Target,
    chunks_max: u64,
    /// Which passes may fetch ahead.
    ahead: Vec<bool>,
    choices: Vec<(Key, Choice)>,
}

impl List<'_> {
    fn pass(&mut self, position: usize, shape: &Shape) {
        let pass = &self.plan.passes[position];
        let name = pass.name.clone();
        let key = |field| Key::Pass(position, field);
        let words = || vec![yes_no(true), yes_no(false)];
        if pass.optional {
            let meaning = format!("Whether {name} is stored or evaluated by its readers.");
            self.one_of(key(Field::Store), words(), &meaning);
        }
        if position > 0 && !shape.alone {
            let meaning = format!("Whether {name} joins the phase of the pass before it.");
            self.one_of(key(Field::Fuse), words(), &meaning);
        }
        self.grid(position, shape);
        let loops = |axis: &AxisId| match pass.group {
            None => true,
            // A member of a group loops over its own stream; one of them says how the group's is cut.
            Some(_) => pass.stream.contains(axis) && self.plan.stepper(position, *axis) == position,
        };
        for axis in shape.free_axes().filter(loops) {
            let steps = counts(steps(self.plan.axes.extent(axis)));
            let meaning = format!("Step of {name}'s loop over {}.", self.plan.axes.name(axis));
            self.one_of(key(Field::Block(axis)), steps, &meaning);
        }
        self.splits(position, shape);
        self.inner(position, shape);
        self.packs(position, shape);
    }

    fn grid(&mut self, position: usize, shape: &Shape) {
        let name = &self.plan.passes[position].name;
        let axes = shape.axes.iter().copied().filter(|&axis| shape.scan != Some(axis));
        for axis in axes {
            let of = self.plan.axes.name(axis);
            let meaning = format!("Elements of {of} in one grid iteration of {name}'s phase.");
            let steps = counts(steps(self.plan.axes.extent(axis)));
            self.one_of(Key::Pass(position, Field::Grid(axis)), steps, &meaning);
        }
        let clash = shape.axes.iter().any(|&axis| self.plan.axes.name(axis) == "order");
        if shape.axes.len() > 1 && !clash {
            let meaning = format!("Order of the grid axes of {name}'s phase, outermost first.");
            self.order_of(Key::Pass(position, Field::GridOrder), &shape.axes, &meaning);
        }
    }

    fn splits(&mut self, position: usize, shape: &Shape) {
        let name = self.plan.passes[position].name.clone();
        for axis in splits::axes(self.plan, position) {
            let most = self.plan.axes.extent(axis).min(self.chunks_max);
            let terms = self.plan.axes.volume(shape.stream.iter().copied().collect());
            let extent = self.plan.axes.extent(axis);
            let splits = (0..63).map(|power| 1 << power).take_while(|&count| {
                count <= most && (!shape.rounds || chains::may_split(terms, extent, count))
            });
            let of = self.plan.axes.name(axis);
            let meaning = format!("Chunks of {of} whose states {name} computes apart.");
            let key = Key::Pass(position, Field::Split(axis));
            self.one_of(key, counts(splits.collect()), &meaning);
        }
    }

    fn inner(&mut self, position: usize, shape: &Shape) {
        let name = self.plan.passes[position].name.clone();
        let key = |field| Key::Pass(position, field);
        let axis_word = |axis| word(self.plan.axes.name(axis));
        let axes = shape.vector_axes(self.plan).into_iter();
        let axes = axes.filter(|&axis| self.plan.axes.name(axis) != "none").map(axis_word);
        let vectors = axes.chain([word("none")]).collect();
        let meaning = format!("The axis that runs along the vector lanes of {name}.");
        self.one_of(key(Field::Vector), vectors, &meaning);
        for axis in shape.free_axes() {
            let rows = shape.axes.contains(&axis);
            let tiles = counts(tiles(self.plan.axes.extent(axis), shape.lanes, rows));
            let of = self.plan.axes.name(axis);
            let meaning = format!("Elements of {of} in the register tile of {name}.");
            self.one_of(key(Field::Micro(axis)), tiles, &meaning);
        }
        let meaning = format!("Copies of the innermost step of {name} in one iteration.");
        self.one_of(key(Field::Unroll), counts(vec![1, 2, 4, 8]), &meaning);
        if !shape.stream.is_empty() {
            let meaning = format!("Steps that vectors of {name} are fetched ahead of their use.");
            self.one_of(key(Field::Fetch), counts(vec![0, 4, 8, 16, 32]), &meaning);
        }
        if self.ahead[position] {
            let meaning = format!("Whether {name} fetches what the next grid iteration reads.");
            self.one_of(key(Field::Ahead), vec![yes_no(false), yes_no(true)], &meaning);
        }
        if stores_output(self.plan, &self.plan.passes[position]) {
            let meaning =
                format!("Whether what {name} stores goes through the caches or past them.");
            self.one_of(key(Field::Stores), vec![word("cached"), word("streaming")], &meaning);
        }
        if keep::output_of(self.plan, position).is_some() {
            let meaning = format!("Where what {name} stores waits for the output made of it.");
            self.one_of(key(Field::Keep), vec![word("scratch"), word("output")], &meaning);
        }
        if shape.axes.len() > 1 {
            let meaning = format!("Order of the loops of {name}, outermost first.");
            self.order_of(key(Field::Order), &shape.axes, &meaning);
        }
    }

    fn packs(&mut self, position: usize, shape: &Shape) {
        let pass = &self.plan.passes[position];
        let vectors = shape.all_axes().map(Some).chain([None]);
        let found: Vec<Contraction> =
            vectors.into_iter().flat_map(|vector| contractions(self.plan, pass, vector)).collect();
        if found.is_empty() {
            return;
        }
        let grouped = found.iter().any(|of| dots(self.plan, pass, of, self.target).is_some());
        let in_parts = found.iter().any(|of| parts(self.plan, pass, of, self.target).is_some());
        let in_tiles = found.iter().any(|of| tiled(self.plan, pass, of, self.target).is_some());
        let name = pass.name.clone();
        for (field, operand) in [(Field::PackA, "first"), (Field::PackB, "second")] {
            let is_b = field == Field::PackB;
            let grouped = [
                (Pack::Dots, grouped),
                (Pack::Tiles, in_tiles),
                (Pack::Parts, in_parts),
                (Pack::Join, grouped),
            ];
            let grouped = grouped.into_iter().filter(|of| is_b && of.1).map(|of| of.0);
            let packs = [Pack::No, Pack::Rows, Pack::Panel].into_iter().chain(grouped);
            let packs = packs.map(|pack| word(pack.name())).collect();
            let meaning =
                format!("How the {operand} operand of the contraction of {name} is packed.");
            self.one_of(Key::Pass(position, field), packs, &meaning);
        }
        if found.iter().any(|of| is_given(self.plan, pass, &of.b)) {
            let meaning =
                format!("Whether {name} copies that operand in each block or once for all.");
            let words = vec![word("block"), word("once")];
            self.one_of(Key::Pass(position, Field::CopyB), words, &meaning);
        }
    }

    /// Adds a choice of values. The default is moved to the front and added if it is missing.
    fn one_of(&mut self, key: Key, mut values: Vec<ChoiceValue>, meaning: &str) {
        let default = key.read(self.default, &self.plan.axes);
        values.retain(|value| *value != default);
        values.insert(0, default.clone());
        self.add(key, Domain::OneOf(values), default, meaning);
    }

    fn order_of(&mut self, key: Key, axes: &[AxisId], meaning: &str) {
        let names = axes.iter().map(|&axis| self.plan.axes.name(axis).to_string()).collect();
        let default = key.read(self.default, &self.plan.axes);
        self.add(key, Domain::OrderOf(names), default, meaning);
    }

    fn add(&mut self, key: Key, domain: Domain, default: ChoiceValue, meaning: &str) {
        let (name, meaning) = (key.name(self.plan), meaning.to_string());
        self.choices.push((key, Choice { name, meaning, domain, default }));
    }
}

fn counts(values: Vec<u64>) -> Vec<ChoiceValue> {
    values.into_iter().map(ChoiceValue::Count).collect()
}

fn powers(most: u64) -> Vec<u64> {
    let powers = (0..63).map(|power| 1 << power).take_while(|&power| power < most);
    powers.chain([most]).collect()
}

/// Loop steps for an extent, ascending.
pub(super) fn steps(extent: u64) -> Vec<u64> {
    let extent = extent.max(1);
    let mut steps = powers(extent);
    steps.extend(STEPS.into_iter().filter(|&step| step < extent));
    steps.sort_unstable();
    steps
}

/// Register tiles along an axis: rows where the axis is of the result, and whole vectors.
pub(super) fn tiles(extent: u64, lanes: u64, rows: bool) -> Vec<u64> {
    let extent = extent.max(1);
    let rows = ROWS.into_iter().filter(|&count| count == 1 || (rows && count <= extent));
    let most = extent.div_ceil(lanes).saturating_mul(lanes);
    let vectors = VECTORS.map(|count| count * lanes).into_iter().filter(|&count| count <= most);
    let mut tiles: Vec<u64> = rows.chain(vectors).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}
