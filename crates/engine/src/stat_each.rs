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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    use std::time::Duration;

    use pwalk_fs::{DirBuf, More, Names, open_root};
    use pwalk_testkit::fuse::Synthetic;

    use super::*;

    #[test]
    fn every_name_has_its_own_answer_side_by_side() {
        for delay in [0, 1_000] {
            let fs = Synthetic::flat(300).delay(Duration::from_micros(delay)).mount().unwrap();
            let path = std::ffi::CString::new(fs.path().as_os_str().as_bytes()).unwrap();
            let dir = open_root(&path).unwrap();
            let (mut names, mut room) = (Names::default(), DirBuf::new());
            while names.read(dir.as_fd(), &mut room).unwrap() == More::Maybe {}
            let mut asked: Vec<&CStr> = (0..names.len()).map(|index| names.c_name(index)).collect();
            asked.insert(150, c"not there");
            let metas = stat_each(dir.as_fd(), &asked, Links::NoFollow);
            assert_eq!(metas.len(), 301);
            for (index, (name, meta)) in asked.iter().zip(metas).enumerate() {
                let alone = stat_at(dir.as_fd(), name, Links::NoFollow, Freshness::Fresh);
                assert_eq!(meta.map(|meta| meta.ino), alone.map(|meta| meta.ino), "{index}");
            }
        }
    }
}
