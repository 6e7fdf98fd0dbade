//! From schedules to artifacts, many at once, while nothing is timed.

use crate::judge::Rejection;
use rayon::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tilewright_ir::backend::{Artifact, Backend, Unsupported};
use tilewright_ir::base::StableHash;
use tilewright_ir::schedule::{Forms, Schedule};
use tilewright_ir::tile;

/// A compiled candidate.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(super) tile_hash: StableHash,
    /// The hash of everything that runs: equal images are one candidate.
    pub(crate) image_hash: [u8; 32],
    pub(super) artifact: Artifact,
}

/// Refusals of the back end without a single success after which nothing else is expected of it.
const REFUSALS_MAX: u64 = 40;

/// What the back end said while it has compiled nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    first: Option<Unsupported>,
    count: u64,
    has_compiled: bool,
}

impl Refused {
    pub(super) fn learn(&mut self, batch: &[Result<Built, Rejection>]) {
        for built in batch {
            match built {
                Ok(_) => self.has_compiled = true,
                Err(Rejection { unsupported: Some(unsupported), .. }) => {
                    self.count += 1;
                    self.first.get_or_insert_with(|| unsupported.clone());
                }
                Err(_) => {}
            }
        }
    }

    /// The first refusal; `None` once anything has been compiled.
    pub(super) fn first(&self) -> Option<&Unsupported> {
        self.first.as_ref().filter(|_| !self.has_compiled)
    }

    /// Whether the back end has refused so much, and compiled nothing, that the search is hopeless.
    pub(super) fn is_everything(&self) -> bool {
        self.first().is_some() && self.count >= REFUSALS_MAX
    }
}

/// Builds a batch in parallel; one result for each schedule, in order.
pub(super) fn build_all(
    pool: &rayon::ThreadPool,
    backend: &dyn Backend,
    forms: &Forms,
    schedules: &[Schedule],
) -> Vec<Result<Built, Rejection>> {
    pool.install(|| schedules.par_iter().map(|schedule| build(backend, forms, schedule)).collect())
}

/// Lowers, verifies and compiles one schedule. A panic below is a fault of ours and costs this candidate alone.
fn build(backend: &dyn Backend, forms: &Forms, schedule: &Schedule) -> Result<Built, Rejection> {
    catch_unwind(AssertUnwindSafe(|| compile(backend, forms, schedule)))
        .unwrap_or_else(|panic| Err(Rejection::new("panic", message(panic.as_ref()))))
}

fn compile(backend: &dyn Backend, forms: &Forms, schedule: &Schedule) -> Result<Built, Rejection> {
    let target = backend.target();
    let program = forms.lower(schedule).map_err(|faults| Rejection::illegal(&faults))?;
    tile::verify(&program, target).map_err(|faults| Rejection::illegal(&faults))?;
    let artifact = backend.compile(&program)?;
    Ok(Built { tile_hash: program.hash(), image_hash: image_hash(&artifact), artifact })
}

fn image_hash(artifact: &Artifact) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(artifact.image.len() as u64).to_le_bytes());
    hasher.update(&artifact.image);
    for launch in &artifact.launches {
        for word in [launch.entry, launch.iterations, launch.scratch_bytes, launch.threads] {
            hasher.update(&word.to_le_bytes());
        }
    }
    for bytes in artifact.argument_bytes.iter().chain(&artifact.device_bytes) {
        hasher.update(&bytes.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "a panic without a message".to_string())
}
