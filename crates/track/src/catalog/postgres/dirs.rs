//! The numbers of a root's directories.
//!
//! Rows name their directory by a number, so that a name is stored once; whoever reads rows needs the path of a number, and whoever writes them the
//! number of a path. All directories of a root are kept in memory for that, in a few arrays: name, parent, number and a place in a hash table,
//! about 30 bytes and the name for each, ten million of them in half a gigabyte. Rows, of which there are twenty times
//! as many, are never kept. The alternative is to have the server put paths and rows together, which costs more than reading the rows does.

use std::hash::{BuildHasher, RandomState};
use std::io;

use twox_hash::XxHash3_64;

/// No directory.
const NONE: u32 = u32::MAX;

/// The directories of one root. The root is the first, and a directory comes after the one that it is in.
pub(super) struct Directories {
    /// Their numbers, ascending.
    ids: Vec<i64>,
    parents: Vec<u32>,
    /// Where each name ends in `names`.
    ends: Vec<usize>,
    names: Vec<u8>,
    /// By a hash of parent and name.
    table: Vec<u32>,
    /// Drawn for this process, so that nobody can choose names that collide.
    seed: u64,
    hashed: Vec<u8>,
}

impl Directories {
    pub(super) fn new() -> Self {
        Self {
            ids: Vec::new(),
            parents: Vec::new(),
            ends: Vec::new(),
            names: Vec::new(),
            table: vec![NONE; 64],
            seed: RandomState::new().hash_one(0_u64),
            hashed: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Adds one; the root has no parent. Where it is in here.
    pub(super) fn push(&mut self, id: i64, parent: Option<u32>, name: &[u8]) -> io::Result<u32> {
        let index = u32::try_from(self.ids.len()).ok().filter(|index| *index != NONE);
        let index = index.ok_or_else(|| io::Error::other("there are more than 4,000 million directories"))?;
        if self.ids.last().is_some_and(|last| *last >= id) || (index > 0) != parent.is_some() {
            return Err(io::Error::other(format!("directory {id} of the catalog is not where it belongs")));
        }
        self.ids.push(id);
        self.parents.push(parent.unwrap_or(NONE));
        self.names.extend_from_slice(name);
        self.ends.push(self.names.len());
        if self.ids.len() * 2 > self.table.len() {
            self.table = vec![NONE; self.table.len() * 2];
            (0..index).for_each(|known| self.enter(known));
        }
        self.enter(index);
        Ok(index)
    }

    fn enter(&mut self, index: u32) {
        let name = self.name(index).to_vec();
        let mut slot = self.slot(self.parents[index as usize], &name);
        while self.table[slot] != NONE {
            slot = (slot + 1) % self.table.len();
        }
        self.table[slot] = index;
    }

    fn slot(&mut self, parent: u32, name: &[u8]) -> usize {
        self.hashed.clear();
        self.hashed.extend_from_slice(&parent.to_le_bytes());
        self.hashed.extend_from_slice(name);
        let hash = XxHash3_64::oneshot_with_seed(self.seed, &self.hashed);
        usize::try_from(hash % self.table.len() as u64).unwrap_or(0)
    }

    /// Where the one with this number is.
    pub(super) fn find(&self, id: i64) -> Option<u32> {
        u32::try_from(self.ids.binary_search(&id).ok()?).ok()
    }

    /// The one of this name in another.
    pub(super) fn child(&mut self, parent: u32, name: &[u8]) -> Option<u32> {
        let mut slot = self.slot(parent, name);
        loop {
            match self.table[slot] {
                NONE => return None,
                index if self.parents[index as usize] == parent && self.name(index) == name => return Some(index),
                _ => slot = (slot + 1) % self.table.len(),
            }
        }
    }

    pub(super) fn id(&self, index: u32) -> i64 {
        self.ids[index as usize]
    }

    pub(super) fn parent(&self, index: u32) -> Option<u32> {
        Some(self.parents[index as usize]).filter(|parent| *parent != NONE)
    }

    pub(super) fn name(&self, index: u32) -> &[u8] {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.names[start..self.ends[index]]
    }

    /// Those from the root down to this one, itself the last.
    pub(super) fn lineage(&self, index: u32) -> Vec<u32> {
        let mut line: Vec<u32> = std::iter::successors(Some(index), |of| self.parent(*of)).collect();
        line.reverse();
        line
    }

    /// Makes `path` the path of one below the root: nothing for the root.
    pub(super) fn path_into(&self, index: u32, path: &mut Vec<u8>) {
        path.clear();
        for of in self.lineage(index).into_iter().skip(1) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(self.name(of));
        }
    }

    /// The one at a path below the root.
    pub(super) fn at(&mut self, below: &[u8]) -> Option<u32> {
        if self.ids.is_empty() {
            return None;
        }
        let mut names = below.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.try_fold(0, |parent, name| self.child(parent, name))
    }

    /// Whether each is this one or below it.
    pub(super) fn below(&self, top: u32) -> Vec<bool> {
        let mut below = vec![false; self.ids.len()];
        for index in 0..self.ids.len() {
            let parent = self.parents[index];
            below[index] = index == top as usize || (parent != NONE && below[parent as usize]);
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_numbers_find_each_other() {
        let mut dirs = Directories::new();
        assert_eq!(dirs.at(b""), None);
        let mut indices = vec![dirs.push(10, None, b"").unwrap()];
        for i in 1..2000_u32 {
            let parent = indices[(i / 3) as usize];
            indices.push(dirs.push(10 + i64::from(i), Some(parent), format!("dir {i}").as_bytes()).unwrap());
        }
        let mut path = Vec::new();
        for (i, index) in indices.iter().enumerate() {
            dirs.path_into(*index, &mut path);
            assert_eq!(dirs.at(&path), Some(*index), "{}", path.escape_ascii());
            assert_eq!(dirs.find(10 + i64::try_from(i).unwrap()), Some(*index));
            assert_eq!(dirs.id(*index), 10 + i64::try_from(i).unwrap());
        }
        assert_eq!(dirs.at(b"dir 1/none"), None);
        assert_eq!(dirs.below(0).iter().filter(|is| **is).count(), 2000);
        assert!(dirs.push(5, Some(0), b"late").is_err());
    }
}
