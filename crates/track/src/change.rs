//! What changed: one entry, and how.

use std::fmt;
use std::str::FromStr;

use pwalk_fs::Kind;
use pwalk_scan::Stat;

use crate::fingerprint::Fingerprint;

/// How an entry changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeType {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its content may be another: size, time of change, type or inode.
    Modified,
    /// Its content is the same, as far as metadata tell; mode, owner or time of change of the inode are not.
    Metadata,
    /// It has another path. What is in a directory that moved is not told of again.
    Moved,
    /// It was there, and now nobody could look.
    Unseen,
    /// Its content is another, and nothing else is.
    Bitrot,
}

impl ChangeType {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Added, Self::Removed, Self::Modified, Self::Metadata, Self::Moved, Self::Unseen, Self::Bitrot];

    /// As it is written: `added`, `removed`, `modified`, `metadata`, `moved`, `unseen`, `bitrot`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
            Self::Metadata => "metadata",
            Self::Moved => "moved",
            Self::Unseen => "unseen",
            Self::Bitrot => "bitrot",
        }
    }

    /// The one with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.name() == name)
    }
}

impl FromStr for ChangeType {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::of(name).ok_or("a change is added, removed, modified, metadata, moved, unseen or bitrot")
    }
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// It is so: a move has the same inode and time of birth.
    Certain,
    /// A move has the same inode, size and time of change; a new file in the place of an old one would hardly have.
    Likely,
    /// One of the scans did not see everything there.
    Uncertain,
}

impl Confidence {
    /// As it is written: `certain`, `likely`, `uncertain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Uncertain => "uncertain",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Certain, Self::Likely, Self::Uncertain];

    /// The one with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.name() == name)
    }
}

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// How it changed.
    pub change_type: ChangeType,
    /// Its path; of what is gone the path that it had.
    pub path: &'a [u8],
    /// The path that it had, if that was another.
    pub old_path: Option<&'a [u8]>,
    /// What it was.
    pub old: Option<&'a Stat>,
    /// What it is.
    pub new: Option<&'a Stat>,
    /// What its content was, if a catalog has it.
    pub old_fingerprint: Option<Fingerprint>,
    /// What its content is, if it was read.
    pub new_fingerprint: Option<Fingerprint>,
    /// How sure that is.
    pub confidence: Confidence,
}

impl Change<'_> {
    /// The type that it had, if it was there.
    pub fn old_kind(&self) -> Option<Kind> {
        self.old.map(crate::entry::kind)
    }

    /// Its type; if that changed the new one.
    pub fn kind(&self) -> Kind {
        self.new.or(self.old).map_or(Kind::Unknown, crate::entry::kind)
    }
}

/// How many changes there are of each kind, and their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: [u64; ChangeType::ALL.len()],
    bytes: [u64; ChangeType::ALL.len()],
}

impl Counts {
    pub(crate) fn add(&mut self, change: &Change<'_>) {
        let of = change.change_type as usize;
        self.counts[of] += 1;
        // A directory's own size is the file system's business.
        let stat = change.new.or(change.old).filter(|_| !change.kind().is_dir());
        self.bytes[of] += stat.map_or(0, |stat| u64::try_from(stat.size).unwrap_or(0));
    }

    /// Adds so many, of so many bytes.
    pub(crate) fn more(&mut self, change_type: ChangeType, count: u64, bytes: u64) {
        self.counts[change_type as usize] += count;
        self.bytes[change_type as usize] += bytes;
    }

    /// How many of a kind.
    pub fn of(&self, change_type: ChangeType) -> u64 {
        self.counts[change_type as usize]
    }

    /// The sizes of those that are no directories: as they are, or were if they are gone.
    pub fn bytes_of(&self, change_type: ChangeType) -> u64 {
        self.bytes[change_type as usize]
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}
