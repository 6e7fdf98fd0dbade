//! What a call reads: elements of the caller's arrays, which need not lie together.
//!
//! A view remembers where its elements lie, so that the loader can compare that with what the code was compiled for.
//! Invariant: every element that the layout of a view names can be read while the view lives. Code reads no others.

use ndarray::ArrayViewD;
use std::marker::PhantomData;
use tilewright_ir::backend::InputLayout;
use zerocopy::{Immutable, IntoBytes};

/// The elements of one input.
#[derive(Clone, Debug)]
pub struct View<'a> {
    lowest: *const u8,
    lies: Lies,
    lifetime: PhantomData<&'a u8>,
}

#[derive(Clone, Debug)]
enum Lies {
    /// All in so many bytes, in the layout that the code expects.
    Together(u64),
    /// As an array says.
    Apart(InputLayout),
}

impl<'a> View<'a> {
    /// Memory that is laid out as the code expects it, from the lowest element to the highest.
    pub fn bytes(bytes: &'a [u8]) -> Self {
        let lies = Lies::Together(bytes.len() as u64);
        Self { lowest: bytes.as_ptr(), lies, lifetime: PhantomData }
    }

    /// The elements of an array.
    pub fn array<T: IntoBytes + Immutable>(array: &ArrayViewD<'a, T>) -> Self {
        let mut lowest = array.as_ptr();
        for (&extent, &stride) in array.shape().iter().zip(array.strides()) {
            if stride < 0 && !array.is_empty() {
                lowest = lowest.wrapping_offset(stride * (extent.cast_signed() - 1));
            }
        }
        let layout = InputLayout {
            element_bits: size_of::<T>() as u64 * 8,
            steps: (array.shape().iter().zip(array.strides()))
                .map(|(&extent, &stride)| (extent as u64, stride as i64))
                .collect(),
        };
        Self { lowest: lowest.cast(), lies: Lies::Apart(layout), lifetime: PhantomData }
    }

    /// Where the lowest element lies.
    pub(crate) fn lowest(&self) -> *const u8 {
        self.lowest
    }

    /// Whether the elements lie where the code reads them, which takes so many bytes. The error is the number of bytes
    /// found, for memory without a layout of its own.
    pub(crate) fn fits(&self, layout: Option<&InputLayout>, bytes: u64) -> Result<(), Option<u64>> {
        match &self.lies {
            Lies::Together(found) if *found == bytes => Ok(()),
            Lies::Together(found) => Err(Some(*found)),
            Lies::Apart(found) if layout.is_some_and(|code| code.normal() == found.normal()) => {
                Ok(())
            }
            Lies::Apart(_) => Err(None),
        }
    }
}
