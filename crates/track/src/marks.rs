//! Thirty-two bytes for each entry, by which two scans are compared.
//!
//! Of an entry are kept: a hash of its path below the root, two of its metadata, and where the rest can be read again. What has the same hashes on both sides
//! has not changed, and nearly everything has not; of what has, the rest is read again. So what is sorted, put aside
//! and compared is small and of fixed size, whatever the paths are.
//!
//! The hashes are XXH3 with a seed that is drawn for each run: nobody can choose names that collide. By chance any two of a thousand million
//! paths have the same 96 bits with a probability of 10^-11, and a change is taken for none, 48 bits being the same, with one of 4 * 10^-15.
//!
//! Marks fall into parts by their hashes, so that a part of both sides fits into memory, and into a core's cache if it can.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use pwalk_scan::Stat;
use twox_hash::{XxHash3_64, XxHash3_128};

use crate::sort::Spill;

/// Bytes of a mark outside memory.
const SIZE: usize = 32;
/// Marks that are allocated at once.
const CHUNK: usize = 64;

/// An entry: hashes of 64 and 32 bits of the root's number and the path below it; of 48 of type, mode, owner, size and time of change; of 48 of
/// inode, time of the inode's change and of birth; and 48 bits that say where the rest is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark([u64; 4]);

/// What hashes are made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn drawn() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }

    /// The mark of an entry. Its device is left out: file systems get other numbers when they are mounted again.
    pub(crate) fn mark(self, root: usize, below: &[u8], stat: &Stat, place: u64) -> Mark {
        let path = XxHash3_128::oneshot_with_seed(self.0.wrapping_add(root as u64), below);
        let mut content = [0; 28];
        content[..8].copy_from_slice(&stat.size.to_le_bytes());
        content[8..16].copy_from_slice(&stat.mtime.to_le_bytes());
        content[16..20].copy_from_slice(&stat.mode.to_le_bytes());
        content[20..24].copy_from_slice(&stat.uid.to_le_bytes());
        content[24..].copy_from_slice(&stat.gid.to_le_bytes());
        let mut inode = [0; 24];
        inode[..8].copy_from_slice(&stat.ino.to_le_bytes());
        inode[8..16].copy_from_slice(&stat.ctime.to_le_bytes());
        inode[16..].copy_from_slice(&stat.btime.unwrap_or(i64::MIN).to_le_bytes());
        let half = |shift: u32| u64::try_from(path >> shift & u128::from(u64::MAX)).unwrap_or(0);
        let content = XxHash3_64::oneshot_with_seed(self.0, &content);
        let inode = XxHash3_64::oneshot_with_seed(self.0, &inode);
        Mark([half(64), half(0) << 32 | content >> 32, content << 32 & CONTENT | inode >> 16, place])
    }
}

/// The part of the content's hash that shares a word with the inode's.
const CONTENT: u64 = 0xffff << 48;

impl Mark {
    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        Self([word(0), word(8), word(16), word(24)])
    }

    /// Makes it another than that of the same entry: it is to be looked at in any case.
    pub(crate) fn differ(&mut self) {
        self.0[1] ^= 1;
        self.0[2] ^= 1;
    }

    fn path(&self) -> (u64, u64) {
        (self.0[0], self.0[1] >> 32)
    }

    fn content(&self) -> (u64, u64) {
        (self.0[1] << 32, self.0[2] & CONTENT)
    }

    fn inode(&self) -> u64 {
        self.0[2] & !CONTENT
    }

    fn place(&self) -> u64 {
        self.0[3]
    }
}

/// Marks by parts, of one thread.
pub(crate) struct Marks {
    /// Of each part those in memory, in chunks: to grow is not to copy.
    parts: Vec<Vec<Vec<Mark>>>,
    in_memory: usize,
    /// How many that may be.
    limit: usize,
    spill: Spill,
    file: Option<File>,
    end: u64,
    /// Of each part where in the file some are, and how many.
    put_aside: Vec<Vec<(u64, usize)>>,
}

