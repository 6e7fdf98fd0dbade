//! A library of many kernels, its files in a folder, and the C program that calls them all.
//!
//! Invariant: what the program wrote is judged here, against the reference; the program itself only compares calls with
//! calls.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tilewright::export::{Machine, Package};
use tilewright::ir::base::Sizes;
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate, memory};
use tilewright::{Kernel, Origin, host};

/// The threads that schedules for other machines are made for.
pub(crate) const THREADS: u64 = 2;

/// What qemu-riscv64 says as it gives up on its own.
const STUMBLE: &str = "decode_save_opc: Assertion";

/// Kernels in one library, with their inputs.
pub(crate) struct Library {
    folder: tempfile::TempDir,
    machine: Machine,
    package: Package,
    inputs: Vec<Vec<HostTensor>>,
}

impl Library {
    pub(crate) fn new(machine: Machine) -> Self {
        let package = Package::new("under_test", "tw_", machine).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), machine, package, inputs: vec![] }
    }

    /// Adds a kernel with its default schedule, and with a drawn one whose phases have several threads, if one is found.
    pub(crate) fn add(&mut self, kernel: &Kernel, sizes: &Sizes, draws: u64) {
        let backend = host::backend_for(self.machine, THREADS).unwrap();
        let bound = kernel.bind_sizes_for(sizes, backend).unwrap();
        let number = self.inputs.len();
        let schedule = bound.forms().default_schedule();
        self.package.add(&bound, &format!("_{number}"), schedule, Origin::Default).unwrap();
        self.inputs.push(draw(bound.graph(), Family::Normal, number as u64));
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        for _ in 0..draws {
            let schedule = bound.forms().sample(&mut rng);
            let artifact = bound.artifact(&schedule).unwrap();
            if artifact.launches.iter().any(|launch| launch.threads > 1 && launch.iterations > 1) {
                let suffix = format!("_{number}_spread");
                self.package.add(&bound, &suffix, schedule, Origin::Given).unwrap();
                self.inputs.push(self.inputs[number].clone());
                break;
            }
        }
    }

    pub(crate) fn functions(&self) -> usize {
        self.package.entries().len()
    }

    /// How many functions have phases of several threads.
    pub(crate) fn spread(&self) -> usize {
        self.package.entries().iter().filter(|entry| entry.threads() > 1).count()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the library, the driver with its table, and the inputs.
    pub(crate) fn write(&self) {
        for file in self.package.files().unwrap() {
            std::fs::write(self.path(&file.name), file.bytes).unwrap();
        }
        std::fs::write(self.path("driver.c"), include_str!("driver.c")).unwrap();
        std::fs::write(self.path("cases.h"), self.table()).unwrap();
        let mut bytes = vec![];
        for (entry, inputs) in self.package.entries().iter().zip(&self.inputs) {
            memory(entry.graph(), inputs).iter().for_each(|input| bytes.extend_from_slice(input));
        }
        std::fs::write(self.path("inputs"), bytes).unwrap();
    }

    /// `cases.h`: the table of functions.
    fn table(&self) -> String {
        let mut text = TABLE_HEAD.to_string();
        let (mut rows, mut finds) = (String::new(), String::new());
        for (number, entry) in self.package.entries().iter().enumerate() {
            let (symbol, graph) = (entry.symbol(), entry.graph());
            let names = entry.parameters();
            let list = |item: &dyn Fn(usize) -> String| {
                (0..names.len()).map(item).collect::<Vec<_>>().join(", ")
            };
            let bytes = list(&|position| format!("{symbol}_{}_BYTES", names[position]));
            let aligns: Vec<u64> = tensors(graph).map(|tensor| tensor.dtype.bytes()).collect();
            let aligns = list(&|position| aligns[position].to_string());
            let arguments = list(&|position| format!("a[{position}]"));
            let _ = write!(
                text,
                "static __typeof__({symbol}) *f{number};\n\
                 static __typeof__({symbol}_workspace_bytes) *w{number};\n\
                 static const uint64_t bytes{number}[] = {{{bytes}}};\n\
                 static const uint64_t aligns{number}[] = {{{aligns}}};\n\
                 static int32_t call{number}(void **a, void *w, uint64_t n, const tilewright_parallel *p) {{\n    \
                     return f{number}({arguments}, w, n, p);\n}}\n\
                 static uint64_t query{number}(uint64_t threads) {{ return w{number}(threads); }}\n"
            );
            let _ = writeln!(
                rows,
                "    {{\"{symbol}\", call{number}, query{number}, {symbol}_THREADS, {}, {}, bytes{number}, aligns{number}}},",
                graph.inputs.len(),
                names.len()
            );
            let _ = writeln!(finds, "    FIND(f{number}, {symbol});");
            let _ = writeln!(finds, "    FIND(w{number}, {symbol}_workspace_bytes);");
        }
        let _ = write!(
            text,
            "static const struct function functions[] = {{\n{rows}}};\n{TABLE_FIND}\
             static void find(void *library) {{\n    (void)library;\n{finds}}}\n"
        );
        text
    }

    /// Compiles the driver; `arguments` follow the source.
    pub(crate) fn compile(&self, compiler: &str, program: &str, arguments: &[&str]) {
        let mut command = Command::new(compiler);
        command.args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-fasynchronous-unwind-tables",
            "-pthread",
            "-o",
            program,
        ]);
        command.arg("driver.c").args(arguments).current_dir(self.folder.path());
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("{compiler} is needed here: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs the driver, under another program if there is one; what it printed if it failed.
    pub(crate) fn run(&self, under: &[&str], program: &str, library: Option<&str>) {
        assert!(self.runs(under, program, library), "the emulator stumbled");
    }

    /// As `run`; `false` where the emulator itself gave up. qemu-riscv64 before version 8 does so where a conversion that
    /// names its rounding is the first instruction of floats that it translates, which depends on where a page ends.
    pub(crate) fn runs(&self, under: &[&str], program: &str, library: Option<&str>) -> bool {
        let program = self.path(program);
        let command: Vec<&Path> = under.iter().map(Path::new).chain([program.as_path()]).collect();
        let emulated = (!under.is_empty()).then_some(("EMULATED", "1"));
        let output = Command::new(command[0])
            .args(&command[1..])
            .args(["inputs", "outputs"])
            .args(library)
            .envs(emulated)
            .current_dir(self.folder.path())
            .output();
        let output =
            output.unwrap_or_else(|error| panic!("{:?} is needed here: {error}", command[0]));
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() && complained.contains(STUMBLE) {
            return false;
        }
        assert!(output.status.success(), "{:?}: {said}{complained}", output.status);
        let count = format!("{} functions, 0 faults\n", self.functions());
        assert!(said.ends_with(&count), "{said}");
        true
    }

    /// Compares what the driver wrote with the reference.
    pub(crate) fn judge(&self) {
        let bytes = std::fs::read(self.path("outputs")).unwrap();
        let mut rest = bytes.as_slice();
        for (entry, inputs) in self.package.entries().iter().zip(&self.inputs) {
            let graph = entry.graph();
            let expected = evaluate(graph, inputs);
            for (output, expected) in graph.outputs.iter().zip(&expected) {
                let mut got =
                    HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&graph.axes));
                let (own, others) = rest.split_at(got.bytes.len());
                got.bytes.copy_from_slice(own);
                rest = others;
                let verdict = compare(expected, &got);
                let (symbol, name) = (entry.symbol(), &output.tensor.name);
                let schedule = entry.schedule().print();
                assert_eq!(verdict.wrong, 0, "{symbol}, output `{name}`: {verdict:?}\n{schedule}");
            }
        }
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
    }
}

fn tensors(graph: &Graph) -> impl Iterator<Item = &tilewright::ir::graph::Tensor> {
    graph.inputs.iter().chain(graph.outputs.iter().map(|output| &output.tensor))
}

const TABLE_HEAD: &str = "\
#include \"under_test.h\"
struct function {
    const char *symbol;
    int32_t (*call)(void **, void *, uint64_t, const tilewright_parallel *);
    uint64_t (*workspace_bytes)(uint64_t);
    uint64_t threads;
    int inputs, arrays;
    const uint64_t *bytes, *aligns;
};
";

const TABLE_FIND: &str = "\
#ifdef SHARED
#define FIND(place, name) place = dlsym(library, #name)
#else
#define FIND(place, name) place = name
#endif
";
