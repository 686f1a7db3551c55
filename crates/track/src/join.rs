//! Both sides of what differs: which kind of difference it is.
//!
//! ```text
//! marks of both sides ─► part by part: what differs, by place ─► details of that, by path ─► findings
//! ```
//!
//! What is found is not told at once. What is gone and what is new may be one entry that moved, and a directory whose own times changed may have
//! changed only because of what is in it, which comes later. So findings are sorted again: what is gone and what is new by inode
//! (`moves`), everything else by path (`tell`). All this is as much as there are changes, not as there are entries.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pwalk_fs::Kind;
use pwalk_scan::Stat;

use crate::TrackError;
use crate::entry::{decode, kind};
use crate::key::above;
use crate::marks::{Compared, compare};
use crate::places::Places;
use crate::side::{Chosen, Reading, Side};
use crate::sort::{Merged, Sorter};

/// What was found about a path, for `tell`. In this order where there are several.
pub(crate) mod found {
    /// Of a directory: entries of it came or went.
    pub(crate) const STIRRED: &[u8] = b"0";
    /// It is other than it was; both are there.
    pub(crate) const MODIFIED: &[u8] = b"1";
    /// Its mode, owner or time of change of the inode is.
    pub(crate) const METADATA: &[u8] = b"2";
    /// It is what it was, as far as metadata tell, and its content is to be looked at.
    pub(crate) const SAME: &[u8] = b"8";
    /// It is what it was in another directory; only its inode is another.
    pub(crate) const RENEWED: &[u8] = b"9";
    /// Of a directory: only its times are.
    pub(crate) const TOUCHED: &[u8] = b"3";
    /// What was there is gone.
    pub(crate) const GONE: &[u8] = b"4";
    /// What is there is new.
    pub(crate) const NEW: &[u8] = b"5";
    /// Of a directory: it is elsewhere now; where, unless something else was there before.
    pub(crate) const LEFT: &[u8] = b"7";
    /// What is there was elsewhere.
    pub(crate) const MOVED: &[u8] = b"6";
}

/// What is known of something that is in one side only.
pub(crate) mod lone {
    /// Nobody looked there in the other scan.
    pub(crate) const UNSEEN: u8 = 1;
    /// Something else is there in the other scan.
    pub(crate) const REPLACED: u8 = 2;
}

/// Which side something was found on, for `moves`.
pub(crate) const OLD: u8 = b'0';
pub(crate) const NEW: u8 = b'1';

/// So many directories are named that are on another device.
const NAMED: usize = 8;

/// What was found.
pub(crate) struct Findings {
    /// By path.
    pub(crate) by_path: Sorter,
    /// By inode: what is gone and what is new.
    pub(crate) by_inode: Sorter,
    pub(crate) known: Known,
    /// Directories that are on another device than before, some of them.
    pub(crate) remounted: Vec<Vec<u8>>,
    /// Places that nobody looked into before, and now.
    unseen: (Places, Places),
    /// The directory that was last said to be stirred.
    stirred: Vec<u8>,
}

/// What is known of both sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Devices that have another number now.
    pub(crate) devices: HashMap<u64, u64>,
    /// Whether any root is another directory than it was: then inodes tell nothing.
    pub(crate) is_elsewhere: bool,
    /// Whether nothing was known before: then nothing can have moved.
    is_new: bool,
}

/// Compares, and takes about so much memory for what is found.
pub(crate) fn join(old: &mut Side, new: &mut Side, memory: usize, reading: &Reading) -> Result<Findings, TrackError> {
    let known = Known::of(old, new);
    let (gone, came) = differing(old, new, !known.is_elsewhere || reading.renews, reading)?;
    old.forget();
    new.forget();
    let mut details = old.fetch(&gone, &[OLD], memory / 8, reading)?;
    details.append(&mut new.fetch(&came, &[NEW], memory / 8, reading)?);
    let failed = |why| reading.spilled(why);
    let mut findings = Findings {
        by_path: Sorter::new(memory / 4, &reading.spill),
        by_inode: Sorter::new(memory / 4, &reading.spill),
        known,
        remounted: Vec::new(),
        unseen: (places(old).map_err(failed)?, places(new).map_err(failed)?),
        stirred: Vec::new(),
    };
    let details = Merged::all(details).map_err(failed)?;
    findings.join(details, reading).map_err(failed)?;
    if reading.cancel.is_cancelled() { Err(TrackError::Interrupted) } else { Ok(findings) }
}

