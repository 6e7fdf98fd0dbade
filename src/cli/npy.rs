//! .npy files of every element type, to and from the bytes of a kernel's argument.
//!
//! numpy has no bf16 and no i4 of its own. With `ml_dtypes` a bf16 array is written as the void type of two bytes, an int4
//! array as the void type of one byte; i4 is also read from, and written as, int8. ndarray-npy reads the 16-bit floats
//! as u16, for which their name in the header is exchanged by one of the same length.
//! Invariant: a file of another type is refused, never reinterpreted.

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{ReadNpyExt, ReadableElement, WritableElement, WriteNpyExt};
use std::fmt::Display;
use tilewright::ir::DType;
use tilewright::ir::reference::HostTensor;

/// The names of a type in a header, each with the type of the same size that ndarray-npy knows.
fn aliases(dtype: DType) -> &'static [(&'static str, &'static str)] {
    match dtype {
        DType::F16 => &[("'<f2'", "'<u2'"), ("'>f2'", "'>u2'")],
        DType::Bf16 => &[("'|V2'", "'<u2'"), ("'<V2'", "'<u2'")],
        DType::I4 => &[("'|V1'", "'|i1'"), ("'|i1'", "'|i1'")],
        // ndarray-npy refuses a truth value that is neither 0 nor 1.
        DType::Bool => &[("'|b1'", "'|u1'")],
        DType::F64 | DType::F32 | DType::I32 | DType::I16 | DType::I8 | DType::U8 => &[],
    }
}

/// How every .npy file begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// What `Header::descr` says of elements with several fields.
pub(super) const RECORDS: &str = "[..]";

/// What the header of a .npy file claims.
pub(super) struct Header {
    /// The type as numpy writes it, `<f4`.
    pub(super) descr: String,
    pub(super) shape: Vec<u64>,
    /// Bytes before the first element.
    start: u64,
}

impl Header {
    /// The header at the beginning of a file; `None` for one that is broken.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, start): (usize, usize) = match *bytes.get(6)? {
            1 => (usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)), 10),
            2 | 3 => (u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize, 12),
            _ => return None,
        };
        let end = start.checked_add(length)?;
        let header = std::str::from_utf8(bytes.get(start..end)?).ok()?;
        let (_, descr) = header.split_once("descr")?;
        let is_record = descr.trim_start_matches(['\'', '"', ':', ' ']).starts_with('[');
        let descr = if is_record { RECORDS } else { descr.split('\'').nth(2)? }.to_string();
        let (_, rest) = header.split_once("shape")?;
        let (_, rest) = rest.split_once('(')?;
        let (inside, _) = rest.split_once(')')?;
        let extents = inside.split(',').map(str::trim).filter(|extent| !extent.is_empty());
        let extents = extents.map(|extent| extent.trim_end_matches('L').parse().ok());
        Some(Self { descr, shape: extents.collect::<Option<_>>()?, start: end as u64 })
    }

    /// Bytes that the file has at least; `None` for a type whose size is not known.
    pub(super) fn bytes(&self) -> Option<u64> {
        let digits = self.descr.trim_start_matches(|c: char| !c.is_ascii_digit());
        let elements = self.shape.iter().try_fold(1, |product: u64, &n| product.checked_mul(n))?;
        elements.checked_mul(digits.parse().ok()?)?.checked_add(self.start)
    }

    /// What the elements are, for people: `float64`, the name of the type in Python, where it is a number.
    pub(super) fn elements(&self) -> String {
        let (kind, bytes) = kind(&self.descr);
        let bits = bytes.parse::<u64>().ok().and_then(|bytes| bytes.checked_mul(8));
        match (kind, bits) {
            ("f", Some(bits)) => format!("float{bits}"),
            ("i", Some(bits)) => format!("int{bits}"),
            ("u", Some(bits)) => format!("uint{bits}"),
            ("c", Some(bits)) => format!("complex{bits}"),
            ("b", _) => "bool".to_string(),
            ("U" | "S", _) => format!("texts (`{}`)", self.descr),
            ("O", _) => "Python objects".to_string(),
            ("M" | "m", _) => format!("times (`{}`)", self.descr),
            ("[", _) => "records of several fields".to_string(),
            _ => format!("elements of type `{}`", self.descr),
        }
    }
}

