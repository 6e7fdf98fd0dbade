//! The printer of the tile text. The grammar stands at the parser.
//!
//! Invariant: one program has one text; `parse(print(p)) == p` for every canonical program.

use super::{
    Buffer, Carry, For, Layout, Micro, Phase, Place, Scan, Scope, Span, Stmt, TileProgram,
};
use crate::base::{AxisId, BufferId, LocalId};
use crate::text::{ExprNames, print_expr, print_literal, print_strides, quote_name};

/// The canonical text; `parse(print(p)) == p` where `p` is canonical (`TileProgram::canonical`).
pub fn print(program: &TileProgram) -> String {
    let mut printer = Printer { program, out: String::new(), depth: 0 };
    printer.program();
    printer.out
}

impl ExprNames for TileProgram {
    fn axis_name(&self, axis: AxisId) -> &str {
        if axis.index() < self.axes.len() { self.axes.name(axis) } else { "?" }
    }

    fn buffer_name(&self, buffer: BufferId) -> &str {
        self.buffers.get(buffer.index()).map_or("?", |buffer| &buffer.name)
    }

    fn local_name(&self, local: LocalId) -> &str {
        self.locals.get(local.index()).map_or("?", |local| &local.name)
    }
}

struct Printer<'a> {
    program: &'a TileProgram,
    out: String,
    depth: usize,
}

