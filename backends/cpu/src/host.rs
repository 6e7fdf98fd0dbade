//! The host as a `Target`, and the Cranelift ISA that compiles for it.
//!
//! Invariant: this is the only file that asks the machine what it is.

use crate::wide::Isa;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable as _};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::target::{MemoryLevel, Target};

/// Settings of the code generator. Frame pointers are kept so that profilers can walk through kernels.
pub(crate) const SETTINGS: [(&str, &str); 7] = [
    ("opt_level", "speed"),
    ("is_pic", "false"),
    ("enable_verifier", "false"),
    ("preserve_frame_pointers", "true"),
    ("unwind_info", "true"),
    // Without a call of a function that the image would lack.
    ("enable_probestack", "true"),
    ("probestack_strategy", "inline"),
];

/// The Cranelift ISA of the host.
///
/// # Errors
/// When Cranelift has no back end for the host.
pub fn isa() -> Result<OwnedTargetIsa, Unsupported> {
    let refused = |what: String| Unsupported { what, place: "the host".to_string() };
    let mut flags = settings::builder();
    for (name, value) in SETTINGS {
        flags.set(name, value).map_err(|error| refused(format!("setting {name}: {error}")))?;
    }
    let builder = cranelift_native::builder().map_err(|error| refused(error.to_string()))?;
    builder.finish(settings::Flags::new(flags)).map_err(|error| refused(error.to_string()))
}

/// The variable that chooses the vectors: `portable`, `avx2`, `avx512`, `avx512vnni`, `avx512bf16` or `avx512amx`; without
/// it the widest that the host has.
pub const ISA_VARIABLE: &str = "TILEWRIGHT_ISA";

/// The instruction set of wide vectors; `None` for vectors of 128 bits alone.
///
/// # Errors
/// When the variable names a set that is none, or that the host lacks.
pub fn wide() -> Result<Option<Isa>, Unsupported> {
    match std::env::var_os(ISA_VARIABLE) {
        Some(name) if !name.is_empty() => named(&name.to_string_lossy()),
        Some(_) | None => Ok(Isa::ALL.into_iter().find(|isa| isa.detected())),
    }
}

/// The set of a name.
///
/// # Errors
/// When there is none of that name, or the host lacks it.
pub fn named(name: &str) -> Result<Option<Isa>, Unsupported> {
    let refused = |what: String| Unsupported { what, place: "the host".to_string() };
    if name == "portable" {
        return Ok(None);
    }
    let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name() == name) else {
        let known = "`portable`, `avx2`, `avx512`, `avx512vnni`, `avx512bf16` or `avx512amx`";
        return Err(refused(format!("the instruction set `{name}`, which is none of {known}")));
    };
    match isa.detected() {
        true => Ok(Some(isa)),
        false => Err(refused(format!("`{name}`, which this processor lacks"))),
    }
}

/// The host, with the vectors that the code may use.
pub fn target(wide: Option<Isa>) -> Target {
    let features = features(wide);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    Target {
        backend: "cpu".to_string(),
        isa: std::env::consts::ARCH.to_string(),
        slow: crate::pace::slow(&features),
        multiply_adds: wide
            .filter(|isa| isa.is_avx512())
            .map_or(0, |_| crate::pace::multiply_adds()),
        features,
        chip: chip(),
        vector_bytes: wide.map_or(16, Isa::vector_bytes),
        vector_registers: wide.map_or_else(portable_registers, |isa| isa.vectors() as u64),
        accumulates_in_place: wide.is_some(),
        threads,
        memory: memory(),
    }
}

fn portable_registers() -> u64 {
    if std::env::consts::ARCH == "x86_64" { 16 } else { 32 }
}

/// Instructions beside the base of a set of vectors: of them the code uses those of the chosen set alone.
const CHOSEN: [&str; 2] = ["avx512bf16", "avx512vnni"];
/// Instructions that only that set has: the system is asked for them.
const TILES: [&str; 3] = ["amx-bf16", "amx-int8", "amx-tile"];

/// What the host has, of what code with these vectors may use.
fn features(wide: Option<Isa>) -> Vec<String> {
    let mut features = detected();
    let uses = |name: &str| wide.is_some_and(|isa| isa.features().contains(&name));
    features.retain(|name| !CHOSEN.contains(&name.as_str()) || uses(name));
    features.extend(TILES.into_iter().filter(|name| uses(name)).map(str::to_string));
    features.sort();
    features
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<String> {
    let mut list = Vec::new();
    macro_rules! detect {
        ($($name:tt)*) => {$(
            if std::is_x86_feature_detected!($name) {
                list.push($name.to_string());
            }
        )*};
    }
    detect!("avx" "avx2" "avx512bf16" "avx512bw" "avx512dq" "avx512f" "avx512fp16" "avx512vl" "avx512vnni");
    detect!("f16c" "fma" "sse4.1" "sse4.2");
    list.sort();
    list
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> Vec<String> {
    Vec::new()
}

/// The chip's name as the system gives it; `unknown` where it does not.
fn chip() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown".to_string(), |(_, name)| name.trim().to_string())
}

/// Data caches of one core as Linux lists them, nearest first; typical sizes where it does not.
fn memory() -> Vec<MemoryLevel> {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    let mut levels: Vec<MemoryLevel> = (0..8).filter_map(cache).collect();
    levels.sort_by(|a, b| a.name.cmp(&b.name));
    if levels.is_empty() {
        levels = vec![level("L1", 32 << 10), level("L2", 512 << 10), level("L3", 8 << 20)];
    }
    levels.push(level("memory", 0));
    levels
}

fn cache(index: usize) -> Option<MemoryLevel> {
    let read = |file: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{file}");
        std::fs::read_to_string(path).map(|text| text.trim().to_string()).ok()
    };
    if read("type")? == "Instruction" {
        return None;
    }
    let size = read("size")?;
    let bytes = match size.strip_suffix('K') {
        Some(kibibytes) => kibibytes.parse::<u64>().ok()? << 10,
        None => size.strip_suffix('M')?.parse::<u64>().ok()? << 20,
    };
    Some(MemoryLevel { name: format!("L{}", read("level")?), bytes })
}