/// The letter of a type's kind and what follows it: `f` and `8` of `<f8`.
fn kind(descr: &str) -> (&str, &str) {
    let name = descr.trim_start_matches(['<', '>', '|', '=']);
    name.split_at_checked(1).unwrap_or((name, ""))
}

/// Whether elements of a type may be stored under this name in a header.
pub(super) fn holds(dtype: DType, descr: &str) -> bool {
    let (kind, bytes) = kind(descr);
    match dtype {
        DType::F64 | DType::F32 | DType::F16 => kind == "f" && bytes == dtype.bytes().to_string(),
        DType::Bf16 => (kind, bytes) == ("V", "2"),
        DType::I4 => matches!((kind, bytes), ("i" | "V", "1")),
        DType::I32 | DType::I16 | DType::I8 => kind == "i" && bytes == dtype.bytes().to_string(),
        DType::U8 => (kind, bytes) == ("u", "1"),
        DType::Bool => (kind, bytes) == ("b", "1"),
    }
}

/// The name of a type in Python, as `astype` takes it; that of `ml_dtypes` where numpy has none.
pub(super) fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "float64",
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::Bf16 => "bfloat16",
        DType::I32 => "int32",
        DType::I16 => "int16",
        DType::I8 | DType::I4 => "int8",
        DType::U8 => "uint8",
        DType::Bool => "bool",
    }
}

/// The elements of a file whose header is sound, row-major as a kernel reads them.
///
/// # Errors
/// What is wrong with the file, or why its type is another one.
pub(super) fn elements(dtype: DType, mut file: Vec<u8>) -> Result<Vec<u8>, String> {
    let names = aliases(dtype);
    let alias =
        names.iter().find_map(|&(name, stored)| Some((name, replace(&mut file, name, stored)?)));
    if alias.is_none() && !names.is_empty() {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        return Err(format!("its type is not {}", names.join(" or ")));
    }
    match dtype {
        DType::F64 => bytes(&file, f64::to_le_bytes),
        DType::F32 => bytes(&file, f32::to_le_bytes),
        DType::F16 | DType::Bf16 => bytes(&file, u16::to_le_bytes),
        DType::I32 => bytes(&file, i32::to_le_bytes),
        DType::I16 => bytes(&file, i16::to_le_bytes),
        DType::I8 => bytes(&file, i8::to_le_bytes),
        DType::U8 => bytes(&file, u8::to_le_bytes),
        // One byte; every one but 0 is true.
        DType::Bool => bytes(&file, |truth: u8| [u8::from(truth != 0)]),
        DType::I4 => {
            let whole = bytes(&file, i8::to_le_bytes)?;
            pack(&whole, alias.is_some_and(|(name, ())| name == "'|V1'"))
        }
    }
}

/// Two to a byte. Only the low half of a void byte counts.
fn pack(elements: &[u8], void: bool) -> Result<Vec<u8>, String> {
    let values = elements.iter().map(|&byte| match byte.cast_signed() {
        value if void => Ok(f64::from((value << 4) >> 4)),
        value @ -8..=7 => Ok(f64::from(value)),
        value => Err(format!("{value} is no i4, which reaches from -8 to 7")),
    });
    let values: Vec<f64> = values.collect::<Result<_, _>>()?;
    Ok(HostTensor::from_f64(DType::I4, &[values.len() as u64], values).bytes)
}

/// Exchanges a text in the header; `None` if it does not stand there.
fn replace(file: &mut [u8], from: &str, to: &str) -> Option<()> {
    let header = file.len().min(1 << 12);
    let end = file[..header].iter().position(|&byte| byte == b'\n').unwrap_or(header);
    let at = file[..end].windows(from.len()).position(|window| window == from.as_bytes())?;
    file[at..at + to.len()].copy_from_slice(to.as_bytes());
    Some(())
}

