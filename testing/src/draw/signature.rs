//! Kernels: inputs, outputs, limits on extents, size sets, and the body between them.

use super::value::{Type, Value, full_range};
use super::{AXES, Axis, EXTENTS, FLOATS, INTEGERS, Maker, Scope, Split, VOLUMES};
use tilewright_ir::DType;

impl Maker<'_, '_> {
    /// A kernel and its size set.
    pub(super) fn kernel(&mut self, position: usize) -> String {
        self.draw_axes();
        self.signatures.clear();
        self.float = if self.one_in(4) { self.pick(FLOATS) } else { DType::F32 };
        let inputs = self.inputs();
        let statements = self.below(4);
        let body = self.statements("v", statements);
        let count = if self.one_in(5) { 2 + self.below(2) } else { 1 };
        let (mut outputs, mut results, mut used) = (vec![], vec![], 0);
        for position in 0..count {
            let value = self.result();
            outputs.push(self.output(position, &value, &mut used));
            results.push(value.text);
        }
        let result = match results.len() {
            1 => results.remove(0),
            _ => format!("({})", results.join(", ")),
        };
        let outputs = match outputs.len() {
            1 => outputs.remove(0),
            _ => format!("({})", outputs.join(", ")),
        };
        let used = used | self.scope.axes;
        // A split whose parts do not stand in the signature is no axis.
        self.split = self.split.filter(|split| split.axes() & !used == 0);
        let (attribute, limits, sizes) = (self.attribute(), self.limits(used), self.sizes(used));
        format!(
            "{attribute}kernel k{position}({inputs}) -> {outputs}{limits} {{\n{body}  {result}\n}}\n{sizes}"
        )
    }

    fn draw_axes(&mut self) {
        let count = 1 + self.below(AXES.len());
        let volume_max = self.pick(&VOLUMES);
        let mut volume = 1;
        self.axes.clear();
        for name in AXES.into_iter().take(count) {
            let fits = EXTENTS.iter().filter(|&&extent| extent * volume <= volume_max).count();
            let drawn = EXTENTS[self.below(fits.max(1))];
            let extent = if self.one_in(60) { 0 } else { drawn };
            volume *= extent.max(1);
            self.axes.push(Axis { name, extent });
        }
        // The last axes would always be the short ones.
        let mut extents: Vec<u64> = self.axes.iter().map(|axis| axis.extent).collect();
        self.choices.shuffle(&mut extents);
        for (axis, extent) in self.axes.iter_mut().zip(extents) {
            axis.extent = extent;
        }
        self.scope = Scope::default();
        for (bit, axis) in self.axes.iter().enumerate() {
            self.scope.names[bit] = axis.name;
        }
        self.split = None;
        if self.axes.len() > 1 && self.one_in(6) {
            let outer = self.below(self.axes.len());
            let inner = (outer + 1 + self.below(self.axes.len() - 1)) % self.axes.len();
            // An inner part that the text fixes has elements.
            let fixed = self.axes[inner].extent > 0 && self.one_in(2);
            self.split = Some(Split { outer, inner, fixed });
        }
    }

    fn inputs(&mut self) -> String {
        let mut tensors = vec![];
        for position in 0..1 + self.below(4) {
            let count = self.axes.len();
            let axes = (0..3).fold(0, |axes, _| {
                let skip = self.one_in(5);
                axes | if skip { 0 } else { 1 << self.below(count) }
            });
            let dtype = self.input_type(position);
            let text = format!("x{position}");
            let names = self.order(axes);
            let strides = if dtype.bits() < 8 { String::new() } else { self.strides(&names) };
            tensors.push(format!("{text}: {dtype}{}{strides}", brackets(&names)));
            self.scope.axes |= axes;
            let value = Value::atom(text, axes, Type::Of(dtype), typical(dtype));
            if axes != 0 {
                self.scope.orders.push((value.clone(), self.dimensions(&names)));
            }
            self.learn(value);
        }
        tensors.join(", ")
    }

    fn input_type(&mut self, position: usize) -> DType {
        match self.below(12) {
            9 => self.pick(FLOATS),
            10 => self.pick(INTEGERS),
            11 if position > 0 => DType::Bool,
            _ => self.float,
        }
    }

