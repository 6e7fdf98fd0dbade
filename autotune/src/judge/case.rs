//! Cases: inputs of a family with the reference of their outputs.

use crate::launch::{Failure, Session};
use crate::stats::work_of_text;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};
use tilewright_ir::base::{BinaryOp, ReduceOp, UnaryOp};
use tilewright_ir::graph::{Graph, Op, Tensor};
use tilewright_ir::reference::{
    Family, HostTensor, SCALES, Shuffle, Verdict, Yardstick, barred_places, can_lie, draw,
    evaluate, integers_are_exact, memory_of, permutable_axes, scaled, scaled_places,
    special_places,
};

/// A kernel with at most this many operations and bytes has a reference of a few milliseconds: its cases are drawn anew one
/// by one as candidates are judged. The limits are counts, so that the same seed draws the same data on every machine.
const CHEAP: (f64, f64) = (4e6, 4e6);
/// A kernel with more operations or bytes has a reference of seconds, or large cases: it gets three cases only.
const LARGE: (f64, f64) = (1e9, 32e6);
/// The families of which each candidate gets one besides `Normal`.
const OTHERS: [Family; 4] = [Family::Uniform, Family::Integers, Family::Equal, Family::Behind];

/// The families that hurt: wide magnitudes, also row by row, means far from zero, NaN and infinities, ties and near ties, rows
/// of -inf, any magnitude at all. Each candidate gets a case of each, and of a cheap kernel one for each place; a candidate of a
/// large kernel gets a single one, unless it is somebody else's.
const HARD: [Family; 7] = [
    Family::Wide,
    Family::Specials,
    Family::Close,
    Family::Scaled,
    Family::Offset,
    Family::Barred,
    Family::Extreme,
];

/// Most cases of a family with places of a candidate.
const PLACES_MAX: u64 = 9;

/// What the seed of a family chooses by its remainder: the input that is not finite, or the axis that is scaled. Of a cheap kernel
/// there is a case of each.
fn places(graph: &Graph, family: Family) -> u64 {
    match family {
        Family::Specials => special_places(graph),
        Family::Scaled => scaled_places(graph),
        Family::Barred => barred_places(graph),
        _ => 1,
    }
}

/// Whether no operation of a kernel makes new magnitudes of its inputs', so that any may come.
fn only_moves(graph: &Graph) -> bool {
    let sums = |op: ReduceOp| matches!(op, ReduceOp::Sum | ReduceOp::Product);
    graph.ids().all(|id| match graph.node(id).op {
        Op::Unary(op, _) => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not),
        Op::Binary(op, x, _) => {
            let is_free =
                matches!(op, BinaryOp::Max | BinaryOp::Min | BinaryOp::And | BinaryOp::Or);
            is_free || !graph.node(x).dtype.is_float()
        }
        Op::Reduce(op, ..) | Op::Scan(op, ..) => !sums(op),
        Op::Roll(..) => false,
        _ => true,
    })
}

/// A hard case should have about so many elements: in fewer, what hurts may not occur, and more cases are drawn.
const HARD_ELEMENTS: u64 = 256;
const HARD_CASES_MAX: u64 = 8;

/// Cases of each hard family for a kernel with small tensors.
fn draws_of_each(graph: &Graph) -> usize {
    let outputs = graph.outputs.iter().map(|output| &output.tensor);
    let elements = |tensor: &Tensor| tensor.shape(&graph.axes).iter().product();
    let most: u64 = graph.inputs.iter().chain(outputs).map(elements).max().unwrap_or(0);
    (HARD_ELEMENTS / most.max(1)).clamp(1, HARD_CASES_MAX) as usize
}

/// Inputs that have been drawn and what they should give.
#[derive(Debug)]
struct Drawn {
    family: Family,
    seed: u64,
    /// The remainder of the seed that chooses what is special: see `places`.
    place: u64,
    /// The power of two that its numbers were multiplied with.
    scale: i32,
    /// Whether one element of an input is another than was drawn.
    changed: bool,
    inputs: Vec<HostTensor>,
    expected: Vec<Yardstick>,
}

impl Drawn {
    /// Draws until enough elements are decided, of ever smaller numbers; the last draw stays as it is.
    fn draw(graph: &Graph, family: Family, place: u64, rng: &mut impl RngCore) -> Self {
        let [first, rest @ ..] = SCALES;
        let mut drawn = Self::draw_once(graph, family, (place, first), rng);
        for scale in rest {
            // Smaller numbers are not what that family is for.
            if !drawn.is_undecided() || family == Family::Extreme {
                break;
            }
            drawn = Self::draw_once(graph, family, (place, scale), rng);
        }
        drawn
    }

