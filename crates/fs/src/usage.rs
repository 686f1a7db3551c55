//! How much processor time this process has used, and how long its threads waited for some.

use std::time::Duration;

use rustix::thread::{get_keep_capabilities, set_keep_capabilities};
use rustix::time::{ClockId, clock_gettime};

/// User and system time of all threads so far.
pub fn cpu_time() -> Duration {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// How long a thread of this process was ready to run but had no core, so far: the second field of
/// `/proc/self/task/TID/schedstat`. None where the kernel does not count it, or the thread is gone.
pub fn run_delay(thread: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// The number of the calling thread, for [`run_delay`].
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Gives the calling thread credentials of its own, the same as before: the kernel counts who uses them, at each open, and threads that have
/// them in common contend for that count. Where it cannot be, nothing changes.
pub fn own_credentials() {
    // To set what is set already makes the copy.
    if let Ok(keeps) = get_keep_capabilities() {
        set_keep_capabilities(keeps).unwrap_or_default();
    }
}
