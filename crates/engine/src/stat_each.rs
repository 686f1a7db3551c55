//! Describing many entries of one directory for a caller who waits for all of them.
//!
//! On a local disk the caller does it alone; a thread would cost more than it saves. Where a call takes as long as a round trip to a
//! server, threads ask side by side, for this one question, and are gone afterwards.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::scope;
use std::time::{Duration, Instant};

use pwalk_fs::{Errno, Freshness, Links, Meta, stat_at};

/// A call that takes longer waits for something.
const SLOW: Duration = Duration::from_micros(200);
/// Threads at most.
const MOST: usize = 64;

/// The metadata of each of these entries, in their order.
pub fn stat_each(dir: BorrowedFd<'_>, names: &[&CStr], links: Links) -> Vec<Result<Meta, Errno>> {
    let stat = |name: &&CStr| stat_at(dir, name, links, Freshness::Fresh);
    let mut out: Vec<Result<Meta, Errno>> = Vec::with_capacity(names.len());
    for (done, name) in names.iter().enumerate() {
        let begun = Instant::now();
        out.push(stat(name));
        let rest = &names[done + 1..];
        if begun.elapsed() > SLOW && rest.len() > 1 {
            out.extend(side_by_side(rest, &stat));
            break;
        }
    }
    out
}

fn side_by_side<T: Send>(names: &[&CStr], stat: &(impl Fn(&&CStr) -> T + Sync)) -> Vec<T> {
    let next = AtomicUsize::new(0);
    // Relaxed: each number is given out once, and joining a thread shows all that it did.
    let work = || {
        let take = || {
            let index = next.fetch_add(1, Relaxed);
            names.get(index).map(|name| (index, stat(name)))
        };
        std::iter::from_fn(take).collect::<Vec<_>>()
    };
    let mut parts: Vec<(usize, T)> = scope(|scope| {
        let more: Vec<_> = (1..names.len().min(MOST)).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for thread in more {
            match thread.join() {
                Ok(part) => all.extend(part),
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
        all
    });
    parts.sort_unstable_by_key(|(index, _)| *index);
    parts.into_iter().map(|(_, found)| found).collect()
}
