//! The difference of two scans.
//!
//! ```text
//! old ─► side: marks ─┐                         ┌─► by inode ─► moves ─┐
//!                     ├─► join: what differs ───┤                      ├─► by path ─► tell ─► whoever asked
//! new ─► side: marks ─┘                         └──────────────────────┘
//! ```
//!
//! Of each entry both sides keep a mark of fixed size, outside memory if need be; only what differs is read again, sorted and told.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pwalk_engine::{Options, Progress, Threads};
use pwalk_scan::Verdict;

use crate::TrackError;
use crate::change::{Change, Counts};
use crate::join::join;
use crate::key::Roots;
use crate::marks::{Seed, most_parts};
use crate::moves::pair;
use crate::side::{Facts, Opened, Reading, Side, Source, Wishes, read, threads, walk};
use crate::sort::{Merged, Spill};
use crate::tell::{Teller, Told};

/// Memory that comparing takes, unless told, in bytes.
pub const MEMORY: usize = 88 << 20;

/// Entries of a part: both sides' marks of them are to fit into a core's cache.
const PART: u64 = 8192;

/// What to compare.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// What was.
    pub old: Source,
    /// What is.
    pub new: Source,
    /// How directories are walked; threads for files as well, if they are fixed.
    pub walk: Options,
    /// The patterns that were compiled into `walk.exclude`.
    pub exclude_patterns: Vec<String>,
    /// Bytes of memory for comparing; what does not fit goes to a file without a name.
    pub memory: usize,
    /// Where that is; none: `TMPDIR`, or `/tmp`.
    pub temp_dir: Option<PathBuf>,
}

impl DiffOptions {
    /// A comparison of `old` with `new`.
    pub fn new(old: Source, new: Source) -> Self {
        Self { old, new, walk: Options::default(), exclude_patterns: Vec::new(), memory: MEMORY, temp_dir: None }
    }
}

