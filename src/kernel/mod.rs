//! A kernel from its text to its call: `Kernel` (any size) -> `BoundKernel` (one size) -> `CompiledKernel` (one schedule).
//!
//! Each level keeps what the one before it knows and adds one decision. Invariant: a level that exists is legal: its
//! text is checked, its sizes are bound, its schedule is accepted and compiled.

mod bound;
mod bound_call;
mod call;
mod compiled;
mod hidden;

pub use bound::{BoundKernel, InputStrides, Origin};
pub use bound_call::{BoundCall, Operand};
pub use call::Strided;
pub use compiled::CompiledKernel;
pub use hidden::Hidden;

use crate::error::Error;
use crate::host;
use crate::tensor::{Tensor, TensorMut};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tilewright_ir::backend::Backend;
use tilewright_ir::base::Sizes;
use tilewright_ir::check::{CheckedKernel, check};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::rewrite::Rewriter;
use tilewright_ir::schedule::Forms;

/// A checked kernel whose sizes are still open.
#[derive(Debug)]
pub struct Kernel {
    checked: CheckedKernel,
    strided: Strided,
    rewriter: Arc<SharedRewriter>,
    /// One bound kernel for each combination of extents that `call` has met.
    bound: Mutex<BTreeMap<Sizes, Arc<BoundKernel>>>,
}

/// What the rewriter knows equal to a kernel. It is found once, for all sizes.
#[derive(Debug)]
struct SharedRewriter {
    /// The operations, of any size.
    graph: Graph,
    found: OnceLock<Option<Rewriter>>,
}

impl SharedRewriter {
    fn of(graph: &Graph) -> Self {
        Self { graph: graph.clone(), found: OnceLock::new() }
    }

    fn get(&self) -> Option<&Rewriter> {
        self.found.get_or_init(|| Forms::rewriter(&self.graph)).as_ref()
    }
}

impl Kernel {
    /// Parses and checks a text with exactly one kernel.
    ///
    /// # Errors
    /// All diagnostics of the text; `Unknown` when the text has more than one kernel (use `parse_all`).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut kernels = Self::parse_all(text)?;
        match kernels.pop() {
            Some(kernel) if kernels.is_empty() => Ok(kernel),
            last => Err(Error::Unknown {
                kind: "single kernel in the text",
                name: String::new(),
                known: kernels
                    .iter()
                    .chain(&last)
                    .map(|kernel| kernel.name().to_string())
                    .collect(),
            }),
        }
    }

    /// Parses and checks a text, and gives its kernels in text order.
    ///
    /// # Errors
    /// All diagnostics of the text.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Error> {
        Ok(Self::parse_with_warnings(text)?.0)
    }

    /// As `parse_all`, with what the text says and nothing needs: warnings, in text order.
    ///
    /// # Errors
    /// As `parse_all`.
    pub fn parse_with_warnings(text: &str) -> Result<(Vec<Self>, Vec<Diagnostic>), Error> {
        let checked = check(text)?;
        Ok((checked.kernels.into_iter().map(Self::new).collect(), checked.warnings))
    }

    /// As `parse`, from a file.
    ///
    /// # Errors
    /// As `parse`, and when the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
        Self::parse(&text)
    }

    fn new(checked: CheckedKernel) -> Self {
        let rewriter = Arc::new(SharedRewriter::of(&checked.graph));
        Self { checked, strided: Strided::Refuse, rewriter, bound: Mutex::default() }
    }

    /// Chooses what a call does with arrays that are not row-major.
    #[must_use]
    pub fn strided(mut self, strided: Strided) -> Self {
        self.strided = strided;
        self
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        &self.checked.graph.name
    }

    /// The checked operations.
    pub fn graph(&self) -> &Graph {
        &self.checked.graph
    }

    /// What is known equal to the kernel by algebra, whatever its sizes; none of one that is too large.
    pub fn rewriter(&self) -> Option<&Rewriter> {
        self.rewriter.get()
    }

    /// The named size sets of the text, in text order.
    pub fn size_sets(&self) -> &[(String, Sizes)] {
        &self.checked.size_sets
    }

    /// The sizes of a set with others in their place: what `given` decides, the set does not.
    pub fn override_sizes(&self, set: &Sizes, given: &Sizes) -> Sizes {
        self.checked.override_sizes(set, given)
    }

    /// Binds every axis to an extent.
    ///
    /// # Errors
    /// One diagnostic for each missing or unknown axis, each listing the valid names; one for each extent that the
    /// `where` clause does not allow.
    pub fn bind<'n>(
        &self,
        sizes: impl IntoIterator<Item = (&'n str, u64)>,
    ) -> Result<BoundKernel, Error> {
        let sizes = sizes.into_iter().map(|(axis, extent)| (axis.to_string(), extent)).collect();
        self.bind_sizes(&sizes)
    }

    /// Binds a named size set of the text.
    ///
    /// # Errors
    /// `Unknown` with the names there are.
    pub fn bind_set(&self, name: &str) -> Result<BoundKernel, Error> {
        let set = self.size_sets().iter().find(|(known, _)| known == name);
        let (_, sizes) = set.ok_or_else(|| Error::Unknown {
            kind: "size set",
            name: name.to_string(),
            known: self.size_sets().iter().map(|(name, _)| name.clone()).collect(),
        })?;
        self.bind_sizes(sizes)
    }

    /// Binds extents by axis name.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_sizes(&self, sizes: &Sizes) -> Result<BoundKernel, Error> {
        self.bind_sizes_for(sizes, host::backend()?)
    }

    /// As `bind_sizes`, for another code generator. What is compiled runs where that says; the kernel can be exported,
    /// and only called if that is here.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_sizes_for(
        &self,
        sizes: &Sizes,
        backend: &'static dyn Backend,
    ) -> Result<BoundKernel, Error> {
        let graph = self.checked.bind(sizes)?;
        let rewriter = Arc::clone(&self.rewriter);
        Ok(BoundKernel::of_graph(graph, self.strided, rewriter, backend))
    }

    /// Computes the outputs, with sizes taken from the arrays.
    ///
    /// The first call for a combination of sizes looks for the store's winner for this machine (the default schedule
    /// if there is none), compiles it and keeps it; later calls only run.
    ///
    /// # Errors
    /// A wrong count, element type, shape or stride, before anything is written; what `BoundKernel::call` may say.
    pub fn call(&self, inputs: &[Tensor<'_>], outputs: &mut [TensorMut<'_>]) -> Result<(), Error> {
        let sizes = call::sizes_of(&self.checked.graph, inputs, outputs)?;
        self.bound_for(&sizes)?.call(inputs, outputs)
    }

    fn bound_for(&self, sizes: &Sizes) -> Result<Arc<BoundKernel>, Error> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = bound.get(sizes) {
            return Ok(Arc::clone(known));
        }
        let fresh = Arc::new(self.bind_sizes(sizes)?);
        bound.insert(sizes.clone(), Arc::clone(&fresh));
        Ok(fresh)
    }
}
