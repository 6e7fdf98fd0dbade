//! The e-graph on a page: a dashed box for each class, its nodes side by side within, the chosen form in colour.
//!
//! A large e-graph is shown in part: first the classes of the chosen form, then those nearest to the outputs.
//! Invariant: every class of the chosen form is drawn, up to `CLASSES_MAX`; what is left out is counted on the page.

use super::canvas::{Canvas, LINE, MARGIN, cut, width};
use super::layered::{Shape, layered};
use tilewright_ir::rewrite::{ClassPicture, EGraphPicture};

/// More boxes cannot be read.
const CLASSES_MAX: usize = 140;
const PAD: i64 = 8;
const CHIP: i64 = 24;
const LABEL_MAX: usize = 28;
const NAME_MAX: usize = 36;

/// Draws the e-graph below a height; tells where it ends.
pub(super) fn draw(graph: &EGraphPicture, canvas: &mut Canvas, top: i64) -> i64 {
    let shown = shown(graph);
    let nodes: usize = graph.classes.iter().map(|class| class.nodes.len()).sum();
    canvas.text((MARGIN, top + 18), "What the rules found", "title");
    let mut about = format!(
        "{nodes} ways to compute {} values; each points to its operands",
        graph.classes.len()
    );
    if shown.len() < graph.classes.len() {
        about.push_str(&format!(
            "; {} values far from the outputs are not shown",
            graph.classes.len() - shown.len()
        ));
    }
    canvas.text((MARGIN, top + 40), &about, "soft");
    legend(canvas, top + 54);
    let rules: Vec<String> =
        graph.used.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    let mut y = top + 104;
    for line in wrap(&format!("equalities by rule: {}", rules.join(", ")), 96) {
        canvas.text((MARGIN, y), &line, "soft");
        y += LINE;
    }
    boxes(graph, &shown, canvas, y + 6)
}

fn legend(canvas: &mut Canvas, top: i64) {
    let mut x = MARGIN;
    let entries = [
        ("chosen", "the chosen form"),
        ("written", "as written"),
        ("other", "another way to compute it"),
    ];
    for (class, text) in entries {
        canvas.rect((x, top), (CHIP, 16), class, 5);
        canvas.text((x + CHIP + 6, top + 13), text, "soft");
        x += CHIP + 6 + width(text, "soft") + 24;
    }
}

/// Lines of at most so many characters, cut at blanks.
fn wrap(text: &str, chars_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line from the start");
        if !line.is_empty() && line.chars().count() + word.chars().count() >= chars_max {
            lines.push(word.to_string());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The classes to draw, in the order of the graph.
fn shown(graph: &EGraphPicture) -> Vec<usize> {
    let all = 0..graph.classes.len();
    let is_chosen = |&class: &usize| graph.classes[class].nodes.iter().any(|node| node.is_chosen);
    let (mut first, rest): (Vec<usize>, Vec<usize>) = all.partition(is_chosen);
    first.extend(rest);
    first.truncate(CLASSES_MAX);
    first.sort_unstable();
    first
}

/// What stands over the nodes of a class.
pub(super) fn class_name(class: &ClassPicture) -> String {
    let axes =
        if class.axes.is_empty() { String::new() } else { format!("[{}]", class.axes.join(",")) };
    let name = class.name.clone().unwrap_or_default();
    let outputs: Vec<&str> = class.outputs.iter().map(String::as_str).collect();
    match outputs.is_empty() {
        true => format!("{name}{axes}"),
        false => format!("output {}{axes}", outputs.join(", ")),
    }
}

fn chip_width(label: &str) -> i64 {
    width(&cut(label, LABEL_MAX), "") + 2 * PAD
}

fn class_size(class: &ClassPicture) -> (i64, i64) {
    let nodes: i64 = class.nodes.iter().map(|node| chip_width(&node.label) + PAD).sum();
    let name = width(&cut(&class_name(class), NAME_MAX), "soft") + PAD;
    (nodes.max(name) + PAD, CHIP + LINE + PAD + 2)
}

fn boxes(graph: &EGraphPicture, shown: &[usize], canvas: &mut Canvas, top: i64) -> i64 {
    let place = |class: usize| shown.binary_search(&class).ok();
    let mut shape = Shape::default();
    let mut classes = vec![];
    for &class in shown {
        let class = &graph.classes[class];
        shape.boxes.push(class_size(class));
        let mut left = PAD;
        for node in &class.nodes {
            let wide = chip_width(&node.label);
            let mut operands: Vec<usize> =
                node.operands.iter().filter_map(|&to| place(to)).collect();
            operands.dedup();
            let count = i64::try_from(operands.len()).expect("an operation has few operands");
            for (index, &to) in (1..).zip(&operands) {
                shape.edges.push((shape.boxes.len() - 1, to, left + wide * index / (count + 1)));
                classes.push(if node.is_chosen { "strong" } else { "faint" });
            }
            left += wide + PAD;
        }
    }
    let places = layered(&shape, 46);
    // The chosen form is drawn over the others.
    for wanted in ["faint", "strong"] {
        for (stations, class) in places.edges.iter().zip(&classes) {
            if *class == wanted {
                canvas.path(&curve(stations, MARGIN, top), class);
            }
        }
    }
    let mut bottom = top;
    for ((&class, &(x, y)), &size) in shown.iter().zip(&places.boxes).zip(&shape.boxes) {
        class_box(&graph.classes[class], canvas, (x + MARGIN, y + top), size);
        bottom = bottom.max(y + top + size.1);
    }
    for stations in &places.edges {
        for &(x, _, end) in stations {
            canvas.reach(x + MARGIN, end + top);
        }
    }
    bottom
}

/// Straight down within layers, curves between them.
fn curve(stations: &[(i64, i64, i64)], left: i64, top: i64) -> String {
    let mut path = String::new();
    for pair in stations.windows(2) {
        let ((x, _, end), (next, begin, _)) = (pair[0], pair[1]);
        let (x, end, next, begin) = (x + left, end + top, next + left, begin + top);
        let middle = (end + begin) / 2;
        if path.is_empty() {
            path.push_str(&format!("M{x} {end}"));
        } else {
            path.push_str(&format!("V{end}"));
        }
        path.push_str(&format!("C{x} {middle} {next} {middle} {next} {begin}"));
    }
    path
}

fn class_box(class: &ClassPicture, canvas: &mut Canvas, (x, y): (i64, i64), size: (i64, i64)) {
    canvas.rect((x, y), size, "class", 7);
    canvas.text((x + PAD, y + 15), &cut(&class_name(class), NAME_MAX), "soft");
    let mut left = x + PAD;
    for node in &class.nodes {
        let wide = chip_width(&node.label);
        let style = match (node.is_chosen, node.is_written) {
            (true, _) => "chosen",
            (false, true) => "written",
            (false, false) => "other",
        };
        canvas.rect((left, y + LINE + 2), (wide, CHIP), style, 6);
        canvas.text((left + PAD, y + LINE + 18), &cut(&node.label, LABEL_MAX), "plain");
        left += wide + PAD;
    }
}
