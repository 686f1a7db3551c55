//! How a fold walks.

use std::sync::Arc;
use std::time::Duration;

use pwalk_fs::Freshness;

use crate::{Cancel, Exclude};

/// How many workers run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// As many as pay, measured while walking: see `control`.
    #[default]
    Adaptive,
    /// So many (at least one).
    Fixed(usize),
}

/// Whether a root that is a symbolic link is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootLinks {
    /// It is: who names a link means what it leads to.
    #[default]
    Follow,
    /// It is a link, and no directory; with a slash behind its name it is what it leads to.
    Keep,
}

/// Whether symbolic links below the roots are followed; for the roots see [`RootLinks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowLinks {
    /// A link is an entry of its own.
    #[default]
    Never,
    /// An entry is what its link leads to; a dangling link is itself.
    Always,
}

/// Whether the walk crosses into other mounted file systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mounts {
    /// It does.
    #[default]
    Cross,
    /// The directory mounted on is an entry, and is not entered.
    Stay,
}

/// Whether snapshot directories are read; see `snapshot` for what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshots {
    /// They are left out before any call on them: they are neither entries nor counted.
    #[default]
    Skip,
    /// They are directories like others.
    Include,
}

/// When a fold stops before its end, and hands back a frontier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// After about so many entries: a directory whose reading has begun is read to its end.
    pub entries: Option<u64>,
    /// After about so long, likewise.
    pub time: Option<Duration>,
}

/// How a fold walks. All fields have the defaults of the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many workers.
    pub threads: Threads,
    /// At most so many system calls a second.
    pub max_iops: Option<u64>,
    /// Directories this far below a root are entries but are not read: 0 reads the roots only.
    pub max_depth: Option<u32>,
    /// Roots that are links.
    pub root_links: RootLinks,
    /// Links.
    pub follow_links: FollowLinks,
    /// Mounts.
    pub mounts: Mounts,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// Entries left out as if they were not there.
    pub exclude: Option<Arc<Exclude>>,
    /// How current attributes must be.
    pub freshness: Freshness,
    /// A call that has not come back after so long is recorded as a timeout and left behind.
    pub give_up_after: Option<Duration>,
    /// After how long a call that has not come back is told to the progress. Default 30 s.
    pub name_stalls_after: Option<Duration>,
    /// When to stop and hand back a frontier.
    pub budget: Budget,
    /// The switch that stops it.
    pub cancel: Cancel,
    /// At most so many directories open at once, else as the process may.
    pub max_open: Option<usize>,
    /// Keep each directory open until it is left, for visitors that act in it then.
    pub keep_open_until_leave: bool,
}
