//! Adding a scan to a catalog.
//!
//! ```text
//! lock ─► is it the same directory? ─► state ─┐
//!                                     walk ───┴─► compare ─► is it believable? ─► digests ─► publish
//! ```
//!
//! Until the last step nothing of the catalog has changed, and the last step is one. So a run that is refused, stopped or killed was not.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pwalk_engine::{Options, Progress};
use pwalk_fs::{Errno, Freshness, Links, Meta, at_path, mount_list, mount_of, open_child, stat_fd};
use pwalk_scan::{Ledger, Stat, Verdict};

use super::hashing::{Hashing, Readers};
use super::record::Recorder;
use super::run::{Identity, Root, Run, RunKind};
use super::store::{Draft, Store};
use crate::TrackError;
use crate::change::ChangeType;
use crate::diff::{MEMORY, compare, reading, warnings};
use crate::fingerprint::FingerprintMode;
use crate::side::{Reading, Side, Wishes, nothing, walk};

/// How a directory is scanned into a catalog.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// How it is walked.
    pub walk: Options,
    /// The patterns that were compiled into `walk.exclude`.
    pub exclude_patterns: Vec<String>,
    /// Which files are read.
    pub fingerprint: FingerprintMode,
    /// And how.
    pub hashing: Hashing,
    /// What the user says of the run.
    pub metadata: BTreeMap<String, String>,
    /// What would be refused otherwise.
    pub accepted: Accepted,
    /// Bytes of memory for comparing; what does not fit goes to a file without a name.
    pub memory: usize,
    /// Where that is; none: `TMPDIR`, or `/tmp`.
    pub temp_dir: Option<PathBuf>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            walk: Options::default(),
            exclude_patterns: Vec::new(),
            fingerprint: FingerprintMode::None,
            hashing: Hashing::default(),
            metadata: BTreeMap::new(),
            accepted: Accepted::default(),
            memory: MEMORY,
            temp_dir: None,
        }
    }
}

/// What is refused unless it was said to be so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The root is missing, empty, or another directory than last time.
    pub new_root: bool,
    /// More than half of the entries are gone.
    pub mass_delete: bool,
}

/// What a scan or a verification came to.
#[derive(Clone, Debug)]
pub struct ScanSummary {
    /// The run, as the catalog has it.
    pub run: Run,
    /// Whether it is the first one of this root.
    pub is_first: bool,
    /// What makes it less than it seems.
    pub warnings: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// How long the last part of that took: putting what was found into the catalog.
    pub publishing: Duration,
}

/// Now, in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Scans a root that is locked.
pub(super) fn scan(
    store: &mut dyn Store,
    root: &Root,
    options: &ScanOptions,
    progress: &dyn Progress,
) -> Result<ScanSummary, TrackError> {
    let begun = Instant::now();
    let started = now();
    let identity = identify(root, options.accepted)?;
    let rows = root.last_scan.as_ref().map_or(u64::MAX, |run| run.entries);
    let reading = reading(&options.walk, options.memory, options.temp_dir.as_deref(), rows);
    let reading = Reading { renews: true, ..reading };
    let (id, target) = store.begin(root)?;
    let ledger = Arc::new(Ledger::new(target)?);
    let old = store.state(root, options.fingerprint, &reading)?;
    let new = match &identity {
        Some(_) => {
            let (roots, patterns) = (vec![root.path.clone()], &options.exclude_patterns);
            let wishes = Wishes { ledger: Some(Arc::clone(&ledger)), omitted: store.own_place() };
            walk(roots, &options.walk, patterns, &reading, wishes, progress)?
        }
        None => nothing(&root.path, &reading)?,
    };
    check_empty(root, &new, options.accepted)?;
    let mut warnings = warnings(&old, &new);
    let roots = new.roots.clone();
    let mut readers =
        Readers::new(&root.path, (options.fingerprint, &options.hashing), &options.walk.cancel, &ledger, &reading);
    let mut recorder = Recorder::new(options.fingerprint, options.memory / 8, &reading, &mut readers);
    let compared = compare(old, new, options.memory / 4, &reading, &mut recorder)?;
    warnings.extend(compared.warnings);
    check_mass_delete(
        root,
        compared.counts.of(ChangeType::Removed),
        compared.old.entries,
        options.accepted,
        &warnings,
    )?;
    let recorded = recorder.finish();
    let (digests, read) = readers.finish()?;
    if options.walk.cancel.is_cancelled() {
        return Err(TrackError::Interrupted);
    }
    let contents = recorded.with(digests, started).map_err(|why| reading.spilled(why))?;
    let errors = finish(ledger)?;
    if compared.is_elsewhere && root.last > 0 {
        warnings.push("the root is another directory than last time: moves were not looked for".to_owned());
    }
    let run = Run {
        id,
        root: root.path.clone(),
        kind: RunKind::Scan,
        started,
        finished: now(),
        verdict: if errors == 0 { compared.new.verdict } else { Verdict::Partial },
        entries: compared.new.entries,
        bytes: compared.new.bytes.unwrap_or(0),
        errors,
        counts: compared.counts,
        hashed: read.hashed,
        extent: compared.new.extent.unwrap_or_default(),
        metadata: options.metadata.clone(),
        is_pruned: false,
    };
    let identity = identity.unwrap_or_default();
    let publishing = Instant::now();
    let run = store.publish(Draft { root, identity, run }, contents, &roots, &reading)?;
    let (is_first, publishing) = (root.last_scan.is_none(), publishing.elapsed());
    Ok(ScanSummary { run, is_first, warnings, elapsed: begun.elapsed(), publishing })
}