impl Printer<'_> {
    fn line(&mut self, text: &str) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn open(&mut self, text: &str) {
        self.line(&format!("{text} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    fn program(&mut self) {
        let program = self.program;
        self.open(&format!("tile {}", quote_name(&program.name)));
        if !program.axes.is_empty() {
            let extents: Vec<_> = program.axes.ids().map(|axis| self.extent(axis)).collect();
            self.line(&format!("extents {}", extents.join(", ")));
        }
        for (scope, word) in
            [(Scope::Input, "input"), (Scope::Output, "output"), (Scope::Device, "device")]
        {
            for buffer in program.buffers.iter().filter(|buffer| buffer.scope == scope) {
                self.line(&format!("{word} {}", self.declaration(buffer)));
            }
        }
        for (name, value) in &program.choices {
            self.line(&format!("choose {} = {}", choice_name(name), choice_value(value)));
        }
        for phase in &program.phases {
            self.phase(phase);
        }
        self.close();
    }

    fn extent(&self, axis: AxisId) -> String {
        let extent = self.program.axes.extent_if_bound(axis);
        let extent = extent.map_or("?".to_string(), |extent| extent.to_string());
        format!("{}={extent}", self.axis(axis))
    }

    fn phase(&mut self, phase: &Phase) {
        let threads = match phase.grid.threads {
            1 => String::new(),
            threads => format!(" threads({threads})"),
        };
        self.open(&format!("phase {}{threads}", quote_name(&phase.name)));
        for buffer in &phase.group {
            if let Some(buffer) = self.program.buffers.get(buffer.index()) {
                self.line(&format!("group {}", self.declaration(buffer)));
            }
        }
        self.open(&format!("grid{}", self.steps(&phase.grid.axes)));
        phase.body.iter().for_each(|stmt| self.stmt(stmt));
        self.close();
        self.close();
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let program = self.program;
        let text = match stmt {
            Stmt::Let { local, expr } => {
                let axes = program.locals.get(local.index()).map(|local| local.axes);
                let axes: Vec<_> = axes.iter().flat_map(|axes| axes.iter()).collect();
                format!("let {} = {}", self.typed_local(*local, &axes), print_expr(expr, program))
            }
            Stmt::Stage { buffer, expr, micro } => {
                let buffer = program.buffers.get(buffer.index());
                let declaration = buffer.map_or("?".to_string(), |buffer| self.declaration(buffer));
                let expr = print_expr(expr, program);
                format!("stage {declaration} = {expr}{}", self.micro(micro))
            }
            Stmt::Store { buffer, expr, micro } => {
                let name = quote_name(program.buffer_name(*buffer));
                format!("store {name} = {}{}", print_expr(expr, program), self.micro(micro))
            }
            Stmt::Scan(scan) => self.scan(scan),
            Stmt::For(inner) => return self.r#for(inner),
        };
        self.line(&text);
    }

    fn scan(&self, scan: &Scan) -> String {
        let Scan { buffer, op, axis, block, expr, micro } = scan;
        let name = quote_name(self.program.buffer_name(*buffer));
        let (axis, expr) = (self.axis(*axis), print_expr(expr, self.program));
        format!("scan {name} = {op}[{axis}]({expr}) block({block}){}", self.micro(micro))
    }

    fn r#for(&mut self, inner: &For) {
        let carries: Vec<_> = inner.carries.iter().map(|carry| self.carry(carry)).collect();
        let carries = if carries.is_empty() {
            String::new()
        } else {
            format!(" carry {}", carries.join(", "))
        };
        let steps = inner.axes.iter().map(|(axis, step)| {
            let bounds = inner.bounds.get(axis).filter(|bounds| !bounds.is_open());
            let bounds = bounds.map(|bounds| format!(" in {}", bounds.print(&self.program.axes)));
            let bounds = bounds.unwrap_or_default();
            format!(" {}{bounds} by {step}", self.axis(*axis))
        });
        let steps = steps.collect::<Vec<_>>().join(",");
        self.open(&format!("for{steps}{carries}"));
        inner.body.iter().for_each(|stmt| self.stmt(stmt));
        for carry in &inner.carries {
            let name = quote_name(self.program.local_name(carry.local));
            let next = print_expr(&carry.next, self.program);
            self.line(&format!("yield {name} = {next}{}", self.micro(&carry.micro)));
            if let Some(last) = &carry.last {
                self.line(&format!("last {name} = {}", print_expr(last, self.program)));
            }
        }
        self.close();
    }

    fn carry(&self, carry: &Carry) -> String {
        let place = match carry.place {
            Place::Group => "@group".to_string(),
            Place::Out(buffer) => format!("@out({})", quote_name(self.program.buffer_name(buffer))),
        };
        let head = self.typed_local(carry.local, &carry.axes);
        format!("{head} = {} {place}", print_literal(carry.start))
    }

    fn typed_local(&self, local: LocalId, axes: &[AxisId]) -> String {
        let name = quote_name(self.program.local_name(local));
        let dtype = self.program.locals.get(local.index()).map_or("?", |local| local.dtype.name());
        let axes: Vec<_> = axes.iter().map(|&axis| self.axis(axis)).collect();
        format!("{name}: {dtype}{}", bracketed(&axes))
    }

    /// `b: f32[k:256, n] layout(panel(n:8))`.
    fn declaration(&self, buffer: &Buffer) -> String {
        let axes: Vec<_> = buffer
            .axes
            .iter()
            .zip(&buffer.spans)
            .map(|(&axis, span)| match span {
                Span::Whole => self.axis(axis),
                Span::Block(block) => format!("{}:{block}", self.axis(axis)),
            })
            .collect();
        let layout = match &buffer.layout {
            Layout::Rows => String::new(),
            Layout::Strides(strides) => format!(" layout({})", print_strides(strides).trim()),
            Layout::Panel { axis, width, depth, groups } => {
                let cuts = [Some((*axis, *width)), *depth].into_iter().flatten();
                let cuts = cuts.map(|(axis, count)| format!("{}:{count}", self.axis(axis)));
                let cuts = cuts.collect::<Vec<_>>().join(", ");
                let groups =
                    if *groups == 1 { String::new() } else { format!(" groups({groups})") };
                format!(" layout(panel({cuts}){groups})")
            }
        };
        format!("{}: {}{}{layout}", quote_name(&buffer.name), buffer.dtype, bracketed(&axes))
    }

    fn micro(&self, micro: &Micro) -> String {
        let mut out = String::new();
        if !micro.tile.is_empty() {
            let tile =
                micro.tile.iter().map(|(axis, count)| format!("{}:{count}", self.axis(*axis)));
            out.push_str(&format!(" micro({})", tile.collect::<Vec<_>>().join(", ")));
        }
        if let Some(axis) = micro.vector {
            out.push_str(&format!(" vector({})", self.axis(axis)));
        }
        if !micro.order.is_empty() {
            let order: Vec<_> = micro.order.iter().map(|&axis| self.axis(axis)).collect();
            out.push_str(&format!(" order({})", order.join(", ")));
        }
        if micro.unroll != 1 {
            out.push_str(&format!(" unroll({})", micro.unroll));
        }
        if micro.fetch != 0 {
            out.push_str(&format!(" fetch({})", micro.fetch));
        }
        if let Some((axis, step)) = micro.ahead {
            out.push_str(&format!(" ahead({}:{step})", self.axis(axis)));
        }
        if micro.streaming {
            out.push_str(" streaming");
        }
        if micro.rising {
            out.push_str(" rising");
        }
        if micro.chain != 0 {
            out.push_str(&format!(" chain({})", micro.chain));
        }
        out
    }

    fn steps(&self, axes: &[(AxisId, u64)]) -> String {
        let steps = axes.iter().map(|(axis, step)| format!(" {} by {step}", self.axis(*axis)));
        steps.collect::<Vec<_>>().join(",")
    }

    fn axis(&self, axis: AxisId) -> String {
        quote_name(self.program.axis_name(axis))
    }
}

/// `[a, b]`; nothing for a scalar.
fn bracketed(items: &[String]) -> String {
    if items.is_empty() { String::new() } else { format!("[{}]", items.join(", ")) }
}

fn choice_name(name: &str) -> String {
    if is_path(name) { name.to_string() } else { crate::text::quote('"', name) }
}

fn choice_value(value: &str) -> String {
    let list = value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let is_list = list.is_some_and(|list| list.is_empty() || list.split(", ").all(is_path));
    let is_count = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let bare = is_list || is_count || is_path(value);
    if bare { value.to_string() } else { crate::text::quote('"', value) }
}

/// Words joined by dots.
fn is_path(text: &str) -> bool {
    text.split('.').all(|word| {
        let mut bytes = word.bytes();
        let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        bytes.next().is_some_and(letter) && bytes.all(|byte| letter(byte) || byte.is_ascii_digit())
    })
}
