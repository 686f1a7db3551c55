//! Telling what was found, path by path.
//!
//! Findings come in the order of their paths, a directory before what is in it. So what covers a subtree is known when that comes: a directory that
//! moved, with which its content moved, and a place that nobody could look into.

use std::io;

use pwalk_engine::Cancel;
use pwalk_scan::Stat;

use crate::TrackError;
use crate::change::{Change, ChangeType, Confidence, Counts};
use crate::entry::{decode, kind};
use crate::join::found;
use crate::key::{Roots, below};
use crate::sort::Merged;

/// What is known of one path.
#[derive(Default)]
struct Finding {
    is_stirred: bool,
    changed: Option<(ChangeType, Stat, Stat)>,
    touched: Option<(Stat, Stat)>,
    gone: Option<Stat>,
    new: Option<Stat>,
    moved: Option<Move>,
    has_left: bool,
}

struct Move {
    old: Stat,
    new: Stat,
    confidence: Confidence,
    from: Vec<u8>,
}

impl Finding {
    fn add(&mut self, what: &[u8], payload: &[u8]) {
        let (first, length) = decode(payload);
        let rest = payload.get(length..).unwrap_or_default();
        let second = || decode(rest).0;
        match what {
            found::STIRRED => self.is_stirred = true,
            found::MODIFIED => self.changed = Some((ChangeType::Modified, first, second())),
            found::METADATA => self.changed = Some((ChangeType::Metadata, first, second())),
            found::TOUCHED => self.touched = Some((first, second())),
            found::GONE => self.gone = Some(first),
            found::NEW => self.new = Some(first),
            found::LEFT => self.has_left = true,
            found::MOVED => {
                let (new, length) = decode(rest);
                let is_sure = rest.get(length) == Some(&1);
                self.moved = Some(Move {
                    old: first,
                    new,
                    confidence: if is_sure { Confidence::Certain } else { Confidence::Likely },
                    from: rest.get(length + 1..).unwrap_or_default().to_vec(),
                });
            }
            _ => {}
        }
    }
}

/// What is above a path, of those places that come in order.
struct Places {
    places: Merged,
    has_more: bool,
    /// The last one that is not below another.
    last: Option<Vec<u8>>,
    /// All of them, because nobody knows which.
    is_everywhere: bool,
}

impl Places {
    fn new(mut places: Merged, is_everywhere: bool) -> io::Result<Self> {
        let has_more = places.next_group()?;
        Ok(Self { places, has_more, last: None, is_everywhere })
    }

    /// Whether a path, none before an earlier one, is one of them or below one.
    fn cover(&mut self, key: &[u8]) -> io::Result<bool> {
        while self.has_more && self.places.key() <= key {
            let next = self.places.key();
            if self.last.as_ref().is_none_or(|last| below(next, last).is_none()) {
                self.last = Some(next.to_vec());
            }
            self.has_more = self.places.next_group()?;
        }
        Ok(self.is_everywhere || self.last.as_ref().is_some_and(|last| below(key, last).is_some()))
    }
}

