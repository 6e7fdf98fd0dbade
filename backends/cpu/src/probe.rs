//! Code that measures what the machine can do: fused multiply-adds of each width, and reads from each memory level.
//!
//! Multiply-adds keep enough independent chains in flight to fill the pipelines, on registers only. Reads stream a
//! buffer that a memory level holds. Invariant: a probe does exactly the work that its `Probe` states.

use tilewright_ir::backend::{Artifact, Probe, Unsupported};
use tilewright_ir::target::Target;

/// The probes that this target can run.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn probes(target: &Target) -> Result<Vec<Probe>, Unsupported> {
    let what = format!("measuring the ceilings of {}", target.isa);
    Err(Unsupported { what, place: "describe-device".to_string() })
}

/// Loops of sums of products of bf16, and of as many multiply-adds of f32; `None` where there are none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn paces(_turns: u64) -> Option<[Artifact; 2]> {
    None
}

/// Loops of multiply-adds of f32 in one chain, and of as many side by side; `None` where there are none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn chain_pace(_turns: u64) -> Option<[Artifact; 2]> {
    None
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{chain_pace, paces, probes};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Artifact, Probe, Target, Unsupported};
    use iced_x86::code_asm::{CodeAssembler, get_xmm, get_ymm, get_zmm, ptr, rax, rdi};
    use iced_x86::{IcedError, Register};
    use tilewright_ir::backend::Launch;

    /// Turns of the multiply-add loop in one call: about 20 microseconds.
    const TURNS: u64 = 4096;
    /// The widths that a target may have: bits, feature, chains in flight.
    const WIDTHS: [(u32, &str, usize); 3] =
        [(128, "fma", 12), (256, "fma", 12), (512, "avx512f", 24)];

    /// The probes that this target can run.
    pub(crate) fn probes(target: &Target) -> Result<Vec<Probe>, Unsupported> {
        let mut probes = Vec::new();
        let has = |feature: &str| target.features.iter().any(|own| own == feature);
        for (bits, _, chains) in WIDTHS.into_iter().filter(|row| has(row.1)) {
            for (double, name) in [(false, "f32"), (true, "f64")] {
                let one =
                    |a: &mut CodeAssembler, chain| multiply_add(a, bits, double, (chain, chains));
                let code = turns(TURNS, (bits, chains), one).map_err(refused)?;
                let lanes = u64::from(bits) / if double { 64 } else { 32 };
                let work = (TURNS * chains as u64 * 2 * lanes) as f64;
                let name = format!("fma_{name}_{bits}");
                probes.push(Probe { name, artifact: artifact(code, None), work, unit: "flop" });
            }
        }
        let widest = if has("avx512f") {
            512
        } else if has("avx") {
            256
        } else {
            128
        };
        for level in &target.memory {
            let bytes = buffer_bytes(target, &level.name, level.bytes);
            let code = reads(widest, bytes).map_err(refused)?;
            let name = format!("read_{}", level.name);
            let artifact = artifact(code, Some(bytes));
            probes.push(Probe { name, artifact, work: bytes as f64, unit: "byte" });
        }
        Ok(probes)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
    fn refused(error: IcedError) -> Unsupported {
        Unsupported { what: error.to_string(), place: "a probe".to_string() }
    }

    /// A buffer that a level holds well; for memory four times the last cache.
    fn buffer_bytes(target: &Target, name: &str, bytes: u64) -> u64 {
        let last = target.memory.iter().map(|level| level.bytes).max().unwrap_or(0);
        let wanted =
            if name == "memory" { (last * 4).clamp(64 << 20, 256 << 20) } else { bytes / 2 };
        (wanted / 4096).max(1) * 4096
    }

    fn artifact(image: Vec<u8>, input_bytes: Option<u64>) -> Artifact {
        Artifact {
            image,
            unwind: None,
            launches: vec![Launch { entry: 0, iterations: 1, scratch_bytes: 64, threads: 1 }],
            argument_bytes: input_bytes.into_iter().collect(),
            input_layouts: vec![],
            inputs: usize::from(input_bytes.is_some()),
            device_bytes: Vec::new(),
            least_isa: None,
        }
    }

    /// As above.
    pub(crate) fn paces(count: u64) -> Option<[Artifact; 2]> {
        let (_, _, chains) = WIDTHS[2];
        let z = |index| register(get_zmm, Register::ZMM0, index);
        let dot = |a: &mut CodeAssembler, chain| a.vdpbf16ps(z(chain), z(chains), z(chains + 1));
        let plain =
            |a: &mut CodeAssembler, chain| a.vfmadd231ps(z(chain), z(chains), z(chains + 1));
        let dots = turns(count, (512, chains), dot).ok()?;
        let multiply_adds = turns(count, (512, chains), plain).ok()?;
        Some([artifact(dots, None), artifact(multiply_adds, None)])
    }

    /// As above.
    pub(crate) fn chain_pace(count: u64) -> Option<[Artifact; 2]> {
        let (bits, _, chains) = WIDTHS[2];
        let row = |a: &mut CodeAssembler, _| multiply_add(a, bits, false, (0, chains));
        let apart = |a: &mut CodeAssembler, chain| multiply_add(a, bits, false, (chain, chains));
        let row = turns(count, (bits, chains), row).ok()?;
        let apart = turns(count, (bits, chains), apart).ok()?;
        Some([artifact(row, None), artifact(apart, None)])
    }

    /// A loop of one instruction for each chain.
    fn turns(
        count: u64,
        (bits, chains): (u32, usize),
        one: impl Fn(&mut CodeAssembler, usize) -> Result<(), IcedError>,
    ) -> Result<Vec<u8>, IcedError> {
        let mut a = CodeAssembler::new(64)?;
        for index in 0..chains + 2 {
            clear(&mut a, bits, index)?;
        }
        a.mov(rax, count)?;
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        for chain in 0..chains {
            one(&mut a, chain)?;
        }
        a.dec(rax)?;
        a.jne(top)?;
        a.vzeroupper()?;
        a.ret()?;
        a.assemble(0)
    }

    fn register<R>(get: impl Fn(Register) -> Option<R>, first: Register, index: usize) -> R {
        let index = u32::try_from(index).expect("a machine has few registers");
        get(first + index).expect("probes stay within the register file")
    }

    fn clear(a: &mut CodeAssembler, bits: u32, index: usize) -> Result<(), IcedError> {
        let z = || register(get_zmm, Register::ZMM0, index);
        let y = || register(get_ymm, Register::YMM0, index);
        let x = || register(get_xmm, Register::XMM0, index);
        match bits {
            512 => a.vpxord(z(), z(), z()),
            256 => a.vxorps(y(), y(), y()),
            _ => a.vxorps(x(), x(), x()),
        }
    }

    fn multiply_add(
        a: &mut CodeAssembler,
        bits: u32,
        double: bool,
        (chain, chains): (usize, usize),
    ) -> Result<(), IcedError> {
        let z = |index| register(get_zmm, Register::ZMM0, index);
        let y = |index| register(get_ymm, Register::YMM0, index);
        let x = |index| register(get_xmm, Register::XMM0, index);
        match (bits, double) {
            (512, false) => a.vfmadd231ps(z(chain), z(chains), z(chains + 1)),
            (512, true) => a.vfmadd231pd(z(chain), z(chains), z(chains + 1)),
            (256, false) => a.vfmadd231ps(y(chain), y(chains), y(chains + 1)),
            (256, true) => a.vfmadd231pd(y(chain), y(chains), y(chains + 1)),
            (_, false) => a.vfmadd231ps(x(chain), x(chains), x(chains + 1)),
            (_, true) => a.vfmadd231pd(x(chain), x(chains), x(chains + 1)),
        }
    }

    /// Reads the first argument once, eight vectors a turn.
    fn reads(bits: u32, bytes: u64) -> Result<Vec<u8>, IcedError> {
        let mut a = CodeAssembler::new(64)?;
        let step = u64::from(bits / 8) * 8;
        a.mov(rdi, ptr(rdi))?;
        a.mov(rax, bytes / step)?;
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        for index in 0..8 {
            let offset = i32::try_from(index).expect("eight vectors are near")
                * i32::try_from(bits / 8).expect("a vector is small");
            read(&mut a, bits, index, offset)?;
        }
        a.add(rdi, i32::try_from(step).expect("a turn is small"))?;
        a.dec(rax)?;
        a.jne(top)?;
        a.vzeroupper()?;
        a.ret()?;
        a.assemble(0)
    }

    fn read(a: &mut CodeAssembler, bits: u32, index: usize, offset: i32) -> Result<(), IcedError> {
        match bits {
            512 => a.vmovups(register(get_zmm, Register::ZMM0, index), ptr(rdi + offset)),
            256 => a.vmovups(register(get_ymm, Register::YMM0, index), ptr(rdi + offset)),
            _ => a.movups(register(get_xmm, Register::XMM0, index), ptr(rdi + offset)),
        }
    }
}
