//! Code bound to its buffers: everything is checked once, and a call only runs.
//!
//! Invariant: the buffers are borrowed while the handle lives, so that nobody else frees them, moves them, or writes to
//! them during a call.

use crate::load::Code;
use crate::view::View;
use crate::workspace::Workspace;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// An input that code is bound to.
#[derive(Debug)]
pub enum Input<'a> {
    /// Elements that stay as they are.
    Shared(View<'a>),
    /// Memory laid out as the code expects it, that may be changed between calls.
    Own(&'a mut [u8]),
}

impl<'a> Input<'a> {
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Shared(view) => view.clone(),
            Self::Own(bytes) => View::bytes(bytes),
        }
    }

    pub(crate) fn own(&mut self) -> Option<&mut &'a mut [u8]> {
        match self {
            Self::Shared(_) => None,
            Self::Own(bytes) => Some(bytes),
        }
    }
}

/// A compiled kernel with the buffers that it reads and writes, and a workspace of its own.
pub struct Bound<'a> {
    code: Arc<Code>,
    /// The arguments that may be written between calls; none of a shared input.
    own: Vec<Option<NonNull<[u8]>>>,
    workspace: Workspace,
    buffers: PhantomData<&'a mut [u8]>,
}

// SAFETY: the handle is a borrow of plain bytes, as `&mut [u8]` is, with memory of its own.
unsafe impl Send for Bound<'_> {}
// SAFETY: as above; through a shared reference bytes are only read.
unsafe impl Sync for Bound<'_> {}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("arguments", &self.own.len()).finish_non_exhaustive()
    }
}

impl Bound<'_> {
    /// Binds code to the arguments that are in the workspace, of which inputs that are not shared and the outputs are in
    /// `own`, too.
    ///
    /// # Safety
    /// `Code::place` of this code has filled the workspace; the memory is borrowed for the lifetime of the handle, that of
    /// `own` exclusively.
    pub(crate) unsafe fn new(
        code: Arc<Code>,
        workspace: Workspace,
        own: Vec<Option<NonNull<[u8]>>>,
    ) -> Self {
        Self { code, own, workspace, buffers: PhantomData }
    }

    /// Computes the outputs from the inputs.
    #[inline]
    pub fn call(&mut self) {
        // SAFETY: whoever made the handle saw to the lengths and the borrows; `&mut` keeps other calls away.
        unsafe { self.code.run(&self.workspace) };
    }

    /// The bytes of an argument, inputs before outputs; `None` of a shared input, and past the last one.
    pub fn bytes(&self, position: usize) -> Option<&[u8]> {
        let bytes = (*self.own.get(position)?)?;
        // SAFETY: the memory is borrowed exclusively while `self` lives, and nobody writes while `self` is shared.
        Some(unsafe { bytes.as_ref() })
    }

    /// As `bytes`, to write.
    pub fn bytes_mut(&mut self, position: usize) -> Option<&mut [u8]> {
        let mut bytes = (*self.own.get(position)?)?;
        // SAFETY: the memory is borrowed exclusively while `self` lives, and `self` is borrowed exclusively.
        Some(unsafe { bytes.as_mut() })
    }
}
