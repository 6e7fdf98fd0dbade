//! A plot of measured points: one or two lines over a shared horizontal axis, each with an axis of its own.
//!
//! Invariant: axes begin at zero, so that growth is seen as it is.

use super::canvas::{Canvas, MARGIN, width};

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 300.0;
const LEFT: i64 = 90;

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What is seen.
    pub title: String,
    /// How it was made.
    pub subtitle: String,
    /// What the horizontal axis counts.
    pub across: String,
    /// One or two lines: the first is measured by the left axis, the second by the right one.
    pub series: Vec<Series>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it shows, with its unit.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    /// The drawing.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::default();
        canvas.text((MARGIN, MARGIN + 16), &self.title, "title");
        canvas.text((MARGIN, MARGIN + 38), &self.subtitle, "soft");
        let top = MARGIN + 84;
        let across =
            self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
        let across = steps(across.fold(0.0, f64::max));
        self.grid(&mut canvas, top, &across);
        for (index, series) in self.series.iter().take(2).enumerate() {
            self.line(&mut canvas, top, index, series, across[across.len() - 1]);
        }
        canvas.finish()
    }

    fn grid(&self, canvas: &mut Canvas, top: i64, across: &[f64]) {
        let bottom = top + HEIGHT as i64;
        let last = across[across.len() - 1];
        for &value in across {
            let x = LEFT + (value / last * WIDTH) as i64;
            canvas.path(&format!("M{x} {top}V{bottom}"), "grid");
            let text = value.to_string();
            canvas.text((x - width(&text, "soft") / 2, bottom + 20), &text, "soft");
        }
        let middle = LEFT + WIDTH as i64 / 2 - width(&self.across, "soft") / 2;
        canvas.text((middle, bottom + 42), &self.across, "soft");
    }

    fn line(&self, canvas: &mut Canvas, top: i64, index: usize, series: &Series, last: f64) {
        let highest = series.points.iter().map(|point| point.1).fold(0.0, f64::max);
        let marks = steps(highest);
        let full = marks[marks.len() - 1];
        let right = LEFT + WIDTH as i64;
        let bottom = top + HEIGHT as i64;
        let height = |value: f64| bottom - (value / full * HEIGHT) as i64;
        for &value in &marks {
            let (text, y) = (value.to_string(), height(value));
            if index == 0 {
                canvas.path(&format!("M{LEFT} {y}H{right}"), "grid");
            }
            let x = if index == 0 { LEFT - 10 - width(&text, "soft") } else { right + 10 };
            canvas.text((x, y + 4), &text, "soft");
        }
        let place = |point: &(f64, f64)| (LEFT + (point.0 / last * WIDTH) as i64, height(point.1));
        let places: Vec<(i64, i64)> = series.points.iter().map(place).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x} {y}")).collect();
        canvas.path(&format!("M{}", path.join("L")), &format!("line{index}"));
        for &at in &places {
            canvas.dot(at, &format!("dot{index}"));
        }
        let side = if index == 0 { "left" } else { "right" };
        let name = format!("{} ({side})", series.name);
        let x = if index == 0 { LEFT } else { right - width(&name, "head") + 40 };
        canvas.dot((x, top - 22), &format!("dot{index}"));
        canvas.text((x + 10, top - 18), &name, "head");
    }
}

/// Round marks from zero to at least a value: four to eight of them.
fn steps(highest: f64) -> Vec<f64> {
    let mut step = 1e-6;
    let factors = [2.0, 2.5, 2.0];
    let mut turn = 0;
    while highest > step * 7.0 {
        step *= factors[turn % 3];
        turn += 1;
    }
    let count = (highest / step).ceil().max(1.0) as u32;
    // Multiples of a decimal step print with few digits once rounded.
    (0..=count).map(|mark| (f64::from(mark) * step * 1e9).round() / 1e9).collect()
}
