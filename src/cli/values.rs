//! Input and output values of `run`: .npy files, random draws, and a summary of what came out.
//!
//! Invariant: a file enters only with the signature's type and shape; a mismatch names both sides.

use super::failure::Failure;
use super::npy::{self, Header, type_name};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tilewright::ir::DType;
use tilewright::ir::graph::{Graph, Tensor};
use tilewright::ir::reference::{HostTensor, can_lie, round_to};

/// `A=a.npy`, and `eps=1e-5` for a scalar parameter.
#[derive(Clone, Debug)]
pub(super) struct InputFile {
    name: String,
    path: PathBuf,
}

impl FromStr for InputFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or_else(|| {
            "expected NAME=FILE.npy, as in A=a.npy, or NAME=NUMBER for a scalar parameter"
                .to_string()
        })?;
        Ok(Self { name: name.to_string(), path: PathBuf::from(path) })
    }
}

/// An extent that the shape of a file tells.
pub(super) struct FileExtent {
    /// The name of the dimension.
    pub(super) name: String,
    pub(super) extent: u64,
    /// The file, for people.
    pub(super) file: String,
}

/// The extents that the files of inputs have. A file that does not hold what its header claims tells nothing here and is
/// refused when it is read; one that can be read only once, a pipe, is left for then.
///
/// # Errors
/// An input that is given twice.
pub(super) fn extents(graph: &Graph, files: &[InputFile]) -> Result<Vec<FileExtent>, Failure> {
    let mut extents = vec![];
    for (index, file) in files.iter().enumerate() {
        if files[..index].iter().any(|earlier| earlier.name == file.name) {
            let name = &file.name;
            return Err(Failure::Usage(format!("`--input` gives the input `{name}` twice")));
        }
        let tensor = graph.inputs.iter().find(|tensor| tensor.name == file.name);
        let Some((tensor, shape)) = tensor.zip(shape_of(&file.path)) else { continue };
        let names: Vec<_> = tensor.dimensions().map(|axes| graph.name_of(axes)).collect();
        if names.len() == shape.len() {
            extents.extend(names.into_iter().zip(shape).map(|(name, extent)| FileExtent {
                name: name.to_string(),
                extent,
                file: file.path.display().to_string(),
            }));
        }
    }
    Ok(extents)
}

/// The shape of the array in a file, if the file is long enough for it.
fn shape_of(path: &Path) -> Option<Vec<u64>> {
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    let mut start = vec![];
    file.take(1 << 16).read_to_end(&mut start).ok()?;
    let header = Header::read(&start)?;
    (header.bytes()? <= bytes).then_some(header.shape)
}

/// Replaces random inputs by those of the files.
pub(super) fn load(
    graph: &Graph,
    files: &[InputFile],
    inputs: &mut [HostTensor],
) -> Result<(), Failure> {
    for file in files {
        let position = graph.inputs.iter().position(|tensor| tensor.name == file.name);
        let position = position.ok_or_else(|| {
            let known: Vec<_> = graph.inputs.iter().map(|tensor| tensor.name.as_str()).collect();
            Failure::Usage(format!(
                "kernel `{}` has no input `{}`; it has {}",
                graph.name,
                file.name,
                known.join(", ")
            ))
        })?;
        let tensor = &graph.inputs[position];
        inputs[position] = match number(tensor, &file.path)? {
            Some(number) => number,
            None => read(graph, tensor, &file.path)?,
        };
        if !can_lie(graph, tensor, &inputs[position]) {
            let strides = tensor.dimension_strides(&graph.axes).unwrap_or_default();
            return Err(Failure::Usage(format!(
                "the strides {strides:?} of input `{}` put several elements at one place, and {} has different ones there",
                tensor.name,
                file.path.display()
            )));
        }
    }
    Ok(())
}

/// The value of a scalar parameter that the command line gives as a number.
fn number(tensor: &Tensor, text: &Path) -> Result<Option<HostTensor>, Failure> {
    let number = text.to_str().and_then(|text| text.parse::<f64>().ok());
    let Some(number) = number.filter(|_| tensor.axes.is_empty()) else { return Ok(None) };
    let held = round_to(tensor.dtype, number);
    let fits = if tensor.dtype.is_integer() { held == number } else { held.is_finite() };
    if !fits && number.is_finite() {
        let (name, dtype) = (&tensor.name, tensor.dtype);
        return Err(Failure::Usage(format!(
            "input `{name}` is {dtype}, which does not hold {number}"
        )));
    }
    Ok(Some(HostTensor::from_f64(tensor.dtype, &[], [number])))
}

