//! A back end that ignores the program and hands out prepared code, one piece for each call.

use std::sync::atomic::{AtomicUsize, Ordering};
use tilewright_ir::backend::{Artifact, Backend, Launch, Probe, Unsupported};
use tilewright_ir::base::{BinaryOp, DType};
use tilewright_ir::graph::{Graph, GraphBuilder, Output, Tensor};
use tilewright_ir::target::{MemoryLevel, Target};
use tilewright_ir::tile::TileProgram;

/// Elements of each argument: no multiple of a cache line's, so that the last one ends within a line.
pub(crate) const ELEMENTS: u64 = 15 * 33 * 8;

/// out = a + b over three axes, so that there is something to choose.
pub(crate) fn graph() -> Graph {
    let mut builder = GraphBuilder::new("add");
    let axes = ["x", "y", "z"].map(|name| builder.axis(name));
    let a = builder.input("a", DType::F32, &axes);
    let b = builder.input("b", DType::F32, &axes);
    let node = builder.binary(BinaryOp::Add, a, b);
    let tensor = Tensor::new("out", DType::F32, &axes);
    let sizes = [("x", 15), ("y", 33), ("z", 8)].map(|(name, size)| (name.to_string(), size));
    builder
        .finish(vec![Output { tensor, node }])
        .bind(&sizes.into())
        .expect("every axis has a size")
}

/// One launch of `code` over all elements.
pub(crate) fn artifact(code: &[u8]) -> Artifact {
    let launch = Launch { entry: 0, iterations: ELEMENTS, scratch_bytes: 64, threads: 1 };
    Artifact {
        image: code.to_vec(),
        unwind: None,
        launches: vec![launch],
        argument_bytes: vec![ELEMENTS * 4; 3],
        input_layouts: vec![],
        inputs: 2,
        device_bytes: vec![64],
        least_isa: None,
    }
}

/// What the back end makes of a program; `None` is unsupported.
type Compile = Box<dyn Fn(usize, &TileProgram) -> Option<Vec<u8>> + Send + Sync>;

/// The back end. It gives each call its number; call 0 is the naive baseline.
pub(crate) struct Fake {
    target: Target,
    calls: AtomicUsize,
    code: Compile,
}

impl Fake {
    /// Call i gets `code(i)`, whatever the program.
    pub(crate) fn new(code: fn(usize) -> Option<Vec<u8>>) -> Self {
        Self::compiling(Box::new(move |call, _| code(call)))
    }

    /// Honest code that takes as many turns as `turns` says, by the value of a choice; the call makes each image another.
    pub(crate) fn by_choice(name: &'static str, turns: fn(&str) -> u32) -> Self {
        Self::compiling(Box::new(move |call, program| {
            let value = program.choices.iter().find(|choice| choice.0 == name);
            let value = value.map_or("none", |choice| choice.1.as_str());
            let mut image = crate::code::delayed(turns(value), crate::code::ADD);
            image.extend(call.to_le_bytes());
            Some(image)
        }))
    }

    /// What becomes of a program depends on it alone.
    pub(crate) fn by_program(
        code: impl Fn(&TileProgram) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::compiling(Box::new(move |_, program| code(program)))
    }

    fn compiling(code: Compile) -> Self {
        let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
        let target = Target {
            backend: "fake".to_string(),
            isa: "x86_64".to_string(),
            features: vec![],
            slow: vec![],
            multiply_adds: 0,
            chip: "a chip".to_string(),
            vector_bytes: 16,
            vector_registers: 16,
            accumulates_in_place: false,
            threads: 1,
            memory: vec![level("L1", 32 << 10), level("L2", 1 << 20), level("memory", 0)],
        };
        Self { target, calls: AtomicUsize::new(0), code }
    }
}

impl Backend for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn version(&self) -> String {
        "1".to_string()
    }

    fn compile(&self, program: &TileProgram) -> Result<Artifact, Unsupported> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let code = (self.code)(call, program).ok_or_else(|| unsupported(&program.name))?;
        Ok(artifact(&code))
    }

    fn listings(&self, program: &TileProgram) -> Result<Vec<(&'static str, String)>, Unsupported> {
        Err(unsupported(&program.name))
    }

    fn probes(&self) -> Result<Vec<Probe>, Unsupported> {
        Err(unsupported("probes"))
    }
}

fn unsupported(place: &str) -> Unsupported {
    Unsupported { what: "this".to_string(), place: place.to_string() }
}
