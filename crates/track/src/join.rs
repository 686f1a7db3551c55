//! Two sorted scans, side by side: what is in one of them only, and what is in both and not the same.
//!
//! What is found is not told at once. What is gone and what is new may be one entry that moved, and a directory whose own times changed may have
//! changed only because of what is in it, which comes later. So findings are sorted again: what is gone and what is new by inode
//! (`moves`), everything else by path (`tell`). Those are as many as there are changes, not as there are entries.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;

use pwalk_scan::Stat;

use crate::entry::{SIZE, decode, encode, kind};
use crate::key::own_key;
use crate::side::Side;
use crate::sort::{Merged, Sorter, Spill};

/// What was found about a path, for `tell`. In this order where there are several.
pub(crate) mod found {
    /// Of a directory: entries of it came or went.
    pub(crate) const STIRRED: &[u8] = b"0";
    /// It is other than it was; both are there.
    pub(crate) const MODIFIED: &[u8] = b"1";
    /// Its mode, owner or time of change of the inode is.
    pub(crate) const METADATA: &[u8] = b"2";
    /// Of a directory: only its times are.
    pub(crate) const TOUCHED: &[u8] = b"3";
    /// What was there is gone.
    pub(crate) const GONE: &[u8] = b"4";
    /// What is there is new.
    pub(crate) const NEW: &[u8] = b"5";
    /// What is there was elsewhere.
    pub(crate) const MOVED: &[u8] = b"6";
}

/// Which side something was found on, for `moves`.
pub(crate) const OLD: u8 = b'0';
pub(crate) const NEW: u8 = b'1';

/// What was found.
pub(crate) struct Findings {
    /// By path.
    pub(crate) by_path: Sorter,
    /// By inode: what is gone and what is new.
    pub(crate) by_inode: Sorter,
    /// Devices that have another number now.
    pub(crate) devices: HashMap<u64, u64>,
    /// Whether any root is another directory than it was: then inodes tell nothing.
    pub(crate) is_elsewhere: bool,
    /// Room for a name.
    name: Vec<u8>,
}

/// Compares.
pub(crate) fn join(old: &mut Side, new: &mut Side, memory: usize, spill: &Spill) -> io::Result<Findings> {
    let mut findings = Findings {
        by_path: Sorter::new(memory / 2, spill),
        by_inode: Sorter::new(memory / 2, spill),
        devices: HashMap::new(),
        is_elsewhere: false,
        name: Vec::new(),
    };
    let has_same_roots = old.roots.paths() == new.roots.paths();
    let (old, new) = (&mut old.entries, &mut new.entries);
    let (mut has_old, mut has_new) = (old.next_group()?, new.next_group()?);
    while has_old || has_new {
        let order = match (has_old, has_new) {
            (true, true) => old.key().cmp(new.key()),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        findings.dir(order, old, new, has_same_roots)?;
        if order != Ordering::Greater {
            has_old = old.next_group()?;
        }
        if order != Ordering::Less {
            has_new = new.next_group()?;
        }
    }
    Ok(findings)
}

impl Findings {
    /// Compares the entries of one directory, which is in both or in one of them.
    fn dir(&mut self, sides: Ordering, old: &mut Merged, new: &mut Merged, has_same_roots: bool) -> io::Result<()> {
        let mut is_stirred = false;
        let key = if sides == Ordering::Greater { new.key() } else { old.key() }.to_vec();
        loop {
            let was = if sides == Ordering::Greater { None } else { old.item() };
            let is = if sides == Ordering::Less { None } else { new.item() };
            let order = match (was, is) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(was), Some(is)) => was.0.cmp(is.0),
            };
            match (order, was, is) {
                (Ordering::Equal, Some((name, was)), Some((_, is))) => {
                    // Mostly nothing changed, and nothing need be taken apart.
                    if was != is {
                        let (was, is) = (decode(was), decode(is));
                        if name.is_empty() {
                            self.root(&was, &is, has_same_roots);
                        }
                        is_stirred |= self.both(&key, name, &was, &is)?;
                    }
                }
                (Ordering::Less, Some((name, was)), _) => {
                    is_stirred = true;
                    self.gone_or_new(OLD, &own_key(&key, name), was, false)?;
                }
                (_, _, Some((name, is))) => {
                    is_stirred = true;
                    self.gone_or_new(NEW, &own_key(&key, name), is, false)?;
                }
                _ => break,
            }
            if order != Ordering::Greater {
                pass(old, &mut self.name)?;
            }
            if order != Ordering::Less {
                pass(new, &mut self.name)?;
            }
        }
        if is_stirred {
            self.by_path.push(&key, found::STIRRED, &[])?;
        }
        Ok(())
    }

    /// Compares what has one path in both. Whether the directory that it is in was changed by it.
    fn both(&mut self, dir: &[u8], name: &[u8], was: &Stat, is: &Stat) -> io::Result<bool> {
        let of = |stat: &Stat| stat.mode >> 12;
        let is_same_inode = was.ino == is.ino && is_born_with(was, is) && self.is_same_device(was, is);
        let key = own_key(dir, name);
        let both = [&encode(was)[..], &encode(is)];
        let says = |what, by_path: &mut Sorter| by_path.push(&key, what, &both);
        if of(was) != of(is) || (!is_same_inode && !self.is_elsewhere) {
            if self.is_elsewhere || name.is_empty() {
                says(found::MODIFIED, &mut self.by_path)?;
            } else {
                self.gone_or_new(OLD, &key, both[0], true)?;
                self.gone_or_new(NEW, &key, both[1], true)?;
            }
            return Ok(true);
        }
        let is_dir = kind(is).is_dir();
        let touched = was.mtime != is.mtime || (was.ctime != is.ctime && !self.is_elsewhere);
        if !is_dir && (was.size != is.size || was.mtime != is.mtime) {
            says(found::MODIFIED, &mut self.by_path)?;
        } else if (was.mode, was.uid, was.gid) != (is.mode, is.uid, is.gid) || (touched && !is_dir) {
            says(found::METADATA, &mut self.by_path)?;
        } else if touched {
            says(found::TOUCHED, &mut self.by_path)?;
        }
        Ok(false)
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

    /// Something is in one side only, or `both` are under this path and are not the same.
    fn gone_or_new(&mut self, side: u8, key: &[u8], stat: &[u8], both: bool) -> io::Result<()> {
        if self.is_elsewhere {
            let what = if side == OLD { found::GONE } else { found::NEW };
            return self.by_path.push(key, what, &[stat]);
        }
        let stat = &stat[..SIZE.min(stat.len())];
        // The path is the name, so that names of one file come in order; what is longer is cut, and read from the payload.
        let name = [&[side], &key[..key.len().min(1024)]].concat();
        let ino = &stat[..8];
        self.by_inode.push(ino, &name, &[stat, &[u8::from(both)], key])
    }
}

/// Whether two have the same time of birth, as far as that is known.
pub(crate) fn is_born_with(was: &Stat, is: &Stat) -> bool {
    was.btime.is_none() || is.btime.is_none() || was.btime == is.btime
}

/// Passes over an entry, and others of the same name: a directory that was changed while it was listed may name one twice.
fn pass(side: &mut Merged, name: &mut Vec<u8>) -> io::Result<()> {
    let Some((passed, _)) = side.item() else { return Ok(()) };
    name.clear();
    name.extend_from_slice(passed);
    side.advance()?;
    while side.item().is_some_and(|(next, _)| next == name.as_slice()) {
        side.advance()?;
    }
    Ok(())
}