impl Marks {
    /// In so many parts, with about so many bytes of memory.
    pub(crate) fn new(parts: usize, memory: usize, spill: &Spill) -> Self {
        let parts = parts.max(1);
        Self {
            parts: (0..parts).map(|_| Vec::new()).collect(),
            in_memory: 0,
            limit: (memory / size_of::<Mark>()).max(1024),
            spill: spill.clone(),
            file: None,
            end: 0,
            put_aside: vec![Vec::new(); parts],
        }
    }

    pub(crate) fn push(&mut self, mark: Mark) -> io::Result<()> {
        if self.in_memory >= self.limit {
            self.put_aside()?;
        }
        let of = part(mark.0[0], self.parts.len());
        let chunks = &mut self.parts[of];
        match chunks.last_mut() {
            Some(last) if last.len() < last.capacity() => last.push(mark),
            _ => {
                // The more there are, the more are to be expected.
                let mut chunk = Vec::with_capacity(CHUNK << chunks.len().min(4));
                chunk.push(mark);
                chunks.push(chunk);
            }
        }
        self.in_memory += 1;
        Ok(())
    }

    /// Writes what is in memory to a file.
    fn put_aside(&mut self) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.spill.create()?,
        };
        let mut bytes = Vec::new();
        for (part, chunks) in self.parts.iter_mut().enumerate() {
            let marks: usize = chunks.iter().map(Vec::len).sum();
            bytes.clear();
            chunks.drain(..).flatten().for_each(|mark| bytes.extend_from_slice(&mark.encode()));
            file.write_all(&bytes)?;
            self.put_aside[part].push((self.end, marks));
            self.end += bytes.len() as u64;
        }
        self.file = Some(file);
        self.in_memory = 0;
        Ok(())
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(0, 0, &self.spill);
    }

    /// Adds the marks of one part to `out`.
    pub(crate) fn read(&self, part: usize, out: &mut Vec<Mark>) -> io::Result<()> {
        let (Some(chunks), Some(put_aside)) = (self.parts.get(part), self.put_aside.get(part)) else { return Ok(()) };
        let more: usize =
            chunks.iter().map(Vec::len).sum::<usize>() + put_aside.iter().map(|some| some.1).sum::<usize>();
        out.reserve(more);
        chunks.iter().for_each(|chunk| out.extend_from_slice(chunk));
        let mut bytes = Vec::new();
        for (from, marks) in put_aside {
            let Some(file) = &self.file else { continue };
            bytes.resize(marks * SIZE, 0);
            file.read_exact_at(&mut bytes, *from)?;
            out.extend(bytes.chunks_exact(SIZE).map(Mark::decode));
        }
        Ok(())
    }
}

/// Which one of so many parts a hash belongs to.
fn part(hash: u64, parts: usize) -> usize {
    usize::try_from((u128::from(hash) * parts as u128) >> 64).unwrap_or(0)
}

/// Into how many parts marks may fall, that so much memory for each thread is not mostly empty chunks.
pub(crate) fn most_parts(memory: usize) -> usize {
    (memory / size_of::<Mark>() / CHUNK).clamp(16, 4096)
}

/// What was found in a part, told by places.
pub(crate) trait Compared {
    /// Both sides have this path, and not the same of it.
    fn differ(&mut self, old: u64, new: u64);
    /// Only the old side has it.
    fn gone(&mut self, old: u64);
    /// Only the new side has it.
    fn came(&mut self, new: u64);
}

