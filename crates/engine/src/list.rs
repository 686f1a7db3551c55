//! Reading the names of a directory.
//!
//! A block of names at a time. After each block the rest of the listing goes back into the queue,
//! below the block's own work: the worker goes down into what it has found, and the next block is
//! read by a hungry worker, or later. So a directory of a million sub-directories is never in
//! memory as a whole, and one of ten million files is listed by one thread at a time and stat'ed by
//! all. The descriptor keeps the position. (`fts` rejected: it reads a directory whole before the
//! first entry is seen.) When descriptors are short, the listing goes on to its end instead.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_fs::{DirBuf, Errno, Kind, More, Names};

use crate::dir::{Listing, join};
use crate::fds::{Held, Lost};
use crate::slot::{Flight, Quit};
use crate::snapshot::is_snapshot;
use crate::task::{OpenListing, Slice, Task};
use crate::worker::Worker;
use crate::{Dir, FollowLinks, Needs, Op, Snapshots, Visitor};

/// A block is handed on when its names take so many bytes.
const BLOCK: usize = 32 << 10;

/// What listing needs: room for the kernel's answer, and for the names in it.
#[derive(Default)]
pub(crate) struct ListBuf {
    raw: DirBuf,
    names: Names,
}

impl<V: Visitor> Worker<V> {
    /// Reads on in a directory. Holds one unit and one use of it.
    pub(crate) fn list(&mut self, open: OpenListing<V::State>) -> Result<(), Quit> {
        let OpenListing { dir, fd } = open;
        loop {
            let mut buf = self.shared.buffers.lock().pop().unwrap_or_default();
            let more = match self.read_block(&dir, &fd, &mut buf)? {
                Ok(more) => more,
                Err(errno) => {
                    dir.lost_something();
                    self.hands().report_dir(Op::List, &Lost::Errno(errno), &dir);
                    More::End
                }
            };
            self.leave_out(&dir, &fd, &mut buf.names);
            if self.shared.needs == Needs::Meta {
                buf.names.sort_by_inode();
            }
            let names = Arc::new(buf.names.take_exact());
            self.shared.buffers.lock().push(buf);
            let to = u32::try_from(names.len()).unwrap_or(u32::MAX);
            let slice = Slice { dir: Arc::clone(&dir), names, from: 0, to };
            if more == More::End {
                // The slice takes over the unit and the use of the listing.
                drop(fd);
                return self.slice(slice);
            }
            slice.dir.add_own::<V>();
            slice.dir.users.fetch_add(1, Relaxed);
            if self.shared.fds.is_tight() {
                self.slice(slice)?;
                continue;
            }
            self.hands().push(Task::List(OpenListing { dir, fd }));
            return self.slice(slice);
        }
    }

    /// Fills `buf.names` with the next block.
    fn read_block(&self, dir: &Arc<Dir<V::State>>, fd: &Held, buf: &mut ListBuf) -> Result<Result<More, Errno>, Quit> {
        let ListBuf { raw, names } = buf;
        names.clear();
        loop {
            let slot = &self.shared.slots[self.index];
            // The names read so far are in the flight during the call: if it hangs they are not lost.
            // The memory of an empty buffer stays here.
            let before = if names.is_empty() { Names::default() } else { std::mem::take(names) };
            *slot.flight.lock() = Flight::List { dir: Arc::clone(dir), names: before };
            self.permit()?;
            let result = slot.call(|| names.read(fd.as_fd(), raw))?;
            if let Flight::List { names: before, .. } = &mut *slot.flight.lock() {
                names.prepend(before);
            }
            match result {
                Ok(More::Maybe) if names.byte_len() < BLOCK => {}
                Err(Errno::INTR) => {}
                Ok(More::End) => {
                    // Complete, unless something was lost before.
                    let unread = Listing::Unread as u8;
                    let complete = Listing::Complete as u8;
                    if dir.listing.compare_exchange(unread, complete, Relaxed, Relaxed).is_err() {
                        tracing::trace!("read to its end, but not without losses");
                    }
                    return Ok(Ok(More::End));
                }
                other => return Ok(other),
            }
        }
    }

    /// Drops the names that the options leave out: snapshots and excludes.
    fn leave_out(&self, dir: &Dir<V::State>, fd: &Held, names: &mut Names) {
        let options = &self.shared.options;
        if options.snapshots == Snapshots::Skip {
            let before = names.len();
            names.retain(|name, entry| !(name.first() == Some(&b'.') && is_snapshot(fd.as_fd(), name, entry.kind)));
            let skipped = before - names.len();
            if skipped > 0 {
                self.shared.snapshots.fetch_add(skipped as u64, Relaxed);
            }
        }
        let Some(exclude) = options.exclude.as_deref().filter(|x| !x.is_empty()) else { return };
        let mut path = Vec::new();
        dir.path_below_root_into(&mut path);
        let base = path.len();
        let follow = options.follow_links == FollowLinks::Always;
        names.retain(|name, entry| {
            if entry.kind == Kind::Unknown || (follow && entry.kind == Kind::Symlink) {
                // Whether a pattern for directories applies is known only after the stat.
                return true;
            }
            path.truncate(base);
            push_below(&mut path, name);
            !exclude.matches(&path, entry.kind.is_dir())
        });
    }
}

/// Appends a name to a path below the root.
pub(crate) fn push_below(path: &mut Vec<u8>, name: &[u8]) {
    if path.is_empty() {
        path.extend_from_slice(name);
    } else {
        join(path, name);
    }
}
