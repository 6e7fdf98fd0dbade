//! Pictures of kernels: the passes of a form, and the e-graph in which it was found, as SVG or as a DOT text.
//!
//! A picture is made in two steps: data (`flow`, and `rewrite::EGraphPicture`) without a place, then places. The layout
//! is our own, so no other program is needed. Invariants: the same data gives the same bytes; every name is escaped;
//! texts are set in a fixed-width face whose widths are reckoned, so that none overlaps another.

mod canvas;
mod dot;
mod egraph;
mod flow;
mod layered;
mod panel;
mod plot;

pub use canvas::escape;
pub use flow::{Card, Flow, Frame, Line, LineKind, Wire, flow};
pub use plot::{Plot, Series};

use canvas::Canvas;
use std::path::Path;
use tilewright_ir::graph::Graph;
use tilewright_ir::rewrite::{self, EGraphPicture};
use tilewright_ir::schedule::FormSpace;
use tilewright_ir::target::Target;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A drawing for browsers and documents.
    Svg,
    /// A text for Graphviz and its kin.
    Dot,
}

impl Format {
    /// The format of a file, by its ending; `None` where it has another.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "svg" => Some(Self::Svg),
            "dot" => Some(Self::Dot),
            _ => None,
        }
    }
}

/// The passes of a form.
pub fn passes(form: &FormSpace, format: Format) -> String {
    let flow = flow(form);
    match format {
        Format::Svg => page(&[&|canvas, top| panel::draw(&flow, canvas, top)]),
        Format::Dot => dot::file(&[dot::passes(&flow)]),
    }
}

/// The passes of a form, and the e-graph of its kernel in which the form is marked.
pub fn form(written: &Graph, target: &Target, form: &FormSpace, format: Format) -> String {
    let flow = flow(form);
    let graph = rewrite::picture(written, target, &form.graph);
    both(&flow, &graph, format)
}

/// As `form`, from data.
pub fn both(flow: &Flow, graph: &EGraphPicture, format: Format) -> String {
    match format {
        Format::Svg => page(&[&|canvas, top| panel::draw(flow, canvas, top), &|canvas, top| {
            egraph::draw(graph, canvas, top)
        }]),
        Format::Dot => dot::file(&[dot::passes(flow), dot::egraph(graph)]),
    }
}

/// Draws a part below a height; tells where it ends.
type Part<'p> = &'p dyn Fn(&mut Canvas, i64) -> i64;

/// Parts below each other.
fn page(parts: &[Part<'_>]) -> String {
    let mut canvas = Canvas::default();
    let mut top = canvas::MARGIN;
    for part in parts {
        top = part(&mut canvas, top) + canvas::MARGIN;
    }
    canvas.finish()
}
