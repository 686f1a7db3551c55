//! What a repair is asked to do.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use super::error::RepairError;
use super::rules::{NewOwner, Rules};

/// What is to be done with the changes that are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// They are told, and written to a file if one is named. Nothing is changed.
    Plan {
        /// The plan's file.
        file: Option<PathBuf>,
    },
    /// They are made.
    Apply(Applying),
}

/// How changes are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applying {
    /// The journal, a new file. By default one named after the time, below `/var/lib/pwalk` for root, else in the user's state
    /// directory (`XDG_STATE_HOME`, or `.local/state` in `HOME`).
    pub journal: Option<PathBuf>,
    /// Whether more than [`UNASKED`] changes may be made.
    pub many: bool,
    /// Only tell what would be made: for an undo or a plan.
    pub dry_run: bool,
    /// At most so many system calls a second, for an undo or a plan; a repair has it among the options of its walk.
    pub max_iops: Option<u64>,
}

/// The most changes that are made unless more are allowed.
pub const UNASKED: u64 = 10_000;

impl Applying {
    pub(crate) fn limit(&self) -> u64 {
        if self.many { u64::MAX } else { UNASKED }
    }

    /// The journal's file.
    pub(crate) fn journal_path(&self) -> Result<PathBuf, RepairError> {
        if let Some(path) = &self.journal {
            return Ok(path.clone());
        }
        let place = if geteuid().is_root() {
            PathBuf::from("/var/lib/pwalk")
        } else {
            let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let state = named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
            state.ok_or(RepairError::NoJournalPlace)?.join("pwalk")
        };
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ");
        Ok(place.join(format!("repair-{time}-{}.jsonl.zst", std::process::id())))
    }
}

/// What to repair, and how.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Directories (or files) to repair.
    pub roots: Vec<Vec<u8>>,
    /// Groups that are private beside those that are their owner's number or 0. They must exist.
    pub private_groups: Vec<u32>,
    /// Whether groups write, too.
    pub group_writable: bool,
    /// Whose belongings get another owner and group. User and group must exist.
    pub new_owner: Option<NewOwner>,
    /// Paths that are left out with what is below them.
    pub exclude: Vec<Vec<u8>>,
    /// Whether files with several names (hard links) are repaired, too. The other names may be anywhere.
    pub hard_linked: bool,
    /// How to walk. Links are never followed below the roots, and excludes are those above.
    pub walk: pwalk_engine::Options,
    /// What to do.
    pub doing: Doing,
}

impl RepairOptions {
    /// A plan for these roots, by the plain rules.
    pub fn new(roots: Vec<Vec<u8>>) -> Self {
        Self {
            roots,
            private_groups: Vec::new(),
            group_writable: false,
            new_owner: None,
            exclude: Vec::new(),
            hard_linked: false,
            walk: pwalk_engine::Options::default(),
            doing: Doing::Plan { file: None },
        }
    }

    /// The rules, if all that they name exists.
    pub(crate) fn rules(&self) -> Result<Rules, RepairError> {
        for gid in self.private_groups.iter().copied().chain(self.new_owner.map(|new| new.gid)) {
            group_exists(gid)?;
        }
        if let Some(new) = self.new_owner {
            user_exists(new.uid)?;
        }
        let private: HashSet<u32> = self.private_groups.iter().copied().collect();
        Ok(Rules { private, writable: self.group_writable, owner: self.new_owner })
    }
}

/// The number of a group, by its name or number. It must exist.
///
/// # Errors
/// [`RepairError::NoSuchGroup`] if it does not, [`RepairError::Lookup`] if that cannot be found out.
pub fn group_number(name: &str) -> Result<u32, RepairError> {
    let found = Group::from_name(name).map_err(|errno| lookup(name, errno))?;
    match (found, name.parse()) {
        (Some(group), _) => Ok(group.gid.as_raw()),
        (None, Ok(gid)) => group_exists(gid).map(|()| gid),
        (None, Err(_)) => Err(RepairError::NoSuchGroup(name.to_owned())),
    }
}

/// The number of a user, by its name, or any number: who is to be replaced may be gone already.
///
/// # Errors
/// [`RepairError::NoSuchUser`] if there is none of that name, [`RepairError::Lookup`] if that cannot be found out.
pub fn user_number(name: &str) -> Result<u32, RepairError> {
    match User::from_name(name).map_err(|errno| lookup(name, errno))? {
        Some(user) => Ok(user.uid.as_raw()),
        // The last number means nobody to the kernel.
        None => {
            name.parse().ok().filter(|uid| *uid != u32::MAX).ok_or_else(|| RepairError::NoSuchUser(name.to_owned()))
        }
    }
}

pub(crate) fn group_exists(gid: u32) -> Result<(), RepairError> {
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(RepairError::NoSuchGroup(gid.to_string())),
        Err(errno) => Err(lookup(&gid.to_string(), errno)),
    }
}

pub(crate) fn user_exists(uid: u32) -> Result<(), RepairError> {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(RepairError::NoSuchUser(uid.to_string())),
        Err(errno) => Err(lookup(&uid.to_string(), errno)),
    }
}

fn lookup(name: &str, errno: nix::Error) -> RepairError {
    RepairError::Lookup { name: name.to_owned(), errno: errno.to_string() }
}

/// Reads excluded paths from a file: one in a line, as bytes; empty lines mean nothing.
///
/// # Errors
/// [`RepairError::ExcludeFrom`].
pub fn read_excludes(file: &Path) -> Result<Vec<Vec<u8>>, RepairError> {
    let failed = |e: std::io::Error| RepairError::ExcludeFrom { path: file.to_owned(), why: e.to_string() };
    let bytes = std::fs::read(file).map_err(failed)?;
    Ok(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}
