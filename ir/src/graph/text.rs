//! The text of a tensor graph: the kernel language with every function inlined and every shared value named.