    fn draw_once(
        graph: &Graph,
        family: Family,
        (place, scale): (u64, i32),
        rng: &mut impl RngCore,
    ) -> Self {
        // 53 bits, so that a seed survives readers of JSON that know only f64.
        let drawn = rng.next_u64() >> 11;
        let places = places(graph, family);
        let seed = if places > 1 { drawn - drawn % places + place } else { drawn };
        let inputs = scaled(graph, draw(graph, family, seed), scale);
        let exact = family == Family::Integers && scale == 0 && integers_are_exact(graph, seed);
        let expected = yardsticks(graph, &inputs, exact);
        Self { family, seed, place, scale, changed: false, inputs, expected }
    }

    /// Whether so much of it is undecided that it says little of a candidate.
    fn is_undecided(&self) -> bool {
        self.expected.iter().any(|expected| expected.expected().too_undecided())
    }

    /// The same with one element of an input replaced by another one of it.
    fn changed(&self, graph: &Graph, rng: &mut impl RngCore) -> Self {
        let mut inputs = self.inputs.clone();
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.shuffle(rng);
        for index in order {
            let width = inputs[index].dtype.bits() as usize / 8;
            let elements = inputs[index].bytes.len() / width.max(1);
            if width == 0 || elements < 2 {
                continue;
            }
            let to = rng.random_range(0..elements);
            let from = (to + rng.random_range(1..elements)) % elements;
            let before = inputs[index].bytes.clone();
            inputs[index].bytes.copy_within(from * width..(from + 1) * width, to * width);
            if inputs[index].bytes != before && can_lie(graph, &graph.inputs[index], &inputs[index])
            {
                break;
            }
            inputs[index].bytes = before;
        }
        let exact = self.expected.iter().all(Yardstick::is_exact);
        let expected = yardsticks(graph, &inputs, exact);
        Self { inputs, expected, changed: true, ..*self }
    }
}

/// The reference of some inputs; where it is exact, every element must be equal.
fn yardsticks(graph: &Graph, inputs: &[HostTensor], exact: bool) -> Vec<Yardstick> {
    let expected = evaluate(graph, inputs).into_iter().zip(&graph.outputs);
    expected
        .map(|(expected, output)| match exact {
            true => Yardstick::exact(expected),
            false => Yardstick::new(expected, output.tensor.dtype),
        })
        .collect()
}

/// What a candidate is given and what it should answer: drawn data, perhaps in another order.
#[derive(Clone, Debug)]
pub(super) struct Case {
    drawn: Arc<Drawn>,
    shuffle: Option<Shuffle>,
}

impl Case {
    fn fresh(drawn: Drawn) -> Self {
        Self { drawn: Arc::new(drawn), shuffle: None }
    }

    fn shuffled(drawn: &Arc<Drawn>, graph: &Graph, seed: u64) -> Self {
        Self { drawn: Arc::clone(drawn), shuffle: Some(Shuffle::draw(graph, seed)) }
    }

    /// Puts the inputs into a slot of a session.
    pub(super) fn feed(
        &self,
        graph: &Graph,
        session: &mut Session,
        slot: usize,
    ) -> Result<(), Failure> {
        for (position, (tensor, data)) in graph.inputs.iter().zip(&self.drawn.inputs).enumerate() {
            let order = self.shuffle.as_ref().map(|shuffle| shuffle.order(graph, tensor));
            let place = session.input_mut(slot, position)?;
            match order {
                // A tensor that is dense in memory is written where it will be read.
                Some(order) if place.len() == data.bytes.len() && is_dense(graph, tensor) => {
                    order.write(data, place);
                }
                Some(order) => put(place, &memory_of(graph, tensor, &order.apply(data)))?,
                None => put(place, &memory_of(graph, tensor, data))?,
            }
        }
        Ok(())
    }

    /// How an output compares, and whether it passes. Of a hard case only the decided elements count: it may have
    /// many that overflow in one order of operations and not in another.
    pub(super) fn compare(
        &self,
        graph: &Graph,
        output: usize,
        got: &HostTensor,
    ) -> (Verdict, bool) {
        let tensor = &graph.outputs[output].tensor;
        let order = self.shuffle.as_ref().map(|shuffle| shuffle.order(graph, tensor));
        let verdict = self.drawn.expected[output].compare(got, order.as_ref());
        let is_hard = HARD.contains(&self.drawn.family);
        let passed = if is_hard { verdict.wrong == 0 } else { verdict.passed() };
        (verdict, passed)
    }

    /// For the evidence: how to draw it again.
    pub(super) fn describe(&self) -> String {
        let Drawn { family, seed, scale, changed, .. } = &*self.drawn;
        let changed = if *changed { " with one element changed" } else { "" };
        let scaled = if *scale == 0 { String::new() } else { format!(" times 2^{scale}") };
        let shuffle =
            self.shuffle.as_ref().map(|shuffle| format!(" permuted by {}", shuffle.seed()));
        format!("case {} {seed}{scaled}{changed}{}", family.name(), shuffle.unwrap_or_default())
    }
}

