//! What a run adds, as rows of tables.

use std::io;

use postgres::Client;
use pwalk_fs::Kind;
use pwalk_scan::{Stat, path_text};

use super::book::{ask, get};
use super::dial::Dial;
use super::dirs::Directories;
use super::stream::Stream;
use crate::TrackError;
use crate::catalog::record::{Keeper, NewRow};
use crate::catalog::run::Root;
use crate::change::{Change, ChangeType};
use crate::entry::{Hashed, kind};
use crate::key::Roots;

/// Numbers that are drawn at once: what the sequence goes on by.
const DRAWN: i64 = 1000;
/// Bytes of a path that is written out; longer ones are put together when they are asked for.
const LONGEST: usize = 16_384;
/// Connections for the rows of entries.
const LINES: usize = 2;

/// Writes rows to where they are staged; those of a root's first run to the table in which they stay.
pub(super) struct Writer<'a> {
    dial: &'a Dial,
    client: &'a mut Client,
    root: &'a Root,
    roots: Roots,
    dirs: &'a mut Directories,
    run: i64,
    is_first: bool,
    /// The next number of a directory, and the end of those that were drawn.
    next: (i64, i64),
    /// The directory of the last row: its path below the root, and which one it is.
    last: Option<(Vec<u8>, u32)>,
    pub(super) entries: Stream,
    pub(super) directories: Stream,
    pub(super) changes: Stream,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        dial: &'a Dial,
        client: &'a mut Client,
        (root, dirs): (&'a Root, &'a mut Directories),
        run: i64,
        is_first: bool,
    ) -> Self {
        const ENTRY: &str =
            "dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid,
            fingerprint, hashed_at_ns, racy, changed_in";
        let entries = if is_first {
            format!("filesystem.entries_{} ({ENTRY})", root.id)
        } else {
            format!("filesystem.staging_files ({ENTRY}, gone, run_id, root_id)")
        };
        let directories =
            "filesystem.staging_directories (run_id, dir_id, parent_id, depth, name, shown, path, exact, lineage)";
        let changes =
            "filesystem.staging_changes (run_id, seq, change_type, kind, path, path_bytes, old_path, old_path_bytes,
            old_inode, old_size, old_mtime_ns, old_ctime_ns, old_mode, old_uid, old_gid,
            new_inode, new_size, new_mtime_ns, new_ctime_ns, new_mode, new_uid, new_gid,
            old_fingerprint, new_fingerprint, confidence, recorded_at)";
        Self {
            dial,
            client,
            root,
            roots: root.roots(),
            dirs,
            run,
            is_first,
            next: (0, 0),
            last: None,
            entries: Stream::new(dial, entries, LINES),
            directories: Stream::new(dial, directories, 1),
            changes: Stream::new(dial, changes, 1),
        }
    }

    /// Sends what is left: how many entries, directories and changes there are.
    pub(super) fn finish(self) -> Result<(i64, i64, i64), TrackError> {
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        let entries = self.entries.finish(self.client)?;
        let directories = self.directories.finish(self.client)?;
        let changes = self.changes.finish(self.client)?;
        Ok((count(entries), count(directories), count(changes)))
    }

    /// The directory that a path is in, and its name there. A root is in itself and has none.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<(u32, &'p [u8]), TrackError> {
        let below = self.roots.below(path).map(|(_, below)| below).unwrap_or_default();
        let slash = below.iter().rposition(|byte| *byte == b'/');
        let (dir, name) = slash.map_or((&[][..], below), |slash| (&below[..slash], &below[slash + 1..]));
        if let Some((last, index)) = &self.last
            && last == dir
        {
            return Ok((*index, name));
        }
        let mut index = self.top()?;
        for part in dir.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            index = self.child(index, part)?;
        }
        self.last = Some((dir.to_vec(), index));
        Ok((index, name))
    }

    fn top(&mut self) -> Result<u32, TrackError> {
        if self.dirs.len() == 0 { self.add(None, b"") } else { Ok(0) }
    }

    /// A directory in another, which gets a number if it has none.
    fn child(&mut self, parent: u32, name: &[u8]) -> Result<u32, TrackError> {
        match self.dirs.child(parent, name) {
            Some(known) => Ok(known),
            None => self.add(Some(parent), name),
        }
    }

    fn add(&mut self, parent: Option<u32>, name: &[u8]) -> Result<u32, TrackError> {
        if self.next.0 >= self.next.1 {
            let drawn = ask(self.dial, self.client, "select nextval('filesystem.directory_ids')", &[])?;
            let first = drawn.first().map_or(Ok(0), |row| get(self.dial, row, 0))?;
            self.next = (first, first + DRAWN);
        }
        let id = self.next.0;
        self.next.0 += 1;
        let full = |why: io::Error| self.dial.lost("number a directory", &why);
        let index = self.dirs.push(id, parent, name).map_err(full)?;
        let line = self.dirs.lineage(index);
        let mut path = if self.root.path == b"/" { Vec::new() } else { self.root.path.clone() };
        for part in line.iter().skip(1) {
            path.push(b'/');
            path.extend_from_slice(self.dirs.name(*part));
        }
        let lineage: Vec<String> = line.iter().map(|of| self.dirs.id(*of).to_string()).collect();
        let depth = i32::try_from(line.len() - 1).unwrap_or(i32::MAX);
        let text = (path.len() <= LONGEST).then(|| path_text(&path).0);
        let row = self.directories.row(9)?;
        row.long(self.run).long(id).maybe(parent.map(|parent| self.dirs.id(parent)), super::copy::Rows::long);
        row.int(depth).bytes(name);
        row.maybe(shown(name), |row, shown| row.text(&shown)).maybe(text, |row, text| row.text(&text));
        row.byte(u8::from(std::str::from_utf8(&path).is_ok())).text(&lineage.join("."));
        Ok(index)
    }

    fn entry(&mut self, path: &[u8], stat: &Stat, rest: &Rest) -> Result<(), TrackError> {
        let (dir, name) = self.place(path)?;
        let child = match (kind(stat), name.is_empty()) {
            (Kind::Dir, true) => Some(dir),
            (Kind::Dir, false) => Some(self.child(dir, name)?),
            _ => None,
        };
        let (dir, child) = (self.dirs.id(dir), child.map(|child| self.dirs.id(child)));
        let row = self.entries.row(if self.is_first { 18 } else { 21 })?;
        row.long(dir).bytes(name).maybe(shown(name), |row, shown| row.text(&shown)).byte(kind(stat).letter());
        row.maybe(child, super::copy::Rows::long).word(stat.ino).word(stat.dev);
        row.long(stat.size).long(stat.mtime).long(stat.ctime).maybe(stat.btime, super::copy::Rows::long);
        row.int(stat.mode.cast_signed()).long(stat.uid.into()).long(stat.gid.into());
        row.maybe(rest.hashed, |row, hashed| row.text(&hashed.fingerprint.to_string()));
        row.maybe(rest.hashed, |row, hashed| row.long(hashed.at)).byte(u8::from(rest.is_racy)).long(self.run);
        if !self.is_first {
            row.byte(u8::from(rest.is_gone)).long(self.run).int(super::book::number(self.root));
        }
        Ok(())
    }
}