/// Who tells.
pub(crate) struct Teller<'a> {
    old_roots: &'a Roots,
    new_roots: &'a Roots,
    unseen_before: Places,
    unseen_now: Places,
    /// Directories above the path that moved: where to, where from.
    moved: Vec<(Vec<u8>, Vec<u8>)>,
    /// The directory above the path that is elsewhere now.
    left: Option<Vec<u8>>,
    /// Whether the old side, and the new one, did not see everything: then what was in a directory that moved may not have been seen.
    is_partial: (bool, bool),
    pub(crate) counts: Counts,
    told: &'a mut dyn FnMut(&Change<'_>) -> io::Result<()>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(
        roots: (&'a Roots, &'a Roots),
        unseen: ((Merged, bool), (Merged, bool)),
        is_partial: (bool, bool),
        told: &'a mut dyn FnMut(&Change<'_>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let ((before, vague_before), (now, vague_now)) = unseen;
        Ok(Self {
            old_roots: roots.0,
            new_roots: roots.1,
            unseen_before: Places::new(before, vague_before)?,
            unseen_now: Places::new(now, vague_now)?,
            moved: Vec::new(),
            left: None,
            is_partial,
            counts: Counts::default(),
            told,
        })
    }

    /// Tells all findings. What reading them says, and what telling says.
    pub(crate) fn tell(
        &mut self,
        mut found: Merged,
        cancel: &Cancel,
        spilled: impl Fn(io::Error) -> TrackError + Copy,
    ) -> Result<(), TrackError> {
        while found.next_group().map_err(&spilled)? {
            if cancel.is_cancelled() {
                return Err(TrackError::Interrupted);
            }
            let key = found.key().to_vec();
            let mut finding = Finding::default();
            while let Some((what, payload)) = found.item() {
                finding.add(what, payload);
                found.advance().map_err(&spilled)?;
            }
            let unseen =
                (self.unseen_before.cover(&key).map_err(&spilled)?, self.unseen_now.cover(&key).map_err(&spilled)?);
            self.path(&key, &finding, unseen).map_err(TrackError::Output)?;
        }
        Ok(())
    }

    fn path(&mut self, key: &[u8], finding: &Finding, unseen: (bool, bool)) -> io::Result<()> {
        while self.moved.last().is_some_and(|(to, _)| below(key, to).is_none()) {
            self.moved.pop();
        }
        self.left = self.left.take().filter(|left| below(key, left).is_some());
        let unseen = (
            unseen.0 || (self.is_partial.0 && !self.moved.is_empty()),
            unseen.1 || (self.is_partial.1 && self.left.is_some()),
        );
        if finding.has_left {
            self.left.get_or_insert_with(|| key.to_vec());
        }
        if let Some((change_type, old, new)) = &finding.changed {
            self.change(*change_type, key, None, (Some(old), Some(new)), Confidence::Certain)?;
        }
        if let (Some((old, new)), false) = (&finding.touched, finding.is_stirred) {
            self.change(ChangeType::Metadata, key, None, (Some(old), Some(new)), Confidence::Certain)?;
        }
        match (&finding.gone, &finding.new) {
            (Some(old), Some(new)) => {
                self.change(ChangeType::Modified, key, None, (Some(old), Some(new)), Confidence::Certain)?;
            }
            (Some(old), None) if unseen.1 => {
                self.change(ChangeType::Unseen, key, None, (Some(old), None), Confidence::Uncertain)?;
            }
            (Some(old), None) => self.change(ChangeType::Removed, key, None, (Some(old), None), Confidence::Certain)?,
            (None, Some(new)) => {
                let confidence = if unseen.0 { Confidence::Uncertain } else { Confidence::Certain };
                self.change(ChangeType::Added, key, None, (None, Some(new)), confidence)?;
            }
            (None, None) => {}
        }
        finding.moved.as_ref().map_or(Ok(()), |moved| self.moved(key, moved))
    }

    /// Something that was elsewhere. In a directory that moved it moved with that.
    fn moved(&mut self, key: &[u8], moved: &Move) -> io::Result<()> {
        let Move { old, new, confidence, from } = moved;
        let with_dir =
            |(to, dir_from): &(Vec<u8>, Vec<u8>)| below(key, to).is_some_and(|rest| *from == [dir_from, rest].concat());
        let is_implied = self.moved.last().is_some_and(with_dir);
        if !is_implied {
            self.change(ChangeType::Moved, key, Some(from), (Some(old), Some(new)), *confidence)?;
            if kind(new).is_dir() {
                self.moved.push((key.to_vec(), from.clone()));
            }
            return Ok(());
        }
        let has_other_content = !kind(new).is_dir() && (old.size != new.size || old.mtime != new.mtime);
        // The inode's time of what moved with its directory stays; that of a directory goes with what is in it.
        let has_other_rights = (old.mode, old.uid, old.gid) != (new.mode, new.uid, new.gid)
            || (!kind(new).is_dir() && old.ctime != new.ctime);
        let change_type = match (has_other_content, has_other_rights) {
            (true, _) => ChangeType::Modified,
            (false, true) => ChangeType::Metadata,
            (false, false) => return Ok(()),
        };
        self.change(change_type, key, Some(from), (Some(old), Some(new)), *confidence)
    }

    fn change(
        &mut self,
        change_type: ChangeType,
        key: &[u8],
        from: Option<&[u8]>,
        (old, new): (Option<&Stat>, Option<&Stat>),
        confidence: Confidence,
    ) -> io::Result<()> {
        let roots = if new.is_some() { self.new_roots } else { self.old_roots };
        let (path, old_path) = (roots.path(key), from.map(|from| self.old_roots.path(from)));
        let change = Change { change_type, path: &path, old_path: old_path.as_deref(), old, new, confidence };
        self.counts.add(&change);
        (self.told)(&change)
    }
}