fn is_dense(graph: &Graph, tensor: &Tensor) -> bool {
    tensor.strides_if_strided(&graph.axes).is_none()
}

/// Copies bytes that have to fill a place.
fn put(place: &mut [u8], bytes: &[u8]) -> Result<(), Failure> {
    if place.len() != bytes.len() {
        let (found, wanted) = (bytes.len(), place.len());
        return Err(Failure::refused(format!(
            "an input has {found} bytes, the artifact takes {wanted}"
        )));
    }
    place.copy_from_slice(bytes);
    Ok(())
}

/// The cases whose references are known.
#[derive(Debug)]
pub(super) struct Pool {
    /// The first is normal; at least one of another family follows, then the hard ones.
    cases: Vec<Arc<Drawn>>,
    /// How many are not hard.
    plain: usize,
    /// What a candidate of our own does not get, since the kernel is large: families and places.
    left_out: Vec<(Family, u64)>,
    /// Whether cases are drawn anew.
    cheap: bool,
    /// Whether some axis may be permuted, so that a known case gives new ones.
    permutable: bool,
    /// The first case with one element of an input changed.
    changed: OnceLock<Arc<Drawn>>,
}

impl Pool {
    pub(super) fn new(graph: &Graph, rng: &mut ChaCha8Rng) -> Self {
        let work = work_of_text(graph);
        let cheap = work.flops <= CHEAP.0 && work.bytes <= CHEAP.1;
        let large = work.flops > LARGE.0 || work.bytes > LARGE.1;
        let mut others = OTHERS.to_vec();
        others.shuffle(rng);
        let of_use = |family: &Family| *family != Family::Extreme || only_moves(graph);
        let families: Vec<Family> = HARD.into_iter().filter(of_use).collect();
        let mut hard: Vec<(Family, u64)> = families
            .iter()
            .map(|&family| (family, rng.next_u64() % places(graph, family)))
            .collect();
        hard.shuffle(rng);
        let mut left_out = vec![];
        if large {
            left_out.extend(others.split_off(1).into_iter().map(|family| (family, 0)));
            left_out.extend(hard.split_off(1));
        } else if cheap {
            hard.retain(|&(family, _)| places(graph, family) == 1);
            for family in families.into_iter().filter(|&family| places(graph, family) > 1) {
                hard.extend((0..places(graph, family).min(PLACES_MAX)).map(|n| (family, n)));
            }
            hard = hard.repeat(draws_of_each(graph));
        }
        let plain = 1 + others.len();
        let others = others.into_iter().map(|family| (family, 0));
        let families = std::iter::once((Family::Normal, 0)).chain(others).chain(hard);
        let seeded: Vec<((Family, u64), ChaCha8Rng)> =
            families.map(|family| (family, fork(rng))).collect();
        let mut cases: Vec<Arc<Drawn>> = seeded
            .into_par_iter()
            .map(|((family, place), mut rng)| Arc::new(Drawn::draw(graph, family, place, &mut rng)))
            .collect();
        let plain = drop_undecided(&mut cases, plain);
        let permutable = permutable_axes(graph).iter().next().is_some();
        Self { cases, plain, left_out, cheap, permutable, changed: OnceLock::new() }
    }

    /// Draws what was left out of a large kernel's cases, for who is not one of many.
    pub(super) fn widen(&mut self, graph: &Graph, rng: &mut ChaCha8Rng) {
        let seeded: Vec<_> =
            std::mem::take(&mut self.left_out).into_iter().map(|of| (of, fork(rng))).collect();
        let draw = |((family, place), mut rng): ((Family, u64), ChaCha8Rng)| {
            Arc::new(Drawn::draw(graph, family, place, &mut rng))
        };
        let drawn: Vec<Arc<Drawn>> = seeded.into_par_iter().map(draw).collect();
        let (hard, plain): (Vec<_>, Vec<_>) =
            drawn.into_iter().partition(|drawn| HARD.contains(&drawn.family));
        let plain = plain.into_iter().filter(|drawn| !drawn.is_undecided());
        for drawn in plain {
            self.cases.insert(self.plain, drawn);
            self.plain += 1;
        }
        self.cases.extend(hard);
    }

    /// Draws one of the cases of a cheap kernel anew, so that what a candidate could learn of them does not last.
    pub(super) fn renew(&mut self, graph: &Graph, rng: &mut ChaCha8Rng) {
        if self.cheap && self.permutable {
            let index = rng.random_range(0..self.cases.len());
            let (family, place) = (self.cases[index].family, self.cases[index].place);
            self.cases[index] = Arc::new(Drawn::draw(graph, family, place, rng));
            self.changed = OnceLock::new();
        }
    }