/// Compares the marks of a part. Where inodes tell nothing only content is compared.
pub(crate) fn compare(old: &[Mark], new: &[Mark], compares_inodes: bool, found: &mut impl Compared) {
    const NONE: u32 = u32::MAX;
    let size = (old.len() * 2).next_power_of_two().max(16);
    let mask = size - 1;
    let mut table = vec![NONE; size];
    let mut seen = vec![false; old.len()];
    let slot = |mark: &Mark| usize::try_from(mark.0[0]).unwrap_or(0) & mask;
    let find = |table: &[u32], mark: &Mark| {
        let mut at = slot(mark);
        loop {
            match table[at] {
                NONE => return Err(at),
                index if old[index as usize].path() == mark.path() => return Ok(index as usize),
                _ => at = (at + 1) & mask,
            }
        }
    };
    for (index, mark) in old.iter().enumerate() {
        match find(&table, mark) {
            Err(at) => table[at] = u32::try_from(index).unwrap_or(NONE),
            // A directory that was changed while it was listed may name an entry twice.
            Ok(_) => seen[index] = true,
        }
    }
    let mut twice = std::collections::HashSet::new();
    for mark in new {
        match find(&table, mark) {
            Ok(index) if seen[index] => {}
            Ok(index) => {
                seen[index] = true;
                let was = &old[index];
                if was.content() != mark.content() || (compares_inodes && was.inode() != mark.inode()) {
                    found.differ(was.place(), mark.place());
                }
            }
            Err(_) => {
                if twice.insert(mark.path()) {
                    found.came(mark.place());
                }
            }
        }
    }
    old.iter().zip(&seen).filter(|(_, seen)| !**seen).for_each(|(mark, _)| found.gone(mark.place()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Found(Vec<(Option<u64>, Option<u64>)>);

    impl Compared for Found {
        fn differ(&mut self, old: u64, new: u64) {
            self.0.push((Some(old), Some(new)));
        }

        fn gone(&mut self, old: u64) {
            self.0.push((Some(old), None));
        }

        fn came(&mut self, new: u64) {
            self.0.push((None, Some(new)));
        }
    }

    #[test]
    fn what_differs_is_found_in_memory_and_outside_it() {
        let (seed, spill) = (Seed::drawn(), Spill::new(None));
        for memory in [0, 1 << 30] {
            let mut sides = [Marks::new(7, memory, &spill), Marks::new(7, memory, &spill)];
            for i in 0..20_000_u64 {
                let path = i.to_string();
                let stat = |mtime, ino| Stat { mtime, ino, ..Stat::default() };
                let (was, is) = match i % 5000 {
                    0 => (None, Some(stat(1, i))),
                    1 => (Some(stat(1, i)), None),
                    2 => (Some(stat(1, i)), Some(stat(2, i))),
                    3 => (Some(stat(1, i)), Some(stat(1, i + 1))),
                    _ => (Some(stat(1, i)), Some(stat(1, i))),
                };
                for (side, stat) in sides.iter_mut().zip([was, is]) {
                    if let Some(stat) = stat {
                        side.push(seed.mark(0, path.as_bytes(), &stat, i)).unwrap();
                    }
                }
            }
            // Named twice.
            sides[1].push(seed.mark(0, b"5000", &Stat { mtime: 1, ino: 5000, ..Stat::default() }, 5000)).unwrap();
            assert_eq!(sides[0].file.is_some(), memory == 0);
            for (compares_inodes, some) in [(true, 4), (false, 3)] {
                let mut found = Found::default();
                for part in 0..7 {
                    let mut marks = [Vec::new(), Vec::new()];
                    for (side, marks) in sides.iter().zip(&mut marks) {
                        side.read(part, marks).unwrap();
                    }
                    compare(&marks[0], &marks[1], compares_inodes, &mut found);
                }
                found.0.sort_unstable();
                let mut expected = Vec::new();
                for i in (0..20_000).step_by(5000) {
                    let all =
                        [(None, Some(i)), (Some(i + 1), None), (Some(i + 2), Some(i + 2)), (Some(i + 3), Some(i + 3))];
                    expected.extend_from_slice(&all[..some]);
                }
                expected.sort_unstable();
                assert_eq!(found.0, expected);
            }
        }
    }
}
