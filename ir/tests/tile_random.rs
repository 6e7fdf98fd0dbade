//! The tile text and its rules under random programs, random damage and hostile texts.
//!
//! Failures print the seed, from which alone a program or a damaged text is made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use tilewright_ir::base::{
    Affine, AxisId, AxisSet, AxisTable, BinaryOp, BufferId, CompareOp, DType, Expr, Literal,
    LocalId, ReduceOp, UnaryOp,
};
use tilewright_ir::reference::{HostTensor, round_to};
use tilewright_ir::target::{MemoryLevel, Target};
use tilewright_ir::tile::{
    Bounds, Buffer, Carry, For, Grid, Layout, Local, Micro, Phase, Place, Scan, Scope, Span, Stmt,
    TileProgram, interpret, parse, print, verify,
};

fn target() -> Target {
    Target {
        backend: "cpu".into(),
        isa: "x86_64".into(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "test".into(),
        vector_bytes: 32,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: vec![MemoryLevel { name: "L2".into(), bytes: 1 << 20 }],
    }
}

/// Programs whose value depends on what is in one block.
const COUNTS_IN_BLOCKS: [&str; 1] = ["choice"];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/tile");
    let mut sources = vec![];
    for folder in [root.clone(), root.join("refused")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "tile") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                sources.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort();
    sources
}

/// Writes programs that have a text, whether or not they have a meaning.
struct Writer {
    random: ChaCha8Rng,
    program: TileProgram,
    /// Buffers and locals that are declared before the current place.
    buffers: Vec<BufferId>,
    locals: Vec<LocalId>,
}

const NAMES: [&str; 12] =
    ["m", "for", "x1", "load", "exp", "a`b", "two words", "nan", "", "\\", "Länge", "vector"];

