//! Plans, schedules and lowerings of a set of graphs, checked against each other and against kept texts.

#[path = "plan/equal.rs"]
mod equal;
#[path = "plan/graphs.rs"]
mod graphs;

use tilewright_ir::target::{MemoryLevel, Target};

/// A small machine with 128-bit vectors.
fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        threads: 2,
        memory: vec![level("L1", 32 << 10), level("L2", 1 << 20)],
    }
}

#[test]
fn peek() {
    use tilewright_ir::{lower, plan, schedule::Space, tile};
    use rand::SeedableRng;
    for (name, graph) in [("mm", graphs::matmul(512,512,512)), ("lin", graphs::linear_gelu(1024,1024,1024)), ("sm", graphs::softmax(1024,4096)), ("ln", graphs::layernorm(1024,1024)),("att", graphs::attention(8,1024,64))] {
        let plan = plan::build(&graph);
        println!("## {name}\n{}", plan::print(&plan));
        let space = Space::new(&plan, &target());
        println!("combinations {:e} choices {}", space.combinations(), space.choices.len());
        let s = space.default_schedule();
        println!("{}", tile::print(&lower::lower_in(&space, &s).unwrap()));
        let s = space.naive_schedule();
        println!("{}", tile::print(&lower::lower_in(&space, &s).unwrap()));
        let mut distinct = std::collections::BTreeSet::new();
        let mut defaults = 0;
        let t = std::time::SystemTime::now();
        for seed in 0..200 {
            let s = space.sample(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            defaults += usize::from(s == space.default_schedule());
            distinct.insert(s.print());
        }
        println!("distinct {} defaults {defaults} {:?}", distinct.len(), t.elapsed());
    }
}
