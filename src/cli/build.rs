//! `build FILE`: kernels as object, static and shared library and C header.
//!
//! Invariant: nothing is written before everything is compiled, and a run with the same arguments, text and store writes
//! the same bytes.

use super::failure::Failure;
use super::given::ScheduleArgs;
use super::output::{Output, note};
use super::select::{AxisExtent, SizeArgs, Source, complete, only, show, sizes_fault, unknown_set};
use crate::report::Table;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tilewright::export::{Arch, Entry, File, Machine, Package};
use tilewright::ir::backend::Backend;
use tilewright::ir::base::Sizes;
use tilewright::{Kernel, Origin, host};

/// The threads of a machine that is not here.
const THREADS_ELSEWHERE: u64 = 4;

/// The arguments of `build`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kernel file; `-` reads standard input
    file: PathBuf,
    /// A kernel of the file; may be given several times, without it all of them
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    #[command(flatten)]
    sizes: SizeArgs,
    /// A further function of each kernel: a size set of the text, or extents that replace some: `m=16,n=64`; may be
    /// given several times. Its name ends with the set's, or with these extents
    #[arg(long, value_name = "SET|AXIS=EXTENT,..")]
    also: Vec<Also>,
    /// The folder to write to
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The name of the library; without it that of the file
    #[arg(long)]
    name: Option<String>,
    /// What every function's name begins with
    #[arg(long, default_value = "tw_")]
    prefix: String,
    /// The architecture to build for, `x86_64`, `aarch64` or `riscv64`; without it this one
    #[arg(long, value_name = "ARCH")]
    target: Option<String>,
    /// The vectors, `portable`, `avx2`, `avx512`, `avx512vnni`, `avx512bf16` or `avx512amx`; without it the widest that this machine has
    #[arg(long, value_name = "VECTORS")]
    isa: Option<String>,
    /// Use at most this many threads
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

/// Sizes of a further function.
#[derive(Clone, Debug)]
enum Also {
    Set(String),
    Extents(Vec<AxisExtent>),
}

impl FromStr for Also {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains('=') {
            return Ok(Self::Set(text.trim().to_string()));
        }
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self::Extents)
    }
}

impl Also {
    /// What the function's name ends with.
    fn suffix(&self) -> String {
        match self {
            Self::Set(name) => format!("_{name}"),
            Self::Extents(extents) => extents
                .iter()
                .map(|AxisExtent { axis, extent }| format!("_{axis}{extent}"))
                .collect(),
        }
    }

