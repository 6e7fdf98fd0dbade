//! How many passes the best forms have, which rules lead to them, and that nothing else decides.

use super::{cases, target};
use std::collections::BTreeSet;
use tilewright_ir::check;
use tilewright_ir::rewrite::{Growth, Limits, Order, Rewriter, rule_names};

#[test]
fn best_forms_have_the_fewest_passes() {
    for case in cases() {
        let graph = case.kernel.bind(&case.sizes).unwrap();
        let rewriter = Rewriter::new(&case.kernel.graph, Limits::default());
        assert_eq!(rewriter.growth.stop_reason, "saturated", "{}", case.name);
        assert!(rewriter.growth.nodes <= 2000, "{}: {:?}", case.name, rewriter.growth);
        let best = rewriter.forms(&graph, &target(), 1).swap_remove(0);
        let fits = case.passes.iter().all(|(axis, count)| best.passes.get(axis) == Some(count));
        assert!(fits, "{}: {:?}\n{}", case.name, best.passes, best.graph.print());
    }
}

#[test]
fn the_fewest_passes_are_offered_at_any_size() {
    for case in cases() {
        let sizes = case.sizes.keys().map(|axis| (axis.clone(), 48)).collect();
        let graph = case.kernel.bind(&sizes).unwrap();
        let rewriter = Rewriter::new(&case.kernel.graph, Limits::default());
        let forms = rewriter.forms(&graph, &target(), 4);
        let fits = |passes: &std::collections::BTreeMap<String, u32>| {
            case.passes.iter().all(|(axis, count)| passes.get(axis) == Some(count))
        };
        let passes: Vec<_> = forms.iter().map(|form| &form.passes).collect();
        assert!(passes.iter().any(|passes| fits(passes)), "{}: {passes:?}", case.name);
    }
}

#[test]
fn every_rule_is_used() {
    let mut used = BTreeSet::new();
    for case in cases() {
        used.extend(Rewriter::new(&case.kernel.graph, Limits::default()).growth.used.into_keys());
    }
    let unused: Vec<_> = rule_names().filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no kernel here needs {unused:?}");
}

#[test]
fn proofs_lead_from_the_text_to_the_form() {
    for case in cases() {
        let graph = case.kernel.bind(&case.sizes).unwrap();
        let mut rewriter = Rewriter::new(&case.kernel.graph, Limits::default());
        for form in rewriter.forms(&graph, &target(), 4) {
            let steps = rewriter.prove(&form);
            let changed = form.graph.print() != case.kernel.bind(&case.sizes).unwrap().print();
            let text = form.graph.print();
            let rolled = ["roll[", "roll_"].iter().any(|roll| text.contains(roll));
            let has_roll =
                steps.iter().any(|step| ["roll", "centre", "shift", "stream"].contains(&step.rule));
            assert_eq!(rolled, has_roll, "{}: {steps:?}\n{}", case.name, form.graph.print());
            assert!(!rolled || changed, "{}: a text has no rolls", case.name);
        }
    }
}

#[test]
fn the_order_of_the_rules_does_not_matter() {
    for case in cases() {
        let graph = case.kernel.bind(&case.sizes).unwrap();
        let best = |order| {
            let limits = Limits { order, ..Limits::default() };
            let rewriter = Rewriter::new(&case.kernel.graph, limits);
            rewriter.forms(&graph, &target(), 1).swap_remove(0)
        };
        let (one, other) = (best(Order::Table), best(Order::Reversed));
        assert_eq!(one.passes, other.passes, "{}", case.name);
        let ratio = one.predicted_ns / other.predicted_ns;
        assert!((0.99..=1.01).contains(&ratio), "{}: {ratio}", case.name);
    }
}

#[test]
fn the_same_text_gives_the_same_forms() {
    for case in cases() {
        let graph = case.kernel.bind(&case.sizes).unwrap();
        let texts = || -> Vec<String> {
            let rewriter = Rewriter::new(&case.kernel.graph, Limits::default());
            let forms = rewriter.forms(&graph, &target(), 4);
            forms.iter().map(|form| form.graph.print()).collect()
        };
        assert_eq!(texts(), texts(), "{}", case.name);
    }
}

#[test]
fn attributes_restrict_the_rules() {
    let text = "kernel f(x: f32[i,j], v: f32[j]) -> f32[i] { p = exp(x - max[j](x))\n \
                sum[j](p * v) / sum[j](p) }";
    let passes = |attribute: &str| {
        let file = tilewright_ir::check::check(&format!("{attribute}\n{text}")).unwrap();
        let sizes = [("i".to_string(), 512), ("j".to_string(), 4096)].into_iter().collect();
        let graph = file.kernels[0].bind(&sizes).unwrap();
        let forms = Rewriter::new(&graph, Limits::default()).forms(&graph, &target(), 1);
        forms.first().map(|form| form.passes["j"])
    };
    assert_eq!(passes(""), Some(1));
    assert_eq!(passes("@approx(eps=1e-3)"), Some(1));
    assert_eq!(passes("@reassoc"), Some(2));
    assert_eq!(passes("@exact"), None);
}

/// So many residual layers, which saturate at about 30 nodes each.
fn layers(count: usize) -> String {
    let mut text = "kernel layers(x: f32[i,j], w: f32[j]) -> f32[i,j] {\n  p0 = x\n".to_string();
    for layer in 0..count {
        let next = layer + 1;
        text.push_str(&format!("  p{next} = p{layer} + softmax[j](p{layer} * w)\n"));
    }
    text + &format!("  p{count}\n}}\n")
}

#[test]
fn the_limit_of_nodes_holds_within_a_round() {
    let graph = check::check(&layers(15)).unwrap().kernels.swap_remove(0).graph;
    let grown = |nodes| Rewriter::new(&graph, Limits { nodes, ..Limits::default() }).growth;
    let whole = grown(2000);
    assert_eq!(whole.stop_reason, "saturated");
    for nodes in [whole.nodes - 20, whole.nodes - 80, whole.nodes - 150] {
        let growth = grown(nodes);
        assert_eq!(growth.stop_reason, "nodes", "{nodes}: {growth:?}");
        assert!(growth.nodes <= nodes + 50, "{nodes}: {growth:?}");
        assert_eq!(Growth { time_us: 0, ..growth }, Growth { time_us: 0, ..grown(nodes) });
    }
    // Where everything fits, the limit changes nothing.
    let growth = grown(whole.nodes + 100);
    assert_eq!(Growth { time_us: 0, ..growth }, Growth { time_us: 0, ..whole });
}