impl Writer {
    fn new(seed: u64) -> Self {
        let program = TileProgram {
            name: "p".into(),
            axes: AxisTable::new(),
            buffers: vec![],
            locals: vec![],
            choices: vec![("a.b".into(), "(x, y)".into()), ("odd \"".into(), "\\ 1,\n".into())],
            phases: vec![],
        };
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { random, program, buffers: vec![], locals: vec![] }
    }

    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        *list.choose(&mut self.random).unwrap()
    }

    fn name(&mut self, number: usize) -> String {
        let name = self.one(&NAMES);
        format!("{name}{}", if number == 0 { String::new() } else { number.to_string() })
    }

    fn dtype(&mut self) -> DType {
        let all: Vec<_> = DType::all().collect();
        self.one(&all)
    }

    fn axis(&mut self) -> AxisId {
        AxisId(self.random.random_range(0..self.program.axes.len()) as u8)
    }

    /// Different axes in any order.
    fn axes(&mut self, most: usize) -> Vec<AxisId> {
        let count = self.random.random_range(0..=most);
        let mut axes = vec![];
        for _ in 0..count {
            let axis = self.axis();
            if !axes.contains(&axis) {
                axes.push(axis);
            }
        }
        axes
    }

    fn buffer(&mut self, scope: Scope) -> BufferId {
        let axes = self.axes(3);
        let spans = axes
            .iter()
            .map(|_| match self.random.random_range(0..3) {
                0 => Span::Block(self.random.random_range(0..9)),
                _ => Span::Whole,
            })
            .collect();
        let layout = match axes.first() {
            Some(&axis) if self.random.random_bool(0.3) => {
                let deep = axes.get(1).copied().filter(|_| self.random.random_bool(0.5));
                Layout::Panel { axis, width: 8, depth: deep.map(|axis| (axis, 4)), groups: 1 }
            }
            _ => Layout::Rows,
        };
        let name = self.name(self.program.buffers.len());
        let dtype = self.dtype();
        self.program.buffers.push(Buffer { name, scope, dtype, axes, spans, layout });
        let buffer = BufferId(self.program.buffers.len() as u32 - 1);
        self.buffers.push(buffer);
        buffer
    }

    fn local(&mut self, axes: AxisSet) -> LocalId {
        let name = self.name(self.program.locals.len());
        let dtype = self.dtype();
        self.program.locals.push(Local { name, dtype, axes });
        LocalId(self.program.locals.len() as u32 - 1)
    }

    fn literal(&mut self) -> Literal {
        let dtype = self.dtype();
        let special = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NAN, 1e30, -1e-30];
        let value = match self.random.random_range(0..3) {
            0 => self.one(&special),
            1 => self.random.random_range(-300.0..300.0),
            _ => f64::from_bits(self.random.random()),
        };
        // A NaN has one text; an integer that is rounded to 0 from below keeps no sign.
        let value = if value.is_nan() { f64::NAN } else { value };
        let value = round_to(dtype, value);
        Literal { value: if dtype.is_float() { value } else { value + 0.0 }, dtype }
    }

    fn expr(&mut self, depth: u32) -> Expr {
        let kinds = if depth == 0 { 5 } else { 13 };
        let part = |writer: &mut Self| Box::new(writer.expr(depth - 1));
        match self.random.random_range(0..kinds) {
            0 if !self.buffers.is_empty() => {
                let buffers = self.buffers.clone();
                Expr::Load(self.one(&buffers))
            }
            1 if !self.locals.is_empty() => {
                let locals = self.locals.clone();
                Expr::Local(self.one(&locals))
            }
            2 => Expr::Index(self.axis()),
            3 => Expr::Len(self.axis()),
            0 | 1 | 4 => Expr::Literal(self.literal()),
            5 => Expr::Unary(self.one(UnaryOp::ALL), part(self)),
            6 => Expr::Unary(self.one(&[UnaryOp::Neg, UnaryOp::Not]), part(self)),
            7 | 8 => Expr::Binary(self.one(BinaryOp::ALL), part(self), part(self)),
            9 => Expr::Compare(self.one(CompareOp::ALL), part(self), part(self)),
            10 => Expr::Select(part(self), part(self), part(self)),
            11 => Expr::Cast(self.dtype(), part(self)),
            _ => {
                let axes = self.axes(3).into_iter().collect();
                if self.random.random() {
                    Expr::Reduce(self.one(ReduceOp::ALL), axes, part(self))
                } else {
                    Expr::Mma(axes, part(self), part(self), part(self))
                }
            }
        }
    }

    fn micro(&mut self) -> Micro {
        let tile = self.axes(2).into_iter().map(|axis| (axis, self.random.random_range(0..9)));
        Micro {
            tile: tile.collect(),
            vector: self.axes(1).first().copied(),
            order: self.axes(2),
            unroll: self.random.random_range(0..3),
            fetch: self.random.random_range(0..3),
            ahead: self.axes(1).first().map(|&axis| (axis, self.random.random_range(0..9))),
            streaming: self.random.random(),
            rising: self.random.random(),
            chain: self.random.random_range(0..3),
        }
    }

    fn steps(&mut self) -> Vec<(AxisId, u64)> {
        let axes = self.axes(2).into_iter();
        axes.map(|axis| (axis, self.random.random_range(0..100))).collect()
    }

    fn bounds(&mut self) -> Bounds {
        if self.random.random_bool(0.5) {
            return Bounds::default();
        }
        let mut side = || {
            let count = self.random.random_range(0..3);
            (0..count).map(|_| self.bound()).collect()
        };
        Bounds { from: side(), to: side() }
    }

    fn bound(&mut self) -> Affine {
        let constant = self.random.random_range(-9..9);
        let axes = self.axes(3).into_iter();
        let factors = axes.map(|axis| (axis, self.random.random_range(1..4)));
        let factors: BTreeMap<_, _> = factors.collect();
        Affine { constant, factors }.scaled(if self.random.random() { -1 } else { 1 })
    }

    fn body(&mut self, depth: u32) -> Vec<Stmt> {
        let count = self.random.random_range(0..4);
        (0..count).map(|_| self.stmt(depth)).collect()
    }

    fn stmt(&mut self, depth: u32) -> Stmt {
        let expr = self.expr(4);
        match self.random.random_range(0..if depth == 0 { 4 } else { 6 }) {
            0 => {
                let axes = self.axes(3).into_iter().collect();
                let local = self.local(axes);
                self.locals.push(local);
                Stmt::Let { local, expr }
            }
            1 => Stmt::Stage { buffer: self.buffer(Scope::Group), expr, micro: self.micro() },
            2 => {
                let buffers = self.buffers.clone();
                Stmt::Store { buffer: self.one(&buffers), expr, micro: self.micro() }
            }
            3 => {
                let buffers = self.buffers.clone();
                let (buffer, axis) = (self.one(&buffers), self.axis());
                let block = self.random.random_range(0..100);
                let op = self.one(ReduceOp::ALL);
                Stmt::Scan(Scan { buffer, op, axis, block, expr, micro: self.micro() })
            }
            _ => Stmt::For(self.r#for(depth)),
        }
    }

    fn r#for(&mut self, depth: u32) -> For {
        let axes = self.steps();
        let bounds = axes.iter().map(|&(axis, _)| (axis, self.bounds())).collect();
        let count = self.random.random_range(0..3);
        let heads: Vec<_> = (0..count)
            .map(|_| {
                let axes = self.axes(2);
                (self.local(axes.iter().copied().collect()), axes)
            })
            .collect();
        self.locals.extend(heads.iter().map(|(local, _)| *local));
        let body = self.body(depth - 1);
        let carries = heads
            .into_iter()
            .map(|(local, axes)| Carry {
                local,
                axes,
                start: self.literal(),
                place: if self.random.random() {
                    Place::Group
                } else {
                    Place::Out(self.buffers[0])
                },
                next: self.expr(3),
                micro: self.micro(),
                last: if self.random.random() { Some(self.expr(2)) } else { None },
            })
            .collect();
        For { axes, bounds, carries, body }
    }

    fn program(mut self) -> TileProgram {
        for number in 0..self.random.random_range(1..6) {
            let name = self.name(number);
            let axis = self.program.axes.intern(&name).unwrap();
            self.program.axes.bind(axis, self.random.random_range(0..1000));
        }
        for scope in [Scope::Input, Scope::Output, Scope::Device] {
            for _ in 0..self.random.random_range(1..3) {
                self.buffer(scope);
            }
        }
        for number in 0..self.random.random_range(1..3) {
            let group = (0..self.random.random_range(0..2)).map(|_| self.buffer(Scope::Group));
            let group = group.collect();
            let grid = Grid { axes: self.steps(), threads: self.random.random_range(0..3) };
            let body = self.body(2);
            let name = self.name(number);
            self.program.phases.push(Phase { name, grid, group, body });
        }
        self.program
    }
}

