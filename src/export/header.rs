//! The C header of a package: one interface for all, then each function with its arrays.
//!
//! Several headers may be included together: what they share stands behind a guard of its own. Invariant: everything that
//! a caller must know (types, sizes, strides, alignment, workspace, threads) is in the header, as comment and as macro.

use super::{Entry, Fault, Package, names};
use std::fmt::Write as _;
use tilewright_cpu::export::WORKSPACE_ALIGN;
use tilewright_ir::DType;
use tilewright_ir::graph::{Graph, Tensor};

/// Columns of a line of names.
const WIDTH: usize = 96;

/// What every header shares, without the codes.
const SHARED_HEAD: &str = "\
#ifndef TILEWRIGHT_ABI
#define TILEWRIGHT_ABI 1

/* Part of a parallel loop: runs the iterations first..end on the thread of that number. */
typedef void (*tilewright_body)(void *context, uint64_t thread, uint64_t first, uint64_t end);

/* How to run iterations in parallel. `run` calls `body(context, thread, first, end)` for parts that together are
 * 0..iterations, each iteration once; `thread` is below `threads`, and no two calls at the same time have the same.
 * It returns when all have returned, and what they wrote is visible then. `threads` is how many there may be. */
typedef struct tilewright_parallel {
    void (*run)(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context);
    void *user;
    uint64_t threads;
} tilewright_parallel;

/* What a function returns: 0, or a kind of fault, and above it the position of the argument, from 1 (0: none). */
#define TILEWRIGHT_KIND(code) ((code) & 255)
#define TILEWRIGHT_ARGUMENT(code) ((code) >> 8)
enum {
    TILEWRIGHT_OK = 0,
";

/// The whole header.
pub(super) fn text(package: &Package) -> String {
    let guard = names::guard(&package.name);
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = write!(
        text,
        "/* Kernels compiled by Tilewright {version}. Made by a program: do not edit.\n *\n\
         {}\n */\n\
         #ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
        machine(package),
    );
    text.push_str(&shared());
    for entry in &package.entries {
        text.push_str(&function(entry));
    }
    let _ = write!(text, "\n#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {guard} */\n");
    text
}

/// Where the code runs, in lines of a comment.
fn machine(package: &Package) -> String {
    let machine = package.machine();
    let mut lines =
        vec![format!(" * They run on {} under Linux and need no library.", machine.arch)];
    let mut words = machine.features().into_iter().peekable();
    if words.peek().is_some() {
        lines.push(" * The processor must have:".to_string());
    }
    for word in words {
        let last = lines.last_mut().expect("there is a first line");
        match last.len() + word.len() > WIDTH {
            true => lines.push(format!(" *   {word}")),
            false => *last = format!("{last} {word}"),
        }
    }
    lines.join("\n")
}

fn shared() -> String {
    let mut text = SHARED_HEAD.to_string();
    for (fault, name, meaning) in Fault::ALL {
        let _ = writeln!(text, "    TILEWRIGHT_{name} = {}, /* {meaning} */", fault as u32);
    }
    text.push_str("};\n#endif /* TILEWRIGHT_ABI */\n#if TILEWRIGHT_ABI != 1\n");
    text.push_str("#error \"headers of different versions of Tilewright\"\n#endif\n");
    text
}

/// One array of a function.
struct Array<'a> {
    name: String,
    tensor: &'a Tensor,
    bytes: u64,
    is_output: bool,
}

fn arrays(entry: &Entry) -> Vec<Array<'_>> {
    let graph = &entry.graph;
    let outputs = graph.outputs.iter().map(|output| (&output.tensor, true));
    let all: Vec<_> = graph.inputs.iter().map(|input| (input, false)).chain(outputs).collect();
    let names = entry.parameters();
    let bytes = &entry.function.artifact.argument_bytes;
    names
        .into_iter()
        .zip(&all)
        .zip(bytes)
        .map(|((name, &(tensor, is_output)), &bytes)| Array { name, tensor, bytes, is_output })
        .collect()
}

