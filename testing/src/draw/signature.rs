//! Kernels: inputs, outputs, limits on extents, size sets, and the body between them.

use super::reduction::reduced_range;
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
            let value = if position == 0 { self.with_stated(value) } else { value };
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
        self.split = self.split.take().filter(|split| split.axes() & !used == 0);
        let (attribute, limits, sizes) =
            (self.attribute(), self.limits(used), self.sizes(used, position));
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
            let mut parts = vec![outer, inner];
            let rest = (0..self.axes.len()).find(|bit| !parts.contains(bit));
            parts.extend(rest.filter(|_| self.one_in(3)));
            let elements = parts[1..].iter().all(|&bit| self.axes[bit].extent > 0);
            let fixed = elements && self.one_in(2);
            let nested = parts.len() == 3 && self.one_in(2);
            self.split = Some(Split { parts, fixed, nested });
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
            let dimensions = self.dimensions(&names);
            for &bit in &dimensions {
                // The parts of a split come together.
                let split = self.split.iter().map(|split| &split.parts);
                let parts = split.filter(|parts| parts.contains(&bit)).flatten();
                let new: Vec<usize> = parts.copied().chain([bit]).collect();
                for bit in new {
                    if !self.scope.signature.contains(&bit) {
                        self.scope.signature.push(bit);
                    }
                }
            }
            if axes != 0 {
                self.scope.orders.push((value.clone(), dimensions));
            }
            self.learn(value);
        }
        self.state_axis();
        tensors.join(", ")
    }

    /// Now and then an axis that no input has, whose extent the text states.
    fn state_axis(&mut self) {
        self.stated = 0;
        let free = (0..self.axes.len()).find(|bit| self.scope.axes >> bit & 1 == 0);
        let split = self.split.as_ref().map_or(0, Split::axes);
        if let Some(bit) = free.filter(|bit| split >> bit & 1 == 0)
            && self.one_in(3)
        {
            self.stated = 1 << bit;
            self.scope.axes |= self.stated;
            self.scope.signature.push(bit);
        }
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
        let axes = |name: &&str| match &self.split {
            Some(split) if *name == Split::NAME => split.parts.clone(),
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
                5 if self.constant => format!("FEW*({stride})"),
                _ => stride.clone(),
            };
            if strides[place].starts_with("FEW") {
                stride = strides[place].clone();
            }
            stride = format!("{stride}*len({})", names[place]);
            if self.one_in(6) {
                stride = format!("({stride} + 3)");
            }
        }
        format!(" strides({})", strides.join(", "))
    }

    /// The first result, sometimes summed over the axis that no input has.
    fn with_stated(&mut self, value: Value) -> Value {
        if self.stated & value.axes == 0 || !value.ty.is_float() || self.one_in(2) {
            return value;
        }
        let ty = value.ty.accumulator("sum");
        let range = reduced_range("sum", value.range, self.volume(self.stated));
        self.reduced("sum", &value, self.stated, (ty, None), range)
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
        // An axis that no input has is summed over or written out.
        let summed = self.axis_list(self.stated).first().map(|name| format!("sum[{name}]("));
        let summed = summed.is_some_and(|head| value.text.starts_with(&head));
        let stated = if position == 0 && !summed { self.stated } else { 0 };
        let axes = value.axes | extra | stated;
        *used |= axes;
        let dtype = match value.ty {
            ty if ty.is_truth() => DType::Bool,
            Type::Of(dtype) if dtype.is_float() && value.size() > HALF_MAX => DType::F32,
            Type::Of(dtype) if self.below(4) > 0 => dtype,
            Type::Of(dtype) if dtype.is_float() && self.one_in(12) => self.pick(INTEGERS),
            // A number that the text spells out has to be one of the type.
            Type::Fraction if value.axes == 0 => self.pick(&[DType::F32, DType::F64]),
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
            self.split.iter().map(|split| self.split_text(split)).collect();
        for (bit, axis) in self.axes.iter().enumerate() {
            if self.stated >> bit & 1 == 1 {
                limits.push(format!("{} == {}", axis.name, axis.extent));
            }
        }
        let part = if used != 0 && self.one_in(8) { self.choices.part(used) } else { 0 };
        for (bit, axis) in self.axes.clone().into_iter().enumerate() {
            if part >> bit & 1 == 1 {
                let (name, extent) = (axis.name, axis.extent);
                let other = self.below(self.axes.len());
                let other = self.axes[other].clone();
                limits.push(match self.below(8) {
                    4 => format!("{name} >= {extent}"),
                    5 => format!("{name} != {}", extent + 1),
                    6 if self.constant => format!("{name} <= FEW * {}", extent + 1),
                    7 if used >> self.bit_of(other.name) & 1 == 1 && other.extent <= extent => {
                        format!("{} <= {name}", other.name)
                    }
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

    fn bit_of(&self, name: &str) -> usize {
        self.axes.iter().position(|axis| axis.name == name).unwrap_or(0)
    }

    fn split_text(&self, split: &Split) -> String {
        let axes: Vec<&Axis> = split.parts.iter().map(|&bit| &self.axes[bit]).collect();
        let (name, last) = (Split::NAME, axes[axes.len() - 1]);
        let after = |part: usize| -> String {
            let inner = axes[part + 1..].iter();
            if split.fixed {
                return inner.map(|axis| axis.extent).product::<u64>().to_string();
            }
            inner.map(|axis| format!("len({})", axis.name)).collect::<Vec<_>>().join("*")
        };
        let term = |part: usize| format!("{}*{}", axes[part].name, after(part));
        match (axes.len(), split.nested) {
            (2, _) => format!("{name} = {} + {}", term(0), last.name),
            (_, false) => format!("{name} = {} + {} + {}", term(0), term(1), last.name),
            (_, true) => {
                let inner = Split::NESTED;
                let count = if split.fixed { after(0) } else { format!("len({inner})") };
                let first = format!("{name} = {}*{count} + {inner}", axes[0].name);
                format!("{first}, {inner} = {} + {}", term(1), last.name)
            }
        }
    }

    /// The size set of the kernel, and sometimes one with the same extents said in another way.
    fn sizes(&mut self, used: u16, kernel: usize) -> String {
        let axes: Vec<Axis> = self
            .axes
            .iter()
            .enumerate()
            .filter(|(bit, _)| used >> bit & 1 == 1)
            .map(|(_, axis)| axis.clone())
            .collect();
        if axes.is_empty() {
            return String::new();
        }
        let extents: Vec<String> =
            axes.iter().map(|axis| format!("{}={}", axis.name, axis.extent)).collect();
        let mut text = format!("sizes drawn {{ {} }}\n", extents.join(", "));
        if self.one_in(24) {
            let split = self.split.clone();
            let mut extents = vec![];
            if let Some(split) = &split {
                extents.push(format!("{}={}", Split::NAME, self.volume(split.axes())));
            }
            for axis in &axes {
                let merged = split.as_ref().is_some_and(|split| {
                    let outer = split.parts[0] == self.bit_of(axis.name);
                    let volume = self.volume(split.axes());
                    outer && volume > 0.0
                });
                if !merged {
                    extents.push(match axis.extent {
                        3.. if self.constant => format!("{}=FEW + {}", axis.name, axis.extent - 3),
                        extent => format!("{}={extent}", axis.name),
                    });
                }
            }
            text += &format!("sizes again for k{kernel} {{ {} }}\n", extents.join(", "));
        }
        text
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
