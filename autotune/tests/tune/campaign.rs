//! A campaign over real processes, with and without saboteurs among its candidates.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::code;
use crate::fake::{Fake, graph};
use std::sync::atomic::AtomicBool;
use tilewright_autotune::campaign::{LocalJob, LocalQueue, RunOptions, Summary, run};
use tilewright_autotune::protocol::{
    Began, CampaignBudget, CampaignSpec, FORMAT_VERSION, JobSpec, LoggedEvent, TargetName,
};
use tilewright_autotune::store::{Store, Task};
use tilewright_ir::backend::Backend;
use tilewright_ir::base::hash_text;
use tilewright_ir::plan;
use tilewright_ir::schedule::{Forms, Schedule};

const CHOICE: &str = "out.unroll";
const EVALUATIONS: u64 = 100;
/// A program of this hash modulo ten is sabotage.
const SABOTEUR: u8 = 3;

/// The fastest value of the choice is not the default.
fn turns(value: &str) -> u32 {
    match value {
        "8" => 20_000,
        "4" => 40_000,
        _ => 90_000,
    }
}

/// Honest code; of a tenth of the programs something that crashes, lies, forgets to work or never ends.
fn backend(with_sabotage: bool) -> Fake {
    Fake::by_program(move |program| {
        let text = format!("{:?}", program.choices);
        let hash = hash_text("program", &text).0;
        let value = program.choices.iter().find(|choice| choice.0 == CHOICE);
        let turns = turns(value.map_or("none", |choice| choice.1.as_str()));
        let mut image = if with_sabotage && hash[0] % 10 == SABOTEUR {
            match hash[1] % 5 {
                0 => code::delayed(100, code::SUBTRACT),
                1 => code::delayed(100, code::ILLEGAL),
                2 => code::add_at_first(12),
                3 => code::STORE_INPUT.to_vec(),
                _ => code::ENDLESS.to_vec(),
            }
        } else {
            code::delayed(turns, code::ADD)
        };
        image.extend(hash);
        Some(image)
    })
}

/// The winner of a campaign, and how many candidates it rejected for what they did.
fn campaign(with_sabotage: bool) -> (Schedule, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let (graph, backend) = (graph(), backend(with_sabotage));
    let task = Task::of(&graph, &plan::build(&graph), &backend);
    let spec = CampaignSpec {
        format_version: FORMAT_VERSION,
        name: "sabotage".to_string(),
        seed: 5,
        budget: CampaignBudget { evaluations: Some(EVALUATIONS), seconds: None },
        batch: 8,
        machine: TargetName::new(backend.target()),
        compiler: backend.version(),
        jobs: vec![JobSpec {
            kernel: graph.name.clone(),
            sizes: task.row().sizes.clone(),
            task: task.key(),
            share: 1.0,
            fixed: vec![],
            forbidden: vec![],
        }],
    };
    let mut store = Store::open(&path).unwrap();
    let (now, stop) = (|| 1_800_000_000, AtomicBool::new(false));
    let (fixed, forbidden) = (vec![], vec![]);
    let job = LocalJob { graph: &graph, backend: &backend, task: task.clone(), fixed, forbidden };
    let own = Store::open(&path).unwrap();
    let mut queue = LocalQueue::new(vec![job], own, None, (5, 1), &now, &stop).unwrap();
    let moves = vec![Forms::new(&graph, backend.target())];
    let mut summary = Summary::default();
    let mut see = |event: &LoggedEvent| {
        if let Some(event) = event.event() {
            summary.see(&event);
        }
    };
    let options = RunOptions { now: &now, stop: &stop };
    let began = Began { spec, seeds: vec![vec![]], priors: vec![] };
    let ended = run(&mut store, began, moves, &mut queue, &options, &mut see).unwrap();
    assert!(ended);
    let best = store.best(&task).unwrap().expect("most candidates are honest");
    let rejected = summary.jobs[0].rejected.iter().filter(|(reason, _)| *reason != "slow");
    let rejected = rejected.map(|(_, count)| count).sum();
    (Schedule::parse(&best.schedule).unwrap(), rejected)
}

#[test]
fn a_campaign_with_saboteurs_ends_with_the_same_winner() {
    let value = |schedule: &Schedule| schedule.get(CHOICE).map(ToString::to_string);
    let (honest, rejected) = campaign(false);
    assert_eq!((value(&honest).as_deref(), rejected), (Some("8"), 0));
    let (mixed, rejected) = campaign(true);
    assert!(rejected >= 3, "{rejected} were sabotage");
    assert_eq!(value(&mixed), value(&honest));
}
