//! What is to go from the destination: what the source does not have, mirroring; and what a killed run left behind.
//!
//! A walk of the destination, with the directory of the source as what flows down. Nothing is removed whose absence from the source was not
//! seen in the source's own directory, and nothing on another file system.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use pwalk_engine::{
    Batch, Context, Descend, Descent, Dir, Ended, Frontier, Mounts, Needs, Options, Outcome, Silent, Sink, Totals,
    Visitor, WalkError, fold,
};
use pwalk_fs::{Errno, Freshness, Kind, Links, remove, set_mode, set_times, stat_at, stat_fd};

use super::Event;
use super::error::Failure;
use super::place::{OURS, Place, Places, is_unfilled};
use super::shared::Shared;
use super::target::Part;

const BEFORE: &[u8] = b".pwalk-copy.";
const AFTER: &[u8] = b".tmp";

/// The name of a file that is not whole yet.
pub(crate) fn temporary(process: u32, number: u64) -> CString {
    CString::new(format!(".pwalk-copy.{process:x}.{number:x}.tmp")).unwrap_or_default()
}

fn is_temporary(name: &[u8]) -> bool {
    let hex = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    let middle = name.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
    let mut parts = middle.unwrap_or_default().split(|byte| *byte == b'.');
    matches!((parts.next(), parts.next(), parts.next()), (Some(one), Some(two), None) if hex(one) && hex(two))
}

/// Removes what is to go from the copies of `parts`. How that ended.
pub(crate) fn sweep(shared: &Arc<Shared>, parts: &[Part], walk: &Options) -> Ended {
    let mut ended = Ended::Whole;
    for part in parts.iter().filter(|part| part.is_dir()) {
        let places = Places::new(256);
        let Ok(source) = CString::new(part.source.as_slice()) else { continue };
        let Ok(source) = places.root(&source) else { continue };
        let sink = Sweeping(Arc::new(Common {
            shared: Arc::clone(shared),
            stays_on_one: walk.mounts == Mounts::Stay,
            places,
            source,
        }));
        let walk = Options { mounts: Mounts::Stay, max_depth: None, ..walk.clone() };
        let frontier = Frontier {
            unread_roots: vec![0],
            roots: vec![part.path.clone()],
            with_slashes: true,
            ..Frontier::default()
        };
        let Ok(how) = fold(sink, frontier, &walk, &Silent);
        if how != Ended::Whole {
            ended = how;
        }
    }
    ended
}

struct Common {
    shared: Arc<Shared>,
    /// Whether the copy stayed on the source's file system.
    stays_on_one: bool,
    places: Places,
    source: Arc<Place>,
}

/// A directory of the destination.
struct Swept {
    /// The source's; none if it has none: then everything in it goes.
    source: Option<Arc<Place>>,
    /// The mode that it had before it was opened to us, whose it is.
    closed: OnceLock<u32>,
}

impl Swept {
    /// Opens a directory of our own that nobody may write to, until it is left. Whether that helps.
    fn open_to_us(&self, fd: BorrowedFd<'_>) -> bool {
        let Ok(meta) = stat_fd(fd, Freshness::Fresh) else { return false };
        let is_closed = meta.uid == rustix::process::geteuid().as_raw() && meta.mode & OURS != OURS;
        let opened = is_closed && set_mode(fd, (meta.mode & 0o7777) | OURS).is_ok();
        if opened {
            self.closed.get_or_init(|| meta.mode & 0o7777);
        }
        // Another may have opened it just now.
        opened || self.closed.get().is_some()
    }
}

struct Sweeping(Arc<Common>);

struct Sweeper(Arc<Common>);

impl Sweeper {
    /// Removes a name, or says that it would.
    fn remove(&self, cx: &Context<'_, Self>, dir: &Arc<Dir<Swept>>, name: &CStr, kind: Kind) {
        let shared = &self.0.shared;
        let path = || dir.path_of(name.to_bytes());
        if !shared.options.dry_run {
            let removed = match cx.fd(dir) {
                Ok(fd) => match remove(fd.as_fd(), name, kind) {
                    Err(Errno::ACCESS) if dir.state().is_some_and(|swept| swept.open_to_us(fd.as_fd())) => {
                        remove(fd.as_fd(), name, kind)
                    }
                    removed => removed,
                },
                Err(error) => Err(error.errno.unwrap_or(Errno::STALE)),
            };
            match removed {
                Ok(()) | Err(Errno::NOENT) => {}
                // What is excluded stays, and its directory with it.
                Err(Errno::NOTEMPTY) if shared.options.walk.exclude.is_some() => return,
                Err(errno) => return shared.fail(&path(), &Failure::Remove(errno)),
            }
        }
        if !is_temporary(name.to_bytes()) && !is_unfilled(name.to_bytes()) {
            shared.counts.deleted.fetch_add(1, Relaxed);
            shared.listener.hear(&Event::Deleted { path: &path() });
        }
    }
}

