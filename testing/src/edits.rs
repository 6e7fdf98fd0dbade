//! Ways to make a kernel text smaller: each is a list of places and what to write there.
//!
//! Edits are found on the syntax tree and made on the text, so they hold for every construct that the parser knows; the
//! checker says which of the results are kernels. Invariant: the places of an edit do not overlap and every edit makes
//! the text shorter or its numbers smaller.

use tilewright_ir::diag::Span;
use tilewright_ir::syntax::ast::{Expr, ExprKind, Item, Kernel, TensorDecl};
use tilewright_ir::syntax::parse;

/// Places and their new texts, in text order.
#[derive(Clone, Debug)]
pub(crate) struct Edit(Vec<(usize, usize, String)>);

impl Edit {
    fn cut(start: usize, end: usize) -> Self {
        Self(vec![(start, end, String::new())])
    }

    fn replace(span: Span, with: impl Into<String>) -> Self {
        Self(vec![(span.start as usize, span.end as usize, with.into())])
    }

    /// The text with the edit made.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut result = String::new();
        let mut at = 0;
        for (start, end, with) in &self.0 {
            result += &text[at..*start];
            result += with;
            at = *end;
        }
        result + &text[at..]
    }

    /// How many bytes shorter the text becomes.
    fn gain(&self) -> i64 {
        self.0.iter().map(|(start, end, with)| (end - start) as i64 - with.len() as i64).sum()
    }
}

/// Every edit of a text, the largest first.
pub(crate) fn all(text: &str) -> Vec<Edit> {
    let file = parse(text).file;
    let mut edits = vec![];
    for comment in &file.comments {
        edits.push(Edit::replace(comment.span, ""));
    }
    for (position, item) in file.items.iter().enumerate() {
        let span = item.span();
        // A kernel goes with its size sets.
        let own =
            file.items[position + 1..].iter().take_while(|next| matches!(next, Item::Sizes(_)));
        if let (Item::Kernel(_), Some(last)) = (item, own.last()) {
            edits.push(Edit::cut(span.start as usize, last.span().end as usize));
        }
        edits.push(Edit::replace(span, ""));
        match item {
            Item::Function(function) => {
                for statement in &function.body.statements {
                    self::statement(statement, &[], &mut edits);
                }
            }
            Item::Kernel(kernel) => self::kernel(text, kernel, &mut edits),
            Item::Sizes(sizes) => {
                sizes.extents.iter().for_each(|(_, extent)| extents(extent, &mut edits));
            }
            Item::Constant(constant) => expr(&constant.value, &[], &mut edits),
            Item::Faulty(..) => {}
        }
    }
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.gain()));
    edits
}

fn statement(
    statement: &tilewright_ir::syntax::ast::Statement,
    leaves: &[&str],
    edits: &mut Vec<Edit>,
) {
    if statement.name.is_some() {
        edits.push(Edit::replace(statement.span, ""));
    }
    expr(&statement.value, leaves, edits);
}

fn kernel(text: &str, kernel: &Kernel, edits: &mut Vec<Edit>) {
    for attribute in &kernel.attributes {
        edits.push(Edit::replace(attribute.span, ""));
    }
    let leaves: Vec<&str> = kernel
        .inputs
        .iter()
        .take(2)
        .filter_map(|input| input.name.as_ref())
        .map(|name| name.text.as_str())
        .collect();
    for statement in &kernel.body.statements {
        self::statement(statement, &leaves, edits);
    }
    members(&spans(&kernel.inputs), edits);
    for tensor in kernel.inputs.iter().chain(&kernel.outputs) {
        let axes: Vec<Span> = tensor.axes.iter().map(|name| name.span).collect();
        members(&axes, edits);
    }
    limits(text, kernel, edits);
    results(kernel, edits);
}

fn spans(tensors: &[TensorDecl]) -> Vec<Span> {
    tensors.iter().map(|tensor| tensor.span).collect()
}

