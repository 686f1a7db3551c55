//! What a run adds to a catalog, put together.
//!
//! ```text
//! comparing ─► rows, changes ─┐
//!        └─► files to read ─► digests ─┴─► by directory and name ─► one row, one change ─► keeper
//! ```
//!
//! A row says what is there from now on; the row that said so before is gone. What the content of a file is becomes known later than that it
//! changed, and by other threads, so all of it is sorted once more, into the order in which catalogs keep it, and joined there.

use std::io;

use pwalk_fs::Kind;
use pwalk_scan::Stat;

use super::content::{Content, is_doubtful, is_suspect};
use crate::TrackError;
use crate::change::{Change, ChangeType, Confidence, Counts};
use crate::entry::{Detail, Hashed, Kept, decode, encode, encode_kept, kind};
use crate::fingerprint::{Fingerprint, FingerprintMode};
use crate::key::{Roots, above, own_key};
use crate::side::Reading;
use crate::sort::{Merged, Sorter};
use crate::tell::{Entry, Told};

/// What is said of one name, in this order.
const CHANGE: u8 = b'c';
const DIGEST: u8 = b'd';
const GONE: u8 = b'g';
const ROW: u8 = b'r';

/// Who is told what to read.
pub(crate) trait Wanting {
    /// Has a file read, if there is a digest of it so that the two can be compared: what comes of it is recorded with the same key.
    fn want(&mut self, key: &[u8], stat: &Stat, known: Option<&Fingerprint>) -> io::Result<()>;

    /// Waits until it is known of so many files what became of them: how many of those were not read, and their bytes.
    fn unread_of(&self, files: u64) -> (u64, u64);
}

/// Takes what comparing tells.
pub(crate) struct Recorder<'a> {
    items: Sorter,
    gone: Sorter,
    mode: FingerprintMode,
    wanting: &'a mut dyn Wanting,
}

/// The name under which something is sorted.
fn tagged(key: &[u8], tag: u8) -> (&[u8], Vec<u8>) {
    let dir = above(key).unwrap_or(key);
    let name = key.get(dir.len() + 1..).unwrap_or_default();
    (dir, [name, &[0, tag]].concat())
}

/// Adds the digest of a file, or that it could not be read.
pub(crate) fn record_digest(
    items: &mut Sorter,
    key: &[u8],
    fingerprint: Option<Fingerprint>,
    at: i64,
) -> io::Result<()> {
    let (dir, name) = tagged(key, DIGEST);
    let mut digest = Vec::new();
    if let Some(fingerprint) = fingerprint {
        fingerprint.encode(&mut digest);
    }
    items.push(dir, &name, &[&at.to_le_bytes(), &digest])
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(mode: FingerprintMode, memory: usize, reading: &Reading, wanting: &'a mut dyn Wanting) -> Self {
        Self {
            items: Sorter::new(memory, &reading.spill),
            gone: Sorter::new(memory / 4, &reading.spill),
            mode,
            wanting,
        }
    }

    /// As [`Wanting::unread_of`].
    pub(crate) fn unread_of(&self, files: u64) -> (u64, u64) {
        self.wanting.unread_of(files)
    }

    /// That is all.
    pub(crate) fn finish(self) -> Recorded {
        Recorded { items: self.items, gone: self.gone }
    }
}

/// What comparing told.
pub(crate) struct Recorded {
    items: Sorter,
    gone: Sorter,
}

impl Recorded {
    /// Everything in order, with the digests. `started` is when the run began, in nanoseconds since 1970.
    pub(crate) fn with(self, mut digests: Vec<Sorter>, started: i64) -> io::Result<Contents> {
        digests.push(self.items);
        Ok(Contents { items: Merged::all(digests)?, gone: Merged::all(vec![self.gone])?, started })
    }
}

