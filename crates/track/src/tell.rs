//! Telling what was found, path by path.
//!
//! Findings come in the order of their paths, a directory before what is in it. So what covers a subtree is known when that comes: a directory that
//! moved, with which its content moved, and a place that nobody could look into.

use std::io;

use pwalk_engine::Cancel;
use pwalk_scan::Stat;

use crate::TrackError;
use crate::change::{Change, ChangeType, Confidence, Counts};
use crate::entry::{Detail, decode, kind};
use crate::join::{found, lone};
use crate::key::{Roots, below};
use crate::sort::Merged;

/// Who is told.
pub(crate) trait Told {
    /// Of a change, as people understand it, of the path with this key.
    fn change(&mut self, key: &[u8], change: &Change<'_>) -> io::Result<()>;

    /// Of what is to be known of a path from now on. What is told of no path stays as it was known.
    fn entry(&mut self, _key: &[u8], _entry: Entry<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// What is to be known of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    /// This is there; `old` is what was known of it, if anything was, under this path or another.
    There { old: Option<&'a Detail>, new: &'a Stat },
    /// What was there is there, as far as metadata tell; its content may be looked at.
    Same { old: &'a Detail },
    /// It is here now, with the directory that it was in; nobody could look.
    Carried { old: &'a Detail },
    /// It is not there any more.
    Gone { old: &'a Detail },
}

impl<F: FnMut(&Change<'_>) -> io::Result<()>> Told for F {
    fn change(&mut self, _: &[u8], change: &Change<'_>) -> io::Result<()> {
        self(change)
    }
}

/// What is known of one path.
#[derive(Default)]
struct Finding {
    is_stirred: bool,
    changed: Option<(ChangeType, Detail, Stat)>,
    touched: Option<(Detail, Stat)>,
    same: Option<Detail>,
    renewed: Option<(Detail, Stat)>,
    gone: Option<Detail>,
    new: Option<Stat>,
    moved: Option<Move>,
    /// Where it is now, or nothing if that is not to be said.
    left: Option<Vec<u8>>,
    /// Whether nobody looked there before what is new came, and now that what was there is not found.
    is_unseen: (bool, bool),
}

struct Move {
    old: Detail,
    new: Stat,
    confidence: Confidence,
    from: Vec<u8>,
}

impl Finding {
    fn add(&mut self, what: &[u8], payload: &[u8]) {
        let (first, length) = decode(payload);
        let rest = payload.get(length..).unwrap_or_default();
        let second = || decode(rest).0.stat;
        match what {
            found::STIRRED => self.is_stirred = true,
            found::MODIFIED => self.changed = Some((ChangeType::Modified, first, second())),
            found::METADATA => self.changed = Some((ChangeType::Metadata, first, second())),
            found::TOUCHED => self.touched = Some((first, second())),
            found::SAME => self.same = Some(first),
            found::RENEWED => self.renewed = Some((first, second())),
            found::GONE => {
                self.gone = Some(first);
                self.is_unseen.1 = rest.first().is_some_and(|flags| flags & lone::UNSEEN != 0);
            }
            found::NEW => {
                self.new = Some(first.stat);
                self.is_unseen.0 = rest.first().is_some_and(|flags| flags & lone::UNSEEN != 0);
            }
            found::LEFT => self.left = Some(payload.to_vec()),
            found::MOVED => {
                let (new, length) = decode(rest);
                let confidence = rest.get(length).and_then(|at| Confidence::ALL.get(usize::from(*at)));
                self.moved = Some(Move {
                    old: first,
                    new: new.stat,
                    confidence: confidence.copied().unwrap_or(Confidence::Uncertain),
                    from: rest.get(length + 1..).unwrap_or_default().to_vec(),
                });
            }
            _ => {}
        }
    }
}

/// Who tells.
pub(crate) struct Teller<'a> {
    old_roots: &'a Roots,
    new_roots: &'a Roots,
    /// Directories above the path that moved: where to, where from.
    moved: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directories above the path that are elsewhere now: where from, where to.
    left: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the old side, and the new one, did not see everything: then what was in a directory that moved may not have been seen.
    is_partial: (bool, bool),
    pub(crate) counts: Counts,
    told: &'a mut dyn Told,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(roots: (&'a Roots, &'a Roots), is_partial: (bool, bool), told: &'a mut dyn Told) -> Self {
        Self {
            old_roots: roots.0,
            new_roots: roots.1,
            moved: Vec::new(),
            left: Vec::new(),
            is_partial,
            counts: Counts::default(),
            told,
        }
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
            self.path(&key, &finding).map_err(TrackError::Output)?;
        }
        Ok(())
    }

    fn path(&mut self, key: &[u8], finding: &Finding) -> io::Result<()> {
        while self.moved.last().is_some_and(|(to, _)| below(key, to).is_none()) {
            self.moved.pop();
        }
        while self.left.last().is_some_and(|(from, _)| below(key, from).is_none()) {
            self.left.pop();
        }
        let unseen = (
            finding.is_unseen.0 || (self.is_partial.0 && !self.moved.is_empty()),
            finding.is_unseen.1 || (self.is_partial.1 && !self.left.is_empty()),
        );
        for (old, new) in
            [&finding.changed.map(|(_, old, new)| (old, new)), &finding.touched, &finding.renewed].into_iter().flatten()
        {
            self.told.entry(key, Entry::There { old: Some(old), new })?;
        }
        if let Some(old) = &finding.same {
            self.told.entry(key, Entry::Same { old })?;
        }
        if let Some((change_type, old, new)) = &finding.changed {
            self.change(*change_type, key, None, (Some(old), Some(new)), Confidence::Certain)?;
        }
        if let (Some((old, new)), false) = (&finding.touched, finding.is_stirred) {
            self.change(ChangeType::Metadata, key, None, (Some(old), Some(new)), Confidence::Certain)?;
        }
        self.gone_or_new(key, finding, unseen)?;
        if let Some(to) = &finding.left {
            self.left.push((key.to_vec(), to.clone()));
        }
        finding.moved.as_ref().map_or(Ok(()), |moved| self.moved(key, moved))
    }

    /// Something is gone, or new, or another thing than before.
    fn gone_or_new(&mut self, key: &[u8], finding: &Finding, unseen: (bool, bool)) -> io::Result<()> {
        match (&finding.gone, &finding.new) {
            (Some(old), Some(new)) => {
                self.told.entry(key, Entry::Gone { old })?;
                self.told.entry(key, Entry::There { old: None, new })?;
                self.change(ChangeType::Modified, key, None, (Some(old), Some(new)), Confidence::Certain)
            }
            (Some(old), None) if unseen.1 => {
                if let Some((from, to)) = self.left.last().filter(|(_, to)| !to.is_empty())
                    && let Some(rest) = below(key, from)
                {
                    let to = [to, rest].concat();
                    self.told.entry(key, Entry::Gone { old })?;
                    self.told.entry(&to, Entry::Carried { old })?;
                }
                self.change(ChangeType::Unseen, key, None, (Some(old), None), Confidence::Uncertain)
            }
            (Some(old), None) => {
                self.told.entry(key, Entry::Gone { old })?;
                self.change(ChangeType::Removed, key, None, (Some(old), None), Confidence::Certain)
            }
            (None, Some(new)) => {
                let confidence = if unseen.0 { Confidence::Uncertain } else { Confidence::Certain };
                self.told.entry(key, Entry::There { old: None, new })?;
                self.change(ChangeType::Added, key, None, (None, Some(new)), confidence)
            }
            (None, None) => Ok(()),
        }
    }

    /// Something that was elsewhere. In a directory that moved it moved with that.
    fn moved(&mut self, key: &[u8], moved: &Move) -> io::Result<()> {
        let Move { old: was, new, confidence, from } = moved;
        let old = &was.stat;
        self.told.entry(from, Entry::Gone { old: was })?;
        self.told.entry(key, Entry::There { old: Some(was), new })?;
        let with_dir =
            |(to, dir_from): &(Vec<u8>, Vec<u8>)| below(key, to).is_some_and(|rest| *from == [dir_from, rest].concat());
        let is_implied = self.moved.last().is_some_and(with_dir);
        if !is_implied {
            self.change(ChangeType::Moved, key, Some(from), (Some(was), Some(new)), *confidence)?;
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
        self.change(change_type, key, Some(from), (Some(was), Some(new)), *confidence)
    }

    fn change(
        &mut self,
        change_type: ChangeType,
        key: &[u8],
        from: Option<&[u8]>,
        (old, new): (Option<&Detail>, Option<&Stat>),
        confidence: Confidence,
    ) -> io::Result<()> {
        let roots = if new.is_some() { self.new_roots } else { self.old_roots };
        let (path, old_path) = (roots.path(key), from.map(|from| self.old_roots.path(from)));
        let change = Change {
            change_type,
            path: &path,
            old_path: old_path.as_deref(),
            old: old.map(|old| &old.stat),
            new,
            old_fingerprint: old.and_then(Detail::fingerprint),
            new_fingerprint: None,
            confidence,
        };
        self.counts.add(&change);
        self.told.change(key, &change)
    }
}
