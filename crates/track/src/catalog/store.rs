//! What a catalog's keeper must be able to do: the local one, and the one in PostgreSQL.
//!
//! All that decides what a change is happens outside; so both give the same answers.

use pwalk_scan::{LedgerTarget, Loss, Stat};

use super::record::Contents;
use super::run::{Identity, Root, Run};
use super::segment::SegmentRow;
use crate::TrackError;
use crate::change::Change;
use crate::entry::Hashed;
use crate::fingerprint::FingerprintMode;
use crate::key::Roots;
use crate::side::{Reading, Side};

/// An entry as a catalog knows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Its metadata.
    pub stat: &'a Stat,
    /// The digest of its content, if that was read.
    pub fingerprint: Option<crate::Fingerprint>,
    /// When it was read, in nanoseconds since 1970.
    pub hashed_at: Option<i64>,
    /// The run that found it so.
    pub run: u64,
    /// Where its row is.
    pub(crate) place: u64,
    /// Whether its content is to be looked at again.
    pub(crate) is_racy: bool,
}

impl<'a> Entry<'a> {
    /// What a row says, and where it is.
    pub(crate) fn of(place: u64, row: &'a SegmentRow<'a>) -> Self {
        Self {
            path: row.path,
            stat: &row.stat,
            fingerprint: row.hashed.map(|hashed| hashed.fingerprint),
            hashed_at: row.hashed.map(|hashed| hashed.at),
            run: row.run,
            place,
            is_racy: row.is_racy,
        }
    }

    pub(crate) fn hashed(&self) -> Option<Hashed> {
        Some(Hashed { fingerprint: self.fingerprint?, at: self.hashed_at? })
    }
}

/// A run that is to be published: all but its counts of changes, which its contents say.
pub(crate) struct Draft<'a> {
    pub(crate) root: &'a Root,
    pub(crate) identity: Identity,
    pub(crate) run: Run,
}

/// A keeper of catalogs.
pub(crate) trait Store: Send {
    /// The catalog's own directory, if it has one: device and inode. Scans leave it out.
    fn own_place(&self) -> Option<(u64, u64)> {
        None
    }

    /// All roots that have runs.
    fn roots(&mut self) -> Result<Vec<Root>, TrackError>;

    /// All runs, the oldest first.
    fn runs(&mut self) -> Result<Vec<Run>, TrackError>;

    /// Has a root for oneself, until [`unlock`](Self::unlock) or the end of the process: what is known of it, with an `id`, also if there is no
    /// run of it yet.
    fn lock(&mut self, root: &[u8]) -> Result<Root, TrackError>;

    /// Lets others have it.
    fn unlock(&mut self, root: &Root);

    /// A number for a run, and where what it could not read is noted.
    fn begin(&mut self, root: &Root) -> Result<(u64, LedgerTarget), TrackError>;

    /// What is known of a root; `rereads` says which files are looked at that are what they were.
    fn state(&mut self, root: &Root, rereads: FingerprintMode, reading: &Reading) -> Result<Side, TrackError>;

    /// Makes a run part of the catalog, at once and for good; what fails leaves the catalog as it was.
    fn publish(
        &mut self,
        draft: Draft<'_>,
        contents: Contents,
        roots: &Roots,
        reading: &Reading,
    ) -> Result<Run, TrackError>;

    /// Tells of all entries at a path and below it, in the order of directories and names: as they are, or as a run found them.
    fn entries(
        &mut self,
        root: &Root,
        subtree: &[u8],
        at: Option<u64>,
        reading: &Reading,
        each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError>;

    /// Tells of the changes of a run.
    fn changes(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError>;

    /// Tells of what a run could not read.
    fn errors(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Loss<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError>;

    /// The SQL with which DuckDB sees the catalog.
    fn duckdb_sql(&mut self) -> Result<String, TrackError>;

    /// Forgets what runs before this one found: their changes, and how entries were then.
    fn prune(&mut self, root: &Root, before: u64, reading: &Reading) -> Result<(), TrackError>;
}
