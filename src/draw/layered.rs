//! Places for boxes with edges, in layers: every edge that is not part of a cycle points down.
//!
//! Layers by the longest way, the order within a layer by the mean of the neighbours, a few rounds up and down; then the
//! places along each layer that are nearest to the neighbours' without overlap. An edge over several layers has a narrow
//! place of its own in each of them, so no edge runs through a box. Invariant: bounded rounds over edges times layers, and
//! ties go to the lower number: equal graphs have equal places.

/// Between neighbours in a layer.
const BETWEEN: i64 = 22;
/// The width of the place of an edge that passes through.
const PASSING: i64 = 8;
const ROUNDS: usize = 12;

/// A graph to be laid out.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Width and height of each box.
    pub(super) boxes: Vec<(i64, i64)>,
    /// From, to, and where the edge leaves, right of the left edge of its box.
    pub(super) edges: Vec<(usize, usize, i64)>,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Places {
    /// The left upper corner of each box.
    pub(super) boxes: Vec<(i64, i64)>,
    /// The stations of each edge from start to end: x, and the heights between which it runs straight down.
    pub(super) edges: Vec<Vec<(i64, i64, i64)>>,
}

/// Something with a place in a layer: a box, or an edge on its way.
#[derive(Clone, Copy, Debug)]
struct Item {
    layer: usize,
    width: i64,
    /// The middle.
    x: i64,
}

struct Layout {
    items: Vec<Item>,
    layers: Vec<Vec<usize>>,
    /// Neighbours in the layer above and below.
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    /// The items that each edge runs through.
    ways: Vec<Vec<usize>>,
}

/// Lays out a graph.
pub(super) fn layered(shape: &Shape, layer_gap: i64) -> Places {
    let layer_of = layers(shape);
    let mut layout = Layout::new(shape, &layer_of);
    layout.order();
    layout.place();
    layout.finish(shape, layer_gap)
}

/// The longest way from a box without incoming edges; edges that close a cycle are left out.
fn layers(shape: &Shape) -> Vec<usize> {
    let count = shape.boxes.len();
    let mut out: Vec<Vec<usize>> = vec![vec![]; count];
    for &(from, to, _) in &shape.edges {
        out[from].push(to);
    }
    // Depth first, without recursion: 1 is open, 2 is done.
    let (mut state, mut order) = (vec![0_u8; count], vec![]);
    let mut forward: Vec<(usize, usize)> = vec![];
    for start in 0..count {
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            if next == 0 {
                if state[node] != 0 {
                    continue;
                }
                state[node] = 1;
            }
            match out[node].get(next) {
                Some(&child) => {
                    stack.push((node, next + 1));
                    if state[child] != 1 {
                        forward.push((node, child));
                    }
                    if state[child] == 0 {
                        stack.push((child, 0));
                    }
                }
                None => {
                    state[node] = 2;
                    order.push(node);
                }
            }
        }
    }
    let mut below: Vec<Vec<usize>> = vec![vec![]; count];
    for (from, to) in forward {
        below[from].push(to);
    }
    let mut layer = vec![0; count];
    for &node in order.iter().rev() {
        for &to in &below[node] {
            layer[to] = layer[to].max(layer[node] + 1);
        }
    }
    layer
}

impl Layout {
    fn new(shape: &Shape, layer_of: &[usize]) -> Self {
        let boxes = shape.boxes.iter().zip(layer_of);
        let items = boxes.map(|(&(width, _), &layer)| Item { layer, width, x: 0 }).collect();
        let depth = layer_of.iter().copied().max().map_or(0, |last| last + 1);
        let mut layout =
            Self { items, layers: vec![vec![]; depth], above: vec![], below: vec![], ways: vec![] };
        for &(from, to, _) in &shape.edges {
            layout.ways.push(vec![from]);
            let way = layout.ways.len() - 1;
            for layer in layer_of[from] + 1..layer_of[to] {
                layout.items.push(Item { layer, width: PASSING, x: 0 });
                let passing = layout.items.len() - 1;
                layout.ways[way].push(passing);
            }
            layout.ways[way].push(to);
        }
        let count = layout.items.len();
        (layout.above, layout.below) = (vec![vec![]; count], vec![vec![]; count]);
        for way in &layout.ways {
            for pair in way.windows(2) {
                if layout.items[pair[1]].layer == layout.items[pair[0]].layer + 1 {
                    layout.below[pair[0]].push(pair[1]);
                    layout.above[pair[1]].push(pair[0]);
                }
            }
        }
        for (item, place) in layout.items.iter().enumerate() {
            layout.layers[place.layer].push(item);
        }
        layout
    }