/// Completes the ledger: how much could not be read.
pub(super) fn finish(ledger: Arc<Ledger>) -> Result<u64, TrackError> {
    let errors = ledger.partial_count();
    // A worker that hangs in a call keeps its part; then the ledger is not complete, and neither is the run.
    let ledger = Arc::into_inner(ledger).ok_or(TrackError::Interrupted)?;
    ledger.finish()?;
    Ok(errors)
}

/// What is at the root's path now, if it may be scanned; none if nothing is there and that is accepted.
pub(super) fn identify(root: &Root, accepted: Accepted) -> Result<Option<Identity>, TrackError> {
    let refused = |why: String| TrackError::OtherRoot { root: root.path.escape_ascii().to_string(), why };
    // Nothing is known of one that was accepted to be missing.
    let is_known = root.last > 0 && root.identity != Identity::default();
    let opened = at_path(&root.path, |above, rest| open_child(above, rest, Links::NoFollow));
    let dir = match opened {
        Ok(dir) => dir,
        Err(errno) if root.last > 0 && errno == Errno::NOENT => {
            return if accepted.new_root { Ok(None) } else { Err(refused("is missing".to_owned())) };
        }
        Err(errno) => {
            let path = root.path.escape_ascii().to_string();
            return Err(TrackError::Directory { path, why: errno.to_string() });
        }
    };
    let meta: Meta = stat_fd(&dir, Freshness::Fresh).map_err(|errno| TrackError::Directory {
        path: root.path.escape_ascii().to_string(),
        why: errno.to_string(),
    })?;
    let stat = Stat::of(&meta);
    let mounts = mount_list();
    // Kernels before 5.8 do not say: then what is mounted tells nothing.
    let mount = mount_of(dir.as_fd()).map_or(None, |id| mounts.into_iter().find(|mount| mount.id == id));
    let identity = Identity {
        ino: stat.ino,
        dev: stat.dev,
        btime: stat.btime,
        mount: mount.map(|mount| (mount.source, mount.fs_type.into_vec())).unwrap_or_default(),
    };
    if is_known && !accepted.new_root && !identity.is(&root.identity) {
        let why = if identity.dev == root.identity.dev {
            "is another directory than last time"
        } else {
            "is on another device than last time; perhaps something is not mounted"
        };
        return Err(refused(why.to_owned()));
    }
    Ok(Some(identity))
}

fn check_empty(root: &Root, new: &Side, accepted: Accepted) -> Result<(), TrackError> {
    let had = root.last_scan.as_ref().is_some_and(|run| run.entries > 1);
    if had && !accepted.new_root && new.facts.entries <= 1 && new.facts.verdict == Verdict::Complete {
        let root = root.path.escape_ascii().to_string();
        return Err(TrackError::OtherRoot { root, why: "is empty; perhaps something is not mounted".to_owned() });
    }
    Ok(())
}

fn check_mass_delete(
    root: &Root,
    removed: u64,
    entries: u64,
    accepted: Accepted,
    warnings: &[String],
) -> Result<(), TrackError> {
    if !accepted.mass_delete && removed > entries / 2 && removed > 0 && root.last > 0 {
        let hint = (!warnings.is_empty()).then(|| warnings.join("; "));
        return Err(TrackError::MassDelete { root: root.path.escape_ascii().to_string(), removed, entries, hint });
    }
    Ok(())
}

/// How a root's state is read for who asks only.
pub(super) fn reading_of(cancel: &pwalk_engine::Cancel) -> Reading {
    reading(&Options { cancel: cancel.clone(), ..Options::default() }, MEMORY, None, u64::MAX)
}
