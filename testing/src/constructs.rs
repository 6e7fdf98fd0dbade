//! The constructs of a text, by name, so that a tally shows which of them random files really have.

use std::collections::BTreeSet;
use tilewright_ir::syntax::ast::{Body, ConstraintKind, Expr, ExprKind, Item, Prefix, TensorDecl};
use tilewright_ir::syntax::parse;

/// Every construct that a text has at least once.
pub(crate) fn of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut kernels = 0;
    for item in &parse(text).file.items {
        match item {
            Item::Function(function) => {
                found.insert("fn".to_string());
                body(&function.body, &mut found);
            }
            Item::Kernel(kernel) => {
                kernels += 1;
                kernel.inputs.iter().for_each(|one| tensor(one, "input", &mut found));
                kernel.outputs.iter().for_each(|one| tensor(one, "output", &mut found));
                for attribute in &kernel.attributes {
                    found.insert(format!("@{}", attribute.name.text));
                }
                for constraint in &kernel.constraints {
                    let split = matches!(constraint.kind, ConstraintKind::Split(_));
                    found.insert(if split { "split axis" } else { "limit" }.to_string());
                }
                if kernel.outputs.len() > 1 {
                    found.insert("outputs".to_string());
                }
                body(&kernel.body, &mut found);
            }
            Item::Constant(_) => {
                found.insert("const".to_string());
            }
            Item::Sizes(_) | Item::Faulty(..) => {}
        }
    }
    if kernels > 1 {
        found.insert("kernels".to_string());
    }
    found
}

fn tensor(tensor: &TensorDecl, place: &str, found: &mut BTreeSet<String>) {
    if let Some(dtype) = tensor.dtype.dtype {
        found.insert(format!("{place}:{dtype}"));
    }
    if tensor.strides.is_some() {
        found.insert("strides".to_string());
    }
    if tensor.axes.is_empty() {
        found.insert(format!("{place} without axes"));
    }
}

fn body(body: &Body, found: &mut BTreeSet<String>) {
    for statement in &body.statements {
        if statement.name.is_some() {
            found.insert("let".to_string());
        }
        expr(&statement.value, found);
    }
}

fn expr(value: &Expr, found: &mut BTreeSet<String>) {
    let name = match &value.kind {
        ExprKind::Prefix(Prefix::Neg, _) => Some("prefix -".to_string()),
        ExprKind::Prefix(Prefix::Not, _) => Some("!".to_string()),
        ExprKind::Infix(op, ..) => Some(op.symbol().to_string()),
        ExprKind::Call(call) if !is_drawn(&call.name.text) => Some(call.name.text.clone()),
        ExprKind::Call(_) => Some("fn call".to_string()),
        ExprKind::Subscript(..) => Some("gather".to_string()),
        ExprKind::Typed(x, ty) => ty.dtype.map(|dtype| {
            let accumulator = matches!(&x.kind, ExprKind::Call(call) if call.axes.is_some());
            format!("{}{dtype}", if accumulator { "accumulator:" } else { "cast:" })
        }),
        ExprKind::Number(_)
        | ExprKind::Name(_)
        | ExprKind::Paren(_)
        | ExprKind::Tuple(_)
        | ExprKind::Faulty => None,
    };
    found.extend(name);
    value.children().into_iter().for_each(|child| expr(child, found));
}

/// Whether this is a name that the generator gives to functions.
fn is_drawn(name: &str) -> bool {
    let number = name.strip_prefix('f').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}