impl Visitor for Sweeper {
    type State = Swept;

    fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<Swept>, parent: Option<&Swept>) -> (Swept, Descend) {
        let common = &self.0;
        let swept = |source| Swept { source, closed: OnceLock::new() };
        let Some(parent) = parent else { return (swept(Some(Arc::clone(&common.source))), Descend::Into) };
        let Some(above) = &parent.source else { return (swept(None), Descend::Into) };
        let stays = || (swept(Some(Arc::clone(above))), Descend::Skip);
        let found = common.places.find(above, dir.c_name());
        if dir.meta().is_some_and(|meta| meta.mount_root == Some(true)) {
            // Something else is mounted there; that the source has nothing of the kind is said.
            if matches!(found, Ok(None)) && common.shared.options.mirror {
                common.shared.fail(&dir.path(), &Failure::Remove(Errno::BUSY));
            }
            return stays();
        }
        match found {
            // What is mounted in the source was not copied.
            Ok(Some(source)) if source.id.0 != above.id.0 && common.stays_on_one => stays(),
            Ok(Some(source)) => (swept(Some(source)), Descend::Into),
            Ok(None) | Err(Failure::InTheWay(_)) if common.shared.options.mirror || is_unfilled(dir.name()) => {
                (swept(None), Descend::Into)
            }
            Ok(None) | Err(Failure::InTheWay(_)) => stays(),
            Err(_) => {
                common.shared.fail(&dir.path(), &Failure::Remove(Errno::ACCESS));
                stays()
            }
        }
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Swept>) {
        let dir = batch.dir();
        let Some(swept) = dir.state() else { return };
        let options = &self.0.shared.options;
        for entry in batch.iter().filter(|entry| entry.descent == Descent::NotDir) {
            if !options.mirror && swept.source.is_some() && !is_temporary(entry.name) {
                continue;
            }
            cx.permits().wait(2);
            let goes = match &swept.source {
                None => true,
                Some(source) => match self.0.places.fd(source) {
                    Ok(fd) => match stat_at(fd.as_fd(), entry.c_name(), Links::NoFollow, Freshness::Fresh) {
                        // In the way of a directory, which comes then.
                        Ok(there) => there.kind().is_dir(),
                        Err(errno) => errno == Errno::NOENT,
                    },
                    Err(_) => false,
                },
            };
            if goes {
                self.remove(cx, dir, entry.c_name(), entry.kind);
            }
        }
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Swept>>, _: &Totals) {
        let Some(swept) = dir.state() else { return };
        if let Some(mode) = swept.closed.get()
            && let Err(errno) = cx
                .fd(dir)
                .map_err(|error| error.errno.unwrap_or(Errno::STALE))
                .and_then(|fd| set_mode(fd.as_fd(), *mode))
        {
            self.0.shared.fail(&dir.path(), &Failure::NotKept { what: "mode", word: "mode", errno });
        }
        if cx.is_stopping() {
            return;
        }
        match (&swept.source, dir.parent()) {
            (None, Some(parent)) => self.remove(cx, parent, dir.c_name(), Kind::Dir),
            // Reading it changed its times, and removing.
            (Some(_), _) if self.0.shared.options.keep.timestamps && !self.0.shared.options.dry_run => {
                if let (Some(meta), Ok(fd)) = (dir.meta(), cx.fd(dir))
                    && let Err(errno) = set_times(fd.as_fd(), meta.atime, meta.mtime)
                {
                    let why = Failure::NotKept { what: "times", word: "timestamps", errno };
                    self.0.shared.fail(&dir.path(), &why);
                }
            }
            _ => {}
        }
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        self.0.shared.counts.unread.fetch_add(1, Relaxed);
        self.0.shared.listener.hear(&Event::Unread(error));
    }
}

impl Sink for Sweeping {
    type Worker = Sweeper;
    type Summary = Ended;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Names
    }

    fn worker(&self) -> Sweeper {
        Sweeper(Arc::clone(&self.0))
    }

    fn finish(self, _: Vec<Sweeper>, outcome: &Outcome) -> Result<Ended, Infallible> {
        Ok(outcome.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_temporary() {
        assert!(is_temporary(temporary(4242, 17).to_bytes()));
        for name in [&b".pwalk-copy..tmp"[..], b".pwalk-copy.1.2", b".pwalk-copy.x.1.tmp", b"pwalk-copy.1.2.tmp", b""] {
            assert!(!is_temporary(name));
        }
    }
}
