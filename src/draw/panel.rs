//! The passes of a form on a page: cards in one column in the order of their work, inputs and outputs to the left,
//! values between passes to the right.
//!
//! What the next card reads comes straight down; everything else runs through lanes at the right. Invariant: a lane, a
//! label and an arrow have places of their own, reserved before anything is drawn.

use super::canvas::{Canvas, LINE, MARGIN, cut, width};
use super::flow::{Card, Flow, LineKind, Wire};
use std::collections::BTreeMap;

/// Between text and the edge around it.
const PAD: i64 = 12;
/// From card to card where nothing is between them, and where a labelled arrow is.
const GAP: i64 = 16;
const GAP_ARROW: i64 = 40;
/// The title of a frame, and what a frame leaves below.
const TAB: i64 = 34;
const FRAME_PAD: i64 = 16;
/// Places of arrows and of labelled stubs at the right of a card.
const ARROW: i64 = 14;
const STUB: i64 = 22;
const CHIP: i64 = 28;
const LANE: i64 = 16;
/// Values larger than this are drawn as heavy.
const HEAVY_BYTES: u64 = 1 << 20;
const LABEL_MAX: usize = 60;

/// A value and where it goes through lanes.
struct Net<'f> {
    from: usize,
    label: &'f str,
    bytes: u64,
    to: Vec<usize>,
    lane: i64,
}

/// The places of everything.
struct Places<'f> {
    flow: &'f Flow,
    nets: Vec<Net<'f>>,
    /// Top and height of each card.
    cards: Vec<(i64, i64)>,
    left: i64,
    width: i64,
    right: i64,
    bottom: i64,
}

/// Draws a flow below a height; tells where it ends.
pub(super) fn draw(flow: &Flow, canvas: &mut Canvas, top: i64) -> i64 {
    canvas.text((MARGIN, top + 18), &flow.title, "title");
    canvas.text((MARGIN, top + 40), &flow.subtitle, "soft");
    let places = places(flow, top + 60);
    places.frames(canvas);
    places.lanes(canvas);
    for position in 0..flow.cards.len() {
        places.card(canvas, position);
        places.chips(canvas, position);
        places.straight(canvas, position);
    }
    canvas.reach(places.right, places.bottom);
    places.bottom
}

fn places(flow: &Flow, top: i64) -> Places<'_> {
    let mut nets = nets(flow);
    let lanes = assign_lanes(&mut nets);
    let chips = flow.cards.iter().flat_map(|card| card.inputs.iter().chain(&card.outputs));
    let chip_width = chips.map(|chip| width(chip, "") + 2 * PAD).max().unwrap_or(0);
    let left = MARGIN + chip_width + 40;
    let card_width = flow.cards.iter().map(card_width).max().unwrap_or(0);
    let titles = flow.frames.iter().map(|frame| width(&frame.title, "light") + 4 * PAD - FRAME_PAD);
    let card_width = titles.fold(card_width, i64::max);
    let labels = nets.iter().map(|net| width(&label(net.label, net.bytes), "") + 2 * PAD);
    let right = left + card_width + FRAME_PAD + labels.max().unwrap_or(0) + lanes * LANE;
    let mut places =
        Places { flow, nets, cards: vec![], left, width: card_width, right, bottom: top };
    let mut y = top;
    for position in 0..flow.cards.len() {
        y += if places.opens(position) { TAB } else { 0 };
        let height = places.height(position);
        places.cards.push((y, height));
        y += height;
        y += if places.closes(position) { FRAME_PAD } else { 0 };
        y += if straight_labels(flow, position).is_empty() { GAP } else { GAP_ARROW };
    }
    places.bottom = y - GAP;
    places
}

/// The values that do not go straight to the next card.
fn nets(flow: &Flow) -> Vec<Net<'_>> {
    let mut nets: BTreeMap<(usize, &str), Net<'_>> = BTreeMap::new();
    for Wire { from, to, label, bytes } in &flow.wires {
        if is_straight(*from, *to) {
            continue;
        }
        let net = Net { from: *from, label, bytes: *bytes, to: vec![], lane: 0 };
        let net = nets.entry((*from, label)).or_insert(net);
        net.bytes = net.bytes.max(*bytes);
        net.to.push(*to);
    }
    nets.into_values().collect()
}

