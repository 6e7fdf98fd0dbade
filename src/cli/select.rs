//! Which kernel of a file, at which sizes.
//!
//! The sizes are those of `--set`, else of the set named `default`, else of the first set of the text; `--size`
//! replaces extents one by one, and so do the shapes of input files. Invariant: a name that does not exist is answered with the names that do.

use super::failure::Failure;
use super::output::note;
use super::values::{FileExtent, InputFile, extents};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tilewright::ir::base::Sizes;
use tilewright::ir::diag::{Diagnostic, to_text};
use tilewright::ir::graph::Graph;
use tilewright::ir::syntax::text_of;
use tilewright::{BoundKernel, Error, Kernel};

/// A kernel file and the choice of a kernel and sizes in it.
#[derive(Debug, clap::Args)]
pub(super) struct KernelArgs {
    /// The kernel file; `-` reads standard input
    pub(super) file: PathBuf,
    /// The kernel, where the file has more than one
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    #[command(flatten)]
    sizes: SizeArgs,
}

/// The options that choose sizes.
#[derive(Debug, clap::Args)]
pub(super) struct SizeArgs {
    /// A size set of the text; without it `default`, else the first
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Extents that replace those of the size set: `b=1,i=2048`
    #[arg(long, value_name = "AXIS=EXTENT", value_delimiter = ',')]
    size: Vec<AxisExtent>,
}

/// `i=2048`.
#[derive(Clone, Debug)]
pub(super) struct AxisExtent {
    pub(super) axis: String,
    pub(super) extent: u64,
}

impl FromStr for AxisExtent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (axis, extent) =
            text.split_once('=').ok_or_else(|| "expected AXIS=EXTENT, as in i=2048".to_string())?;
        let extent = extent.trim().parse().map_err(|_| {
            format!("the extent of `{}` is a whole number, found `{extent}`", axis.trim())
        })?;
        Ok(Self { axis: axis.trim().to_string(), extent })
    }
}

/// More is not read of a text: a device or a pipe may never end.
const READ_BYTES_MAX: u64 = 64 << 20;

/// A text with its name, as diagnostics need it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |error: std::io::Error| Failure::file(path, &error);
        let mut bytes = vec![];
        let name = if path == Path::new("-") {
            std::io::stdin().take(READ_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
            "standard input".to_string()
        } else {
            let file = std::fs::File::open(path).map_err(fail)?;
            file.take(READ_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
            path.display().to_string()
        };
        if bytes.len() as u64 > READ_BYTES_MAX {
            let what = format!("longer than {} MiB, which no text is", READ_BYTES_MAX >> 20);
            return Err(fail(std::io::Error::other(what)));
        }
        match text_of(&bytes) {
            Ok(text) => Ok(Self { name, text: text.to_string() }),
            Err(faults) => {
                // The part before the fault says in which line it is.
                let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()).to_string();
                Err(Failure::Text { name, text, faults })
            }
        }
    }

    /// Shows warnings of this text on stderr.
    pub(super) fn warn(&self, warnings: &[Diagnostic]) {
        if !warnings.is_empty() {
            note(to_text(&self.name, &self.text, warnings).trim_end());
        }
    }

    /// Gives the faults of this text their source.
    pub(super) fn faults(&self, error: Error) -> Failure {
        match error {
            Error::Diagnostics(faults) => {
                Failure::Text { name: self.name.clone(), text: self.text.clone(), faults }
            }
            other => other.into(),
        }
    }
}

/// A kernel at its sizes.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) kernel: Kernel,
    pub(super) bound: BoundKernel,
    pub(super) sizes: Sizes,
}

impl Selected {
    /// The kernel's name.
    pub(super) fn name(&self) -> &str {
        &self.bound.graph().name
    }
}

impl KernelArgs {
    /// The arguments that choose a kernel without a command line.
    pub(super) fn of(
        file: PathBuf,
        kernel: Option<String>,
        set: Option<String>,
        size: Vec<AxisExtent>,
    ) -> Self {
        Self { file, kernel, sizes: SizeArgs { set, size } }
    }

    /// Reads the file and selects.
    pub(super) fn select(&self) -> Result<Selected, Failure> {
        self.select_for(&[])
    }

    /// As `select`, with the extents that the files of inputs have.
    pub(super) fn select_for(&self, inputs: &[InputFile]) -> Result<Selected, Failure> {
        let source = Source::read(&self.file)?;
        let (kernels, warnings) =
            Kernel::parse_with_warnings(&source.text).map_err(|error| source.faults(error))?;
        source.warn(&warnings);
        let kernel = only(kernels, self.kernel.as_deref(), &self.file)?;
        let files = extents(kernel.graph(), inputs)?;
        let sizes = self.sizes.of(&kernel, &files)?;
        let bound = kernel.bind_sizes(&sizes).map_err(|error| sizes_fault(error, &files))?;
        let sizes = complete(sizes, bound.graph());
        note(&format!("{} at {}", kernel.name(), show(&sizes)));
        Ok(Selected { kernel, bound, sizes })
    }
}