#[test]
fn random_programs_survive_the_round_trip() {
    for seed in 0..3000 {
        let program = Writer::new(seed).program();
        let text = print(&program);
        let parsed = parse(&text).unwrap_or_else(|f| panic!("seed {seed}: {f:#?}\n{text}"));
        assert_eq!(parsed, program.canonical(), "seed {seed}\n{text}");
        assert_eq!(print(&parsed), text, "seed {seed}");
        assert_eq!(program.canonical().canonical(), program.canonical(), "seed {seed}");
        // Whatever it says, it says without a panic.
        let _ = verify(&parsed, &target()).is_ok();
    }
}

/// Damages a text at a few places: bytes removed, doubled, or replaced by pieces of the language.
fn damage(text: &str, random: &mut ChaCha8Rng) -> String {
    let pieces =
        ["(", ")", "{", "}", "load", "j", "0", "-", "[", ",", "m:4", "`", "\"", "for", "é"];
    let mut text = text.to_string();
    for _ in 0..random.random_range(1..4) {
        let mut places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        places.push(text.len());
        let from = *places.choose(random).unwrap();
        let to = *places.choose(random).unwrap();
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 20));
        let to = (to..=text.len()).find(|&to| text.is_char_boundary(to)).unwrap();
        let piece = match random.random_range(0..3) {
            0 => String::new(),
            1 => text[from..to].repeat(2),
            _ => (*pieces.choose(random).unwrap()).to_string(),
        };
        text.replace_range(from..to, &piece);
    }
    text
}

#[test]
fn damaged_texts_are_refused_or_mean_what_they_print() {
    let sources = sources();
    let (mut refused, mut accepted, mut ran) = (0, 0, 0);
    for seed in 0..4000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let text = damage(&sources.choose(&mut random).unwrap().1, &mut random);
        match parse(&text) {
            Err(faults) => {
                refused += 1;
                assert!(!faults.is_empty(), "seed {seed}");
                for span in faults.iter().filter_map(|fault| fault.span) {
                    assert!(
                        text.get(span.start as usize..span.end as usize).is_some(),
                        "seed {seed}"
                    );
                }
            }
            Ok(program) => {
                accepted += 1;
                assert_eq!(parse(&print(&program)).as_ref(), Ok(&program), "seed {seed}");
                let all: AxisSet = program.axes.ids().collect();
                let is_small = program.axes.ids().all(|axis| program.axes.extent(axis) < 100)
                    && program.axes.volume(all) < 100_000;
                if verify(&program, &target()).is_ok() && is_small {
                    let outputs = run(&program, seed);
                    assert_eq!(outputs.len(), program.outputs().count(), "seed {seed}");
                    ran += 1;
                }
            }
        }
    }
    let counts = format!("{refused} refused, {accepted} accepted, {ran} ran");
    assert!(refused > 1000 && accepted > 100 && ran > 100, "{counts}");
}