fn function(entry: &Entry) -> String {
    let (symbol, graph) = (entry.symbol(), &entry.graph);
    let arrays = arrays(entry);
    let (form, hash) = (entry.schedule.form_name(), entry.schedule.hash());
    let mut text = format!("\n/* {}, {} of form {form}, {hash}.\n *\n", graph.name, entry.origin);
    for array in &arrays {
        let _ = writeln!(text, " *   {}", describe(array, graph));
    }
    let _ = write!(
        text,
        " *\n * An output shares no memory with another argument. `workspace` is aligned to {WORKSPACE_ALIGN} bytes and\n \
         * has at least {symbol}_workspace_bytes(threads) of them; with NULL the function takes its own\n \
         * for the time of the call. `parallel` may be NULL: then everything runs on the calling thread. */\n"
    );
    let parameters: Vec<String> = arrays.iter().map(parameter).collect();
    let _ = write!(
        text,
        "int32_t {symbol}({},\n    void *workspace, uint64_t workspace_bytes, const tilewright_parallel *parallel);\n",
        parameters.join(", ")
    );
    let _ = writeln!(text, "uint64_t {symbol}_workspace_bytes(uint64_t threads);");
    let _ = writeln!(text, "/* The most threads that it makes use of. */");
    let _ = writeln!(text, "#define {symbol}_THREADS {}", entry.threads());
    arrays.iter().for_each(|array| text.push_str(&macros(symbol, array, graph)));
    text
}

/// `const float *A`.
fn parameter(array: &Array<'_>) -> String {
    let constant = if array.is_output { "" } else { "const " };
    format!("{constant}{} *{}", c_type(array.tensor.dtype), array.name)
}

/// The C type of an element, or of what holds it.
fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "double",
        DType::F32 => "float",
        DType::F16 | DType::Bf16 => "uint16_t",
        DType::I32 => "int32_t",
        DType::I16 => "int16_t",
        DType::I8 => "int8_t",
        DType::U8 | DType::I4 | DType::Bool => "uint8_t",
    }
}

/// What `c_type` does not say.
fn meaning(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => ", the bits of IEEE binary16",
        DType::Bf16 => ", the upper half of a float",
        DType::I4 => ", two's complement, two to a byte, low half first",
        DType::Bool => ", 0 is false, every other true",
        DType::F64 | DType::F32 | DType::I32 | DType::I16 | DType::I8 | DType::U8 => "",
    }
}

fn strides(tensor: &Tensor, graph: &Graph) -> Vec<i64> {
    tensor.dimension_strides(&graph.axes).unwrap_or_default()
}

/// `A: input f32[m=4, k=5], strides 5, 1; 80 bytes, aligned to 4`.
fn describe(array: &Array<'_>, graph: &Graph) -> String {
    let (tensor, role) = (array.tensor, if array.is_output { "output" } else { "input" });
    let strides: Vec<String> = strides(tensor, graph).iter().map(i64::to_string).collect();
    let strides = match strides.is_empty() {
        true => String::new(),
        false => format!(", strides {}", strides.join(", ")),
    };
    let origin = match origin_bytes(tensor, graph) {
        0 => String::new(),
        bytes => format!(
            "; the pointer is that of the lowest element, index 0 lies {bytes} bytes behind it"
        ),
    };
    format!(
        "{}: {role} {}[{}]{strides}{}; {} bytes, aligned to {}{origin}",
        array.name,
        tensor.dtype,
        graph.show_shape(tensor),
        meaning(tensor.dtype),
        array.bytes,
        tensor.dtype.bytes(),
    )
}

fn origin_bytes(tensor: &Tensor, graph: &Graph) -> u64 {
    let memory = tensor.memory(&graph.axes);
    memory.map_or(0, |memory| memory.origin * tensor.dtype.bytes())
}

fn macros(symbol: &str, array: &Array<'_>, graph: &Graph) -> String {
    let name = format!("{symbol}_{}", array.name);
    let mut text = format!("#define {name}_BYTES UINT64_C({})\n", array.bytes);
    let origin = origin_bytes(array.tensor, graph);
    if origin > 0 {
        let _ = writeln!(text, "#define {name}_ORIGIN UINT64_C({origin})");
    }
    let shape = array.tensor.shape(&graph.axes);
    let _ = writeln!(text, "#define {name}_RANK {}", shape.len());
    if !shape.is_empty() {
        let list = |words: Vec<String>| words.join(", ");
        let shape = shape.iter().map(|extent| format!("UINT64_C({extent})")).collect();
        let strides = strides(array.tensor, graph)
            .iter()
            .map(|stride| format!("INT64_C({stride})"))
            .collect();
        let _ = writeln!(text, "#define {name}_SHAPE {{{}}}", list(shape));
        let _ = writeln!(text, "#define {name}_STRIDES {{{}}}", list(strides));
    }
    text
}
