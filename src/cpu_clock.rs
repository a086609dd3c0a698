//! Processor time for tests of how much work something is: other work on the machine must not make them fail.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of a thread since the clock was started on it.
pub(crate) struct CpuClock(Duration);

impl CpuClock {
    /// Starts a clock of the present thread.
    pub(crate) fn start() -> Self {
        Self(used())
    }

    /// Returns the processor time that the thread has used since then.
    pub(crate) fn elapsed(&self) -> Duration {
        used().saturating_sub(self.0)
    }
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