    /// Orders each layer by where the neighbours stand.
    fn order(&mut self) {
        let mut rank: Vec<f64> = vec![0.0; self.items.len()];
        let renumber = |layer: &[usize], rank: &mut Vec<f64>| {
            for (place, &item) in layer.iter().enumerate() {
                rank[item] = place as f64;
            }
        };
        self.layers.iter().for_each(|layer| renumber(layer, &mut rank));
        let depth = self.layers.len();
        for round in 0..ROUNDS {
            let down = round % 2 == 0;
            let sequence: Vec<usize> =
                if down { (0..depth).collect() } else { (0..depth).rev().collect() };
            for layer in sequence {
                let neighbours = if down { &self.above } else { &self.below };
                let mut keyed: Vec<(f64, usize)> = self.layers[layer]
                    .iter()
                    .map(|&item| (mean(&neighbours[item], &rank).unwrap_or(rank[item]), item))
                    .collect();
                keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
                self.layers[layer] = keyed.into_iter().map(|(_, item)| item).collect();
                renumber(&self.layers[layer], &mut rank);
            }
        }
    }

    /// Moves every item towards its neighbours, without overlap.
    fn place(&mut self) {
        for layer in 0..self.layers.len() {
            self.settle(layer, &vec![0.0; self.layers[layer].len()]);
        }
        let depth = self.layers.len();
        for round in 0..ROUNDS {
            let sequence: Vec<usize> =
                if round % 2 == 0 { (0..depth).collect() } else { (0..depth).rev().collect() };
            for layer in sequence {
                let wanted: Vec<f64> =
                    self.layers[layer].iter().map(|&item| self.wanted(item)).collect();
                self.settle(layer, &wanted);
            }
        }
        let left = self.items.iter().map(|item| item.x - item.width / 2).min().unwrap_or(0);
        self.items.iter_mut().for_each(|item| item.x -= left);
    }

    fn wanted(&self, item: usize) -> f64 {
        let neighbours = self.above[item].iter().chain(&self.below[item]);
        let places: Vec<f64> = neighbours.map(|&other| self.items[other].x as f64).collect();
        match places.len() {
            0 => self.items[item].x as f64,
            count => places.iter().sum::<f64>() / count as f64,
        }
    }

    /// The places of a layer that are nearest to the wanted ones in the mean of squares: neighbours that would overlap
    /// become one block, which stands at the mean of what its members want.
    fn settle(&mut self, layer: usize, wanted: &[f64]) {
        let list = self.layers[layer].clone();
        let mut offsets = vec![0.0];
        for pair in list.windows(2) {
            let (one, other) = (self.items[pair[0]].width, self.items[pair[1]].width);
            let last = offsets.last().copied().unwrap_or(0.0);
            offsets.push(last + ((one + other) / 2 + BETWEEN) as f64);
        }
        let mut blocks: Vec<(f64, usize)> = vec![];
        for (place, offset) in offsets.iter().enumerate().take(list.len()) {
            let mut block = (wanted[place] - offset, 1);
            while let Some(&(value, size)) = blocks.last()
                && value > block.0
            {
                let sum = value * size as f64 + block.0 * block.1 as f64;
                block = (sum / (size + block.1) as f64, size + block.1);
                blocks.pop();
            }
            blocks.push(block);
        }
        let values = blocks.iter().flat_map(|&(value, size)| std::iter::repeat_n(value, size));
        for ((&item, offset), value) in list.iter().zip(&offsets).zip(values) {
            self.items[item].x = (value + offset).round() as i64;
        }
    }

    fn finish(&self, shape: &Shape, gap: i64) -> Places {
        let mut heights = vec![0; self.layers.len()];
        for (item, &(_, height)) in self.items.iter().zip(&shape.boxes) {
            heights[item.layer] = heights[item.layer].max(height);
        }
        let mut tops = vec![0];
        for height in &heights {
            tops.push(tops.last().copied().unwrap_or(0) + height + gap);
        }
        let boxes = shape.boxes.iter().zip(&self.items);
        let boxes: Vec<(i64, i64)> =
            boxes.map(|(&(width, _), item)| (item.x - width / 2, tops[item.layer])).collect();
        let edges = self.ways.iter().zip(&shape.edges).map(|(way, &(from, to, leaves))| {
            let end = self.items[to].layer;
            let mut stations =
                vec![(boxes[from].0 + leaves, boxes[from].1, boxes[from].1 + shape.boxes[from].1)];
            for &passing in &way[1..way.len() - 1] {
                let item = self.items[passing];
                stations.push((item.x, tops[item.layer], tops[item.layer] + heights[item.layer]));
            }
            stations.push((self.items[to].x, tops[end], tops[end]));
            stations
        });
        Places { edges: edges.collect(), boxes }
    }
}

fn mean(neighbours: &[usize], rank: &[f64]) -> Option<f64> {
    let sum: f64 = neighbours.iter().map(|&other| rank[other]).sum();
    (!neighbours.is_empty()).then(|| sum / neighbours.len() as f64)
}
