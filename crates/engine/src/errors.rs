//! Errors as data: what could not be read, and why, so that nothing is lost in silence.
//!
//! An error of one entry never stops a walk. It becomes a [`WalkError`], which the visitor gets and
//! which makes the walk's verdict partial.

use std::fmt;

use pwalk_fs::Errno;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Opening a directory.
    Open,
    /// Reading the names in a directory.
    List,
    /// Reading the metadata of an entry.
    Stat,
}

impl Op {
    /// The word used in messages and in the error ledger: `open`, `list`, `stat`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Stat => "stat",
        }
    }
}

/// What kind of failure it was, for people and for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No permission (`EACCES`, `EPERM`).
    Denied,
    /// It was listed and then gone (`ENOENT`).
    Vanished,
    /// The server forgot the handle (`ESTALE`).
    Stale,
    /// The disk, the server or the kernel failed (`EIO` and all others).
    Io,
    /// Under the name stood something else than what was listed: replaced while walking.
    Replaced,
    /// A followed link leads back to a directory above it, or links lead in a circle (`ELOOP`).
    Loop,
    /// The call did not return in time and was given up, or the file system said `ETIMEDOUT`.
    Timeout,
}

impl Class {
    /// The word used in messages and in the error ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Vanished => "vanished",
            Self::Stale => "stale",
            Self::Io => "io",
            Self::Replaced => "replaced",
            Self::Loop => "loop",
            Self::Timeout => "timeout",
        }
    }
}

impl From<Errno> for Class {
    fn from(e: Errno) -> Self {
        match e {
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::NOENT => Self::Vanished,
            Errno::STALE => Self::Stale,
            Errno::LOOP => Self::Loop,
            Errno::TIMEDOUT => Self::Timeout,
            _ => Self::Io,
        }
    }
}

/// One thing that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkError {
    /// What was being done.
    pub op: Op,
    /// The kind of failure.
    pub class: Class,
    /// What the kernel said, where it said anything.
    pub errno: Option<Errno>,
    /// The whole path, as the root was given: bytes, not text.
    pub path: Vec<u8>,
}

impl WalkError {
    /// What a person can do about it.
    pub const fn advice(&self) -> &'static str {
        match self.class {
            Class::Denied => "run as its owner or as root",
            Class::Vanished => "it was removed or moved while walking; walk again if it matters",
            Class::Stale => "walk again; if it stays, remount the network file system",
            Class::Io => "check the kernel log, the disk and the server",
            Class::Replaced => "something else took its name while walking; walk again",
            Class::Loop => "leave out --follow-links or exclude the link",
            Class::Timeout => "check the server, or give it more time",
        }
    }
}

impl fmt::Display for WalkError {
    #[expect(clippy::disallowed_methods, reason = "a message for people; the bytes are in `path`")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {:?}: {}", self.op.name(), String::from_utf8_lossy(&self.path), self.class.name())?;
        if let Some(errno) = self.errno {
            write!(f, " ({errno})")?;
        }
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for WalkError {}