    fn sizes(&self, kernel: &Kernel, base: &Sizes) -> Result<Sizes, Failure> {
        match self {
            Self::Set(name) => {
                let set = kernel.size_sets().iter().find(|(known, _)| known == name);
                Ok(set.ok_or_else(|| unknown_set(kernel, name))?.1.clone())
            }
            Self::Extents(extents) => {
                let mut given = Sizes::new();
                for AxisExtent { axis, extent } in extents {
                    if given.insert(axis.clone(), *extent).is_some() {
                        let what = format!("one `--also` gives the axis `{axis}` twice");
                        return Err(Failure::Usage(what));
                    }
                }
                Ok(kernel.override_sizes(base, &given))
            }
        }
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let source = Source::read(&args.file)?;
    let (kernels, warnings) =
        Kernel::parse_with_warnings(&source.text).map_err(|error| source.faults(error))?;
    source.warn(&warnings);
    let kernels = chosen(kernels, args)?;
    let machine = machine(args)?;
    let backend = host::backend_for(machine, args.threads.unwrap_or(THREADS_ELSEWHERE))?;
    let name = args.name.clone().unwrap_or_else(|| stem(&args.file));
    let mut package = Package::new(&name, &args.prefix, machine)?;
    for kernel in &kernels {
        let base = args.sizes.of(kernel, &[])?;
        add(&mut package, (kernel, backend), (base.clone(), ""), args)?;
        for also in &args.also {
            let sizes = also.sizes(kernel, &base)?;
            add(&mut package, (kernel, backend), (sizes, &also.suffix()), args)?;
        }
    }
    let files = package.files()?;
    write(&args.out, &files)?;
    if output.is_json() {
        output.json(&to_json(&package, &files, &args.out))?;
    } else {
        output.text(&to_text(&package, &files, &args.out))?;
    }
    Ok(())
}

fn chosen(kernels: Vec<Kernel>, args: &Args) -> Result<Vec<Kernel>, Failure> {
    if args.kernel.is_empty() && !kernels.is_empty() {
        return Ok(kernels);
    }
    let mut rest = kernels;
    let mut chosen: Vec<Kernel> = vec![];
    for name in &args.kernel {
        if chosen.iter().any(|kernel| kernel.name() == name) {
            return Err(Failure::Usage(format!("`--kernel {name}` is given twice")));
        }
        match rest.iter().position(|kernel| kernel.name() == name) {
            Some(position) => chosen.push(rest.remove(position)),
            None => {
                // The message names all kernels of the file.
                rest.splice(0..0, chosen);
                return only(rest, Some(name), &args.file).map(|kernel| vec![kernel]);
            }
        }
    }
    match chosen.is_empty() {
        true => only(rest, None, &args.file).map(|kernel| vec![kernel]),
        false => Ok(chosen),
    }
}

fn machine(args: &Args) -> Result<Machine, Failure> {
    let known = || Arch::ALL.map(Arch::name).join(", ");
    let arch = match &args.target {
        Some(name) => Arch::parse(name).ok_or_else(|| {
            Failure::Usage(format!("there is no target `{name}`; there is {}", known()))
        })?,
        None => Arch::host().ok_or_else(|| {
            Failure::Usage(format!("choose a `--target` for objects: {}", known()))
        })?,
    };
    Ok(Machine::named(arch, args.isa.as_deref())?)
}

/// The library's name where the options give none.
fn stem(file: &Path) -> String {
    match file.file_stem() {
        Some(stem) if file != Path::new("-") => stem.to_string_lossy().into_owned(),
        _ => "kernels".to_string(),
    }
}

fn add(
    package: &mut Package,
    (kernel, backend): (&Kernel, &'static dyn Backend),
    (sizes, suffix): (Sizes, &str),
    args: &Args,
) -> Result<(), Failure> {
    let mut bound =
        kernel.bind_sizes_for(&sizes, backend).map_err(|error| sizes_fault(error, &[]))?;
    bound.set_threads_max(args.threads);
    let sizes = complete(sizes, bound.graph());
    note(&format!("{} at {}", kernel.name(), show(&sizes)));
    let (schedule, origin) = args.schedule.choose(&bound)?;
    Ok(package.add(&bound, suffix, schedule, origin)?)
}

fn write(folder: &Path, files: &[File]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    for file in files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.bytes).map_err(|error| Failure::file(&path, &error))?;
    }
    Ok(())
}

fn sizes_of(entry: &Entry) -> Sizes {
    complete(Sizes::new(), entry.graph())
}

fn to_text(package: &Package, files: &[File], folder: &Path) -> String {
    let mut table = Table::new(&["function", "sizes", "schedule", "threads", "workspace"]);
    for entry in package.entries() {
        table.row([
            entry.symbol().to_string(),
            show(&sizes_of(entry)),
            entry.origin().to_string(),
            entry.threads().to_string(),
            format!("{} B", entry.workspace_bytes(entry.threads())),
        ]);
    }
    let line =
        |file: &File| format!("{}  {} B\n", folder.join(&file.name).display(), file.bytes.len());
    format!("{}{}", table.render(), files.iter().map(line).collect::<String>())
}

fn to_json(package: &Package, files: &[File], folder: &Path) -> Value {
    let machine = package.machine();
    let function = |entry: &Entry| {
        let (origin, record) = match entry.origin() {
            Origin::Stored(record) => ("stored", Some(record)),
            Origin::Carried(record) => ("carried", Some(record)),
            Origin::Default => ("default", None),
            Origin::Given => ("given", None),
        };
        json!({
            "symbol": entry.symbol(), "kernel": entry.graph().name, "sizes": sizes_of(entry),
            "threads": entry.threads(),
            "workspace_bytes": entry.workspace_bytes(entry.threads()),
            "schedule": {
                "origin": origin, "record": record, "form": entry.schedule().form_name(),
                "hash": entry.schedule().hash().to_string(), "text": entry.schedule().print(),
            },
        })
    };
    let file = |file: &File| json!({"path": folder.join(&file.name).display().to_string(), "bytes": file.bytes.len()});
    json!({
        "target": machine.arch.name(), "features": machine.features(),
        "functions": package.entries().iter().map(function).collect::<Vec<_>>(),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    })
}
