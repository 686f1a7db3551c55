//! The journal: what is about to be changed, on disk before it is.
//!
//! A group of changes is one zstd frame with a checksum: appended, synced, and only then acted on. So whatever is changed is in the
//! journal, and a frame that a crash cut off is of changes that were not begun. After a group comes a line with what became of it.
//! A frame holds JSON lines, and `zstd -dc` shows them; as text a journal would be ten times as large, and a disk that must sync
//! it before each group would set the pace of the whole run.
//!
//! The first frame says what was repaired, where, when and by whom. Nothing is ever written over: a journal is a new file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pwalk_fs::below;
use serde::{Deserialize, Serialize};

use super::act::Failure;
use super::change::{Change, Item};
use super::error::RepairError;
use crate::shown::{path_bytes, path_text};

/// A given path, as a plan or a journal remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// Its path, absolute.
    pub(crate) path: Vec<u8>,
    /// Device and inode, where it could be read.
    pub(crate) id: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct RootItem {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    dev: Option<u64>,
    inode: Option<u64>,
}

/// The first line of a plan or a journal.
#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    /// What the file is.
    pwalk: String,
    version: u32,
    time: String,
    roots: Vec<RootItem>,
}

/// The first words of each kind of file.
pub(crate) const PLAN: &str = "repair plan";
pub(crate) const JOURNAL: &str = "repair journal";
const VERSION: u32 = 1;

impl Header {
    pub(crate) fn new(kind: &str, roots: &[Root]) -> Self {
        let root = |root: &Root| {
            let (path, path_bytes) = path_text(&root.path);
            RootItem { path: path.into_owned(), path_bytes, dev: root.id.map(|id| id.0), inode: root.id.map(|id| id.1) }
        };
        let (pwalk, time) = (kind.to_owned(), Timestamp::now().to_string());
        Self { pwalk, version: VERSION, time, roots: roots.iter().map(root).collect() }
    }

    /// The header in a line, if it is one of this kind.
    pub(crate) fn read(kind: &str, line: &str) -> Result<Vec<Root>, String> {
        let header: Self = serde_json::from_str(line).map_err(|_| format!("it does not begin as a {kind} does"))?;
        if header.pwalk != kind {
            return Err(format!("it is a {}, not a {kind}", header.pwalk));
        }
        if header.version != VERSION {
            return Err(format!("it is of version {}, and this pwalk reads version {VERSION}", header.version));
        }
        let root = |item: RootItem| {
            Ok(Root { path: path_bytes(&item.path, item.path_bytes.as_deref())?, id: item.dev.zip(item.inode) })
        };
        header.roots.into_iter().map(root).collect::<Result<_, &str>>().map_err(str::to_owned)
    }

    pub(crate) fn line(&self) -> String {
        // Text and numbers: what cannot be written does not exist.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// What became of a group: all were made but those that failed.
#[derive(Serialize)]
struct Results<'a> {
    results: &'a str,
    first: u64,
    count: usize,
    failed: Vec<FailedItem>,
}

#[derive(Serialize)]
struct FailedItem {
    number: u64,
    why: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Change(Box<Item<'static>>),
    #[expect(dead_code, reason = "read to tell it from nonsense")]
    Results {
        results: String,
    },
}

/// A journal that is being written.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// The number of the next change.
    next: AtomicU64,
    /// Why nothing can be written any more.
    halted: Mutex<Option<String>>,
}

impl Journal {
    /// Begins a new journal. The directory is made, for the owner alone, if it is missing.
    pub(crate) fn create(path: &Path, roots: &[Root], places: &[Vec<u8>]) -> Result<Self, RepairError> {
        let because = |why: String| RepairError::Journal { path: path.to_owned(), why, made: 0 };
        let failed = |e: std::io::Error| {
            because(match e.kind() {
                ErrorKind::AlreadyExists => {
                    "there is such a file already, and it is never written over; give a new name".to_owned()
                }
                ErrorKind::PermissionDenied => format!("{e}; name another place with --journal"),
                _ => e.to_string(),
            })
        };
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let place = std::fs::canonicalize(parent).map_err(failed)?;
        if places.iter().any(|root| below(place.as_os_str().as_bytes(), root).is_some()) {
            return Err(because(
                "it would be in the tree that is repaired; name another place with --journal".to_owned(),
            ));
        }
        let file = OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let journal = Self { path: path.to_owned(), file, next: AtomicU64::new(0), halted: Mutex::default() };
        journal.append(&frame(Header::new(JOURNAL, roots).line().as_bytes()).map_err(failed)?)?;
        journal.file.sync_all().map_err(failed)?;
        // The name, too, must survive a crash.
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed)?;
        Ok(journal)
    }