#[test]
fn hostile_texts_end_in_a_fault() {
    let body = |expr: &str| {
        format!(
            "tile t {{ extents m=2 output C: f32[m] phase C {{ grid {{ store C = {expr} }} }} }}"
        )
    };
    let many = 100_000;
    let loops = "for m by 1 {".repeat(many / 2);
    let axes: String = (0..many).map(|axis| format!("a{axis}=1,")).collect();
    for (code, text) in [
        ("TW0504", body(&"(".repeat(many))),
        ("TW0504", body(&"-".repeat(many))),
        ("TW0504", body(&format!("1{}", " + 1".repeat(many)))),
        ("TW0504", body(&"exp(".repeat(many))),
        ("TW0504", body(&"select(".repeat(many))),
        ("TW0502", body("1") + "and more"),
        ("TW0502", format!("tile t {{ extents m=2 phase C {{ grid {{ {loops}")),
        ("TW0502", "{".repeat(many)),
        ("TW0501", "~".repeat(many)),
        ("TW0506", "tile t { extents ".to_string() + &"a=1,".repeat(many)),
        ("TW0507", format!("tile t {{ extents {axes}")),
        ("TW0507", "x".repeat(2 << 20)),
        ("TW0502", String::new()),
    ] {
        let faults = parse(&text).expect_err("no program");
        let start: String = text.chars().take(80).collect();
        assert!(faults.iter().any(|fault| fault.code == code), "{start}: {:?}", faults[0]);
        assert!(faults.len() <= 64, "{start}: {} faults", faults.len());
    }
}

fn run(program: &TileProgram, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let inputs: Vec<_> = program
        .inputs()
        .map(|input| {
            let shape: Vec<_> = input.axes.iter().map(|&axis| program.axes.extent(axis)).collect();
            let count: u64 = shape.iter().product();
            let values: Vec<f64> = (0..count).map(|_| random.random_range(-2.0..2.0)).collect();
            HostTensor::from_f64(input.dtype, &shape, values)
        })
        .collect();
    interpret(program, &inputs)
}

/// Gives every step and every block another size, equal sizes staying equal.
fn resize(text: &str, random: &mut ChaCha8Rng) -> String {
    let mut sizes = BTreeMap::new();
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        if !["phase", "grid", "for", "stage", "group"]
            .iter()
            .any(|word| line.trim_start().starts_with(word))
        {
            out.push_str(line);
            continue;
        }
        for piece in line.split_inclusive([' ', ':', ',', ']', ')']) {
            let digits = piece.trim_end_matches([' ', ':', ',', ']', ')']);
            let after_size = out.ends_with("by ") || out.ends_with(':');
            match digits.parse::<u64>() {
                Ok(size) if after_size => {
                    let new = *sizes.entry(size).or_insert_with(|| random.random_range(1..=12));
                    out.push_str(&format!("{new}{}", &piece[digits.len()..]));
                }
                _ => out.push_str(piece),
            }
        }
    }
    out
}

#[test]
fn the_sizes_of_blocks_never_change_the_meaning_of_a_verified_program() {
    let mut verified = 0;
    for seed in 0..600 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let sources = sources();
        let (name, text) = sources.choose(&mut random).unwrap();
        let Ok(original) = parse(text) else { continue };
        // What counts elements of a block means another thing with other blocks, as its text says.
        if verify(&original, &target()).is_err() || COUNTS_IN_BLOCKS.contains(&name.as_str()) {
            continue;
        }
        let resized = resize(text, &mut random);
        let program = parse(&resized).unwrap_or_else(|f| panic!("seed {seed}: {f:?}\n{resized}"));
        if verify(&program, &target()).is_err() {
            continue;
        }
        verified += 1;
        for (got, expected) in run(&program, seed).iter().zip(&run(&original, seed)) {
            for (got, expected) in got.iter().zip(expected) {
                let close =
                    got == expected || (got - expected).abs() <= 1e-12 * (1.0 + expected.abs());
                assert!(close, "seed {seed}, {name}: {got} for {expected}\n{resized}");
            }
        }
    }
    assert!(verified > 100, "{verified} programs were verified");
}