    /// Axes in any order.
    fn order(&mut self, axes: u16) -> Vec<&'static str> {
        let mut names = self.bracketed(axes);
        self.choices.shuffle(&mut names);
        names
    }

    /// The axes of a tensor in order; a split stands for its parts.
    fn dimensions(&self, names: &[&str]) -> Vec<usize> {
        let axes = |name: &&str| match self.split {
            Some(split) if *name == Split::NAME => vec![split.outer, split.inner],
            _ => self.axes.iter().position(|axis| axis.name == *name).into_iter().collect(),
        };
        names.iter().flat_map(axes).collect()
    }

    /// Strides of a tensor with these dimensions: dense in any order, with gaps, backwards, or none at all.
    fn strides(&mut self, names: &[&str]) -> String {
        if names.is_empty() || !self.one_in(8) {
            return String::new();
        }
        let mut order: Vec<usize> = (0..names.len()).collect();
        self.choices.shuffle(&mut order);
        let mut strides = vec![String::new(); names.len()];
        let mut stride = self.pick(&["1", "1", "2"]).to_string();
        for place in order {
            strides[place] = match self.below(8) {
                6 => format!("-{stride}"),
                7 => "0".to_string(),
                _ => stride.clone(),
            };
            stride = format!("{stride}*len({})", names[place]);
            if self.one_in(6) {
                stride = format!("({stride} + 3)");
            }
        }
        format!(" strides({})", strides.join(", "))
    }

    fn result(&mut self) -> Value {
        let depth = 1 + self.below(3) as u32;
        match self.below(24) {
            0..18 => self.float(depth),
            18..22 => self.integer(depth),
            22 => self.truth(depth),
            // A result that is itself a reduction of something large: matrix products and the like.
            _ => self.contraction(depth),
        }
    }

    fn output(&mut self, position: usize, value: &Value, used: &mut u16) -> String {
        let extra = if self.one_in(8) { 1 << self.below(self.axes.len()) } else { 0 };
        let axes = value.axes | extra;
        *used |= axes;
        let dtype = match value.ty {
            ty if ty.is_truth() => DType::Bool,
            Type::Of(dtype) if dtype.is_float() && value.size() > HALF_MAX => DType::F32,
            Type::Of(dtype) if self.below(4) > 0 => dtype,
            Type::Of(dtype) if dtype.is_float() && self.one_in(12) => self.pick(INTEGERS),
            ty if ty.is_float() => self.pick(FLOATS),
            _ if self.one_in(4) => self.float,
            _ => self.pick(INTEGERS),
        };
        format!("y{position}: {dtype}{}", brackets(&self.order(axes)))
    }

    fn attribute(&mut self) -> &'static str {
        if !self.one_in(8) {
            return "";
        }
        self.pick(&["@exact\n", "@reassoc\n", "@approx(eps=1e-3)\n"])
    }

    fn limits(&mut self, used: u16) -> String {
        let mut limits: Vec<String> =
            self.split.map(|split| self.split_text(split)).into_iter().collect();
        let part = if used != 0 && self.one_in(8) { self.choices.part(used) } else { 0 };
        for (bit, axis) in self.axes.clone().into_iter().enumerate() {
            if part >> bit & 1 == 1 {
                let (name, extent) = (axis.name, axis.extent);
                limits.push(match self.below(4) {
                    0 => format!("{name} in 0..{}", extent + 10),
                    1 => format!("{name} <= {extent}"),
                    2 => format!("{name} == {extent}"),
                    _ => format!("{name} < {}", extent + 1),
                });
            }
        }
        match limits.is_empty() {
            true => String::new(),
            false => format!(" where {}", limits.join(", ")),
        }
    }

    fn split_text(&self, Split { outer, inner, fixed }: Split) -> String {
        let (outer, inner, name) = (self.axes[outer].name, &self.axes[inner], Split::NAME);
        match fixed {
            true => format!("{name} = {outer}*{} + {}", inner.extent, inner.name),
            false => format!("{name} = {outer}*len({}) + {}", inner.name, inner.name),
        }
    }

    fn sizes(&mut self, used: u16) -> String {
        let axes = self.axes.iter().enumerate().filter(|(bit, _)| used >> bit & 1 == 1);
        let extents: Vec<String> =
            axes.map(|(_, axis)| format!("{}={}", axis.name, axis.extent)).collect();
        if extents.is_empty() {
            return String::new();
        }
        format!("sizes drawn {{ {} }}\n", extents.join(", "))
    }
}

/// Beyond this a result is not drawn in half precision.
const HALF_MAX: f64 = 6e4;

fn brackets(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("[{}]", names.join(", ")) }
}

/// What elements of an input are between in most families.
fn typical(dtype: DType) -> (f64, f64) {
    let full = full_range(dtype);
    if dtype.is_float() { (-4.0, 4.0) } else { (full.0.max(-30000.0), full.1.min(30000.0)) }
}