impl Told for Recorder<'_> {
    fn change(&mut self, key: &[u8], change: &Change<'_>) -> io::Result<()> {
        let (dir, name) = tagged(key, CHANGE);
        let head = [
            u8::try_from(change.change_type as usize).unwrap_or(0),
            u8::try_from(change.confidence as usize).unwrap_or(0),
            u8::from(change.old.is_some())
                | u8::from(change.new.is_some()) << 1
                | u8::from(change.old_path.is_some()) << 2,
        ];
        let hashed = change.old_fingerprint.map(|fingerprint| Hashed { fingerprint, at: 0 });
        let kept = hashed.map(|hashed| Kept { place: 0, is_racy: false, hashed: Some(hashed) });
        let old = change.old.map(|stat| encode_kept(&Detail { stat: *stat, kept })).unwrap_or_default();
        let new = change.new.map(encode);
        let new = new.as_deref().unwrap_or_default();
        self.items.push(dir, &name, &[&head, &old, new, change.old_path.unwrap_or_default()])
    }

    fn entry(&mut self, key: &[u8], entry: Entry<'_>) -> io::Result<()> {
        let (old, new, is_same) = match entry {
            Entry::Gone { old } => {
                let (dir, name) = tagged(key, GONE);
                self.items.push(dir, &name, &[])?;
                return self.gone(old);
            }
            Entry::There { old, new } => (old, new, false),
            Entry::Same { old } => (Some(old), &old.stat, true),
            Entry::Carried { old } => (Some(old), &old.stat, false),
        };
        let wants = kind(new) == Kind::File
            && !matches!(entry, Entry::Carried { .. })
            && match self.mode {
                FingerprintMode::None => false,
                FingerprintMode::New | FingerprintMode::Sample => {
                    is_suspect(old, new) || old.is_some_and(|old| is_doubtful(old, new) || old.fingerprint().is_none())
                }
                FingerprintMode::All => true,
            };
        if is_same && !wants {
            return Ok(());
        }
        old.map_or(Ok(()), |old| self.gone(old))?;
        if wants {
            // What is the same is compared with what it was, whatever is asked for now.
            let known = old.filter(|old| !is_suspect(Some(old), new)).and_then(Detail::fingerprint);
            self.wanting.want(key, new, known.as_ref())?;
        }
        let (dir, name) = tagged(key, ROW);
        let was = old.map(encode_kept).unwrap_or_default();
        self.items.push(dir, &name, &[&[u8::from(old.is_some())], &was, &encode(new)])
    }
}

impl Recorder<'_> {
    /// The row that was read is no more.
    fn gone(&mut self, old: &Detail) -> io::Result<()> {
        old.kept.map_or(Ok(()), |kept| self.gone.push(&kept.place.to_be_bytes(), b"", &[]))
    }
}

/// Who keeps it.
pub(crate) trait Keeper {
    /// What is there from now on, in the order of directories and names.
    fn row(&mut self, row: &NewRow<'_>) -> Result<(), TrackError>;
    /// What changed, in the same order.
    fn change(&mut self, change: &Change<'_>) -> Result<(), TrackError>;
    /// What is there no more, in the same order. What has another row in its place is not told of.
    fn removed(&mut self, path: &[u8]) -> Result<(), TrackError>;
    /// The same, and what has other rows now: rows that are no more, in the order of their places.
    fn gone(&mut self, place: u64) -> Result<(), TrackError>;
}

/// A row of the state.
pub(crate) struct NewRow<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
    pub(crate) is_racy: bool,
    pub(crate) hashed: Option<Hashed>,
}

/// All that a run adds.
pub(crate) struct Contents {
    items: Merged,
    gone: Merged,
    started: i64,
}

/// What is known of one name.
#[derive(Default)]
struct Said {
    changes: Vec<Vec<u8>>,
    row: Option<Vec<u8>>,
    is_gone: bool,
    /// That it was read, when, and what came of it.
    digest: Option<(i64, Option<Fingerprint>)>,
}

impl Contents {
    /// Hands it all over, once, and counts the changes.
    pub(crate) fn hand_over(
        mut self,
        roots: &Roots,
        reading: &Reading,
        keeper: &mut dyn Keeper,
    ) -> Result<Counts, TrackError> {
        let failed = |why| reading.spilled(why);
        let mut counts = Counts::default();
        let mut name: Vec<u8> = Vec::new();
        while self.items.next_group().map_err(failed)? {
            if reading.cancel.is_cancelled() {
                return Err(TrackError::Interrupted);
            }
            let dir = self.items.key().to_vec();
            let mut said: Option<Said> = None;
            while let Some((tagged, payload)) = self.items.item() {
                let (tag, this) =
                    tagged.split_last().map_or((0, tagged), |(tag, rest)| (*tag, &rest[..rest.len() - 1]));
                if said.is_none() || name != this {
                    if let Some(said) = said.take() {
                        said.settle(self.started, &roots.path(&own_key(&dir, &name)), &mut counts, keeper)?;
                    }
                    name.clear();
                    name.extend_from_slice(this);
                }
                said.get_or_insert_default().add(tag, payload);
                self.items.advance().map_err(failed)?;
            }
            if let Some(said) = said {
                said.settle(self.started, &roots.path(&own_key(&dir, &name)), &mut counts, keeper)?;
            }
        }
        while self.gone.next_group().map_err(failed)? {
            keeper.gone(self.gone.key().try_into().map_or(0, u64::from_be_bytes))?;
        }
        Ok(counts)
    }
}

impl Said {
    fn add(&mut self, tag: u8, payload: &[u8]) {
        match tag {
            CHANGE => self.changes.push(payload.to_vec()),
            ROW => self.row = Some(payload.to_vec()),
            GONE => self.is_gone = true,
            DIGEST => {
                let at = payload.get(..8).and_then(|at| at.try_into().ok()).map_or(0, i64::from_le_bytes);
                self.digest = Some((at, payload.get(8..).and_then(Fingerprint::decode)));
            }
            _ => {}
        }
    }

