//! What goes wrong: with the whole copy, and with single entries.

use std::path::PathBuf;

use pwalk_fs::{Errno, Kind};

use crate::shown::shown;

/// What keeps a copy from beginning, or from going on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Nothing to copy.
    #[error("nothing to copy: name a source and a destination")]
    NoSource,
    /// A word that names no attribute.
    #[error(
        "there is no attribute {0:?} to leave out; there are mode, ownership, timestamps, links, xattr, acl and all"
    )]
    NoSuchAttribute(String),
    /// A name that is no strategy's.
    #[error("there is no strategy {name:?}; there are {known}")]
    NoSuchStrategy {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Two strategies of one name.
    #[error("there is a strategy {0:?} already; give yours another name")]
    StrategyExists(String),
    /// A component that cannot be one.
    #[error("{:?} is no sub-directory of the source: components are names of directories in it", shown(.0))]
    NoSuchComponent(Vec<u8>),
    /// Components with a strategy that knows of none.
    #[error("strategy {0} knows of no components; leave it out, or ask for pipeline")]
    Components(String),
    /// A pattern that means nothing.
    #[error(transparent)]
    Pattern(pwalk_engine::BadPattern),
    /// Settings that cannot be used.
    #[error("bad settings{}: {why}", path.as_ref().map_or_else(String::new, |path| format!(" in {}", path.display())))]
    Config {
        /// The file, if it is one's fault.
        path: Option<PathBuf>,
        /// What is wrong.
        why: String,
    },
    /// A file of patterns that cannot be read.
    #[error("cannot read the patterns in {}: {why}", path.display())]
    ExcludeFrom {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A source that cannot be copied.
    #[error("cannot copy {}: {}; check the path", shown(path), errno)]
    Source {
        /// The source.
        path: Vec<u8>,
        /// What the kernel said.
        errno: Errno,
    },
    /// A destination that cannot be one.
    #[error("cannot copy to {}: {why}", shown(path))]
    Destination {
        /// The destination.
        path: Vec<u8>,
        /// Why, and what to do.
        why: String,
    },
    /// Two sources that would have the same name.
    #[error(
        "both {} and {} would become {}; copy them to different directories",
        shown(first),
        shown(second),
        shown(target)
    )]
    SameName {
        /// One.
        first: Vec<u8>,
        /// The other.
        second: Vec<u8>,
        /// What they would become.
        target: Vec<u8>,
    },
    /// The source is in the directory that its copy is to become.
    #[error(
        "cannot copy {} over {}, which it is in: it would be changed while it is read",
        shown(source_path),
        shown(target)
    )]
    OverItself {
        /// The source.
        source_path: Vec<u8>,
        /// What it is in.
        target: Vec<u8>,
    },
    /// The destination is in the source.
    #[error("cannot copy {} into itself, to {}", shown(source_path), shown(target))]
    InItself {
        /// The source.
        source_path: Vec<u8>,
        /// The destination.
        target: Vec<u8>,
    },
    /// The destination cannot be written to.
    #[error("cannot copy to {}: the file system is mounted read-only", shown(path))]
    ReadOnly {
        /// The destination.
        path: Vec<u8>,
    },
    /// There is not enough room.
    #[error("not enough room at {}: {needed} {what} are needed and {free} are free", shown(path))]
    NoRoom {
        /// The destination.
        path: Vec<u8>,
        /// How much is needed.
        needed: u64,
        /// How much there is.
        free: u64,
        /// `bytes` or `files`.
        what: &'static str,
    },
    /// It cannot go on: a strategy passes this on to [`run`](super::run), which tells of it in the summary.
    #[error(transparent)]
    Halted(Halt),
}

/// Why a copy had to end early: the target is full or became read-only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped at {}: {errno}; what was copied is whole: cure that and go on (--resume)", shown(path))]
pub struct Halt {
    /// The entry that it ended at.
    pub path: Vec<u8>,
    /// What the kernel said.
    pub errno: Errno,
}

impl CopyError {
    /// Whether it is the fault of what was asked for, and not of what was met.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoSource
                | Self::NoSuchAttribute(_)
                | Self::NoSuchStrategy { .. }
                | Self::StrategyExists(_)
                | Self::NoSuchComponent(_)
                | Self::Components(_)
                | Self::Pattern(_)
                | Self::Config { .. }
                | Self::ExcludeFrom { .. }
                | Self::SameName { .. }
        )
    }
}

/// Why an entry was not copied, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The source did not let itself be read.
    #[error("cannot {what} the source: {errno}")]
    Source {
        /// What was tried: `read`.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The target did not let itself be made.
    #[error("cannot {what} the copy: {errno}")]
    Target {
        /// What was tried: `write`.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The source was changed each time it was copied.
    #[error("the source was changed while it was copied, three times; copy it again when nobody writes to it")]
    Changed,
    /// Something else took its name.
    #[error("something else took the place of the source while it was walked; copy again")]
    Replaced,
    /// Something else took the place of what was made.
    #[error("somebody replaced what was just made at the destination; copy to where others cannot write")]
    Swapped,
    /// It is there already.
    #[error("the destination has it already (--existing fail)")]
    Exists,
    /// Source and destination are one file.
    #[error("source and destination are the same file")]
    SameFile,
    /// Something of another kind is in the way.
    #[error("a {} of this name is in the way; remove it, or use --mirror", .0.name())]
    InTheWay(Kind),
    /// It is the destination.
    #[error("this is the destination: a directory is not copied into itself")]
    InItself,
    /// What was read back differs.
    #[error("the copy differs from the source when it is read again; check the disk and its cables")]
    Differs,
    /// It could not share its blocks.
    #[error("cannot share blocks with the source ({0}); leave out --reflink always")]
    NoReflink(Errno),
    /// It was copied, but for an attribute.
    #[error("cannot keep its {what}: {errno}; leave it out with --no-preserve {word}")]
    NotKept {
        /// What: `owner`.
        what: &'static str,
        /// The word for `--no-preserve`.
        word: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// Something that no longer is in the source could not be removed.
    #[error("cannot remove it: {0}")]
    Remove(Errno),
}

impl Failure {
    /// Whether there is no sense in trying the next file: the target is full or read-only.
    pub(crate) fn halts(&self) -> Option<Errno> {
        match self {
            Self::Target { errno: errno @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS), .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether the entry was copied all the same.
    pub fn is_minor(&self) -> bool {
        matches!(self, Self::NotKept { .. })
    }
}

pub(crate) fn source(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Source { what, errno }
}

pub(crate) fn target(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Target { what, errno }
}
