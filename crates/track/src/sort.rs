//! Sorting more than memory holds: items in groups, by the group's key and by their names in it.
//!
//! A scan's rows come in runs of one directory. So what is sorted is mostly directories: a group's key is stored and
//! compared once for all items that came together. When the memory of a [`Sorter`] is full it is written, in order, to a temporary file that has no name,
//! and in the end all that was written is merged ([`Merged`]), a small buffer for each piece. What fits into memory is
//! never written.

mod merge;
mod tape;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use merge::Merged;
use tape::Run;

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// Where what does not fit into memory goes.
#[derive(Clone, Debug)]
pub(crate) struct Spill(Arc<Path>);

impl Spill {
    pub(crate) fn new(dir: Option<&Path>) -> Self {
        Self(dir.map_or_else(std::env::temp_dir, PathBuf::from).into())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn create(&self) -> io::Result<File> {
        tempfile::tempfile_in(&*self.0)
    }
}

/// Items that came together.
#[derive(Clone, Copy)]
struct Group {
    /// Where its key is in the arena.
    key: (u32, u32),
    /// Its items, in `items`.
    items: (u32, u32),
}

/// Takes items in any order.
pub(crate) struct Sorter {
    /// Keys and items, as they came.
    arena: Vec<u8>,
    groups: Vec<Group>,
    /// Where each item is in the arena.
    items: Vec<u32>,
    /// Bytes that all this may take.
    limit: usize,
    spill: Spill,
    file: Option<(Arc<File>, u64)>,
    runs: Vec<Run>,
}

/// Bytes before an item: the length of its name and of its payload.
const HEAD: usize = 6;

impl Sorter {
    /// One that takes about `limit` bytes of memory.
    pub(crate) fn new(limit: usize, spill: &Spill) -> Self {
        let limit = limit.clamp(1 << 16, 1 << 30);
        Self {
            arena: Vec::new(),
            groups: Vec::new(),
            items: Vec::new(),
            limit,
            spill: spill.clone(),
            file: None,
            runs: Vec::new(),
        }
    }

    /// Adds an item. Names are at most 65,535 bytes long.
    pub(crate) fn push(&mut self, key: &[u8], name: &[u8], payload: &[&[u8]]) -> io::Result<()> {
        let taken = self.arena.len() + self.items.len() * 4 + self.groups.len() * size_of::<Group>();
        if taken >= self.limit {
            self.flush()?;
        }
        match self.groups.last_mut() {
            Some(last) if self.arena[range(last.key)] == *key => last.items.1 += 1,
            _ => {
                let start = offset(self.arena.len())?;
                self.arena.extend_from_slice(key);
                let first = offset(self.items.len())?;
                self.groups.push(Group { key: (start, offset(self.arena.len())?), items: (first, first + 1) });
            }
        }
        self.items.push(offset(self.arena.len())?);
        let size: usize = payload.iter().map(|part| part.len()).sum();
        let name_length = u16::try_from(name.len()).map_err(io::Error::other)?;
        self.arena.extend_from_slice(&name_length.to_le_bytes());
        self.arena.extend_from_slice(&offset(size)?.to_le_bytes());
        self.arena.extend_from_slice(name);
        payload.iter().for_each(|part| self.arena.extend_from_slice(part));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (file, start) = match self.file.take() {
            Some(there) => there,
            None => (Arc::new(self.spill.create()?), 0),
        };
        let mut out = Counted { out: BufWriter::with_capacity(BUFFER, &*file), bytes: 0 };
        self.write(&mut out)?;
        out.out.flush()?;
        let end = start + out.bytes;
        drop(out);
        self.runs.push(Run::Spilled { file: Arc::clone(&file), from: start, to: end });
        self.file = Some((file, end));
        self.arena.clear();
        self.groups.clear();
        self.items.clear();
        Ok(())
    }

    /// Writes all groups in order: the length of the key, the number of items, the key, the items.
    fn write(&mut self, out: &mut impl Write) -> io::Result<()> {
        let (arena, groups) = (&self.arena, &mut self.groups);
        groups.sort_unstable_by(|a, b| arena[range(a.key)].cmp(&arena[range(b.key)]));
        let mut order: Vec<(u64, u32)> = Vec::new();
        for same in groups.chunk_by(|a, b| arena[range(a.key)] == arena[range(b.key)]) {
            order.clear();
            for group in same {
                let items = &self.items[range(group.items)];
                order.extend(items.iter().map(|item| (beginning(name_of(arena, *item)), *item)));
            }
            order.sort_unstable_by(|a, b| {
                a.0.cmp(&b.0).then_with(|| name_of(arena, a.1).cmp(name_of(arena, b.1))).then(a.1.cmp(&b.1))
            });
            let key = &arena[range(same[0].key)];
            out.write_all(&offset(key.len())?.to_le_bytes())?;
            out.write_all(&offset(order.len())?.to_le_bytes())?;
            out.write_all(key)?;
            for (_, item) in &order {
                out.write_all(item_of(arena, *item))?;
            }
        }
        Ok(())
    }

