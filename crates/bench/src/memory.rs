//! The most memory that a run had, and the kernel's caches.
//!
//! `5` in `/proc/self/clear_refs` sets the high-water mark of the resident set back to what is resident now; `VmHWM` in
//! `/proc/self/status` is that mark (`proc(5)`). So the peak is the whole process's, program text and what an earlier run left with the
//! allocator included: an upper bound. Measuring each run in a process of its own was rejected: a library cannot start itself.

use std::fs::{OpenOptions, read_to_string, write};
use std::io::Write;

use crate::Error;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Forgets the peak so far. Whether that could be done.
pub(crate) fn reset_peak() -> bool {
    write("/proc/self/clear_refs", "5").is_ok()
}

/// The peak since, in bytes.
pub(crate) fn peak() -> Option<u64> {
    parse(&read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether caches can be dropped, without doing it.
pub(crate) fn may_drop_caches() -> Result<(), Error> {
    OpenOptions::new().write(true).open(DROP_CACHES).map(drop).map_err(Error::DropCaches)
}

/// Writes what is to be written and empties the caches of pages, names and inodes.
pub(crate) fn drop_caches() -> Result<(), Error> {
    let mut file = OpenOptions::new().write(true).open(DROP_CACHES).map_err(Error::DropCaches)?;
    rustix::fs::sync();
    file.write_all(b"3").map_err(Error::DropCaches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_in_bytes() {
        assert_eq!(parse("VmPeak:\t  99 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"), Some(1234 * 1024));
        assert_eq!(parse("VmPeak: 99 kB\n"), None);
    }

    #[test]
    fn what_is_used_and_freed_is_in_the_peak() {
        const SIZE: usize = 64 << 20;
        assert!(reset_peak());
        let before = peak().unwrap();
        let block = vec![1_u8; SIZE];
        assert_eq!(std::hint::black_box(&block)[SIZE - 1], 1);
        drop(block);
        assert!(peak().unwrap() >= before.min(peak().unwrap()) && peak().unwrap() > SIZE as u64 / 2);
    }
}
