//! Reading one sorted piece, from memory or through a small buffer from a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{HEAD, lengths};

/// A sorted piece.
pub(super) enum Run {
    Memory(Vec<u8>),
    Spilled { file: Arc<File>, from: u64, to: u64 },
}

/// A piece, read group by group and item by item.
pub(super) struct Tape {
    /// What is read next; all of it, if it is in memory.
    window: Vec<u8>,
    /// Where in the window.
    at: usize,
    /// The rest of a file, and how much of it is read at once.
    rest: Option<(Arc<File>, u64, u64)>,
    room: usize,
    /// The key of the group.
    pub(super) key: Vec<u8>,
    /// Items of the group that are left.
    left: u32,
    /// The next item's name and payload, in the window.
    name: usize,
    payload: usize,
}

impl Tape {
    /// Reads through a buffer of about `room` bytes.
    pub(super) fn new(run: Run, room: usize) -> Self {
        let (window, rest) = match run {
            Run::Memory(all) => (all, None),
            Run::Spilled { file, from, to } => (Vec::new(), Some((file, from, to))),
        };
        Self { window, at: 0, rest, room, key: Vec::new(), left: 0, name: 0, payload: 0 }
    }

    /// Goes on to the next group, if there is one.
    pub(super) fn next_group(&mut self) -> io::Result<bool> {
        while self.left > 0 {
            self.advance()?;
        }
        if !self.load(8)? {
            return Ok(false);
        }
        let word = |at: usize| {
            let bytes = &self.window[self.at + at..];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        let (length, items) = (word(0) as usize, word(4));
        self.must(8 + length)?;
        self.key.clear();
        self.key.extend_from_slice(&self.window[self.at + 8..self.at + 8 + length]);
        self.at += 8 + length;
        self.left = items;
        self.load_item()?;
        Ok(true)
    }

    /// The next item of the group: its name and its payload.
    pub(super) fn item(&self) -> Option<(&[u8], &[u8])> {
        let item = &self.window[self.at..];
        (self.left > 0).then(|| item[HEAD..HEAD + self.name + self.payload].split_at(self.name))
    }

    /// Passes it over.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if self.left > 0 {
            self.at += HEAD + self.name + self.payload;
            self.left -= 1;
            self.load_item()?;
        }
        Ok(())
    }

    fn load_item(&mut self) -> io::Result<()> {
        if self.left > 0 {
            self.must(HEAD)?;
            (self.name, self.payload) = lengths(&self.window[self.at..]);
            self.must(HEAD + self.name + self.payload)?;
        }
        Ok(())
    }

    fn must(&mut self, bytes: usize) -> io::Result<()> {
        if self.load(bytes)? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Sees to it that so many bytes are in the window; false if there are no more.
    fn load(&mut self, bytes: usize) -> io::Result<bool> {
        let there = self.window.len() - self.at;
        if there >= bytes {
            return Ok(true);
        }
        let Some((file, from, to)) = &mut self.rest else { return Ok(false) };
        self.window.drain(..self.at);
        self.at = 0;
        let left = usize::try_from(*to - *from).unwrap_or(usize::MAX);
        let more = self.room.max(bytes).saturating_sub(there).min(left);
        self.window.resize(there + more, 0);
        file.read_exact_at(&mut self.window[there..], *from)?;
        *from += more as u64;
        Ok(self.window.len() >= bytes)
    }
}
