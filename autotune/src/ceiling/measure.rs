//! Measures probes in sessions of their own: alone, and one on each processor at once.

use super::{Ceilings, LevelBandwidth, Rates};
use crate::clock::{MeasureOptions, fastest_call_ns};
use crate::launch::{Failure, Session, SessionOptions};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// `None` when `stop` is raised before the last probe.
    ///
    /// # Errors
    /// The first failure of a session.
    pub fn measure(
        target: &Target,
        probes: &[Probe],
        stop: &AtomicBool,
    ) -> Result<Option<Self>, Failure> {
        let threads = target.threads.max(1);
        let one = rates(target, probes, 1, stop)?;
        let all = if threads == 1 { one.clone() } else { rates(target, probes, threads, stop)? };
        Ok(one.zip(all).map(|(one, all)| Self { threads, one, all }))
    }

    /// The higher of the two rates everywhere; levels that only `self` knows stay as they are.
    #[must_use]
    pub fn raised_to(mut self, other: &Self) -> Self {
        self.one.raise(&other.one);
        if self.threads == other.threads {
            self.all.raise(&other.all);
        }
        self
    }
}

impl Rates {
    fn raise(&mut self, other: &Self) {
        self.fma_128_gflops = self.fma_128_gflops.max(other.fma_128_gflops);
        self.fma_gflops = self.fma_gflops.max(other.fma_gflops);
        self.fma_f64_gflops = self.fma_f64_gflops.max(other.fma_f64_gflops);
        for level in &mut self.bandwidth_gbps {
            let known = other.bandwidth_gbps.iter().find(|of| of.level == level.level);
            level.gbps = known.map_or(level.gbps, |known| level.gbps.max(known.gbps));
        }
    }
}

fn rates(
    target: &Target,
    probes: &[Probe],
    threads: u64,
    stop: &AtomicBool,
) -> Result<Option<Rates>, Failure> {
    let mut rates = Rates::default();
    for probe in probes {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
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
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let name = format!("read_{}", level.name);
        let Some(probe) = probes.iter().find(|probe| probe.name == name) else { continue };
        let gbps = rate(probe, threads)?;
        let (level, bytes) = (level.name.clone(), level.bytes);
        rates.bandwidth_gbps.push(LevelBandwidth { level, bytes, gbps });
    }
    Ok(Some(rates))
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
