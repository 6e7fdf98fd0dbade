//! Measures probes in sessions of their own: alone, and one on each processor at once.

use super::{Ceilings, LevelBandwidth, Rates};
use crate::clock::{MeasureOptions, fastest_call_ns};
use crate::launch::{Failure, Session, SessionOptions};
use std::time::Duration;
use tilewright_ir::backend::Probe;
use tilewright_ir::target::Target;

/// Batches of a probe; the fastest counts, since a disturbance only ever slows it.
const SAMPLES: usize = 30;

impl Ceilings {
    /// Measures the probes of a back end on this machine: with one thread, and with `target.threads`.
    ///
    /// Arithmetic probes are named `fma_TYPE_BITS`, bandwidth probes `read_LEVEL`; others are not used.
    ///
    /// # Errors
    /// The first failure of a session.
    pub fn measure(target: &Target, probes: &[Probe]) -> Result<Self, Failure> {
        let threads = target.threads.max(1);
        let one = rates(target, probes, 1)?;
        let all = if threads == 1 { one.clone() } else { rates(target, probes, threads)? };
        Ok(Self { threads, one, all })
    }
}

fn rates(target: &Target, probes: &[Probe], threads: u64) -> Result<Rates, Failure> {
    let mut rates = Rates::default();
    for probe in probes {
        let is = |prefix: &str| probe.name.starts_with(prefix);
        if is("fma_f32") {
            let rate = rate(probe, threads)?;
            // On some machines the widest vectors are not the fastest.
            rates.fma_gflops = rates.fma_gflops.max(rate);
            if probe.name == "fma_f32_128" {
                rates.fma_128_gflops = rate;
            }
        } else if is("fma_f64") {
            rates.fma_f64_gflops = rates.fma_f64_gflops.max(rate(probe, threads)?);
        }
    }
    for level in &target.memory {
        let name = format!("read_{}", level.name);
        let Some(probe) = probes.iter().find(|probe| probe.name == name) else { continue };
        let gbps = rate(probe, threads)?;
        let (level, bytes) = (level.name.clone(), level.bytes);
        rates.bandwidth_gbps.push(LevelBandwidth { level, bytes, gbps });
    }
    Ok(rates)
}

/// Work per nanosecond of `threads` copies of the probe: 1e9 flop or bytes per second.
///
/// Each copy is a session with buffers of its own, so that threads do not read each other's cache lines.
fn rate(probe: &Probe, threads: u64) -> Result<f64, Failure> {
    let mut sessions =
        (0..threads).map(|index| start(probe, index)).collect::<Result<Vec<_>, _>>()?;
    let options = MeasureOptions {
        // Long enough that the doorbell is less than a thousandth; many processors answer later than one.
        batch: Duration::from_millis(if threads == 1 { 2 } else { 10 }),
        ..MeasureOptions::default()
    };
    let call_ns = fastest_call_ns(&mut sessions, SAMPLES, &options)?;
    Ok(probe.work * threads as f64 / call_ns)
}

/// A session on the processor of that index, its inputs full of ones.
fn start(probe: &Probe, index: u64) -> Result<Session, Failure> {
    let cpu = usize::try_from(index).ok();
    let options = SessionOptions { cpu, ..SessionOptions::default() };
    let artifact = &probe.artifact;
    let mut session = Session::start(artifact, &options)?;
    let ones = |bytes: &u64| 1.0_f32.to_le_bytes().repeat(bytes.div_ceil(4) as usize);
    let inputs: Vec<_> = artifact.argument_bytes[..artifact.inputs].iter().map(ones).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    session.set_input_bytes(0, &inputs)?;
    Ok(session)
}
