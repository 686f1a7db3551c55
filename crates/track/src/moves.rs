//! Moves: of what is gone and what is new, by inode, what is the same.
//!
//! An inode's number is given again when a file is removed, so it does not tell by itself. With the same time of birth it does. Where the file
//! system keeps none, a file of the same size and time of change is taken for the same, and a directory of the same time of
//! change: that is rather a move than a coincidence, and said to be likely.

use std::collections::HashMap;
use std::io;

use pwalk_scan::Stat;

use crate::change::Confidence;
use crate::entry::{decode, kind};
use crate::join::{NEW, OLD, found, lone};
use crate::sort::{Merged, Sorter};

/// What is under one path in one side only.
struct Lone {
    stat: Stat,
    /// Bytes of that; after them come the flags ([`lone`]), and then the key.
    length: usize,
    payload: Vec<u8>,
}

impl Lone {
    fn key(&self) -> &[u8] {
        &self.payload[self.length + 1..]
    }

    fn is_unseen(&self) -> bool {
        self.payload[self.length] & lone::UNSEEN != 0
    }

    fn is_replaced(&self) -> bool {
        self.payload[self.length] & lone::REPLACED != 0
    }

    /// With what is known of that.
    fn whole(&self) -> &[u8] {
        &self.payload[..=self.length]
    }

    /// The last component of its path.
    fn name(&self) -> &[u8] {
        self.key().rsplit(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        &self.payload[..self.length]
    }
}

/// Pairs what is gone with what is new, and adds all of it to what is told by path.
pub(crate) fn pair(mut by_inode: Merged, devices: &HashMap<u64, u64>, by_path: &mut Sorter) -> io::Result<()> {
    let mut gone: Vec<Option<Lone>> = Vec::new();
    while by_inode.next_group()? {
        gone.clear();
        while let Some((name, payload)) = by_inode.item() {
            let (detail, length) = decode(payload);
            let lone = Lone { stat: detail.stat, length, payload: payload.to_vec() };
            match name.first() {
                Some(&OLD) => gone.push(Some(lone)),
                Some(&NEW) => {
                    let fits = |old: &Option<Lone>| lone.was(old.as_ref()?, devices);
                    // Of several names of a file rather the one that is called the same: its directory moved.
                    let is_namesake = |old: &Option<Lone>| old.as_ref().is_some_and(|old| old.name() == lone.name());
                    let namesake = gone.iter().position(|old| is_namesake(old) && fits(old).is_some());
                    let chosen = namesake.or_else(|| gone.iter().position(|old| fits(old).is_some()));
                    let pair = chosen.and_then(|at| {
                        let confidence = fits(&gone[at])?;
                        Some((gone[at].take()?, confidence))
                    });
                    match pair {
                        Some((old, confidence)) => {
                            if kind(&lone.stat).is_dir() {
                                let to: &[u8] = if lone.is_replaced() { b"" } else { lone.key() };
                                by_path.push(old.key(), found::LEFT, &[to])?;
                            }
                            let confidence = [u8::try_from(confidence as usize).unwrap_or(u8::MAX)];
                            by_path.push(
                                lone.key(),
                                found::MOVED,
                                &[old.bytes(), lone.bytes(), &confidence, old.key()],
                            )?;
                        }
                        None => by_path.push(lone.key(), found::NEW, &[lone.whole()])?,
                    }
                }
                _ => {}
            }
            by_inode.advance()?;
        }
        for old in gone.iter().flatten() {
            by_path.push(old.key(), found::GONE, &[old.whole()])?;
        }
    }
    Ok(())
}

impl Lone {
    /// Whether this was `old`, and how sure that is. A file that nobody looked for where it was may be there still, and this another name of it; one
    /// that is where nobody looked before may have been there. A directory has one name.
    fn was(&self, old: &Self, devices: &HashMap<u64, u64>) -> Option<Confidence> {
        let confidence = same(&old.stat, &self.stat, devices)?;
        match kind(&self.stat).is_dir() {
            true => Some(confidence),
            false if old.is_unseen() => None,
            false if self.is_unseen() => Some(Confidence::Uncertain),
            false => Some(confidence),
        }
    }
}

/// Whether what is gone is what is new, and how sure that is.
fn same(old: &Stat, new: &Stat, devices: &HashMap<u64, u64>) -> Option<Confidence> {
    let device = devices.get(&old.dev).copied().unwrap_or(old.dev);
    if old.ino != new.ino || device != new.dev || kind(old) != kind(new) {
        return None;
    }
    match (old.btime, new.btime) {
        (Some(old), Some(new)) => (old == new).then_some(Confidence::Certain),
        _ => {
            let is_same_size = kind(old).is_dir() || old.size == new.size;
            (is_same_size && old.mtime == new.mtime).then_some(Confidence::Likely)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_given_again_is_no_move() {
        let old = Stat { ino: 5, dev: 1, size: 9, mtime: 7, btime: Some(1), mode: 0o100_644, ..Stat::default() };
        let devices = HashMap::from([(1, 3)]);
        let new = Stat { dev: 3, ctime: 99, ..old };
        assert_eq!(same(&old, &new, &devices), Some(Confidence::Certain));
        assert_eq!(same(&old, &Stat { size: 1, mtime: 1, ..new }, &devices), Some(Confidence::Certain));
        assert_eq!(same(&old, &new, &HashMap::new()), None);
        assert_eq!(same(&old, &Stat { btime: Some(2), ..new }, &devices), None);
        assert_eq!(same(&old, &Stat { mode: 0o040_755, ..new }, &devices), None);
        let unborn = Stat { btime: None, ..new };
        assert_eq!(same(&old, &unborn, &devices), Some(Confidence::Likely));
        assert_eq!(same(&old, &Stat { size: 8, ..unborn }, &devices), None);
    }
}
