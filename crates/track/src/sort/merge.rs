//! All sorted pieces as one.

use std::io;

use super::Sorter;
use super::tape::{Run, Tape};

/// Bytes of all buffers together, as far as the smallest allow.
const MEMORY: usize = 24 << 20;
/// The smallest buffer and the largest.
const ROOM: (usize, usize) = (16 << 10, 512 << 10);

/// What several sorters took, in order.
pub(crate) struct Merged {
    tapes: Vec<Tape>,
    /// Those that are not in the group and not at their end, the one with the first key last.
    waiting: Vec<usize>,
    /// Those that have items in the group.
    active: Vec<usize>,
    /// The one among them that has the next item.
    next: Option<usize>,
}

impl Merged {
    pub(crate) fn all(sorters: Vec<Sorter>) -> io::Result<Self> {
        let mut runs: Vec<Run> = Vec::new();
        for sorter in sorters {
            runs.append(&mut sorter.finish()?);
        }
        let room = (MEMORY / runs.len().max(1)).clamp(ROOM.0, ROOM.1);
        let mut merged = Self { tapes: Vec::new(), waiting: Vec::new(), active: Vec::new(), next: None };
        for run in runs {
            merged.tapes.push(Tape::new(run, room));
            merged.queue(merged.tapes.len() - 1)?;
        }
        Ok(merged)
    }

    /// Goes on to a tape's next group, and puts it where its key belongs.
    fn queue(&mut self, tape: usize) -> io::Result<()> {
        if self.tapes[tape].next_group()? {
            let key = &self.tapes[tape].key;
            let place = self.waiting.partition_point(|other| self.tapes[*other].key > *key);
            self.waiting.insert(place, tape);
        }
        Ok(())
    }

    /// Goes on to the next group; false at the end.
    pub(crate) fn next_group(&mut self) -> io::Result<bool> {
        for tape in std::mem::take(&mut self.active) {
            self.queue(tape)?;
        }
        let Some(first) = self.waiting.pop() else {
            self.next = None;
            return Ok(false);
        };
        self.active.push(first);
        while let Some(tape) = self.waiting.pop_if(|tape| self.tapes[*tape].key == self.tapes[first].key) {
            self.active.push(tape);
        }
        self.choose();
        Ok(true)
    }

    /// The key of the group.
    pub(crate) fn key(&self) -> &[u8] {
        self.active.first().map_or(&[], |tape| &self.tapes[*tape].key)
    }

    /// The next item of the group: its name and its payload.
    pub(crate) fn item(&self) -> Option<(&[u8], &[u8])> {
        self.tapes[self.next?].item()
    }

    /// Passes it over.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        if let Some(next) = self.next {
            self.tapes[next].advance()?;
            self.choose();
        }
        Ok(())
    }

    fn choose(&mut self) {
        self.next = match self.active.as_slice() {
            [only] => Some(*only),
            all => {
                let name = |tape: &&usize| self.tapes[**tape].item().map(|(name, _)| name);
                all.iter().filter(|tape| name(tape).is_some()).min_by_key(|tape| name(tape)).copied()
            }
        };
    }
}
