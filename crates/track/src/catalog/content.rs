//! What is to be known of the content of a file after a run.
//!
//! A digest says what the content was when it was read. It goes on being true as long as nothing wrote to the file, and that can be told
//! by its size and times only if they had the time to change. So a digest that was made right after a change is to be made again, and
//! content that differs although nothing could have changed it is rotten.

use pwalk_scan::Stat;

use crate::entry::{Detail, Hashed, kind};
use crate::fingerprint::Fingerprint;

/// A file that was changed at most so long before it was read may have been changed again without its times showing it, in nanoseconds: clocks
/// tick, those of servers go wrong, and some file systems keep two seconds only.
const RACY: i64 = 2_000_000_000;

/// Whether the content may be another.
pub(super) fn is_suspect(old: Option<&Detail>, new: &Stat) -> bool {
    let is_same =
        |old: &Stat| old.size == new.size && old.mtime == new.mtime && old.ino == new.ino && kind(old) == kind(new);
    old.is_none_or(|old| !is_same(&old.stat))
}

/// Whether the content may be another than the digest that is known, although size and time of change are not: who writes can set them back, but not the
/// inode's time.
pub(super) fn is_doubtful(old: &Detail, new: &Stat) -> bool {
    old.kept.is_some_and(|kept| kept.is_racy || (kept.hashed.is_some() && old.stat.ctime != new.ctime))
}

/// What is known then.
#[derive(Clone, Copy, Default)]
pub(super) struct Content {
    pub(super) hashed: Option<Hashed>,
    /// It is to be looked at again.
    pub(super) is_racy: bool,
    /// It is not what it was.
    pub(super) is_other: bool,
    /// What it is, although nothing changed it.
    pub(super) rotten: Option<Fingerprint>,
}

impl Content {
    /// What is known of it after a run that began then. `digest` is when the file was read, and what came of that.
    pub(super) fn of(
        old: Option<&Detail>,
        new: &Stat,
        digest: Option<(i64, Option<Fingerprint>)>,
        started: i64,
    ) -> Self {
        let was = old.and_then(|old| old.kept).filter(|_| !is_suspect(old, new));
        let Some((at, read)) = digest else {
            return Self {
                hashed: was.and_then(|was| was.hashed),
                // What was read before is to be read again, when files are read again.
                is_racy: old.is_some_and(|old| is_doubtful(old, new) || (was.is_none() && old.fingerprint().is_some())),
                ..Self::default()
            };
        };
        let is_racy = new.mtime.max(new.ctime) >= started.saturating_sub(RACY);
        let Some(read) = read else {
            // Next time.
            return Self { hashed: was.and_then(|was| was.hashed), is_racy: true, ..Self::default() };
        };
        let known = was.and_then(|was| was.hashed).filter(|known| known.fingerprint.is_like(&read));
        let is_other = known.is_some_and(|known| known.fingerprint != read);
        let is_settled = was.is_some_and(|was| !was.is_racy) && old.is_some_and(|old| old.stat.ctime == new.ctime);
        if is_other && is_settled {
            // Read it was: the next time it is others' turn.
            let hashed = known.map(|known| Hashed { at, ..known });
            return Self { hashed, is_racy: false, is_other, rotten: Some(read) };
        }
        Self { hashed: Some(Hashed { fingerprint: read, at }), is_racy, is_other, rotten: None }
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.hashed.map(|hashed| hashed.fingerprint)
    }
}
