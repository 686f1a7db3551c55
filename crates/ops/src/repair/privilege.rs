//! What this process may change, known before the first change.
//!
//! Root may all of it, and so may who has its capabilities. Anybody else may set modes of what he owns, and give that to
//! groups that he is in; that is enough to repair one's own files, so it is asked for each change and not once.

use std::collections::HashSet;

use nix::unistd::{getegid, geteuid, getgroups};
use rustix::thread::{CapabilitySet, capabilities};

use super::access::SETGID;
use super::change::Change;

/// Whoever runs this.
pub(crate) struct Privilege {
    uid: u32,
    groups: HashSet<u32>,
    may_chown: bool,
    may_chmod: bool,
    may_setgid: bool,
}

impl Privilege {
    pub(crate) fn of_this_process() -> Self {
        // A kernel that does not tell gives what user 0 has by tradition.
        let root = if geteuid().is_root() { CapabilitySet::all() } else { CapabilitySet::empty() };
        let has = capabilities(None).map_or(root, |sets| sets.effective);
        let groups = getgroups().unwrap_or_default().into_iter().chain([getegid()]);
        Self {
            uid: geteuid().as_raw(),
            groups: groups.map(nix::unistd::Gid::as_raw).collect(),
            may_chown: has.contains(CapabilitySet::CHOWN),
            may_chmod: has.contains(CapabilitySet::FOWNER),
            may_setgid: has.contains(CapabilitySet::FSETID),
        }
    }

    /// Whether everything is allowed, so that nothing need be asked.
    pub(crate) fn is_whole(&self) -> bool {
        self.may_chown && self.may_chmod && self.may_setgid
    }

    /// What is missing for a change.
    pub(crate) fn lacks(&self, change: &Change) -> Option<&'static str> {
        let (before, after) = (&change.before, &change.after);
        let owns = before.uid == self.uid;
        let is_member = self.groups.contains(&after.gid);
        if before.uid != after.uid && !self.may_chown {
            Some("another owner needs CAP_CHOWN")
        } else if before.gid != after.gid && !self.may_chown && !(owns && is_member) {
            Some("only its owner may change the group, to a group of his own; else it needs CAP_CHOWN")
        } else if before.mode != after.mode && !self.may_chmod && !owns {
            Some("only its owner may change the mode; else it needs CAP_FOWNER")
        } else if after.mode & SETGID != 0 && before.mode != after.mode && !self.may_setgid && !is_member {
            Some("setgid for a group one is not in needs CAP_FSETID")
        } else {
            None
        }
    }
}