fn read(graph: &Graph, tensor: &Tensor, path: &Path) -> Result<HostTensor, Failure> {
    let expected = tensor.shape(&graph.axes);
    let file = File::open(path).map_err(|error| match tensor.axes.as_slice() {
        [] => Failure::file(path, &format!("this is neither a number nor a file: {error}")),
        _ => Failure::file(path, &format!("a tensor is read from a .npy file: {error}")),
    })?;
    // A little more than the array needs, so that a file without an end ends.
    let elements: u64 = expected.iter().product();
    let most = elements.saturating_mul(tensor.dtype.bytes()).saturating_add(1 << 20);
    let mut bytes = vec![];
    file.take(most).read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
    let (file, name) = (path.display(), &tensor.name);
    let shown = graph.show_shape(tensor);
    let refuse = |found: String, way_out: &str| {
        let input = format!("input `{name}` is {} of shape [{shown}]", tensor.dtype);
        Failure::Usage(format!("{file} {found}; {input}: {way_out}"))
    };
    let npy = path.with_extension("npy");
    let save = format!("write it with `numpy.save(\"{}\", {name})`", npy.display());
    if !bytes.starts_with(npy::MAGIC) {
        let zip = bytes.starts_with(b"PK").then_some(", but a .npz or other zip file");
        return Err(refuse(format!("is no .npy file{}", zip.unwrap_or_default()), &save));
    }
    let Some(header) = Header::read(&bytes) else {
        return Err(refuse("has a broken .npy header".to_string(), &save));
    };
    // The shape is compared before an array of that shape is made: a header may claim any.
    if header.shape != expected {
        let way_out = reshaped(tensor, &expected, &header.shape);
        return Err(refuse(format!("has shape {:?}", header.shape), &way_out));
    }
    if !npy::holds(tensor.dtype, &header.descr) {
        let wanted = type_name(tensor.dtype);
        let save = match header.descr.as_str() {
            npy::RECORDS => format!("save one field of them, as {wanted}"),
            _ => format!("save `{name}.astype(\"{wanted}\")` instead"),
        };
        return Err(refuse(format!("holds {}", header.elements()), &save));
    }
    let has = bytes.len() as u64;
    match header.bytes() {
        Some(length) if has < length => {
            let found = format!("ends too early: it has {has} bytes, its header says {length}");
            return Err(refuse(found, &save));
        }
        Some(length) if has > length => {
            let found = format!("is longer than the {length} bytes that its header says");
            return Err(refuse(found, &save));
        }
        _ => {}
    }
    let bytes = npy::elements(tensor.dtype, bytes).map_err(|error| match tensor.dtype {
        DType::I4 => refuse(format!("does not fit: {error}"), "save `clip(-8, 7)` of it instead"),
        _ => refuse(format!("cannot be read: {error}"), &save),
    })?;
    let shape = tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
    Ok(HostTensor { dtype: tensor.dtype, shape, bytes })
}

/// What to do about an array of another shape.
fn reshaped(tensor: &Tensor, expected: &[u64], found: &[u64]) -> String {
    let elements =
        |shape: &[u64]| shape.iter().try_fold(1, |product: u64, &n| product.checked_mul(n));
    let name = &tensor.name;
    if elements(expected) == elements(found) {
        let extents: Vec<_> = expected.iter().map(u64::to_string).collect();
        return format!("save `{name}.reshape({})` instead", extents.join(", "));
    }
    match expected {
        [] => format!("save one number, or write it, `--input {name}=1.5`"),
        _ => "save an array of that shape, or choose other sizes with `--size`".to_string(),
    }
}

/// Writes `NAME.npy` into a folder for one output, and returns the path.
pub(super) fn save(folder: &Path, name: &str, value: &HostTensor) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{name}.npy"));
    std::fs::write(&path, npy::file(value)).map_err(|error| Failure::file(&path, &error))?;
    Ok(path)
}

/// What a list of numbers looks like from afar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    pub(super) mean: f64,
    pub(super) not_finite: u64,
}

impl Summary {
    /// The mean is that of the finite elements, NaN where there is none; the extremes also see infinities.
    pub(super) fn of(value: &HostTensor) -> Self {
        let mut summary =
            Self { minimum: f64::NAN, maximum: f64::NAN, mean: f64::NAN, not_finite: 0 };
        let (mut sum, mut finite) = (0.0, 0u64);
        for number in value.to_f64() {
            summary.minimum = summary.minimum.min(number);
            summary.maximum = summary.maximum.max(number);
            if !number.is_finite() {
                summary.not_finite += 1;
                continue;
            }
            sum += number;
            finite += 1;
        }
        if finite > 0 {
            summary.mean = sum / finite as f64;
        }
        summary
    }
}