    /// What was sorted, to be merged. What is in memory stays there.
    fn finish(mut self) -> io::Result<Vec<Run>> {
        let mut sorted = Vec::with_capacity(self.arena.len() + self.groups.len() * 8);
        self.write(&mut sorted)?;
        let mut runs = std::mem::take(&mut self.runs);
        runs.push(Run::Memory(sorted));
        Ok(runs)
    }
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn offset(at: usize) -> io::Result<u32> {
    u32::try_from(at).map_err(|_| io::Error::other("an item of more than 4 GiB"))
}

fn range(of: (u32, u32)) -> std::ops::Range<usize> {
    of.0 as usize..of.1 as usize
}

/// The lengths of an item's name and payload, by its first [`HEAD`] bytes.
fn lengths(head: &[u8]) -> (usize, usize) {
    let name = u16::from_le_bytes([head[0], head[1]]);
    let payload = u32::from_le_bytes([head[2], head[3], head[4], head[5]]);
    (name.into(), payload as usize)
}

fn name_of(arena: &[u8], item: u32) -> &[u8] {
    let item = &arena[item as usize..];
    &item[HEAD..HEAD + lengths(item).0]
}

fn item_of(arena: &[u8], item: u32) -> &[u8] {
    let item = &arena[item as usize..];
    let (name, payload) = lengths(item);
    &item[..HEAD + name + payload]
}

/// The first eight bytes as a number that sorts as they do: most comparisons end with it.
fn beginning(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = name.len().min(8);
    first[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Groups = Vec<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>)>;

    /// What comes out, group by group.
    fn drain(mut merged: Merged) -> Groups {
        let mut all = Vec::new();
        while merged.next_group().unwrap() {
            let key = merged.key().to_vec();
            let mut items = Vec::new();
            while let Some((name, payload)) = merged.item() {
                items.push((name.to_vec(), payload.to_vec()));
                merged.advance().unwrap();
            }
            all.push((key, items));
        }
        all
    }

    #[test]
    fn many_sorters_with_little_memory_give_one_order() {
        let spill = Spill::new(None);
        let mut expected: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>> = BTreeMap::new();
        let mut sorters: Vec<_> = (0..3).map(|_| Sorter::new(0, &spill)).collect();
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for i in 0..20_000_u64 {
            let key = format!("dir{:03}", random(400)).into_bytes();
            let name = format!("{:0>width$}", i, width = usize::try_from(random(20)).unwrap()).into_bytes();
            let payload = vec![0xff; usize::try_from(random(90)).unwrap()];
            sorters[usize::try_from(random(3)).unwrap()].push(&key, &name, &[&payload[..], b"."]).unwrap();
            expected.entry(key).or_default().insert(name, [&payload[..], b"."].concat());
        }
        assert!(sorters[0].runs.len() > 3, "nothing was written");
        let expected: Vec<_> = expected.into_iter().map(|(key, items)| (key, items.into_iter().collect())).collect();
        assert_eq!(drain(Merged::all(sorters).unwrap()), expected);
    }

    #[test]
    fn what_is_not_read_is_passed_over() {
        let spill = Spill::new(None);
        let mut sorter = Sorter::new(0, &spill);
        for i in 0..9_000_u32 {
            sorter
                .push(&(i % 90).to_be_bytes(), &i.to_be_bytes(), &[&vec![7; 5_000 * usize::from(i % 1000 == 0)]])
                .unwrap();
        }
        let mut merged = Merged::all(vec![sorter]).unwrap();
        for key in 0..90_u32 {
            assert!(merged.next_group().unwrap());
            assert_eq!(merged.key(), key.to_be_bytes());
            for _ in 0..key {
                merged.advance().unwrap();
            }
        }
        assert!(!merged.next_group().unwrap());
        assert!(!Merged::all(vec![Sorter::new(0, &spill)]).unwrap().next_group().unwrap());
    }
}
