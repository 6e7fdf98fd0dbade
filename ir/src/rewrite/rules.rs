//! The rules, one row each. No rule knows a kernel: they speak of sums, products, exponentials and maxima.

use super::casts::keep_precision;
use super::centre::centre;
use super::factor::{
    collect_exponentials, factor_sum, interchange, log_of_product, where_of_exponential,
    where_of_product,
};
use super::language::Math;
use super::roll::{roll, stabilise};
use super::rule::{How, Rule, RuleClass};
use super::shift::{distribute, shift};

use How::{Node, Pattern};
use RuleClass::{Exact, Range, Reassociating};

fn is_sum(node: &Math) -> bool {
    matches!(node, Math::Sum(_))
}

fn is_product(node: &Math) -> bool {
    matches!(node, Math::Mul(_))
}

fn is_log(node: &Math) -> bool {
    matches!(node, Math::Log(_) | Math::Log2(_))
}

fn is_where(node: &Math) -> bool {
    matches!(node, Math::Where(_))
}

fn is_other(node: &Math) -> bool {
    matches!(node, Math::Other(..))
}

/// A row.
const fn rule(name: &'static str, class: RuleClass, meaning: &'static str, how: How) -> Rule {
    Rule { name, class, meaning, how }
}

/// All rules, in the order in which they are tried.
pub(super) const RULES: &[Rule] = &[
    rule("neg-neg", Exact, "--x = x", Pattern("(neg (neg ?x))", "?x")),
    rule("sum-neg", Exact, "sum(-x) = -sum(x)", Pattern("(sum ?j (neg ?x))", "(neg (sum ?j ?x))")),
    rule(
        "min-as-max",
        Exact,
        "min(x) = -max(-x)",
        Pattern("(min-of ?j ?x)", "(neg (max-of ?j (neg ?x)))"),
    ),
    rule("recip-recip", Reassociating, "1 / (1 / x) = x", Pattern("(recip (recip ?x))", "?x")),
    rule(
        "recip-product",
        Range,
        "1 / (x y) = 1 / x * 1 / y",
        Pattern("(recip (* ?x ?y))", "(* (recip ?x) (recip ?y))"),
    ),
    rule("recip-exp", Range, "1 / exp(x) = exp(-x)", Pattern("(recip (exp ?x))", "(exp (neg ?x))")),
    rule(
        "recip-exp2",
        Range,
        "1 / exp2(x) = exp2(-x)",
        Pattern("(recip (exp2 ?x))", "(exp2 (neg ?x))"),
    ),
    rule(
        "where-exp",
        Exact,
        "where(c, exp(x), 0) = exp(where(c, x, -inf))",
        Node(is_where, where_of_exponential),
    ),
    rule(
        "log-product",
        Range,
        "log(exp(x) y) = x + log(y), and to base two",
        Node(is_log, log_of_product),
    ),
    rule(
        "exp-product",
        Range,
        "exp(x) exp(y) = exp(x + y)",
        Node(is_product, collect_exponentials),
    ),
    rule(
        "where-product",
        Range,
        "where(c, 0, x y) = x where(c, 0, y), if x = 0 where c",
        Node(is_where, where_of_product),
    ),
    rule(
        "keep-precision",
        Reassociating,
        "(x : narrow) : wide = x, which the narrow type holds up to rounding",
        Node(is_other, keep_precision),
    ),
    rule("sum-factor", Range, "sum[j](c x) = c sum[j](x), c without j", Node(is_sum, factor_sum)),
    rule(
        "sum-interchange",
        Reassociating,
        "sum[j](x sum[k](y)) = sum[k](sum[j](x y))",
        Node(is_sum, interchange),
    ),
    rule(
        "stabilise",
        Range,
        "sum[j](exp(x) y) = exp(m) sum[j](exp(x - m) y), m = max[j](x)",
        Node(is_sum, stabilise),
    ),
    rule(
        "roll",
        Range,
        "sum[j](exp(x - c m) y), m = max[j]: one traversal with m, rescaled as m grows",
        Node(is_sum, roll),
    ),
    rule(
        "centre",
        Reassociating,
        "sum[j]((x - mean x)(y - mean y)): one traversal with the means, shifted as they move",
        Node(is_sum, centre),
    ),
    rule(
        "shift",
        Reassociating,
        "sum[j]((x - mean x) y): one traversal with the mean and sum[j](y), shifted as the mean moves",
        Node(is_sum, shift),
    ),
    rule(
        "sum-distribute",
        Range,
        "sum[j]((p + q) y) = sum[j](p y) + sum[j](q y), where the second sum has fewer axes",
        Node(is_sum, distribute),
    ),
];
