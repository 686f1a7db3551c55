//! The rows of a block while it fills, a row group of Parquet or a record batch of Arrow: a plain vector per column.
//!
//! What all entries of a directory share is kept once per run; what only directories have, for directories
//! only; text is converted to UTF-8 here, where the bytes are at hand. Nothing is encoded yet, because the
//! best encoding of a column shows only when it is complete.

pub(crate) mod dictionary;
pub(crate) mod steady;

use pwalk_fs::{Kind, Meta, Time};

use crate::names::push_text;
use crate::record::{extension, prefix_into, split_root};
use crate::{DirColumns, Oddities, Parent};
use dictionary::Table;
use steady::Steady;

/// Bytes that the paths of a block have at most when a reader unfolds them.
const PATH_BYTES: usize = 32 << 20;
/// Bytes of text of one kind that are buffered at most.
const TEXT_BYTES: usize = 6 << 20;

/// Byte strings one after the other.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    /// Appends a string that `write` appends, and returns what that does.
    #[inline]
    fn push_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let made = write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        made
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.push_with(|out| out.extend_from_slice(bytes));
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// A run of rows with the same parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Its first row; it ends where the next begins.
    pub(crate) first: usize,
    pub(crate) parent_ino: u64,
    pub(crate) depth: i32,
}

/// The columns of a block.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Rows that fill it.
    room: usize,
    pub(crate) runs: Vec<Run>,
    /// What stands before the names of each run, as text.
    pub(crate) prefixes: Strings,
    pub(crate) names: Strings,
    /// The distinct extensions, and each row's.
    pub(crate) extensions: Strings,
    pub(crate) extension: Vec<u32>,
    extension_table: Option<Table>,
    pub(crate) kind: Vec<Kind>,
    pub(crate) ino: Vec<u64>,
    pub(crate) mode: Vec<u32>,
    pub(crate) uid: Steady<u32>,
    pub(crate) gid: Steady<u32>,
    pub(crate) size: Vec<u64>,
    pub(crate) blocks: Vec<u64>,
    pub(crate) nlink: Steady<u32>,
    pub(crate) dev: Steady<u64>,
    pub(crate) rdev: Steady<u64>,
    pub(crate) atime: Vec<u64>,
    pub(crate) mtime: Vec<u64>,
    pub(crate) ctime: Vec<u64>,
    /// The known ones; `no_btime` are the rows of the others.
    pub(crate) btime: Vec<u64>,
    pub(crate) no_btime: Vec<u32>,
    /// The rows of directories, and their columns in the order of the schema.
    pub(crate) dir_rows: Vec<u32>,
    pub(crate) dir_columns: [Vec<u64>; 5],
    /// The rows whose path is not UTF-8, and their paths.
    pub(crate) raw_rows: Vec<u32>,
    pub(crate) raw_paths: Strings,
    path_bytes: usize,
    parent: Shared,
}

/// The current run, which may go on in the next block.
#[derive(Debug, Default)]
struct Shared {
    prefix: Vec<u8>,
    ino: u64,
    depth: i32,
    /// Names are whole paths.
    roots: bool,
    /// The run has been entered into this block.
    entered: bool,
    /// The prefix as text, the exactness of that, and its text length.
    text: Vec<u8>,
    exact: bool,
}

impl Rows {
    /// With room for `room` rows, which fill it. Rows come from hundreds of threads: if these vectors grew as they are filled,
    /// each growth would leave its old memory with the allocator of another thread (measured: 50 MB at 256 workers).
    pub(crate) fn new(room: usize) -> Self {
        let strings = |bytes| Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(room) };
        Self {
            room,
            runs: Vec::with_capacity(room),
            prefixes: strings(room * 32),
            names: strings(room * 32),
            extension: Vec::with_capacity(room),
            kind: Vec::with_capacity(room),
            ino: Vec::with_capacity(room),
            mode: Vec::with_capacity(room),
            uid: Steady::default(),
            gid: Steady::default(),
            size: Vec::with_capacity(room),
            blocks: Vec::with_capacity(room),
            nlink: Steady::default(),
            dev: Steady::default(),
            rdev: Steady::default(),
            atime: Vec::with_capacity(room),
            mtime: Vec::with_capacity(room),
            ctime: Vec::with_capacity(room),
            btime: Vec::with_capacity(room),
            no_btime: Vec::with_capacity(room),
            dir_rows: Vec::with_capacity(room),
            dir_columns: std::array::from_fn(|_| Vec::with_capacity(room)),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ino.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.room
            || self.path_bytes >= PATH_BYTES
            || self.prefixes.bytes.len() >= TEXT_BYTES
            || self.raw_paths.bytes.len() >= TEXT_BYTES
            || self.extensions.bytes.len() >= TEXT_BYTES
    }

    pub(crate) fn begin(&mut self, parent: &Parent<'_>) {
        let shared = &mut self.parent;
        shared.prefix.clear();
        if let Some(path) = parent.path {
            prefix_into(&mut shared.prefix, path);
        }
        (shared.ino, shared.depth, shared.roots) = (parent.ino, parent.depth, parent.path.is_none());
        shared.text.clear();
        shared.exact = push_text(&mut shared.text, &shared.prefix);
        shared.entered = false;
    }