/// What there is to say of an entry besides its metadata.
#[derive(Default)]
struct Rest {
    is_racy: bool,
    hashed: Option<Hashed>,
    is_gone: bool,
}

impl Keeper for Writer<'_> {
    fn row(&mut self, row: &NewRow<'_>) -> Result<(), TrackError> {
        let rest = Rest { is_racy: row.is_racy, hashed: row.hashed, is_gone: false };
        self.entry(row.path, row.stat, &rest)
    }

    fn removed(&mut self, path: &[u8]) -> Result<(), TrackError> {
        self.entry(path, &Stat::default(), &Rest { is_gone: true, ..Rest::default() })
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), TrackError> {
        if self.is_first && change.change_type == ChangeType::Added {
            // It is its row.
            return Ok(());
        }
        let seq = self.changes.sent();
        let row = self.changes.row(26)?;
        row.long(self.run).word(seq).text(change.change_type.name()).byte(change.kind().letter());
        for path in [Some(change.path), change.old_path] {
            let text = path.map(path_text);
            let exact = path.filter(|_| text.as_ref().is_some_and(|(_, exact)| exact.is_some()));
            row.maybe(text, |row, (text, _)| row.text(&text)).maybe(exact, super::copy::Rows::bytes);
        }
        for side in [change.old, change.new] {
            let Some(stat) = side else {
                (0..7).for_each(|_| {
                    row.null();
                });
                continue;
            };
            row.word(stat.ino).long(stat.size).long(stat.mtime).long(stat.ctime).int(stat.mode.cast_signed());
            row.long(stat.uid.into()).long(stat.gid.into());
        }
        for fingerprint in [change.old_fingerprint, change.new_fingerprint] {
            row.maybe(fingerprint, |row, fingerprint| row.text(&fingerprint.to_string()));
        }
        row.text(change.confidence.name()).long(recorded_at());
        Ok(())
    }

    fn gone(&mut self, _: u64) -> Result<(), TrackError> {
        // Rows are known by directory and name here.
        Ok(())
    }
}

/// Now as the server counts: microseconds since 2000.
fn recorded_at() -> i64 {
    const EPOCH: i64 = 946_684_800_000_000;
    crate::catalog::scan::now() / 1000 - EPOCH
}

/// A name's text where its bytes are none.
fn shown(name: &[u8]) -> Option<String> {
    std::str::from_utf8(name).is_err().then(|| path_text(name).0.into_owned())
}
