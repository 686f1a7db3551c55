//! What a walk saw, entry by entry, in the order in which it came: to be read again where something changed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use crate::key::own_key;
use crate::sort::Spill;

/// Bytes that are kept in memory.
const MEMORY: usize = 1 << 20;

/// A directory's key follows, and then what is in it.
const DIR: u8 = 0;
/// An entry follows.
const ENTRY: u8 = 1;

pub(crate) struct Log {
    spill: Spill,
    file: Option<File>,
    /// What is not in the file yet.
    tail: Vec<u8>,
    /// The last directory.
    key: Vec<u8>,
    entries: u64,
}

impl Log {
    pub(crate) fn new(spill: &Spill) -> Self {
        Self { spill: spill.clone(), file: None, tail: Vec::new(), key: Vec::new(), entries: 0 }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Adds an entry of the directory with this key, and returns its number.
    pub(super) fn push(&mut self, key: &[u8], name: &[u8], detail: &[u8]) -> io::Result<u64> {
        if self.entries == 0 || self.key != key {
            self.key.clear();
            self.key.extend_from_slice(key);
            self.tail.push(DIR);
            self.tail.extend_from_slice(&u32::try_from(key.len()).map_err(io::Error::other)?.to_le_bytes());
            self.tail.extend_from_slice(key);
        }
        self.tail.push(ENTRY);
        self.tail.extend_from_slice(&u16::try_from(name.len()).map_err(io::Error::other)?.to_le_bytes());
        self.tail.push(u8::try_from(detail.len()).map_err(io::Error::other)?);
        self.tail.extend_from_slice(name);
        self.tail.extend_from_slice(detail);
        self.entries += 1;
        if self.tail.len() >= MEMORY {
            if self.file.is_none() {
                self.file = Some(self.spill.create()?);
            }
            if let Some(file) = &mut self.file {
                file.write_all(&self.tail)?;
            }
            self.tail.clear();
        }
        Ok(self.entries - 1)
    }

    /// Tells of all entries: their numbers, their own keys, what is known of them.
    pub(super) fn read(&self, mut each: impl FnMut(u64, &[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut written = match &self.file {
            Some(file) => Some(file.try_clone()?),
            None => None,
        };
        if let Some(file) = &mut written {
            file.seek(SeekFrom::Start(0))?;
        }
        let written: Box<dyn Read> = written.map_or(Box::new(io::empty()), |file| Box::new(file));
        let mut input = BufReader::with_capacity(MEMORY, written).chain(self.tail.as_slice());
        let (mut key, mut name, mut detail) = (Vec::new(), Vec::new(), Vec::new());
        let mut entries = 0;
        while entries < self.entries {
            let mut head = [0; 1];
            input.read_exact(&mut head)?;
            if head[0] == DIR {
                let mut length = [0; 4];
                input.read_exact(&mut length)?;
                key.resize(u32::from_le_bytes(length) as usize, 0);
                input.read_exact(&mut key)?;
                continue;
            }
            let mut lengths = [0; 3];
            input.read_exact(&mut lengths)?;
            name.resize(usize::from(u16::from_le_bytes([lengths[0], lengths[1]])), 0);
            input.read_exact(&mut name)?;
            detail.resize(usize::from(lengths[2]), 0);
            input.read_exact(&mut detail)?;
            each(entries, &own_key(&key, &name), &detail)?;
            entries += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_back_in_its_order() {
        let mut log = Log::new(&Spill::new(None));
        let entry = |i: u64| (format!("\0\0\0dir{}", i / 7), format!("name {i}"), i.to_string());
        for i in 0..60_000 {
            let (key, name, stat) = entry(i);
            assert_eq!(log.push(key.as_bytes(), name.as_bytes(), stat.as_bytes()).unwrap(), i);
        }
        assert!(log.file.is_some() && !log.tail.is_empty());
        let mut next = 0;
        log.read(|ordinal, key, stat| {
            let (dir, name, expected) = entry(next);
            assert_eq!((ordinal, key, stat), (next, format!("{dir}\0{name}").as_bytes(), expected.as_bytes()));
            next += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(next, 60_000);
    }
}