    /// Chooses a case never seen before: normal at even positions, of another family at odd ones.
    pub(super) fn pick(&self, position: usize, rng: &mut ChaCha8Rng) -> Pick {
        let other = rng.random_range(1..self.plain);
        let known = if position.is_multiple_of(2) { 0 } else { other };
        Pick { known, seed: rng.next_u64() >> 11 }
    }

    /// Chooses a case never seen before of each family that is not hard.
    pub(super) fn pick_plain(&self, rng: &mut ChaCha8Rng) -> Vec<Pick> {
        (0..self.plain).map(|known| Pick { known, seed: rng.next_u64() >> 11 }).collect()
    }

    /// Chooses a case never seen before of each hard family.
    pub(super) fn pick_hard(&self, rng: &mut ChaCha8Rng) -> Vec<Pick> {
        let hard = self.plain..self.cases.len();
        hard.map(|known| Pick { known, seed: rng.next_u64() >> 11 }).collect()
    }

    /// The case of a choice.
    pub(super) fn draw(&self, graph: &Graph, pick: Pick) -> Case {
        let known = &self.cases[pick.known];
        // A permutation would move what the terms of this family stand behind.
        if self.cheap && (!self.permutable || known.family == Family::Behind) {
            let mut rng = ChaCha8Rng::seed_from_u64(pick.seed);
            let drawn = Drawn::draw(graph, known.family, known.place, &mut rng);
            // Of a family that is hardly ever decided the known case has to do.
            match drawn.is_undecided() && !HARD.contains(&known.family) {
                true => Case { drawn: Arc::clone(known), shuffle: None },
                false => Case::fresh(drawn),
            }
        } else {
            Case::shuffled(known, graph, pick.seed)
        }
    }

    /// Normal inputs of a seed, of numbers as large as those of the first case: nobody has seen them, or what they give.
    pub(super) fn fresh(&self, graph: &Graph, seed: u64) -> Vec<HostTensor> {
        scaled(graph, draw(graph, Family::Normal, seed), self.cases[0].scale)
    }

    /// The case of fresh inputs, with its reference.
    pub(super) fn settled(&self, graph: &Graph, seed: u64) -> Case {
        let scale = self.cases[0].scale;
        let inputs = self.fresh(graph, seed);
        let expected = yardsticks(graph, &inputs, false);
        let (family, place, changed) = (Family::Normal, 0, false);
        Case::fresh(Drawn { family, seed, place, scale, changed, inputs, expected })
    }

    /// By output: two honest results of normal inputs differ by no more than this in any element.
    pub(super) fn tolerances(&self) -> Vec<f64> {
        // The allowances of another draw are much like those of the first, not equal.
        const MARGIN: f64 = 4.0;
        let first = self.cases[0].expected.iter().map(Yardstick::largest_allowance);
        first.map(|allowance| 2.0 * MARGIN * allowance).collect()
    }

    /// A normal case never seen before, and one that differs from it in a single element of an input.
    pub(super) fn pair(&self, graph: &Graph, rng: &mut ChaCha8Rng) -> [Case; 2] {
        let seed = rng.next_u64() >> 11;
        if self.cheap && !self.permutable {
            let case = self.draw(graph, Pick { known: 0, seed });
            let changed = case.drawn.changed(graph, rng);
            return [case, Case::fresh(changed)];
        }
        let known = &self.cases[0];
        let changed = self.changed.get_or_init(|| Arc::new(known.changed(graph, rng)));
        [known, changed].map(|drawn| Case::shuffled(drawn, graph, seed))
    }

    /// A case that a candidate may have seen before.
    pub(super) fn known(&self) -> Case {
        Case { drawn: Arc::clone(&self.cases[0]), shuffle: None }
    }
}

/// Leaves out the other families of which no case could be decided, but one of all; returns how many cases are plain.
fn drop_undecided(cases: &mut Vec<Arc<Drawn>>, plain: usize) -> usize {
    let is_bad: Vec<bool> = cases[1..plain].iter().map(|drawn| drawn.is_undecided()).collect();
    let kept = is_bad.iter().position(|bad| !bad).unwrap_or(0);
    for place in (0..is_bad.len()).rev().filter(|&place| is_bad[place] && place != kept) {
        cases.remove(1 + place);
    }
    1 + is_bad.iter().enumerate().filter(|&(place, bad)| !bad || place == kept).count()
}

/// The choice of a case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// The known case whose family, or whose permutation, is wanted.
    known: usize,
    seed: u64,
}

fn fork(rng: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(rng.next_u64())
}
