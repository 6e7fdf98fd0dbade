//! Random graphs: `check(print(g))` gives `g` again, and the rules of `graph::verify` hold.
//!
//! The graphs hold what a checker or a rewrite can make: no arithmetic in floats below 32 bits, which occur as inputs,
//! casts and accumulators, and no products of 8-bit integers in 8 bits.

use proptest::prelude::*;
use tilewright_ir::check::check;
use tilewright_ir::graph::{self, Graph, GraphBuilder, NodeId, Output, Tensor};
use tilewright_ir::{AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// One step of building: which operation, on which of the values so far, with which variant.
type Step = (u8, u8, u8, u8, u8);

const AXES: [&str; 3] = ["i", "j", "softmax_m"];
const NAMES: [&str; 5] = ["p", "i", "out", "sum", "v2"];

fn arithmetic(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::I32)
}

fn start() -> (GraphBuilder, Vec<NodeId>) {
    let mut builder = GraphBuilder::new("random");
    let axes = AXES.map(|name| builder.axis(name));
    let [i, j, m] = axes;
    let mut values = vec![
        builder.input("a", DType::F32, &[i, j]),
        builder.input("b", DType::Bf16, &[j, m]),
        builder.input("v1", DType::I32, &[m]),
        builder.input("c", DType::F64, &[]),
        builder.input("d", DType::I8, &[i]),
    ];
    for axis in axes {
        values.push(builder.index(axis));
        values.push(builder.len(axis));
    }
    for (value, dtype) in [
        (0.1_f32 as f64, DType::F32),
        (2.0, DType::F32),
        (-0.0, DType::F32),
        (f64::NEG_INFINITY, DType::F32),
        (1e-300, DType::F64),
        (-3.0, DType::I32),
        (7.0, DType::I32),
        (0.5, DType::Bf16),
        (1.0, DType::Bool),
    ] {
        values.push(builder.literal(value, dtype));
    }
    (builder, values)
}

/// Applies a step where the types allow it.
fn step(
    builder: &mut GraphBuilder,
    values: &[NodeId],
    (kind, x, y, z, variant): Step,
) -> Option<NodeId> {
    let pick = |byte: u8| values[usize::from(byte) * values.len() / 256];
    let (x, y, z) = (pick(x), pick(y), pick(z));
    let (left, right) = (*builder.node(x), *builder.node(y));
    let of = |count: usize| usize::from(variant) % count;
    let same = left.dtype == right.dtype;
    match kind % 8 {
        0 => {
            let op = UnaryOp::ALL[of(UnaryOp::ALL.len())];
            let whole = matches!(op, UnaryOp::Neg | UnaryOp::Abs);
            let fits = match left.dtype {
                DType::Bool => op == UnaryOp::Not,
                DType::I32 => whole,
                dtype => arithmetic(dtype) && op != UnaryOp::Not,
            };
            fits.then(|| builder.unary(op, x))
        }
        1 => {
            let op = BinaryOp::ALL[of(BinaryOp::ALL.len())];
            let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
            let fits = match left.dtype {
                DType::Bool => logical,
                DType::I32 => !logical && op != BinaryOp::Pow,
                dtype => arithmetic(dtype) && !logical,
            };
            (same && fits).then(|| builder.binary(op, x, y))
        }
        2 => (same && arithmetic(left.dtype))
            .then(|| builder.compare(CompareOp::ALL[of(CompareOp::ALL.len())], x, y)),
        3 => {
            let fits = same && (arithmetic(left.dtype) || left.dtype == DType::Bool);
            (fits && builder.node(z).dtype == DType::Bool).then(|| builder.select(z, x, y))
        }
        4 | 5 => {
            let types = [DType::F32, DType::F64, DType::Bf16, DType::F16, DType::I32, DType::I8];
            Some(builder.cast(types[of(types.len())], x))
        }
        6 => {
            let scans: Vec<ReduceOp> =
                ReduceOp::ALL.iter().copied().filter(|op| op.scan_name().is_some()).collect();
            let axis = left.axes.iter().last();
            let axis = axis.filter(|_| left.dtype != DType::Bool);
            axis.map(|axis| builder.scan(scans[of(scans.len())], axis, x))
        }
        _ => {
            let op = ReduceOp::ALL[of(ReduceOp::ALL.len())];
            let logical = matches!(op, ReduceOp::All | ReduceOp::Any);
            let fits = match op {
                ReduceOp::All | ReduceOp::Any => left.dtype == DType::Bool,
                // An index has no accumulator to state, so its operand is of a type that stays.
                ReduceOp::Argmax | ReduceOp::Argmin => arithmetic(left.dtype),
                _ => left.dtype != DType::Bool,
            };
            let first: AxisSet = left.axes.iter().take(1 + usize::from(variant % 2)).collect();
            (fits && !first.is_empty() && (logical || left.dtype != DType::Bool))
                .then(|| builder.reduce(op, first, x))
        }
    }
}

fn random_graph(steps: &[Step]) -> Graph {
    let (mut builder, mut values) = start();
    for &step_ in steps {
        if let Some(node) = step(&mut builder, &values, step_) {
            values.push(node);
            if step_.4 % 5 == 0 {
                builder.name(node, NAMES[usize::from(step_.4 / 5) % NAMES.len()]);
            }
        }
    }
    let outputs = [("out", values.len() - 1), ("y", values.len() / 2)];
    let outputs = outputs.map(|(name, position)| {
        let node = values[position];
        let (dtype, axes) =
            (builder.node(node).dtype, builder.node(node).axes.iter().collect::<Vec<_>>());
        Output { tensor: Tensor::new(name, dtype, &axes), node }
    });
    builder.finish(outputs.into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_graph_survives_its_text(steps in proptest::collection::vec(any::<Step>(), 0..60)) {
        let graph = random_graph(&steps);
        prop_assert_eq!(graph::verify(&graph), Ok(()));
        let text = graph.print();
        let again = match check(&text) {
            Ok(file) => file.kernels[0].graph.clone(),
            Err(faults) => {
                return Err(TestCaseError::fail(format!("{text}{}", tilewright_ir::diag::to_text("g", &text, &faults))));
            }
        };
        // `v2` may be a name that a text does not keep.
        let kept = |graph: &Graph| {
            let mut graph = graph.clone();
            let own = |name: &String| !name.starts_with('v');
            graph.names.iter_mut().for_each(|name| *name = name.take().filter(own));
            graph
        };
        prop_assert_eq!(kept(&again), kept(&graph), "{}", text);
    }
}
