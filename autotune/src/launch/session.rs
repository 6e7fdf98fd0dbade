//! One child process with one artifact.

use super::{Failure, SessionOptions};
use std::time::Duration;
use tilewright_ir::backend::Artifact;
use tilewright_ir::reference::HostTensor;

/// A child process that holds an artifact and its buffers.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// Starts a child and maps the artifact there.
    ///
    /// # Errors
    /// `Refused` for an artifact that breaks its contract or the limits, `Start` if no child can be had.
    pub fn start(artifact: &Artifact, options: &SessionOptions) -> Result<Self, Failure> {
        let _ = (artifact, options);
        Err(Failure::refused("the launcher is not linked"))
    }

    /// Copies of the inputs and outputs.
    pub fn slots(&self) -> usize {
        0
    }

    /// Changes the deadline of the runs to come.
    pub fn set_deadline(&mut self, deadline: Duration) {
        let _ = deadline;
    }

    /// Writes the inputs of one slot, in signature order.
    ///
    /// # Errors
    /// `Refused` if there is no such slot or the tensors do not have the artifact's sizes.
    pub fn set_inputs(&mut self, slot: usize, inputs: &[HostTensor]) -> Result<(), Failure> {
        let _ = (slot, inputs);
        Ok(())
    }

    /// Fills the outputs of one slot, and the bytes around them, with garbage that depends on `seed`: mostly NaN.
    ///
    /// # Errors
    /// `Refused` if there is no such slot.
    pub fn poison(&mut self, slot: usize, seed: u64) -> Result<(), Failure> {
        let _ = (slot, seed);
        Ok(())
    }

    /// Runs `calls` calls over the slots in turn, going on where the last run ended (slot 0 at first).
    /// Returns the nanoseconds from the doorbell to the answer, by the parent's clock.
    ///
    /// # Errors
    /// `TimedOut` and `Crashed`; the session is dead then and every later call returns the same.
    pub fn run(&mut self, calls: u64) -> Result<u64, Failure> {
        let _ = calls;
        Ok(0)
    }

    /// Runs `calls` calls beginning at `slot`.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_from(&mut self, slot: usize, calls: u64) -> Result<u64, Failure> {
        let _ = slot;
        self.run(calls)
    }

    /// Stops the child, so that nothing in it can change a buffer.
    ///
    /// # Errors
    /// `Crashed` if it is gone.
    pub fn freeze(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Lets a frozen child go on.
    pub fn thaw(&mut self) {}

    /// The raw little-endian bytes of the outputs of one slot, in signature order. Freezes the child first; the
    /// next `run` thaws it.
    ///
    /// # Errors
    /// `Crashed` if the child is gone, `StrayWrite` if bytes around a poisoned output have changed.
    pub fn outputs(&mut self, slot: usize) -> Result<Vec<&[u8]>, Failure> {
        let _ = slot;
        Ok(vec![])
    }
}
