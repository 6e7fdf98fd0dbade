//! Kernels as a library for other programs: object, static and shared library, and the header that describes them.
//!
//! A package is a list of functions, each a kernel at one size with one schedule. Nothing of Tilewright is needed where
//! they run. Invariant: the same functions give the same bytes, and every name in a header is one that C takes.

mod header;
mod names;

pub use tilewright_cpu::export::{Arch, Fault, Machine};

use crate::error::Error;
use crate::kernel::{BoundKernel, Origin};
use tilewright_cpu::export::{self, Function};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::Schedule;

/// Functions that become one library.
#[derive(Debug)]
pub struct Package {
    name: String,
    prefix: String,
    machine: Machine,
    entries: Vec<Entry>,
}

/// One function of a package.
#[derive(Clone, Debug)]
pub struct Entry {
    graph: Graph,
    schedule: Schedule,
    origin: Origin,
    function: Function,
}

impl Entry {
    /// The C name of the function.
    pub fn symbol(&self) -> &str {
        &self.function.symbol
    }

    /// The operations with bound extents.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The schedule that it was compiled with.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Where that schedule comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The most threads that it makes use of.
    pub fn threads(&self) -> u64 {
        self.function.threads()
    }

    /// The names of the arrays in the header, inputs then outputs.
    pub fn parameters(&self) -> Vec<String> {
        let outputs = self.graph.outputs.iter().map(|output| output.tensor.name.as_str());
        let inputs = self.graph.inputs.iter().map(|input| input.name.as_str());
        names::parameters(inputs.chain(outputs))
    }

    /// The bytes of the workspace for so many threads.
    pub fn workspace_bytes(&self, threads: u64) -> u64 {
        let threads = threads.clamp(1, self.threads());
        self.function.device_bytes() + threads * self.function.scratch_bytes()
    }
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Package {
    /// An empty package. Files are called `name.h`, `name.o`, `libname.a` and `libname.so`; symbols begin with `prefix`.
    ///
    /// # Errors
    /// `TW1001` for a name that is none.
    pub fn new(name: &str, prefix: &str, machine: Machine) -> Result<Self, Error> {
        names::check_library(name)?;
        names::check_prefix(prefix)?;
        let (name, prefix) = (name.to_string(), prefix.to_string());
        Ok(Self { name, prefix, machine, entries: vec![] })
    }

    /// Compiles a kernel, which must be bound for the package's machine, and adds it. Its symbol is prefix, kernel and
    /// `suffix`.
    ///
    /// # Errors
    /// `TW1001` and `TW1002` for a symbol that C does not take, or that is there already; what `BoundKernel::compile`
    /// says.
    pub fn add(
        &mut self,
        bound: &BoundKernel,
        suffix: &str,
        schedule: Schedule,
        origin: Origin,
    ) -> Result<(), Error> {
        let graph = bound.graph();
        let symbol = format!("{}{}{suffix}", self.prefix, graph.name);
        names::check_symbol(&symbol)?;
        if self.entries.iter().any(|entry| entry.symbol() == symbol) {
            let message = format!("the library has a function `{symbol}` already");
            let help = "choose sizes that differ in what the name says, or build two libraries";
            return Err(Diagnostic::new("TW1002", message).help(help).into());
        }
        let artifact = bound.artifact(&schedule)?;
        let outputs = graph.outputs.iter().map(|output| &output.tensor);
        let aligns = graph.inputs.iter().chain(outputs).map(|tensor| tensor.dtype.bytes());
        let function = Function { symbol, artifact, aligns: aligns.collect() };
        self.entries.push(Entry { graph: graph.clone(), schedule, origin, function });
        Ok(())
    }

    /// The functions in the order in which they were added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the functions run on: the least machine that has all of their instructions.
    pub fn machine(&self) -> Machine {
        let all = self.entries.iter().map(|entry| entry.function.machine(self.machine));
        all.max().unwrap_or(self.machine)
    }

    /// The header, the object, the static and the shared library.
    ///
    /// # Errors
    /// When the back end cannot make an entry.
    pub fn files(&self) -> Result<Vec<File>, Error> {
        let functions: Vec<Function> =
            self.entries.iter().map(|entry| entry.function.clone()).collect();
        let library = export::library(&self.name, self.machine, &functions)?;
        let name = &self.name;
        let file = |name: String, bytes| File { name, bytes };
        Ok(vec![
            file(format!("{name}.h"), header::text(self).into_bytes()),
            file(format!("{name}.o"), library.object),
            file(format!("lib{name}.a"), library.archive),
            file(format!("lib{name}.so"), library.shared),
        ])
    }
}
