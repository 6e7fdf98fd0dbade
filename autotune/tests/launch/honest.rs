//! What a session promises to code that keeps its contract.

use crate::code::{self, artifact, sized};
use tilewright_autotune::launch::{Session, SessionOptions};
use tilewright_ir::DType;
use tilewright_ir::backend::{Artifact, Launch};
use tilewright_ir::reference::HostTensor;

fn floats(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

/// The inputs of slot `slot` and their sum.
fn case(slot: usize, count: u64) -> ([Vec<u8>; 2], Vec<u8>) {
    let a = (0..count).map(|i| (i * i % 1009) as f32 + slot as f32 * 0.5);
    let b = (0..count).map(|i| 3.0 - i as f32);
    let sum = floats(a.clone().zip(b.clone()).map(|(a, b)| a + b));
    ([floats(a), floats(b)], sum)
}

/// Runs one call per slot and compares every output.
#[track_caller]
fn adds(artifact: &Artifact, count: u64, options: &SessionOptions) {
    let mut session = Session::start(artifact, options).unwrap();
    for slot in 0..options.slots {
        let ([a, b], _) = case(slot, count);
        session.set_input_bytes(slot, &[&a, &b]).unwrap();
        session.poison(slot, 77 + slot as u64).unwrap();
    }
    session.run(options.slots as u64).unwrap();
    for slot in 0..options.slots {
        let outputs = session.outputs(slot).unwrap();
        assert!(outputs == [case(slot, count).1], "slot {slot} of {options:?}");
    }
}

#[test]
fn every_slot_has_its_own_numbers() {
    for count in [1, 16, 17, 1024, 5000] {
        let bytes = [count * 4; 3];
        for slots in [1, 2, 5] {
            let options = SessionOptions { slots, ..SessionOptions::default() };
            adds(&sized(code::ADD, count, 1, bytes), count, &options);
        }
    }
}

#[test]
fn threads_share_the_iterations() {
    for (count, threads) in [(1, 2), (7, 2), (10_000, 2), (10_000, 5), (3, 64)] {
        let options = SessionOptions { slots: 2, threads, ..SessionOptions::default() };
        adds(&sized(code::ADD, count, 64, [count * 4; 3]), count, &options);
    }
}

#[test]
fn every_iteration_runs_once_in_every_call() {
    let iterations = 4097;
    let artifact = sized(code::COUNT, iterations, 4, [4, 4, iterations * 4]);
    let options = SessionOptions { threads: 4, ..SessionOptions::default() };
    let mut session = Session::start(&artifact, &options).unwrap();
    let read = |session: &mut Session| -> Vec<u32> {
        let bytes = session.outputs(0).unwrap()[0].to_vec();
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let before = read(&mut session);
    for (calls, total) in [(1, 1), (300, 301), (2, 303)] {
        session.run(calls).unwrap();
        let counted = read(&mut session);
        assert!(
            counted.iter().zip(&before).all(|(now, before)| now.wrapping_sub(*before) == total)
        );
    }
}

#[test]
fn threads_have_scratch_of_their_own() {
    let iterations = 64;
    let artifact = sized(code::WHO, iterations, 2, [4, 4, iterations * 8]);
    let options = SessionOptions { threads: 2, ..SessionOptions::default() };
    let mut session = Session::start(&artifact, &options).unwrap();
    // Whether the second thread gets a chunk in any one call is the system's decision.
    let several = (0..200).any(|_| {
        session.run(1).unwrap();
        let outputs = session.outputs(0).unwrap();
        let scratch: std::collections::BTreeSet<_> = outputs[0].chunks(8).collect();
        assert!(scratch.len() <= 2);
        scratch.len() == 2
    });
    assert!(several, "one thread did all the work in 200 calls");
}

#[test]
fn launches_pass_data_through_device_buffers() {
    let count = 1000;
    let mut image = code::STAGE.to_vec();
    image.resize(image.len().next_multiple_of(64), 0xcc);
    let second = image.len() as u64;
    image.extend(code::DOUBLE);
    let launch = |entry| Launch { entry, iterations: count, scratch_bytes: 64, threads: 2 };
    let artifact = Artifact {
        image,
        launches: vec![launch(0), launch(second)],
        device_bytes: vec![count * 4],
        ..sized(code::RETURN, 0, 1, [count * 4; 3])
    };
    let options = SessionOptions { threads: 2, ..SessionOptions::default() };
    let mut session = Session::start(&artifact, &options).unwrap();
    let ([a, b], _) = case(0, count);
    session.set_input_bytes(0, &[&a, &b]).unwrap();
    session.run(3).unwrap();
    let doubled = (0..count).map(|i| 2.0 * ((i * i % 1009) as f32 + (3.0 - i as f32)));
    assert!(session.outputs(0).unwrap() == [floats(doubled)]);
}

#[test]
fn new_inputs_at_the_same_place_give_new_outputs() {
    let count = 16;
    let mut session =
        Session::start(&artifact(code::ADD, count, 1), &SessionOptions::default()).unwrap();
    for round in 0..20 {
        let ([a, b], sum) = case(round, count);
        let tensor = |bytes| HostTensor { dtype: DType::F32, shape: vec![count], bytes };
        session.set_inputs(0, &[tensor(a), tensor(b)]).unwrap();
        session.poison(0, round as u64).unwrap();
        session.run(1).unwrap();
        assert!(session.outputs(0).unwrap() == [sum]);
    }
}

#[test]
fn calls_go_round_the_slots() {
    let options = SessionOptions { slots: 3, ..SessionOptions::default() };
    let mut session = Session::start(&artifact(code::ADD, 16, 1), &options).unwrap();
    let untouched = |session: &mut Session| -> Vec<bool> {
        let nan = |bytes: &[u8]| f32::from_le_bytes(bytes[..4].try_into().unwrap()).is_nan();
        (0..3).map(|slot| nan(session.outputs(slot).unwrap()[0])).collect()
    };
    for slot in 0..3 {
        session.set_input_bytes(slot, &[&[0; 64], &[0; 64]]).unwrap();
    }
    assert_eq!(untouched(&mut session), [true, true, true]);
    session.run(2).unwrap();
    assert_eq!(untouched(&mut session), [false, false, true]);
    session.poison(0, 9).unwrap();
    session.run(1).unwrap();
    assert_eq!(untouched(&mut session), [true, false, false]);
    session.run_from(0, 1).unwrap();
    assert_eq!(untouched(&mut session), [false, false, false]);
}

#[test]
fn uninitialised_buffers_hold_no_zeroes() {
    let artifact = Artifact { device_bytes: vec![4], ..artifact(code::DEVICE, 1, 1) };
    let mut session = Session::start(&artifact, &SessionOptions::default()).unwrap();
    session.run(1).unwrap();
    let outputs = session.outputs(0).unwrap();
    assert!(f32::from_le_bytes(outputs[0][..4].try_into().unwrap()).is_nan());
}

#[test]
fn sessions_of_several_threads_run_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    adds(&artifact(code::ADD, 16, 1), 16, &SessionOptions::default());
                }
            });
        }
    });
}

#[test]
fn a_session_outlives_the_thread_that_started_it() {
    let start = || Session::start(&artifact(code::ADD, 16, 1), &SessionOptions::default()).unwrap();
    let mut session = std::thread::spawn(start).join().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    session.run(1).unwrap();
}

#[test]
fn inputs_of_other_sizes_are_refused() {
    let mut session =
        Session::start(&artifact(code::ADD, 16, 1), &SessionOptions::default()).unwrap();
    let wrong = [
        session.set_input_bytes(0, &[&[0; 64]]),
        session.set_input_bytes(0, &[&[0; 64], &[0; 63]]),
    ];
    for failure in wrong.into_iter().chain([session.set_input_bytes(1, &[&[0; 64], &[0; 64]])]) {
        assert_eq!(failure.unwrap_err().reason(), "refused");
    }
    assert_eq!(session.outputs(1).unwrap_err().reason(), "refused");
    session.run(1).unwrap();
}
