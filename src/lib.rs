//! Tilewright compiles tensor kernels, tunes them by measuring, and believes no time before the numbers are checked.

pub mod tensor;
