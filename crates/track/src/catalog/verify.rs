//! Reading files again, to see whether they still are what they were.
//!
//! Those come first that were not read for the longest time, until the budget is used up. What differs although its size and times do not
//! is rotten: it is told of, and what the file was stays known.

use std::sync::Arc;
use std::time::Instant;

use pwalk_engine::Cancel;
use pwalk_fs::Kind;
use pwalk_scan::{Ledger, Verdict};

use super::hashing::{Hashing, Readers};
use super::record::Recorder;
use super::run::{Root, Run, RunKind};
use super::scan::{Accepted, ScanSummary, finish, identify, now, reading_of};
use super::store::{Draft, Store};
use crate::TrackError;
use crate::diff::MEMORY;
use crate::entry::{Detail, Hashed, Kept, decode, encode_kept, kind};
use crate::fingerprint::FingerprintMode;
use crate::sort::{Merged, Sorter};
use crate::tell::{Entry, Told};

/// How much is read again.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// At most so many bytes; the file that goes beyond is read to its end.
    pub max_bytes: Option<u64>,
    /// At most so many files.
    pub max_files: Option<u64>,
    /// Only files that were not read since this time, in nanoseconds since 1970.
    pub before: Option<i64>,
    /// In how many threads, how fast.
    pub hashing: Hashing,
    /// Stops it.
    pub cancel: Cancel,
}

/// Verifies files at a path and below it, of a root that is locked.
pub(super) fn verify(
    store: &mut dyn Store,
    root: &Root,
    subtree: &[u8],
    options: &VerifyOptions,
) -> Result<ScanSummary, TrackError> {
    let begun = Instant::now();
    let started = now();
    let last = root.last_scan.as_ref().ok_or_else(|| unknown(root))?;
    let identity = identify(root, Accepted::default()).map_err(|why| match why {
        // Here nothing can be accepted.
        TrackError::OtherRoot { root, why } => TrackError::Unknown(format!("{root} {why}; nothing was verified")),
        other => other,
    })?;
    let identity = identity.ok_or_else(|| unknown(root))?;
    let reading = reading_of(&options.cancel);
    let failed = |why| reading.spilled(why);
    let roots = root.roots();
    // The longest unread first.
    let mut waiting = Sorter::new(MEMORY / 4, &reading.spill);
    let mut candidates = 0_u64;
    store.entries(root, subtree, None, &reading, &mut |entry| {
        let (Some(fingerprint), Some(at)) = (entry.fingerprint, entry.hashed_at) else { return Ok(()) };
        if kind(entry.stat) != Kind::File || options.before.is_some_and(|before| at >= before) {
            return Ok(());
        }
        candidates += 1;
        let kept = Kept { place: entry.place, is_racy: entry.is_racy, hashed: Some(Hashed { fingerprint, at }) };
        let detail = encode_kept(&Detail { stat: *entry.stat, kept: Some(kept) });
        let key = roots.key(entry.path).unwrap_or_default();
        // Times before 1970 sort first too.
        let at = (at.cast_unsigned() ^ (1 << 63)).to_be_bytes();
        waiting.push(&at, &entry.place.to_be_bytes(), &[&detail, &key]).map_err(failed)
    })?;
    if candidates == 0 && options.before.is_none() {
        return Err(TrackError::Unknown(format!(
            "the catalog has no fingerprints of files at {}; scan it with --fingerprint new",
            subtree.escape_ascii()
        )));
    }
    let (id, target) = store.begin(root)?;
    let ledger = Arc::new(Ledger::new(target)?);
    let mode = FingerprintMode::All;
    let mut readers = Readers::new(&root.path, (mode, &options.hashing), &options.cancel, &ledger, &reading);
    let mut recorder = Recorder::new(mode, MEMORY / 4, &reading, &mut readers);
    let mut waiting = Merged::all(vec![waiting]).map_err(failed)?;
    let (mut files, mut bytes) = (0_u64, 0_u64);
    // What cannot be read costs nothing, or it would be first again the next time, and nothing else would ever be read.
    let (mut free_files, mut free_bytes) = (0, 0);
    let is_enough = |files: u64, bytes: u64| {
        options.max_files.is_some_and(|most| files >= most) || options.max_bytes.is_some_and(|most| bytes >= most)
    };
    'all: while waiting.next_group().map_err(failed)? {
        while let Some((_, payload)) = waiting.item() {
            if is_enough(files.saturating_sub(free_files), bytes.saturating_sub(free_bytes)) {
                (free_files, free_bytes) = recorder.unread_of(files);
                if is_enough(files.saturating_sub(free_files), bytes.saturating_sub(free_bytes)) {
                    break 'all;
                }
            }
            if options.cancel.is_cancelled() {
                break 'all;
            }
            let (old, length) = decode(payload);
            let key = payload.get(length..).unwrap_or_default();
            files += 1;
            bytes += u64::try_from(old.stat.size).unwrap_or(0);
            recorder.entry(key, Entry::Same { old: &old }).map_err(failed)?;
            waiting.advance().map_err(failed)?;
        }
    }
    let recorded = recorder.finish();
    let (digests, read) = readers.finish()?;
    let contents = recorded.with(digests, started).map_err(failed)?;
    let errors = finish(ledger)?;
    let run = Run {
        id,
        root: root.path.clone(),
        kind: RunKind::Verify,
        started,
        finished: now(),
        // Of a verification that read nothing nobody should think that it has verified something.
        verdict: if errors == 0 && (files == 0 || read.hashed.0 > 0) { Verdict::Complete } else { Verdict::Partial },
        entries: files,
        bytes,
        errors,
        counts: crate::Counts::default(),
        hashed: read.hashed,
        extent: last.extent.clone(),
        metadata: std::collections::BTreeMap::new(),
        is_pruned: false,
    };
    if options.cancel.is_cancelled() {
        return Err(TrackError::Interrupted);
    }
    let warnings = match read.missed {
        0 => Vec::new(),
        missed => {
            vec![format!("{missed} of the files are not what the last scan saw, and were not compared; scan again")]
        }
    };
    let publishing = Instant::now();
    let run = store.publish(Draft { root, identity, run }, contents, &roots, &reading)?;
    let publishing = publishing.elapsed();
    Ok(ScanSummary { run, is_first: false, warnings, elapsed: begun.elapsed(), publishing })
}

fn unknown(root: &Root) -> TrackError {
    TrackError::Unknown(format!("the catalog has no scan of {}", root.path.escape_ascii()))
}