/// Where nobody looked. To be asked once.
fn places(side: &mut Side) -> io::Result<Places> {
    match side.unseen.take() {
        Some(unseen) => Places::new(unseen, side.is_vague),
        None => Places::new(Merged::all(Vec::new())?, side.is_vague),
    }
}

/// What is not the same on both sides, by the places of each.
fn differing(old: &Side, new: &Side, compares_inodes: bool, reading: &Reading) -> Result<(Chosen, Chosen), TrackError> {
    struct Choosing<'a>(&'a Chosen, &'a Chosen);
    impl Compared for Choosing<'_> {
        fn differ(&mut self, old: u64, new: u64) {
            self.0.choose(old);
            self.1.choose(new);
        }

        fn gone(&mut self, old: u64) {
            self.0.choose(old);
        }

        fn came(&mut self, new: u64) {
            self.1.choose(new);
        }
    }
    let chosen = (old.none(), new.none());
    let next = AtomicUsize::new(0);
    reading.in_threads(reading.threads, |is_over| {
        let (mut was, mut is) = (Vec::new(), Vec::new());
        loop {
            // Relaxed: nothing else depends on it.
            let part = next.fetch_add(1, Relaxed);
            if part >= reading.parts || is_over() {
                return Ok(());
            }
            was.clear();
            is.clear();
            old.part(part, &mut was).and_then(|()| new.part(part, &mut is)).map_err(|why| reading.spilled(why))?;
            compare(&was, &is, compares_inodes, &mut Choosing(&chosen.0, &chosen.1));
        }
    })?;
    Ok(chosen)
}

impl Findings {
    /// Goes through what differs, path by path: the old side, the new one, or both.
    fn join(&mut self, mut details: Merged, reading: &Reading) -> io::Result<()> {
        let mut key = Vec::new();
        while details.next_group()? && !reading.cancel.is_cancelled() {
            key.clear();
            key.extend_from_slice(details.key());
            let (mut was, mut is) = (None, None);
            while let Some((side, stat)) = details.item() {
                let place = if side == [OLD] { &mut was } else { &mut is };
                *place = Some(stat.to_vec());
                details.advance()?;
            }
            let is_stirred = match (was, is) {
                (Some(was), Some(is)) => self.both(&key, &was, &is)?,
                (Some(was), None) => self.gone_or_new(OLD, &key, &was, 0).map(|()| true)?,
                (None, Some(is)) => self.gone_or_new(NEW, &key, &is, 0).map(|()| true)?,
                (None, None) => false,
            };
            if let (true, Some(dir)) = (is_stirred, above(&key))
                && self.stirred != dir
            {
                self.stirred.clear();
                self.stirred.extend_from_slice(dir);
                self.by_path.push(dir, found::STIRRED, &[])?;
            }
        }
        Ok(())
    }