/// What a comparison came to.
#[derive(Clone, Debug)]
pub struct DiffSummary {
    /// What is known of the old side.
    pub old: Facts,
    /// What is known of the new side.
    pub new: Facts,
    /// How many changes there are.
    pub counts: Counts,
    /// Whether the roots are other directories than they were, as in a copy: inodes and times of inodes were not compared, and nothing can have moved.
    pub is_elsewhere: bool,
    /// What makes the answer less than it seems.
    pub warnings: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl DiffSummary {
    /// Whether both sides saw everything.
    pub fn verdict(&self) -> Verdict {
        match (self.old.verdict, self.new.verdict) {
            (Verdict::Complete, Verdict::Complete) => Verdict::Complete,
            _ => Verdict::Partial,
        }
    }
}

/// Compares, and tells `told` of each change, in the order of the paths.
///
/// # Errors
/// [`TrackError`]. What could not be read in a directory is none: see [`DiffSummary::verdict`].
pub fn run(
    options: &DiffOptions,
    told: &mut dyn FnMut(&Change<'_>) -> io::Result<()>,
    progress: &dyn Progress,
) -> Result<DiffSummary, TrackError> {
    let begun = Instant::now();
    let (old, new, reading) = sides(options, progress)?;
    let mut warnings = warnings(&old, &new);
    let mut told = told;
    let compared = compare(old, new, options.memory / 4, &reading, &mut told)?;
    let Compared { old, new, counts, is_elsewhere, warnings: more } = compared;
    warnings.extend(more);
    Ok(DiffSummary { old, new, counts, is_elsewhere, warnings, elapsed: begun.elapsed() })
}

/// What comparing two sides came to.
pub(crate) struct Compared {
    pub(crate) old: Facts,
    pub(crate) new: Facts,
    pub(crate) counts: Counts,
    pub(crate) is_elsewhere: bool,
    /// What came up meanwhile that the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Compares two sides that were read, with about so much memory.
pub(crate) fn compare(
    mut old: Side,
    mut new: Side,
    memory: usize,
    reading: &Reading,
    told: &mut dyn Told,
) -> Result<Compared, TrackError> {
    let failed = |why| reading.spilled(why);
    let mut findings = join(&mut old, &mut new, memory, reading)?;
    let by_inode = Merged::all(vec![findings.by_inode]).map_err(failed)?;
    pair(by_inode, &findings.known.devices, &mut findings.by_path).map_err(failed)?;
    let found = Merged::all(vec![findings.by_path]).map_err(failed)?;
    let is_partial = (old.facts.verdict == Verdict::Partial, new.facts.verdict == Verdict::Partial);
    let mut teller = Teller::new((&old.roots, &new.roots), is_partial, told);
    teller.tell(found, &reading.cancel, failed)?;
    let counts = teller.counts;
    let remounted = |key: &Vec<u8>| {
        let path = new.roots.path(key).escape_ascii().to_string();
        format!("{path} is on another device than before: perhaps something is mounted there now, or is not any more")
    };
    let warnings = findings.remounted.iter().map(remounted).collect();
    Ok(Compared { old: old.facts, new: new.facts, counts, is_elsewhere: findings.known.is_elsewhere, warnings })
}

/// Both sides, read.
fn sides(options: &DiffOptions, progress: &dyn Progress) -> Result<(Side, Side, Reading), TrackError> {
    let open = |source: &Source| match source {
        Source::Scan(path) => Opened::new(path).map(Some),
        Source::Directory(_) => Ok(None),
    };
    let (mut old, mut new) = (open(&options.old)?, open(&options.new)?);
    let (was, is) = (roots(old.as_ref(), &options.old), roots(new.as_ref(), &options.new));
    old.iter_mut().for_each(|old| old.adopt(&is));
    new.iter_mut().for_each(|new| new.adopt(&was));
    check_roots(options, old.as_ref(), new.as_ref())?;
    // Of a directory nothing is known.
    let is_known = old.is_some() && new.is_some();
    let rows = [&old, &new].into_iter().flatten().map(Opened::rows).max().filter(|_| is_known).unwrap_or(u64::MAX);
    let reading = reading(&options.walk, options.memory, options.temp_dir.as_deref(), rows);
    let files: Vec<_> = [old, new].into_iter().flatten().collect();
    let mut files = read(files, &reading)?.into_iter();
    let mut side = |source: &Source| match source {
        Source::Scan(_) => files.next().ok_or(TrackError::Interrupted),
        Source::Directory(path) => {
            walk(vec![path.clone()], &options.walk, &options.exclude_patterns, &reading, Wishes::default(), progress)
        }
    };
    Ok((side(&options.old)?, side(&options.new)?, reading))
}

/// How sides of about so many rows are read.
pub(crate) fn reading(walk: &Options, memory: usize, temp_dir: Option<&Path>, rows: u64) -> Reading {
    let memory = memory / 8 * 3;
    Reading {
        seed: Seed::drawn(),
        parts: usize::try_from(rows / PART).unwrap_or(usize::MAX).clamp(16, most_parts(memory / threads())),
        threads: match walk.threads {
            Threads::Fixed(count) => count.min(threads()),
            Threads::Adaptive => threads(),
        },
        memory,
        spill: Spill::new(temp_dir),
        cancel: walk.cancel.clone(),
        renews: false,
    }
}

/// The roots of a side.
fn roots(opened: Option<&Opened>, source: &Source) -> Roots {
    match (opened, source) {
        (Some(opened), _) => opened.roots.clone(),
        (None, Source::Directory(path)) => Roots::new([path.clone()]),
        (None, Source::Scan(_)) => Roots::new([]),
    }
}

/// That both are of the same roots, or of one each.
fn check_roots(options: &DiffOptions, old: Option<&Opened>, new: Option<&Opened>) -> Result<(), TrackError> {
    let (old, new) = (roots(old, &options.old), roots(new, &options.new));
    if old.paths() == new.paths() || (old.paths().len() == 1 && new.paths().len() == 1) {
        return Ok(());
    }
    let shown =
        |roots: &Roots| roots.paths().iter().map(|root| root.escape_ascii().to_string()).collect::<Vec<_>>().join(", ");
    Err(TrackError::OtherRoots { old: shown(&old), new: shown(&new) })
}

/// What makes the answer less than it seems.
pub(crate) fn warnings(old: &Side, new: &Side) -> Vec<String> {
    let mut warnings = Vec::new();
    for (side, which, what) in [
        (old, "old", "what is new there may have been there before"),
        (new, "new", "nothing can be said to be removed"),
    ] {
        if side.is_vague {
            warnings.push(format!(
                "the {which} scan is PARTIAL, or says nothing of itself, and its error ledger is not beside it: {what}; put the ledger there"
            ));
        }
    }
    if let (Some(was), Some(is)) = (&old.facts.extent, &new.facts.extent) {
        let other = |(name, value): (&String, &serde_json::Value)| {
            let now = is.get(name).filter(|now| *now != value)?;
            Some(format!("--{name} was {value} and is {now}"))
        };
        let differing: Vec<_> = was.iter().filter_map(other).collect();
        if !differing.is_empty() {
            warnings.push(format!(
                "the scans were made with other options ({}): what only one of them looked at counts as added, removed or unseen",
                differing.join(", ")
            ));
        }
    }
    warnings
}