/// The place of a member of a list with the comma that goes with it.
fn member(list: &[Span], position: usize) -> (usize, usize) {
    let own = list[position];
    match (list.get(position + 1), position.checked_sub(1)) {
        (Some(next), _) => (own.start as usize, next.start as usize),
        (None, Some(before)) => (list[before].end as usize, own.end as usize),
        (None, None) => (own.start as usize, own.end as usize),
    }
}

/// Removes one member of a list.
fn members(list: &[Span], edits: &mut Vec<Edit>) {
    for position in 0..list.len() {
        let (start, end) = member(list, position);
        edits.push(Edit::cut(start, end));
    }
    if let [only] = list {
        // Brackets around nothing are no type.
        edits.push(Edit::cut(only.start as usize - 1, only.end as usize + 1));
    }
}

/// Removes the `where` clause, or one of its members.
fn limits(text: &str, kernel: &Kernel, edits: &mut Vec<Edit>) {
    let list: Vec<Span> = kernel.constraints.iter().map(|one| one.span).collect();
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return };
    if let Some(word) = text[..first.start as usize].rfind("where") {
        edits.push(Edit::cut(word, last.end as usize));
    }
    if list.len() > 1 {
        members(&list, edits);
    }
}

/// Removes an output with its result.
fn results(kernel: &Kernel, edits: &mut Vec<Edit>) {
    let last = kernel.body.statements.last();
    let Some(ExprKind::Tuple(parts)) = last.map(|statement| &statement.value.kind) else { return };
    let outputs = spans(&kernel.outputs);
    let parts: Vec<Span> = parts.iter().map(|part| part.span).collect();
    for position in 0..parts.len().min(outputs.len()) {
        let (from, to) = member(&outputs, position);
        let (start, end) = member(&parts, position);
        edits.push(Edit(vec![(from, to, String::new()), (start, end, String::new())]));
    }
}

/// Replaces an expression by one of its operands or by a leaf, and the same within it.
fn expr(value: &Expr, leaves: &[&str], edits: &mut Vec<Edit>) {
    let length = value.span.end - value.span.start;
    for child in value.children() {
        edits.push(Edit(vec![
            (value.span.start as usize, child.span.start as usize, "(".to_string()),
            (child.span.end as usize, value.span.end as usize, ")".to_string()),
        ]));
        if !matches!(value.kind, ExprKind::Paren(_) | ExprKind::Tuple(_)) {
            edits.push(Edit(vec![
                (value.span.start as usize, child.span.start as usize, String::new()),
                (child.span.end as usize, value.span.end as usize, String::new()),
            ]));
        }
        expr(child, leaves, edits);
    }
    if let ExprKind::Paren(inner) = &value.kind {
        edits.push(Edit(vec![
            (value.span.start as usize, inner.span.start as usize, String::new()),
            (inner.span.end as usize, value.span.end as usize, String::new()),
        ]));
    }
    if let ExprKind::Call(call) = &value.kind
        && let Some(axes) = &call.axes
        && axes.len() > 1
    {
        let axes: Vec<Span> = axes.iter().map(|name| name.span).collect();
        members(&axes, edits);
    }
    for leaf in leaves.iter().copied().chain(["1", "0.5", "true"]) {
        let plain = matches!(value.kind, ExprKind::Number(_) | ExprKind::Name(_));
        if !plain && leaf.len() < length as usize {
            edits.push(Edit::replace(value.span, leaf));
        }
    }
}

/// Makes an extent smaller.
fn extents(value: &Expr, edits: &mut Vec<Edit>) {
    let ExprKind::Number(digits) = &value.kind else { return };
    let Ok(extent) = digits.replace('_', "").parse::<u64>() else { return };
    let mut smaller: Vec<u64> = vec![1, 2, 3, extent / 2, extent.saturating_sub(1)];
    smaller.retain(|&one| one < extent && one > 0);
    smaller.dedup();
    edits.extend(smaller.iter().map(|one| Edit::replace(value.span, one.to_string())));
}
