//! Input and output values of `run`: .npy files, random draws, and a summary of what came out.
//!
//! Invariant: a file enters only with the signature's type and shape; a mismatch names both sides.

use super::failure::Failure;
use super::npy;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
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

/// Replaces random inputs by those of the files.
pub(super) fn load(
    graph: &Graph,
    files: &[InputFile],
    inputs: &mut [HostTensor],
) -> Result<(), Failure> {
    for (index, file) in files.iter().enumerate() {
        if files[..index].iter().any(|earlier| earlier.name == file.name) {
            let name = &file.name;
            return Err(Failure::Usage(format!("`--input` gives the input `{name}` twice")));
        }
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
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    // A little more than the array needs, so that a file without an end ends.
    let elements: u64 = expected.iter().product();
    let most = elements.saturating_mul(tensor.dtype.bytes()).saturating_add(1 << 20);
    let mut bytes = vec![];
    file.take(most).read_to_end(&mut bytes).map_err(|error| Failure::file(path, &error))?;
    // The shape is compared before an array of that shape is made: a header may claim any.
    if let Some(shape) = header_shape(&bytes).filter(|shape| *shape != expected) {
        return Err(Failure::Usage(format!(
            "{} has shape {shape:?}, input `{}` has [{}] at these sizes",
            path.display(),
            tensor.name,
            graph.show_shape(tensor)
        )));
    }
    let refuse = |error: &str| {
        let (path, name, dtype) = (path.display(), &tensor.name, tensor.dtype);
        Failure::Usage(format!("{path}: {error}; input `{name}` is {dtype} in the signature"))
    };
    if header_shape(&bytes).is_none() {
        return Err(refuse("this is no .npy file, or its header is broken"));
    }
    let bytes = npy::elements(tensor.dtype, bytes).map_err(|error| refuse(&error))?;
    let shape = tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
    Ok(HostTensor { dtype: tensor.dtype, shape, bytes })
}

/// The shape that the header of a .npy file claims; `None` for a file whose header is broken.
fn header_shape(bytes: &[u8]) -> Option<Vec<u64>> {
    let (length, start): (usize, usize) = match *bytes.get(6)? {
        1 => (usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)), 10),
        _ => (u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize, 12),
    };
    let header = std::str::from_utf8(bytes.get(start..start.checked_add(length)?)?).ok()?;
    let (_, rest) = header.split_once("shape")?;
    let (_, rest) = rest.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    let extents = inside.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    extents.map(|extent| extent.trim_end_matches('L').parse().ok()).collect()
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
    /// Over the finite elements; NaN where there is none.
    pub(super) fn of(value: &HostTensor) -> Self {
        let mut summary =
            Self { minimum: f64::NAN, maximum: f64::NAN, mean: f64::NAN, not_finite: 0 };
        let (mut sum, mut finite) = (0.0, 0u64);
        for number in value.to_f64() {
            if !number.is_finite() {
                summary.not_finite += 1;
                continue;
            }
            summary.minimum = summary.minimum.min(number);
            summary.maximum = summary.maximum.max(number);
            sum += number;
            finite += 1;
        }
        if finite > 0 {
            summary.mean = sum / finite as f64;
        }
        summary
    }
}