fn bytes<T: ReadableElement + Copy, const N: usize>(
    file: &[u8],
    to_bytes: impl Fn(T) -> [u8; N],
) -> Result<Vec<u8>, String> {
    let text = |error: &dyn Display| error.to_string();
    let array = ArrayD::<T>::read_npy(file).map_err(|error| text(&error))?;
    Ok(array.iter().flat_map(|&element| to_bytes(element)).collect())
}

/// The file of a tensor.
pub(super) fn file(tensor: &HostTensor) -> Vec<u8> {
    let mut file = match tensor.dtype {
        DType::F64 => write(tensor, f64::from_le_bytes),
        DType::F32 => write(tensor, f32::from_le_bytes),
        DType::F16 | DType::Bf16 => write(tensor, u16::from_le_bytes),
        DType::I32 => write(tensor, i32::from_le_bytes),
        DType::I16 => write(tensor, i16::from_le_bytes),
        DType::I8 => write(tensor, i8::from_le_bytes),
        DType::U8 => write(tensor, u8::from_le_bytes),
        DType::Bool => write(tensor, |[byte]: [u8; 1]| byte != 0),
        DType::I4 => {
            let whole = HostTensor::from_f64(DType::I8, &tensor.shape, tensor.to_f64());
            write(&whole, i8::from_le_bytes)
        }
    };
    if let (DType::F16 | DType::Bf16, Some((name, stored))) =
        (tensor.dtype, aliases(tensor.dtype).first())
    {
        replace(&mut file, stored, name).expect("the header names the type that was written");
    }
    file
}

fn write<T: WritableElement, const N: usize>(
    tensor: &HostTensor,
    from_bytes: impl Fn([u8; N]) -> T,
) -> Vec<u8> {
    let extent =
        |&extent: &u64| usize::try_from(extent).expect("a tensor in memory has such extents");
    let shape: Vec<usize> = tensor.shape.iter().map(extent).collect();
    let (elements, _) = tensor.bytes.as_chunks::<N>();
    let elements = elements.iter().map(|&element| from_bytes(element)).collect();
    let array = ArrayD::<T>::from_shape_vec(IxDyn(&shape), elements)
        .expect("a tensor has as many elements as its shape says");
    let mut file = vec![];
    array.write_npy(&mut file).expect("writing to memory does not fail");
    file
}

#[cfg(test)]
mod tests {
    use super::{elements, file};
    use tilewright::ir::DType;
    use tilewright::ir::reference::HostTensor;

    #[test]
    fn every_type_survives_a_round_trip() {
        for dtype in DType::all() {
            let tensor = HostTensor::from_f64(dtype, &[3, 1], [1.0, 0.0, 1.0]);
            assert_eq!(elements(dtype, file(&tensor)), Ok(tensor.bytes), "{dtype}");
        }
    }

    #[test]
    fn bf16_is_the_void_type_of_two_bytes_and_f16_is_numpys_own() {
        let text = |dtype| {
            let bytes = file(&HostTensor::from_f64(dtype, &[2], [1.0, -2.0]));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert!(text(DType::Bf16).contains("'descr': '|V2'"));
        assert!(text(DType::F16).contains("'descr': '<f2'"));
        assert!(text(DType::I4).contains("'descr': '|i1'"));
    }

    #[test]
    fn other_types_are_refused() {
        let words = vec![file(&HostTensor::from_f64(DType::I16, &[2], [1.0, 2.0]))];
        for file in words {
            for dtype in DType::all().filter(|&dtype| dtype != DType::I16) {
                assert!(elements(dtype, file.clone()).is_err(), "{dtype}");
            }
        }
        let bytes = file(&HostTensor::from_f64(DType::I8, &[2], [7.0, 8.0]));
        assert!(elements(DType::I4, bytes).unwrap_err().contains("8 is no i4"));
    }
}