    pub(crate) fn push(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Oddities {
        let row = u32::try_from(self.len()).unwrap_or(u32::MAX);
        if self.parent.roots {
            let (prefix, name) = split_root(name);
            self.parent.prefix.clear();
            self.parent.prefix.extend_from_slice(prefix);
            self.parent.text.clear();
            self.parent.exact = push_text(&mut self.parent.text, prefix);
            self.parent.entered = false;
            self.push_name(row, name, meta);
        } else {
            self.push_name(row, name, meta);
        }
        self.kind.push(meta.kind());
        self.ino.push(meta.ino);
        self.mode.push(meta.mode);
        self.uid.push(row, meta.uid);
        self.gid.push(row, meta.gid);
        self.size.push(meta.size);
        self.blocks.push(meta.blocks);
        self.nlink.push(row, meta.nlink);
        self.dev.push(row, meta.dev);
        self.rdev.push(row, meta.rdev);
        let mut clamped = false;
        self.atime.push(nanoseconds(meta.atime, &mut clamped));
        self.mtime.push(nanoseconds(meta.mtime, &mut clamped));
        self.ctime.push(nanoseconds(meta.ctime, &mut clamped));
        match meta.btime {
            Some(time) => self.btime.push(nanoseconds(time, &mut clamped)),
            None => self.no_btime.push(row),
        }
        if let Some(dir) = dir {
            self.dir_rows.push(row);
            let values = [dir.fcount, dir.dirsum, dir.tree_count, dir.tree_size, dir.tree_blocks];
            for (column, value) in self.dir_columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        Oddities { unprintable: false, unrepresentable: clamped }
    }

    /// All columns that come from the path.
    #[inline]
    fn push_name(&mut self, row: u32, name: &[u8], meta: &Meta) {
        if !self.parent.entered {
            self.parent.entered = true;
            self.runs.push(Run { first: row as usize, parent_ino: self.parent.ino, depth: self.parent.depth });
            self.prefixes.push(&self.parent.text);
        }
        self.path_bytes += self.parent.prefix.len() + name.len();
        let exact = self.names.push_with(|out| push_text(out, name));
        if !exact || !self.parent.exact {
            self.raw_rows.push(row);
            self.raw_paths.push_with(|out| {
                out.extend_from_slice(&self.parent.prefix);
                out.extend_from_slice(name);
            });
        }
        let extension = if meta.kind().is_dir() { b"" } else { extension(name) };
        let index = self.extension_index(extension);
        self.extension.push(index);
    }

    fn extension_index(&mut self, extension: &[u8]) -> u32 {
        let table = self.extension_table.get_or_insert_with(Table::new);
        let known = &mut self.extensions;
        // Two extensions that differ in invalid bytes only become two equal values, which does no harm.
        table.index(word(extension), |i| known.get(i) == extension).unwrap_or_else(|slot| {
            known.push_with(|out| push_text(out, extension));
            table.insert(slot, known.iter().map(word))
        })
    }

    /// Each row's value of what is equal within a run.
    pub(crate) fn by_run<T: Copy>(&self, of: impl Fn(&Run) -> T) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        for (i, run) in self.runs.iter().enumerate() {
            values.resize(self.runs.get(i + 1).map_or(self.len(), |next| next.first), of(run));
        }
        values
    }

    /// Bytes of all paths.
    pub(crate) fn path_bytes(&self) -> usize {
        self.path_bytes
    }

    /// The block, instead of which the next is begun.
    pub(crate) fn take(&mut self) -> Self {
        let mut next = Self { parent: std::mem::take(&mut self.parent), ..Self::new(self.room) };
        next.parent.entered = false;
        std::mem::replace(self, next)
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.kind.clear();
        self.ino.clear();
        self.extension_table = None;
        let Self { prefixes, names, extensions, raw_paths, .. } = self;
        [prefixes, names, extensions, raw_paths].into_iter().for_each(Strings::clear);
        let Self { extension, mode, no_btime, dir_rows, raw_rows, .. } = self;
        [extension, mode, no_btime, dir_rows, raw_rows].into_iter().for_each(Vec::clear);
        let Self { size, blocks, atime, mtime, ctime, btime, .. } = self;
        [size, blocks, atime, mtime, ctime, btime].into_iter().for_each(Vec::clear);
        let Self { uid, gid, nlink, dev, rdev, .. } = self;
        [uid, gid, nlink].into_iter().for_each(Steady::clear);
        [dev, rdev].into_iter().for_each(Steady::clear);
        self.dir_columns.iter_mut().for_each(Vec::clear);
        self.path_bytes = 0;
        self.parent.entered = false;
    }
}

/// A hash of a short string for [`Table`].
pub(crate) fn word(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517C_C1B7_2722_0A95)
    })
}

/// The earliest time that is written: the smallest number is what pandas takes for "not a time", the next what DuckDB
/// takes for minus infinity.
const EARLIEST: i64 = i64::MIN + 2;
/// The latest: the largest number is infinity to DuckDB.
const LATEST: i64 = i64::MAX - 1;

/// Nanoseconds since 1970, in the bits of an `i64`. What does not fit becomes the nearest that does.
#[inline]
pub(crate) fn nanoseconds(time: Time, clamped: &mut bool) -> u64 {
    let exact = time.sec.checked_mul(1_000_000_000).and_then(|s| s.checked_add(i64::from(time.nsec)));
    let value = exact.filter(|n| (EARLIEST..=LATEST).contains(n)).unwrap_or_else(|| {
        *clamped = true;
        if time.sec < 0 { EARLIEST } else { LATEST }
    });
    value.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_are_moved_to_the_end_and_noticed() {
        let of = |sec, nsec| {
            let mut clamped = false;
            (nanoseconds(Time { sec, nsec }, &mut clamped).cast_signed(), clamped)
        };
        assert_eq!(of(-1, 999_999_999), (-1, false));
        assert_eq!(of(9_223_372_036, 854_775_806), (LATEST, false));
        assert_eq!(of(9_223_372_036, 854_775_807), (LATEST, true));
        assert_eq!(of(i64::MAX, 0), (LATEST, true));
        assert_eq!(of(i64::MIN, 0), (EARLIEST, true));
        assert_eq!(of(-9_223_372_036, 0), (-9_223_372_036_000_000_000, false));
    }
}
