//! Typed views of the caller's arrays.
//!
//! A `Tensor` is read, a `TensorMut` is written; both are ndarray views of any rank with the element type as the
//! variant. The 16-bit floats are those of the `half` crate; truth values and packed i4 have no array type and are
//! passed as bytes (`CompiledKernel::call_bytes`). Invariant: bytes leave this module in row-major order, whatever the strides of the array.

use ndarray::{ArrayBase, ArrayView, ArrayViewD, ArrayViewMutD, Data, DataMut, Dimension};
use tilewright_cpu::View;
use tilewright_ir::DType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A number type that an array may hold.
pub trait Element: Sized + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// The type in kernel texts.
    const DTYPE: DType;
    /// A view to read.
    fn read(view: ArrayViewD<'_, Self>) -> Tensor<'_>;
    /// A view to write.
    fn write(view: ArrayViewMutD<'_, Self>) -> TensorMut<'_>;
}

impl<'a, A: Element, S: Data<Elem = A>, D: Dimension> From<&'a ArrayBase<S, D>> for Tensor<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        A::read(array.view().into_dyn())
    }
}

/// Implements `From` for numbers: a scalar parameter of a kernel is an array without axes.
macro_rules! scalars {
    ($($element:ty),*) => {
        $(
            impl<'a> From<&'a $element> for Tensor<'a> {
                fn from(number: &'a $element) -> Self {
                    <$element>::read(ArrayView::from_shape((), std::slice::from_ref(number))
                        .expect("one element has no axes")
                        .into_dyn())
                }
            }
        )*
    };
}

scalars!(f64, f32, i32, i16, i8, u8);

impl<'a, A: Element, S: DataMut<Elem = A>, D: Dimension> From<&'a mut ArrayBase<S, D>>
    for TensorMut<'a>
{
    fn from(array: &'a mut ArrayBase<S, D>) -> Self {
        A::write(array.view_mut().into_dyn())
    }
}

macro_rules! tensors {
    ($($variant:ident, $element:ty;)*) => {
        /// An array that a call reads.
        #[derive(Clone, Debug)]
        pub enum Tensor<'a> {
            $(
                #[doc = concat!("Elements of type `", stringify!($element), "`.")]
                $variant(ArrayViewD<'a, $element>),
            )*
        }

        /// An array that a call writes.
        #[derive(Debug)]
        pub enum TensorMut<'a> {
            $(
                #[doc = concat!("Elements of type `", stringify!($element), "`.")]
                $variant(ArrayViewMutD<'a, $element>),
            )*
        }

        $(
            impl Element for $element {
                const DTYPE: DType = DType::$variant;

                fn read(view: ArrayViewD<'_, Self>) -> Tensor<'_> {
                    Tensor::$variant(view)
                }

                fn write(view: ArrayViewMutD<'_, Self>) -> TensorMut<'_> {
                    TensorMut::$variant(view)
                }
            }
        )*

        impl<'a> Tensor<'a> {
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $( Self::$variant(_) => DType::$variant, )* }
            }

            /// The extent of each axis, in elements.
            pub fn shape(&self) -> &[usize] {
                match self { $( Self::$variant(array) => array.shape(), )* }
            }

            /// The distance between neighbours along each axis, in elements.
            pub fn strides(&self) -> &[isize] {
                match self { $( Self::$variant(array) => array.strides(), )* }
            }

            /// The elements in row-major order without a copy; `None` if the array is not laid out so.
            pub fn bytes(&self) -> Option<&[u8]> {
                match self { $( Self::$variant(array) => array.as_slice().map(IntoBytes::as_bytes), )* }
            }

            /// The elements where they lie.
            pub(crate) fn view(&self) -> View<'a> {
                match self { $( Self::$variant(array) => View::array(array), )* }
            }

            /// The same array, borrowed for a shorter time.
            pub(crate) fn reborrow(&self) -> Tensor<'_> {
                match self { $( Self::$variant(array) => Tensor::$variant(array.view()), )* }
            }

            /// As `view`, of elements that are known to lie in row-major order.
            pub(crate) fn view_dense(&self) -> View<'_> {
                View::bytes(self.bytes().expect("whoever asks knows that they do"))
            }

            /// The elements in row-major order, copied.
            pub fn to_bytes(&self) -> Vec<u8> {
                match self {
                    $( Self::$variant(array) =>
                        array.iter().flat_map(|element| element.to_ne_bytes()).collect(), )*
                }
            }
        }

        impl<'a> TensorMut<'a> {
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $( Self::$variant(_) => DType::$variant, )* }
            }

            /// The extent of each axis, in elements.
            pub fn shape(&self) -> &[usize] {
                match self { $( Self::$variant(array) => array.shape(), )* }
            }

            /// The distance between neighbours along each axis, in elements.
            pub fn strides(&self) -> &[isize] {
                match self { $( Self::$variant(array) => array.strides(), )* }
            }

            /// The elements in row-major order; `None` if the array is not laid out so.
            pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
                match self {
                    $( Self::$variant(array) => array.as_slice_mut().map(IntoBytes::as_mut_bytes), )*
                }
            }

            /// The elements in row-major order, for as long as the array is borrowed; `None` if it is not laid out so.
            pub(crate) fn into_bytes(self) -> Option<&'a mut [u8]> {
                match self {
                    $( Self::$variant(array) => array.into_slice().map(IntoBytes::as_mut_bytes), )*
                }
            }

            /// The array to read.
            pub(crate) fn read(&self) -> Tensor<'_> {
                match self { $( Self::$variant(array) => Tensor::$variant(array.view()), )* }
            }

            /// Whether the elements lie in row-major order without gaps.
            pub fn is_row_major(&self) -> bool {
                match self { $( Self::$variant(array) => array.is_standard_layout(), )* }
            }

            /// Writes row-major elements into the array, whatever its strides.
            pub(crate) fn assign(&mut self, bytes: &[u8]) {
                match self {
                    $( Self::$variant(array) => {
                        let elements = bytes.chunks_exact(size_of::<$element>());
                        for (slot, element) in array.iter_mut().zip(elements) {
                            let element = element.try_into().expect("chunks have the element's size");
                            *slot = <$element>::from_ne_bytes(element);
                        }
                    } )*
                }
            }
        }
    };
}

tensors! {
    F64, f64;
    F32, f32;
    F16, half::f16;
    Bf16, half::bf16;
    I32, i32;
    I16, i16;
    I8, i8;
    U8, u8;
}

#[cfg(test)]
mod tests {
    use super::{Tensor, TensorMut};
    use ndarray::{Array2, array};
    use tilewright_ir::DType;

    #[test]
    fn bytes_are_row_major_whatever_the_strides() {
        let rows = array![[1.0f32, 2.0], [3.0, 4.0]];
        let columns = rows.t().as_standard_layout().into_owned().reversed_axes();
        let (rows, columns) = (Tensor::from(&rows), Tensor::from(&columns));
        assert_eq!(rows.dtype(), DType::F32);
        assert_eq!(rows.bytes().unwrap(), columns.to_bytes());
        assert!(columns.bytes().is_none(), "a transposed array has no row-major bytes");
    }

    #[test]
    fn assigning_reaches_strided_elements() {
        let mut wide = Array2::<f64>::zeros((2, 4));
        let mut every_second = wide.slice_mut(ndarray::s![.., ..;2]);
        let values: Vec<u8> =
            [1.0f64, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_ne_bytes()).collect();
        TensorMut::from(&mut every_second).assign(&values);
        assert_eq!(wide, array![[1.0, 0.0, 2.0, 0.0], [3.0, 0.0, 4.0, 0.0]]);
    }
}