    /// Puts a group of changes on disk, and returns the number of the first. Once this failed it fails for good.
    pub(crate) fn announce<'a>(&self, changes: impl ExactSizeIterator<Item = &'a Change>) -> Result<u64, RepairError> {
        let (time, count) = (Timestamp::now().to_string(), changes.len() as u64);
        let first = self.next.fetch_add(count, Relaxed);
        let mut lines = Vec::with_capacity(changes.len() * 256);
        for (number, change) in (first..).zip(changes) {
            let written = serde_json::to_writer(&mut lines, &Item::numbered(change, number, &time));
            written.map_err(|e| self.failed(&e))?;
            lines.push(b'\n');
        }
        let frame = frame(&lines).map_err(|e| self.failed(&e))?;
        self.append(&frame)?;
        // The next group may be written while this one is synced: a sync covers what was written before it.
        self.file.sync_data().map_err(|e| self.halt(&mut self.lock(), &e))?;
        Ok(first)
    }

    /// Notes what became of a group, to be on disk with the next.
    pub(crate) fn conclude(&self, first: u64, count: usize, failures: &[(usize, Failure)]) -> Result<(), RepairError> {
        let failed = failures.iter().map(|(i, why)| FailedItem { number: first + *i as u64, why: why.to_string() });
        let results = Results { results: "applied", first, count, failed: failed.collect() };
        let line = serde_json::to_string(&results).unwrap_or_default() + "\n";
        self.append(&frame(line.as_bytes()).map_err(|e| self.failed(&e))?)
    }

    /// Puts the last results on disk. A journal without a change is no use to anybody and is taken away.
    pub(crate) fn finish(&self) -> Result<Option<&Path>, RepairError> {
        // Relaxed: nobody announces any more.
        if self.next.load(Relaxed) == 0 {
            std::fs::remove_file(&self.path).map_err(|e| self.failed(&e))?;
            return Ok(None);
        }
        self.file.sync_all().map_err(|e| self.failed(&e))?;
        Ok(Some(&self.path))
    }

    /// Appends a frame. After a failure nothing is appended any more: what follows half a frame could not be read.
    fn append(&self, frame: &[u8]) -> Result<(), RepairError> {
        let mut halted = self.lock();
        match &*halted {
            Some(why) => Err(self.failed(why)),
            None => (&self.file).write_all(frame).map_err(|e| self.halt(&mut halted, &e)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halt(&self, halted: &mut Option<String>, error: &std::io::Error) -> RepairError {
        let error = self.failed(error);
        *halted = Some(error.to_string());
        error
    }

    fn failed(&self, why: &impl ToString) -> RepairError {
        RepairError::Journal { path: self.path.clone(), why: why.to_string(), made: 0 }
    }
}

/// Lines as a zstd frame with a checksum.
fn frame(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
    encoder.include_checksum(true)?;
    encoder.write_all(lines)?;
    encoder.finish()
}

/// Opens a file whose content is acted on: a regular one, that nobody but root and we can have written.
pub(crate) fn open_own(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new().read(true).custom_flags(libc_nonblock()).open(path).map_err(|e| e.to_string())?;
    let meta = file.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let own = nix::unistd::geteuid().as_raw();
    if ![0, own].contains(&meta.uid()) || meta.mode() & 0o022 != 0 {
        return Err(
            "others can write to it, or it belongs to somebody else; take it over first, if you trust it".to_owned()
        );
    }
    Ok(file)
}

/// A fifo would make the opening wait for a writer.
fn libc_nonblock() -> i32 {
    i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0)
}

/// A journal that is read.
pub(crate) struct Record {
    file: BufReader<File>,
    pub(crate) roots: Vec<Root>,
    /// Where each frame begins, the header's left out.
    frames: Vec<u64>,
}

impl Record {
    /// Opens a journal and looks through it: it must be whole, but for a last frame that was cut off.
    pub(crate) fn open(path: &Path) -> Result<Self, RepairError> {
        let failed = |why: String| RepairError::Unreadable { path: path.to_owned(), why };
        let file = open_own(path).map_err(&failed)?;
        let length = file.metadata().map_err(|e| failed(e.to_string()))?.len();
        let mut record = Self { file: BufReader::new(file), roots: Vec::new(), frames: Vec::new() };
        let first = match record.frame(0) {
            Ok(first) => first,
            // Cut off before the first change.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(record),
            Err(_) => return Err(failed("it is not a journal of pwalk".to_owned())),
        };
        record.roots = Header::read(JOURNAL, first.trim_end()).map_err(&failed)?;
        let mut at = record.position().map_err(|e| failed(e.to_string()))?;
        while at < length {
            match record.frame(at) {
                Ok(_) => record.frames.push(at),
                // Cut off by a crash before it was synced, so before any of its changes.
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(e) => return Err(failed(format!("it is damaged at byte {at}: {e}"))),
            }
            at = record.position().map_err(|e| failed(e.to_string()))?;
        }
        Ok(record)
    }

    fn position(&mut self) -> std::io::Result<u64> {
        self.file.stream_position()
    }

    fn frame(&mut self, at: u64) -> std::io::Result<String> {
        self.file.seek(SeekFrom::Start(at))?;
        if self.file.fill_buf()?.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut self.file)?.single_frame();
        let mut text = String::new();
        decoder.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The changes, last first, in groups.
    pub(crate) fn backwards(&mut self) -> impl Iterator<Item = Result<Vec<Change>, String>> {
        let frames = std::mem::take(&mut self.frames);
        frames.into_iter().rev().map(|at| {
            let text = self.frame(at).map_err(|e| e.to_string())?;
            let mut changes = Vec::new();
            for line in text.lines().rev() {
                match serde_json::from_str(line).map_err(|e| e.to_string())? {
                    Line::Change(item) => changes.push(Change::try_from(*item)?),
                    Line::Results { .. } => {}
                }
            }
            Ok(changes)
        })
    }
}
