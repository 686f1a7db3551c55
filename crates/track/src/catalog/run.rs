//! What a catalog knows of the scans that it is made of.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, Zoned};
use pwalk_engine::Cancel;
use pwalk_scan::Verdict;
use serde_json::Value;

use crate::TrackError;
use crate::change::Counts;
use crate::key::Roots;

/// A run: what one scan, or one verification, added to a catalog.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number in the catalog, from 1; later ones are larger.
    pub id: u64,
    /// The directory that was scanned.
    pub root: Vec<u8>,
    /// What was done.
    pub kind: RunKind,
    /// When it began, in nanoseconds since 1970.
    pub started: i64,
    /// When it was published.
    pub finished: i64,
    /// Whether everything was seen.
    pub verdict: Verdict,
    /// What was there.
    pub entries: u64,
    /// The sizes of all that.
    pub bytes: u64,
    /// What could not be read.
    pub errors: u64,
    /// What changed, against the run before.
    pub counts: Counts,
    /// Files whose content was read, and their bytes.
    pub hashed: (u64, u64),
    /// The options that decide which entries there are.
    pub extent: BTreeMap<String, Value>,
    /// What the user said of it.
    pub metadata: BTreeMap<String, String>,
    /// Whether its changes are gone.
    pub is_pruned: bool,
}

impl Run {
    /// Whether something of a subtree can be in its root, or the other way round.
    pub(crate) fn has_part_of(&self, subtree: &[u8]) -> bool {
        let is_below = |path: &[u8], root: &[u8]| Roots::new([root.to_vec()]).below(path).is_some();
        is_below(subtree, &self.root) || is_below(&self.root, subtree)
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// It looked for what changed.
    Scan,
    /// It read files again and compared them with their fingerprints.
    Verify,
}

impl RunKind {
    /// As it is written: `scan`, `verify`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Verify => "verify",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        if name == Self::Verify.name() { Self::Verify } else { Self::Scan }
    }
}

/// By what a directory is known to be the one that it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) ino: u64,
    pub(crate) dev: u64,
    pub(crate) btime: Option<i64>,
    /// What is mounted there: `server:/export`, `/dev/sda1`, and the kind of file system.
    pub(crate) mount: (Vec<u8>, Vec<u8>),
}

impl Identity {
    /// Whether it is the same, as far as can be told. Numbers of devices change when a machine is started; then the time of birth tells, or what is mounted.
    pub(crate) fn is(&self, other: &Self) -> bool {
        if self.btime.is_some() && other.btime.is_some() && self.btime != other.btime {
            return false;
        }
        let is_born_with = self.btime.is_some() && self.btime == other.btime;
        let is_mounted = !self.mount.0.is_empty() && self.mount == other.mount;
        self.ino == other.ino && (self.dev == other.dev || is_born_with || is_mounted)
    }
}

/// A directory that a catalog has scans of.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) id: u64,
    pub(crate) path: Vec<u8>,
    pub(crate) identity: Identity,
    /// The last run that looked for changes, and the last one of any kind.
    pub(crate) last_scan: Option<Run>,
    pub(crate) last: u64,
}

impl Root {
    /// As keys are made from it.
    pub(crate) fn roots(&self) -> Roots {
        Roots::new([self.path.clone()])
    }
}

/// Which changes are asked for.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// Those of later runs than this one.
    pub after: Option<Since>,
    /// Those of this run.
    pub run: Option<u64>,
    /// Those of runs of this directory.
    pub root: Option<Vec<u8>>,
    /// Those at this path and below it.
    pub subtree: Option<Vec<u8>>,
    /// Those of these types; all if there are none.
    pub types: Vec<crate::ChangeType>,
    /// Ends the telling, with [`Interrupted`](crate::TrackError::Interrupted).
    pub cancel: Cancel,
}

impl ChangeFilter {
    /// That these runs can know something of the subtree that is asked for.
    pub(crate) fn check_subtree(&self, runs: &[Run]) -> Result<(), TrackError> {
        let Some(path) = &self.subtree else { return Ok(()) };
        if runs.is_empty() || runs.iter().any(|run| run.has_part_of(path)) {
            return Ok(());
        }
        Err(TrackError::Unknown(format!("the catalog has no scan of {}; see `pwalk track runs`", path.escape_ascii())))
    }
}

/// A place in a catalog's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A run.
    Run(u64),
    /// A time, in nanoseconds since 1970.
    Time(i64),
}

impl Since {
    /// Whether one of these runs is later. Runs of several roots are not always published in the order in which they began, so what counts is
    /// when they were published.
    pub(crate) fn is_before(self, run: &Run, runs: &[Run]) -> bool {
        match self {
            Self::Run(id) => match runs.iter().find(|run| run.id == id) {
                Some(since) => run.finished > since.finished,
                None => run.id > id,
            },
            Self::Time(time) => run.finished > time,
        }
    }
}

/// What is no place in a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no time: use the number of a run, a duration as 7d or 12h, a date as 2026-01-31, or a time as 2026-01-31T12:00"
)]
pub struct BadSince(String);

impl FromStr for Since {
    type Err = BadSince;

    /// A number is a run, a duration (`7d`, `2 weeks`, `12h`) goes back from now, and a date or a time without a zone is where the machine is.
    fn from_str(text: &str) -> Result<Self, BadSince> {
        let bad = || BadSince(text.to_owned());
        if let Ok(run) = text.parse() {
            return Ok(Self::Run(run));
        }
        let now = Zoned::now();
        let time = match (text.parse::<Span>(), text.parse::<Timestamp>()) {
            (Ok(span), _) => now.checked_sub(span.abs()).map_err(|_| bad())?.timestamp(),
            (_, Ok(time)) => time,
            _ => {
                let time: DateTime = text.parse().map_err(|_| bad())?;
                time.to_zoned(now.time_zone().clone()).map_err(|_| bad())?.timestamp()
            }
        };
        i64::try_from(time.as_nanosecond()).map(Self::Time).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_durations_and_dates_are_told_apart() {
        assert_eq!("12".parse(), Ok(Since::Run(12)));
        assert_eq!("1970-01-02T00:00:00Z".parse(), Ok(Since::Time(86_400_000_000_000)));
        let Ok(Since::Time(week)) = "7d".parse() else { panic!() };
        let Ok(Since::Time(day)) = "1 day".parse() else { panic!() };
        // Days are not always of 24 hours.
        assert!((86_400_000_000_000 * 6 - (day - week)).abs() < 7_200_000_000_000);
        assert!(matches!("2026-01-31".parse(), Ok(Since::Time(time)) if time > 1_700_000_000_000_000_000));
        assert!("soon".parse::<Since>().is_err() && "".parse::<Since>().is_err());
    }

    #[test]
    fn a_directory_is_known_by_more_than_its_number() {
        let was = Identity { ino: 2, dev: 5, btime: Some(9), mount: (b"server:/a".to_vec(), b"nfs4".to_vec()) };
        assert!(was.is(&was));
        assert!(was.is(&Identity { dev: 6, ..was.clone() }));
        assert!(was.is(&Identity { dev: 6, btime: None, ..was.clone() }));
        assert!(!was.is(&Identity {
            dev: 6,
            btime: None,
            mount: (b"server:/b".to_vec(), b"nfs4".to_vec()),
            ..was.clone()
        }));
        assert!(!was.is(&Identity { ino: 3, ..was.clone() }));
    }
}
