//! Every tile program under tests/files/tile runs compiled and interpreted, and the two agree.
//!
//! The interpreter computes in f64 without rounding, so the two differ by the rounding of f32 only. Inputs are small
//! integers over four, whose sums and products f32 holds exactly; what remains is the rounding of divisions and
//! elementary functions, a few units in the last place.

use rand::SeedableRng as _;
use std::path::Path;
use tilewright_cpu::{CpuBackend, Loaded};
use tilewright_ir::DType;
use tilewright_ir::backend::Backend as _;
use tilewright_ir::graph::Memory;
use tilewright_ir::reference::{HostTensor, collect, spread};
use tilewright_ir::tile::{self, Buffer, TileProgram};

const SEED: u64 = 0x7e57;

/// Programs that this back end refuses, and the construct it names.
const REFUSED: [(&str, &str); 1] = [("nearest.tile", "argmin")];

fn tensor(buffer: &Buffer, program: &TileProgram, rng: &mut impl rand::Rng) -> HostTensor {
    let shape: Vec<u64> = buffer.axes.iter().map(|&axis| program.axes.extent(axis)).collect();
    let count = shape.iter().product::<u64>();
    let scale = if buffer.dtype.is_float() { 4.0 } else { 1.0 };
    let values: Vec<f64> = (0..count).map(|_| f64::from(rng.random_range(-8..8)) / scale).collect();
    HostTensor::from_f64(buffer.dtype, &shape, values)
}

/// The memory of a strided input; elements at one place become equal in the input itself.
fn lay(memory: &Memory, input: &mut HostTensor) -> Vec<u8> {
    let bytes = spread(memory, input);
    collect(memory, &bytes, input);
    bytes
}

fn numbers(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    let count = bytes.len() as u64 / dtype.bytes();
    HostTensor { dtype, shape: vec![count], bytes: bytes.to_vec() }.to_f64()
}

fn run(path: &Path, backend: &CpuBackend) -> Result<(), String> {
    let source = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let program = tile::parse(&source).map_err(|errors| format!("{errors:?}"))?;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(SEED);
    let mut inputs: Vec<HostTensor> =
        program.inputs().map(|buffer| tensor(buffer, &program, &mut rng)).collect();
    let refused = REFUSED.iter().find(|row| path.ends_with(row.0));
    let artifact = match (backend.compile(&program), refused) {
        (Err(error), Some((_, what))) if error.what.contains(what) => return Ok(()),
        (Ok(_), Some((_, what))) => return Err(format!("`{what}` is no longer refused")),
        (artifact, _) => artifact.map_err(|error| error.to_string())?,
    };
    let loaded = Loaded::new(&artifact).map_err(|error| error.to_string())?;
    let mut outputs: Vec<Vec<u8>> = artifact.argument_bytes[artifact.inputs..]
        .iter()
        .map(|&bytes| vec![0xff; bytes as usize])
        .collect();
    let lying: Vec<Vec<u8>> = program
        .inputs()
        .zip(&mut inputs)
        .map(|(buffer, input)| match buffer.memory(&program.axes) {
            Some(memory) => lay(&memory, input),
            None => input.bytes.clone(),
        })
        .collect();
    let input_bytes: Vec<&[u8]> = lying.iter().map(Vec::as_slice).collect();
    let mut output_bytes: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    loaded.call(&input_bytes, &mut output_bytes).map_err(|error| error.to_string())?;
    let expected = tile::interpret(&program, &inputs);
    for ((buffer, bytes), expected) in program.outputs().zip(&outputs).zip(expected) {
        for (index, (got, want)) in
            numbers(buffer.dtype, bytes).into_iter().zip(expected).enumerate()
        {
            let close = got == want
                || got.is_nan() && want.is_nan()
                || (got - want).abs() <= 2e-5 * want.abs().max(1.0);
            if !close {
                return Err(format!("{}[{index}] is {got}, not {want} (seed {SEED})", buffer.name));
            }
        }
    }
    Ok(())
}

#[test]
fn compiled_tile_programs_agree_with_the_interpreter() {
    let backend = CpuBackend::host().expect("the host has a code generator");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/files/tile");
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tile"));
    paths.sort();
    assert!(!paths.is_empty(), "no tile programs in {}", folder.display());
    let failures: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            run(path, &backend).err().map(|error| format!("{}: {error}", path.display()))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
