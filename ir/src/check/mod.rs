//! From a syntax tree to a tensor graph: names, axes, types, library functions.
//!
//! Functions are inlined, so a graph has none. A kernel with a fault gives no graph, yet every other kernel is still
//! checked, and a fault never gives rise to a second one.
//! Invariant: a graph that comes out obeys `graph::verify`; time is linear in the text and the operations inlined.

mod call;
mod constant;
mod context;
mod expr;
mod extent;
mod gather;
mod habits;
mod kernel;
mod library;
mod names;
mod scan;
mod sizes;
mod split;
mod strides;
pub(crate) mod types;
mod unused;
mod vacuous;
mod value;

use crate::base::{AxisSet, CompareOp, Sizes};
use crate::diag::{Diagnostic, Faults};
use crate::graph::{Extent, Graph};
use crate::rewrite::RuleClass;
use crate::syntax::ast::{File, Item, SizeSet};
use crate::syntax::{self, Parsed};
use constant::Constants;
use context::Allowance;
pub use library::LIBRARY_TEXT;
pub(crate) use library::nearest;
use library::{Functions, is_operation};
use std::collections::{BTreeMap, BTreeSet};

/// The expressions that a file may evaluate beyond one for each byte of its text.
const STEPS_FREE: u32 = 1 << 22;

/// A checked file: its kernels in text order, each with its named size sets.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// The kernels.
    pub kernels: Vec<CheckedKernel>,
    /// What the text says and nothing needs, in text order.
    pub warnings: Vec<Diagnostic>,
}

/// A checked kernel.
#[derive(Clone, Debug)]
pub struct CheckedKernel {
    /// The operations.
    pub graph: Graph,
    /// The `sizes` sets that follow the kernel, in text order: name and extents.
    pub size_sets: Vec<(String, Sizes)>,
    /// Which rewrites the kernel allows.
    pub attributes: Attributes,
    /// What the `where` clause demands of extents.
    pub limits: Vec<Limit>,
}

/// The attributes of a kernel. Without any, exact, reassociating and gated range-changing rewrites are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attributes {
    /// `@exact`: only rewrites that change no bit.
    pub exact: bool,
    /// `@reassoc`: exact and reassociating rewrites.
    pub reassoc: bool,
    /// `@approx(eps=..)`: also approximate rewrites, up to this relative deviation.
    pub approx: Option<f64>,
    /// `@split(..)`: the axes whose reductions are cut into chunks unless a schedule says otherwise.
    pub split: AxisSet,
}

impl Attributes {
    /// The strongest class of rules by which forms may be found.
    pub fn permits(&self) -> RuleClass {
        match (self.exact, self.reassoc) {
            (true, _) => RuleClass::Exact,
            (false, true) => RuleClass::Reassociating,
            (false, false) => RuleClass::Range,
        }
    }
}

/// `extent(axis) op bound` holds for every call of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The axis, or the name of several.
    pub axis: String,
    /// The comparison.
    pub op: CompareOp,
    /// The right side, which may depend on other extents.
    pub bound: Extent,
}

impl CheckedKernel {
    /// Binds every axis to an extent that the kernel allows. What follows from a `==` of `where` need not be given.
    ///
    /// # Errors
    /// As `Graph::bind`, and one diagnostic for each limit of the `where` clause that does not hold.
    pub fn bind(&self, sizes: &Sizes) -> Result<Graph, Vec<Diagnostic>> {
        let sizes = sizes::with_equal(self, sizes);
        let (graph, mut faults) = match self.graph.bind(&sizes) {
            Ok(graph) => (Some(graph), vec![]),
            Err(faults) => (None, faults),
        };
        let broken = sizes::broken(self, &sizes, &mut faults);
        faults.extend(broken);
        graph.filter(|_| faults.is_empty()).ok_or(faults)
    }

    /// The sizes of a set with others in their place: what `given` decides, in whatever names and by whatever `==` of
    /// the `where` clause, the set does not.
    pub fn override_sizes(&self, set: &Sizes, given: &Sizes) -> Sizes {
        sizes::override_sizes(self, set, given)
    }
}

/// Parses and checks a kernel file.
///
/// # Errors
/// Every fault of the file that can be seen, in text order.
pub fn check(source: &str) -> Result<CheckedFile, Vec<Diagnostic>> {
    let Parsed { file, mut faults } = syntax::parse(source);
    let functions = functions(&file, &mut faults);
    let mut checker = Checker {
        functions: &functions,
        kernels: vec![],
        by_name: BTreeMap::new(),
        faults,
        called: BTreeSet::new(),
        steps_left: u32::try_from(source.len()).unwrap_or(u32::MAX).saturating_add(STEPS_FREE),
    };
    checker.items(&file);
    let Checker { kernels, mut faults, called, .. } = checker;
    names::check_uncalled(&functions, &called, &mut faults);
    let whole = |faults: Faults| -> Vec<Diagnostic> {
        faults.into_vec().into_iter().map(|fault| fault.whole(source)).collect()
    };
    if !faults.is_empty() {
        return Err(whole(faults));
    }
    let kernels: Vec<_> = kernels.into_iter().filter_map(|slot| slot.checked).collect();
    let graphs = kernels.iter().map(|kernel| &kernel.graph);
    let mut warnings = unused::warnings(&file, graphs, &called, source.len());
    for (kernel, checked) in unused::kernels(&file).zip(&kernels) {
        vacuous::warn(kernel, &checked.graph, &functions.constants, &mut warnings);
    }
    Ok(CheckedFile { kernels, warnings: whole(warnings) })
}

