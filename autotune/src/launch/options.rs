//! What a session may use: slots, threads, time and memory.

use std::time::Duration;

/// Limits and sizes of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Copies of the inputs and outputs; call i of a session uses the next one in turn. At least 1.
    pub slots: usize,
    /// Most threads that share a launch; a launch uses fewer if it asks for fewer. At least 1.
    pub threads: usize,
    /// Time from the doorbell to the answer of one `run`.
    pub deadline: Duration,
    /// Time that the runner has to become ready. Usually it takes milliseconds.
    pub start_limit: Duration,
    /// Most bytes of buffers: all slots, device buffers, scratch and image.
    pub memory_bytes_max: u64,
    /// Processor time of the child over the whole session; a net under the deadline.
    pub cpu_time_max: Duration,
    /// Whether the arrays lie in memory that no session had before. Where memory lies decides what fits the caches together, up to
    /// a seventh of a time: sessions that are compared must not hand each other's luck on.
    pub new_memory: bool,
    /// The place of the child's first thread in the list of processors this process may use; `None`: the last.
    pub cpu: Option<usize>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            slots: 1,
            threads: 1,
            deadline: Duration::from_secs(10),
            start_limit: Duration::from_secs(10),
            memory_bytes_max: 8 << 30,
            cpu_time_max: Duration::from_secs(3600),
            new_memory: false,
            cpu: None,
        }
    }
}