impl SizeArgs {
    /// The sizes that the options, the text and the files of inputs give a kernel.
    pub(super) fn of(&self, kernel: &Kernel, files: &[FileExtent]) -> Result<Sizes, Failure> {
        let sets = kernel.size_sets();
        let named = |wanted: &str| sets.iter().find(|(name, _)| name == wanted);
        let set = match &self.set {
            Some(wanted) => Some(named(wanted).ok_or_else(|| unknown_set(kernel, wanted))?),
            None => named("default").or(sets.first()),
        };
        let mut given = Sizes::new();
        for (index, AxisExtent { axis, extent }) in self.size.iter().enumerate() {
            if self.size[..index].iter().any(|earlier| earlier.axis == *axis) {
                return Err(Failure::Usage(format!("`--size` gives the axis `{axis}` twice")));
            }
            given.insert(axis.clone(), *extent);
        }
        let chosen = set.filter(|_| self.set.is_some()).map(|(_, sizes)| sizes);
        take_files(&mut given, chosen, files)?;
        let set = set.map(|(_, sizes)| sizes.clone()).unwrap_or_default();
        Ok(kernel.override_sizes(&set, &given))
    }
}

/// The kernel of that name, or the only one of the file.
pub(super) fn only(
    mut kernels: Vec<Kernel>,
    wanted: Option<&str>,
    file: &Path,
) -> Result<Kernel, Failure> {
    let names: Vec<_> = kernels.iter().map(|kernel| kernel.name().to_string()).collect();
    let (file, known) = (file.display(), names.join(", "));
    let position = match wanted {
        Some(wanted) => names.iter().position(|name| name == wanted).ok_or_else(|| {
            Failure::Usage(format!("{file} has no kernel `{wanted}`; it has {known}"))
        })?,
        None if names.len() == 1 => 0,
        None if names.is_empty() => {
            return Err(Failure::Usage(format!("{file} has no kernel")));
        }
        None => {
            let count = names.len();
            return Err(Failure::Usage(format!(
                "{file} has {count} kernels: choose one of them with --kernel: {known}"
            )));
        }
    };
    Ok(kernels.swap_remove(position))
}

/// Adds what the shapes of files say, which has to agree with `--size`, with `--set` and among the files.
fn take_files(
    given: &mut Sizes,
    chosen: Option<&Sizes>,
    files: &[FileExtent],
) -> Result<(), Failure> {
    let by_size = given.clone();
    for (index, FileExtent { name, extent, file }) in files.iter().enumerate() {
        let earlier = files[..index].iter().find(|earlier| earlier.name == *name);
        let other = match (by_size.get(name), earlier, chosen.and_then(|set| set.get(name))) {
            (Some(&other), ..) => Some(("`--size`".to_string(), other)),
            (None, Some(other), _) => Some((other.file.clone(), other.extent)),
            (None, None, other) => other.map(|&other| ("the set of `--set`".to_string(), other)),
        };
        if let Some((who, other)) = other.filter(|(_, other)| other != extent) {
            let way_out = match who.as_str() {
                "`--size`" => format!("leave out `--size {name}={other}`, for the file says it"),
                "the set of `--set`" => {
                    "leave out `--set`, or give a file of its sizes".to_string()
                }
                _ => "give files that agree".to_string(),
            };
            return Err(Failure::Usage(format!(
                "{file} has {name}={extent}, {who} says {name}={other}: {way_out}"
            )));
        }
        given.insert(name.clone(), *extent);
    }
    Ok(())
}

pub(super) fn unknown_set(kernel: &Kernel, wanted: &str) -> Failure {
    let known: Vec<_> = kernel.size_sets().iter().map(|(name, _)| name.as_str()).collect();
    let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
    Failure::Usage(format!("kernel `{}` has no size set `{wanted}`; it has {known}", kernel.name()))
}

/// Sizes come from the command line and from files, so their faults are faults of usage.
pub(super) fn sizes_fault(error: Error, files: &[FileExtent]) -> Failure {
    let Error::Diagnostics(faults) = error else { return error.into() };
    let line = |fault: &Diagnostic| {
        let mut fault = fault.clone();
        if let Some(found) = &mut fault.found {
            let of_file = |file: &&FileExtent| *found == format!("{}={}", file.name, file.extent);
            let file = files.iter().find(of_file).map(|file| format!(" from {}", file.file));
            found.push_str(&file.unwrap_or_default());
        }
        fault.to_string()
    };
    Failure::Usage(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The sizes, and the extents of other axes that follow from them.
pub(super) fn complete(mut sizes: Sizes, graph: &Graph) -> Sizes {
    let known: Vec<_> = sizes.keys().filter_map(|name| graph.axes_of(name)).flatten().collect();
    for name in graph.size_names() {
        let open = graph.axes_of(name).filter(|axes| !axes.iter().any(|axis| known.contains(axis)));
        if let Some(extent) = open.and_then(|_| graph.extent_of(name)) {
            sizes.insert(name.to_string(), extent);
        }
    }
    sizes
}

/// `b=1, i=2048`.
pub(super) fn show(sizes: &Sizes) -> String {
    let extents: Vec<_> = sizes.iter().map(|(axis, extent)| format!("{axis}={extent}")).collect();
    extents.join(", ")
}