/// As `check`, for the bytes of a file.
///
/// # Errors
/// As `check`; bytes that are no UTF-8 give one diagnostic.
pub fn check_bytes(bytes: &[u8]) -> Result<CheckedFile, Vec<Diagnostic>> {
    check(syntax::text_of(bytes)?)
}

/// A kernel of the file by name; without its graph if it is faulty.
struct Slot<'a> {
    name: &'a str,
    checked: Option<CheckedKernel>,
    /// The names of its size sets.
    sets: BTreeSet<&'a str>,
}

struct Checker<'a> {
    functions: &'a Functions<'a>,
    kernels: Vec<Slot<'a>>,
    by_name: BTreeMap<&'a str, usize>,
    faults: Faults,
    called: BTreeSet<&'a str>,
    /// How many expressions may still be evaluated, functions inlined.
    steps_left: u32,
}

/// The functions of a file beside those of the library.
fn functions<'a>(file: &'a File, faults: &mut Faults) -> Functions<'a> {
    let mut functions = Functions::library();
    functions.constants = Constants::of(file, faults);
    for item in &file.items {
        match item {
            Item::Function(function) => {
                let name = function.name.text.as_str();
                let operation = is_operation(name);
                if operation || functions.user.insert(name, function).is_some() {
                    let what =
                        if operation { "an operation of the language" } else { "a function" };
                    let message = format!("`{name}` is already {what}");
                    faults.push(Diagnostic::new("TW0202", message).at(function.name.span));
                }
                names::check_parameters(function, &functions.constants, faults);
            }
            Item::Faulty(Some(name), _) => {
                functions.faulty.insert(&name.text);
            }
            Item::Kernel(_) | Item::Sizes(_) | Item::Constant(_) | Item::Faulty(None, _) => {}
        }
    }
    functions
}

impl<'a> Checker<'a> {
    fn items(&mut self, file: &'a File) {
        for item in &file.items {
            match item {
                Item::Kernel(kernel) => self.kernel(kernel),
                Item::Sizes(set) => self.size_set(set),
                // It may have been a kernel: size sets that follow are not judged.
                Item::Faulty(name, _) => {
                    let name = name.as_ref().map_or("", |name| name.text.as_str());
                    self.by_name.insert(name, self.kernels.len());
                    self.kernels.push(Slot { name, checked: None, sets: BTreeSet::new() });
                }
                Item::Function(_) | Item::Constant(_) => {}
            }
        }
    }

    fn kernel(&mut self, kernel: &'a syntax::ast::Kernel) {
        let name = kernel.name.text.as_str();
        if self.by_name.insert(name, self.kernels.len()).is_some() {
            let fault = Diagnostic::new("TW0202", format!("there is already a kernel `{name}`"));
            self.faults.push(fault.at(kernel.name.span));
        }
        let allowance = Allowance { faults: self.faults.part(), steps: self.steps_left };
        let outcome = kernel::check(self.functions, kernel, allowance);
        self.steps_left -= outcome.steps;
        self.called.extend(outcome.called);
        let attributes = sizes::attributes(kernel, outcome.graph.as_ref().ok(), &mut self.faults);
        let constants = &self.functions.constants;
        let before = self.faults.count();
        let limits =
            sizes::limits(kernel, outcome.graph.as_ref().ok(), constants, &mut self.faults);
        if let (Ok(graph), true) = (&outcome.graph, self.faults.count() == before) {
            vacuous::refuse(kernel, graph, constants, &mut self.faults);
        }
        let checked = match outcome.graph {
            Ok(graph) => {
                let (permits, split) = (attributes.permits(), attributes.split);
                let graph = Graph { permits, split, ..graph };
                Some(CheckedKernel { graph, size_sets: vec![], attributes, limits })
            }
            Err(faults) => {
                self.faults.append(faults);
                None
            }
        };
        self.kernels.push(Slot { name, checked, sets: BTreeSet::new() });
    }

    fn size_set(&mut self, set: &'a SizeSet) {
        let slot = match &set.kernel {
            Some(name) => {
                let position = self.by_name.get(name.text.as_str());
                position.and_then(|&position| self.kernels.get_mut(position))
            }
            None => self.kernels.last_mut(),
        };
        match (slot, &set.kernel) {
            (Some(slot), _) => {
                let kernel = slot.checked.as_mut();
                let fresh = slot.sets.insert(&set.name.text);
                sizes::add(set, fresh, kernel, &self.functions.constants, &mut self.faults);
            }
            (None, Some(name)) => {
                let known = habits::one_of(self.kernels.iter().map(|slot| slot.name));
                let message = format!("there is no kernel `{}` before this", name.text);
                let fault = Diagnostic::new("TW0306", message).at(name.span);
                self.faults.push(fault.expected(known));
            }
            (None, None) => self.faults.push(
                Diagnostic::new("TW0306", "a size set stands before any kernel")
                    .at(set.name.span)
                    .help("put it after the kernel it belongs to"),
            ),
        }
    }
}
