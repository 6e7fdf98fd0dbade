//! Prints a syntax tree in the canonical form.
//!
//! Spaces and line ends are the printer's, parentheses and blank lines (one at most) the author's. A comment on a line of
//! its own stays before what followed it; a comment after code stays at the end of that statement's line.
//! Invariant: printing a parsed canonical text gives that text; every comment is printed once.

use super::ast::{
    Body, Call, Comment, Constant, Constraint, ConstraintKind, Expr, ExprKind, File, Function,
    Item, Kernel, Name, Prefix, SizeSet, TensorDecl,
};

/// A line longer than this is broken where the form allows it.
const WIDTH: usize = 100;

struct Printer<'a> {
    out: String,
    comments: std::iter::Peekable<std::slice::Iter<'a, Comment>>,
}

/// The canonical text of a tree.
pub fn print(file: &File) -> String {
    let mut printer = Printer { out: String::new(), comments: file.comments.iter().peekable() };
    for (position, item) in file.items.iter().enumerate() {
        let next = file.items.get(position + 1).map_or(u32::MAX, |next| next.span().start);
        printer.comments_before(item.span().start, "");
        printer.blank(item.blank_before());
        match item {
            Item::Function(function) => printer.function(function),
            Item::Kernel(kernel) => printer.kernel(kernel),
            Item::Sizes(sizes) => printer.sizes(sizes),
            Item::Constant(constant) => printer.constant(constant),
            Item::Faulty(..) => {}
        }
        printer.end_line(item.span().end, next);
    }
    printer.comments_before(u32::MAX, "");
    printer.out
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn blank(&mut self, wanted: bool) {
        let fresh = self.out.is_empty() || self.out.ends_with("\n\n") || self.out.ends_with("{\n");
        if wanted && !fresh {
            self.out.push('\n');
        }
    }

    /// Prints the comments that start before `offset`, each on a line of its own.
    fn comments_before(&mut self, offset: u32, indent: &str) {
        while let Some(comment) = self.comments.next_if(|comment| comment.span.start < offset) {
            self.blank(comment.blank_before);
            self.push(&format!("{indent}{}\n", comment.text));
        }
    }

    /// Ends a line of code that ends at `offset` in the source, with the comment that stands after it and before `next`,
    /// where the code goes on.
    fn end_line(&mut self, offset: u32, next: u32) {
        let inside = |comment: &&Comment| comment.span.start < offset;
        let mut kept: Vec<&str> = vec![];
        while let Some(comment) = self.comments.next_if(inside) {
            kept.push(&comment.text);
        }
        let follows = |comment: &&Comment| !comment.own_line && comment.span.start < next;
        let after = self.comments.next_if(follows);
        kept.extend(after.map(|comment| comment.text.as_str()));
        if let Some((last, others)) = kept.split_last() {
            // Comments from inside a statement that was broken over lines: the last stays at the end of the line.
            let line = self.out.rfind('\n').map_or(0, |newline| newline + 1);
            let indent: String = self.out[line..].chars().take_while(|&char| char == ' ').collect();
            let lines: String = others.iter().map(|text| format!("{indent}{text}\n")).collect();
            self.out.insert_str(line, &lines);
            self.push("  ");
            self.push(last);
        }
        self.out.push('\n');
    }

    fn function(&mut self, function: &Function) {
        let bracketed = match function.axes.is_empty() {
            true => String::new(),
            false => format!("[{}]", axes(&function.axes)),
        };
        let head = format!("fn {}{bracketed}({})", function.name.text, names(&function.parameters));
        self.push(&head);
        let body_end = function.body.span.end;
        let commented = self.comments.peek().is_some_and(|comment| comment.span.start < body_end);
        if let ([result], false) = (function.body.statements.as_slice(), commented) {
            let line = format!(" {{ {} }}", expr(&result.value));
            if head.len() + line.len() <= WIDTH {
                return self.push(&line);
            }
        }
        self.push(" ");
        self.body(&function.body);
    }

    fn constant(&mut self, constant: &Constant) {
        self.push(&format!("const {} = {}", constant.name.text, expr(&constant.value)));
    }

    fn kernel(&mut self, kernel: &Kernel) {
        for attribute in &kernel.attributes {
            let arguments: Vec<_> = attribute
                .arguments
                .iter()
                .map(|(name, value)| match value {
                    Some(value) => format!("{}={}", name.text, value.text),
                    None => name.text.clone(),
                })
                .collect();
            self.push(&format!("@{}", attribute.name.text));
            if !arguments.is_empty() {
                self.push(&format!("({})", arguments.join(", ")));
            }
            self.push("\n");
        }
        self.push(&signature(kernel));
        if kernel.constraints.is_empty() {
            self.push(" ");
        } else {
            let constraints: Vec<_> = kernel.constraints.iter().map(constraint).collect();
            self.push(&format!("\n  where {}\n", constraints.join(", ")));
        }
        self.body(&kernel.body);
    }

    fn body(&mut self, body: &Body) {
        self.push("{");
        // Comments from the head, if any, move to the first line of the body.
        let start_of = |position: usize| {
            body.statements.get(position).map_or(body.span.end, |statement| statement.span.start)
        };
        self.end_line(body.span.start + 1, start_of(0));
        for (position, statement) in body.statements.iter().enumerate() {
            self.comments_before(statement.span.start, "  ");
            self.blank(statement.blank_before);
            self.push("  ");
            if let Some(name) = &statement.name {
                self.push(&format!("{} = ", name.text));
            }
            self.push(&expr(&statement.value));
            self.end_line(statement.span.end, start_of(position + 1));
        }
        self.comments_before(body.span.end, "  ");
        self.push("}");
    }

    fn sizes(&mut self, sizes: &SizeSet) {
        self.push(&format!("sizes {} ", sizes.name.text));
        if let Some(kernel) = &sizes.kernel {
            self.push(&format!("for {} ", kernel.text));
        }
        let extents =
            sizes.extents.iter().map(|(axis, extent)| format!("{}={}", axis.text, expr(extent)));
        self.push(&format!("{{ {} }}", extents.collect::<Vec<_>>().join(", ")));
    }
}