    /// Compares what has one path in both. Whether the directory that it is in was changed by it.
    fn both(&mut self, key: &[u8], was_bytes: &[u8], is_bytes: &[u8]) -> io::Result<bool> {
        let (was, is) = (&decode(was_bytes).0.stat, &decode(is_bytes).0.stat);
        let is_same_inode = was.ino == is.ino && is_born_with(was, is) && self.known.is_same_device(was, is);
        let both = [was_bytes, is_bytes];
        let says = |what, by_path: &mut Sorter| by_path.push(key, what, &both);
        if kind(was) != kind(is) || (!is_same_inode && !self.known.is_elsewhere) {
            if self.known.is_elsewhere || above(key).is_none() {
                says(found::MODIFIED, &mut self.by_path)?;
            } else {
                let is_remounted = kind(was).is_dir() && kind(is).is_dir() && was.dev != is.dev;
                if is_remounted && self.remounted.len() < NAMED {
                    self.remounted.push(key.to_vec());
                }
                self.gone_or_new(OLD, key, both[0], lone::REPLACED)?;
                self.gone_or_new(NEW, key, both[1], lone::REPLACED)?;
            }
            return Ok(true);
        }
        let is_dir = kind(is).is_dir();
        let touched = was.mtime != is.mtime || (was.ctime != is.ctime && !self.known.is_elsewhere);
        if !is_dir && (was.size != is.size || was.mtime != is.mtime) {
            says(found::MODIFIED, &mut self.by_path)?;
        } else if (was.mode, was.uid, was.gid) != (is.mode, is.uid, is.gid) || (touched && !is_dir) {
            says(found::METADATA, &mut self.by_path)?;
        } else if touched {
            says(found::TOUCHED, &mut self.by_path)?;
        } else if self.known.is_elsewhere && was != is {
            says(found::RENEWED, &mut self.by_path)?;
        } else if kind(is) == Kind::File {
            says(found::SAME, &mut self.by_path)?;
        }
        Ok(false)
    }

    /// Something is in one side only, or is not what the other has under its path.
    fn gone_or_new(&mut self, side: u8, key: &[u8], stat: &[u8], flags: u8) -> io::Result<()> {
        let (before, now) = &mut self.unseen;
        let is_unseen = if side == OLD { now.cover(key)? } else { before.cover(key)? };
        let flags = [flags | if is_unseen { lone::UNSEEN } else { 0 }];
        if self.known.is_elsewhere || self.known.is_new {
            let what = if side == OLD { found::GONE } else { found::NEW };
            return self.by_path.push(key, what, &[stat, &flags]);
        }
        // The path is the name, so that names of one file come in order; what is longer is cut, and read from the payload.
        let name = [&[side], &key[..key.len().min(1024)]].concat();
        let ino = decode(stat).0.stat.ino.to_le_bytes();
        self.by_inode.push(&ino, &name, &[stat, &flags, key])
    }
}

impl Known {
    fn of(old: &Side, new: &Side) -> Self {
        let mut known = Self { is_new: old.tops.is_empty(), ..Self::default() };
        let has_same_roots = old.roots.paths() == new.roots.paths();
        for (root, was) in &old.tops {
            if let Some(is) = new.tops.get(root) {
                known.root(was, is, has_same_roots);
            }
        }
        known
    }

    /// A root in both: whether it is the directory that it was. An inode's number alone does not tell: the top of many file systems has the same.
    fn root(&mut self, was: &Stat, is: &Stat, has_same_roots: bool) {
        let is_known = was.btime.is_some() && is.btime.is_some();
        let is_same = was.ino == is.ino && is_born_with(was, is) && (is_known || was.dev == is.dev || has_same_roots);
        if !is_same {
            self.is_elsewhere = true;
        } else if was.dev != is.dev {
            self.devices.insert(was.dev, is.dev);
        }
    }

    /// Whether two entries of one inode number are on the same file system, which may have another number by now.
    fn is_same_device(&mut self, was: &Stat, is: &Stat) -> bool {
        if was.dev == is.dev {
            return true;
        }
        let is_alike = (was.btime.is_some() && was.btime == is.btime) || was.ctime == is.ctime;
        match self.devices.get(&was.dev) {
            Some(device) => *device == is.dev,
            None if is_alike => {
                self.devices.insert(was.dev, is.dev);
                true
            }
            None => false,
        }
    }
}

/// Whether two have the same time of birth, as far as that is known.
fn is_born_with(was: &Stat, is: &Stat) -> bool {
    was.btime.is_none() || is.btime.is_none() || was.btime == is.btime
}