    /// Says of the name what there is to say.
    fn settle(
        &self,
        started: i64,
        path: &[u8],
        counts: &mut Counts,
        keeper: &mut dyn Keeper,
    ) -> Result<(), TrackError> {
        let mut content = Content::default();
        if let Some(row) = &self.row {
            let (old, length) = if row[0] == 1 { decode(&row[1..]) } else { (Detail::default(), 0) };
            let old = (row[0] == 1).then_some(old);
            let new = decode(&row[1 + length..]).0.stat;
            content = Content::of(old.as_ref(), &new, self.digest, started);
            let Content { hashed, is_racy, .. } = content;
            keeper.row(&NewRow { path, stat: &new, is_racy, hashed })?;
            let told = match content.rotten {
                Some(rotten) => Some((ChangeType::Bitrot, Some(rotten))),
                // Its times did not tell.
                None if self.changes.is_empty() && content.is_other => {
                    Some((ChangeType::Modified, content.fingerprint()))
                }
                None => None,
            };
            if let (Some((change_type, new_fingerprint)), Some(old)) = (told, &old) {
                let change = Change {
                    change_type,
                    path,
                    old_path: None,
                    old: Some(&old.stat),
                    new: Some(&new),
                    old_fingerprint: old.fingerprint(),
                    new_fingerprint,
                    confidence: Confidence::Certain,
                };
                counts.add(&change);
                keeper.change(&change)?;
            }
        }
        if self.is_gone && self.row.is_none() {
            keeper.removed(path)?;
        }
        for change in &self.changes {
            tell(change, path, &content, counts, keeper)?;
        }
        Ok(())
    }
}

/// Tells of a change that was recorded.
fn tell(
    payload: &[u8],
    path: &[u8],
    content: &Content,
    counts: &mut Counts,
    keeper: &mut dyn Keeper,
) -> Result<(), TrackError> {
    let [change_type, confidence, flags, rest @ ..] = payload else { return Ok(()) };
    let next = |rest: &mut &[u8]| {
        let (detail, length) = decode(rest);
        *rest = rest.get(length..).unwrap_or_default();
        detail
    };
    let mut rest = rest;
    let old = (flags & 1 != 0).then(|| next(&mut rest));
    let new = (flags & 2 != 0).then(|| next(&mut rest).stat);
    let change_type = ChangeType::ALL[usize::from(*change_type).min(ChangeType::ALL.len() - 1)];
    let change = Change {
        // Rights are not all that changed.
        change_type: if change_type == ChangeType::Metadata && content.is_other {
            ChangeType::Modified
        } else {
            change_type
        },
        path,
        old_path: (flags & 4 != 0).then_some(rest),
        old: old.as_ref().map(|old| &old.stat),
        new: new.as_ref(),
        old_fingerprint: old.as_ref().and_then(Detail::fingerprint),
        new_fingerprint: new.and(content.fingerprint()),
        confidence: Confidence::ALL[usize::from(*confidence).min(Confidence::ALL.len() - 1)],
    };
    counts.add(&change);
    keeper.change(&change)
}