fn is_straight(from: usize, to: usize) -> bool {
    to == from + 1
}

/// The first lane that is free over the whole way; the number of lanes.
fn assign_lanes(nets: &mut [Net<'_>]) -> i64 {
    let mut busy_until: Vec<usize> = vec![];
    nets.sort_by_key(|net| (net.from, net.to.iter().copied().max()));
    for net in nets.iter_mut() {
        let first = net.to.iter().copied().fold(net.from, usize::min);
        let last = net.to.iter().copied().fold(net.from, usize::max);
        let free = busy_until.iter().position(|&until| until < first);
        let lane = free.unwrap_or(busy_until.len());
        if lane == busy_until.len() {
            busy_until.push(last);
        }
        busy_until[lane] = last;
        net.lane = i64::try_from(lane).expect("there are fewer lanes than wires");
    }
    i64::try_from(busy_until.len()).expect("there are fewer lanes than wires")
}

fn card_width(card: &Card) -> i64 {
    let head = width(&card.head, "head") + width(&card.note, "soft") + PAD;
    let lines = card.lines.iter().map(|line| width(&line.text, "") + PAD);
    lines.fold(head, i64::max) + 2 * PAD
}

fn label(name: &str, bytes: u64) -> String {
    let name = cut(name, LABEL_MAX);
    match bytes {
        0 => name,
        bytes => format!("{name} {}", size(bytes)),
    }
}

/// `16.8 MB`
fn size(bytes: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let unit = units.iter().find(|(factor, _)| bytes as f64 >= *factor);
    unit.map_or(format!("{bytes} B"), |(factor, name)| {
        format!("{:.1} {name}", bytes as f64 / factor)
    })
}

/// What the next card reads, as one label for each weight.
fn straight_labels(flow: &Flow, from: usize) -> Vec<(String, u64)> {
    let mut labels = vec![];
    for wire in flow.wires.iter().filter(|wire| wire.from == from && is_straight(from, wire.to)) {
        labels.push((label(&wire.label, wire.bytes), wire.bytes));
    }
    labels
}

fn count(things: usize) -> i64 {
    i64::try_from(things).expect("a picture has fewer things than that")
}

impl Places<'_> {
    fn opens(&self, position: usize) -> bool {
        self.flow.frames.iter().any(|frame| frame.cards.0 == position)
    }

    fn closes(&self, position: usize) -> bool {
        self.flow.frames.iter().any(|frame| frame.cards.1 == position)
    }

    fn arrivals(&self, position: usize) -> Vec<usize> {
        (0..self.nets.len()).filter(|&net| self.nets[net].to.contains(&position)).collect()
    }

    fn departures(&self, position: usize) -> Vec<usize> {
        (0..self.nets.len()).filter(|&net| self.nets[net].from == position).collect()
    }

    fn height(&self, position: usize) -> i64 {
        let card = &self.flow.cards[position];
        let text = LINE * (count(card.lines.len()) + 1) + PAD + 4;
        let chips = CHIP * count(card.inputs.len() + card.outputs.len());
        let arrivals = ARROW * count(self.arrivals(position).len());
        let departures = STUB * count(self.departures(position).len());
        text.max(chips).max(arrivals + departures + PAD)
    }

    fn frames(&self, canvas: &mut Canvas) {
        for frame in &self.flow.frames {
            let (top, (last, height)) =
                (self.cards[frame.cards.0].0 - TAB, self.cards[frame.cards.1]);
            let (x, full) = (self.left - FRAME_PAD, self.width + 2 * FRAME_PAD);
            let (class, tab) = if frame.is_group { ("stream", "tab") } else { ("frame", "tab2") };
            canvas.rect((x, top), (full, last + height + FRAME_PAD - top), class, 8);
            let wide = width(&frame.title, "light") + 2 * PAD;
            canvas.rect((x, top), (wide, 24), tab, 8);
            canvas.text((x + PAD, top + 17), &frame.title, "light");
        }
    }

    fn card(&self, canvas: &mut Canvas, position: usize) {
        let card = &self.flow.cards[position];
        let (y, height) = self.cards[position];
        canvas.rect((self.left, y), (self.width, height), "card", 6);
        let mut line = y + LINE;
        canvas.text((self.left + PAD, line), &card.head, "head");
        let note = self.left + self.width - PAD - width(&card.note, "soft");
        canvas.text((note, line), &card.note, "soft");
        for item in &card.lines {
            line += LINE;
            let class = match item.kind {
                LineKind::Carry => {
                    let place = (self.left + PAD - 4, line - LINE + 5);
                    canvas.rect(place, (self.width - 2 * PAD + 8, LINE - 1), "carried", 4);
                    "carry"
                }
                LineKind::Plain => "plain",
            };
            canvas.text((self.left + 2 * PAD, line), &item.text, class);
        }
    }

    /// Inputs and outputs at the left of their card.
    fn chips(&self, canvas: &mut Canvas, position: usize) {
        let card = &self.flow.cards[position];
        let edge = self.left - 40;
        let inputs = card.inputs.iter().map(|input| (input, true));
        let all = inputs.chain(card.outputs.iter().map(|output| (output, false)));
        for (index, (name, is_input)) in all.enumerate() {
            let y = self.cards[position].0 + CHIP * count(index);
            let wide = width(name, "") + 2 * PAD;
            let class = if is_input { "input" } else { "output" };
            canvas.rect((edge - wide, y), (wide, CHIP - 5), class, 11);
            canvas.text((edge - wide + PAD, y + 16), name, "plain");
            let (middle, left) = (y + 11, self.left);
            let wire = format!("M{edge} {middle}H{left}");
            canvas.path(&wire, "wire");
            match is_input {
                true => canvas.path(&format!("M{left} {middle}l-8 -4v8z"), "tip"),
                false => canvas.tip((edge, middle), true, false),
            }
        }
    }

    /// What goes from a card to the next.
    fn straight(&self, canvas: &mut Canvas, position: usize) {
        let labels = straight_labels(self.flow, position);
        if labels.is_empty() {
            return;
        }
        let (y, height) = self.cards[position];
        let (from, to) = (y + height, self.cards[position + 1].0);
        // Beside the title of the frame that is entered.
        let entered = self.flow.frames.iter().find(|frame| frame.cards.0 == position + 1);
        let title = entered.map_or(0, |frame| width(&frame.title, "light") + 2 * PAD);
        let x = (self.left + self.width / 3).max(self.left + title - FRAME_PAD + PAD);
        let heavy = labels.iter().any(|(_, bytes)| *bytes >= HEAVY_BYTES);
        canvas.path(&format!("M{x} {from}V{}", to - 6), if heavy { "thick" } else { "wire" });
        canvas.tip((x, to), false, heavy);
        let closes = if self.closes(position) { FRAME_PAD } else { 0 };
        let wide: i64 = labels.iter().map(|(label, _)| width(label, "soft") + PAD).sum();
        let fits = x + PAD + wide < self.left + self.width + FRAME_PAD;
        let mut at = if fits { x + PAD } else { (x - wide).max(self.left) };
        for (label, bytes) in &labels {
            let class = if *bytes >= HEAVY_BYTES { "memory" } else { "soft" };
            canvas.text((at, from + closes + 24), label, class);
            at += width(label, class) + PAD;
        }
    }

    fn lanes(&self, canvas: &mut Canvas) {
        let edge = self.left + self.width;
        let lanes = self.nets.iter().map(|net| net.lane + 1).max().unwrap_or(0);
        let first = self.right - lanes * LANE;
        for (index, net) in self.nets.iter().enumerate() {
            let x = first + net.lane * LANE;
            let heavy = net.bytes >= HEAVY_BYTES;
            let (wire, text) = if heavy { ("thick", "memory") } else { ("wire", "soft") };
            let rank =
                |list: Vec<usize>| list.iter().position(|&other| other == index).unwrap_or(0);
            let (y, height) = self.cards[net.from];
            let start = y + height - 6 - STUB * count(rank(self.departures(net.from)));
            let shown = label(net.label, net.bytes);
            canvas.text((edge + FRAME_PAD + 4, start - 4), &shown, text);
            canvas.path(&format!("M{edge} {start}H{x}"), wire);
            for &to in &net.to {
                let end = self.cards[to].0 + ARROW * (count(rank(self.arrivals(to))) + 1);
                canvas.path(&format!("M{x} {start}V{end}H{}", edge + 6), wire);
                canvas.tip((edge, end), true, heavy);
            }
        }
    }
}