/// The head of a kernel on one line, or with the inputs on lines of their own, and then the outputs too if they are long.
fn signature(kernel: &Kernel) -> String {
    let inputs: Vec<_> = kernel.inputs.iter().map(tensor).collect();
    let outputs: Vec<_> = kernel.outputs.iter().map(tensor).collect();
    let result = match outputs.as_slice() {
        [only] => only.clone(),
        several => format!("({})", several.join(", ")),
    };
    let name = &kernel.name.text;
    let head = format!("kernel {name}({}) -> {result}", inputs.join(", "));
    if head.len() + 2 <= WIDTH {
        return head;
    }
    let last = format!(") -> {result}");
    let width = if inputs.is_empty() { head.len() } else { last.len() };
    let last = match outputs.len() > 1 && width + 2 > WIDTH {
        true => format!(") -> (\n    {},\n)", outputs.join(",\n    ")),
        false => last,
    };
    match inputs.is_empty() {
        true => format!("kernel {name}({last}"),
        false => format!("kernel {name}(\n    {},\n{last}", inputs.join(",\n    ")),
    }
}

fn names(names: &[Name]) -> String {
    names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn axes(axes: &[Name]) -> String {
    axes.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(",")
}

fn tensor(tensor: &TensorDecl) -> String {
    let mut text = tensor.name.as_ref().map(|name| format!("{}: ", name.text)).unwrap_or_default();
    text.push_str(tensor.dtype.dtype.map_or("?", |dtype| dtype.name()));
    if !tensor.axes.is_empty() {
        text.push_str(&format!("[{}]", axes(&tensor.axes)));
    }
    if let Some(strides) = &tensor.strides {
        text.push_str(&format!(" strides({})", list(strides)));
    }
    text
}

fn constraint(constraint: &Constraint) -> String {
    let axis = &constraint.axis.text;
    match &constraint.kind {
        ConstraintKind::Range(low, high) => format!("{axis} in {}..{}", expr(low), expr(high)),
        ConstraintKind::Compare(op, bound) => format!("{axis} {op} {}", expr(bound)),
        ConstraintKind::Split(value) => format!("{axis} = {}", expr(value)),
    }
}

fn list(exprs: &[Expr]) -> String {
    exprs.iter().map(expr).collect::<Vec<_>>().join(", ")
}

/// The canonical text of an expression, on one line.
pub(crate) fn expr(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(&mut out, expr);
    out
}

fn write_expr(out: &mut String, expr: &Expr) {
    match &expr.kind {
        ExprKind::Number(text) | ExprKind::Name(text) => out.push_str(text),
        ExprKind::Faulty => out.push('?'),
        ExprKind::Prefix(op, x) => {
            out.push(if *op == Prefix::Neg { '-' } else { '!' });
            write_expr(out, x);
        }
        ExprKind::Infix(op, x, y) => {
            write_expr(out, x);
            out.push_str(&format!(" {} ", op.symbol()));
            write_expr(out, y);
        }
        ExprKind::Call(Call { name, axes, arguments }) => {
            out.push_str(&name.text);
            if let Some(axes) = axes {
                out.push_str(&format!("[{}]", self::axes(axes)));
            }
            write_list(out, ['(', ')'], arguments);
        }
        ExprKind::Subscript(name, indices) => {
            out.push_str(&name.text);
            write_list(out, ['[', ']'], indices);
        }
        ExprKind::Typed(x, ty) => {
            write_expr(out, x);
            out.push_str(" : ");
            out.push_str(ty.dtype.map_or("?", |dtype| dtype.name()));
        }
        ExprKind::Paren(x) => write_list(out, ['(', ')'], std::slice::from_ref(&**x)),
        ExprKind::Tuple(parts) => write_list(out, ['(', ')'], parts),
    }
}

fn write_list(out: &mut String, brackets: [char; 2], parts: &[Expr]) {
    let tight = brackets[0] == '[' && parts.iter().all(|x| matches!(x.kind, ExprKind::Name(_)));
    out.push(brackets[0]);
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            out.push_str(if tight { "," } else { ", " });
        }
        write_expr(out, part);
    }
    out.push(brackets[1]);
}
