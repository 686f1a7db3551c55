//! What a plan that somebody wrote into may not ask for: changes that no rule makes.
//!
//! A plan is reviewed, shortened and sorted by people, and may pass through many hands. Whatever is in it, applying it gives nobody setuid, takes
//! no permission from anybody, and opens nothing to others than the group.

use pwalk_fs::AclTag;

use super::access::{Access, SET_IDS, SETGID};
use super::change::Change;
use super::options::{group_exists, user_exists};
use crate::shown::shown;

/// Why a change is none that a repair could have planned.
pub(crate) fn what_no_rule_does(change: &Change) -> Option<String> {
    let Change { before, after, kind, .. } = change;
    let wrong = |what: &str| Some(format!("{}: {what}", shown(&change.path)));
    if !kind.is_dir() && after.mode & SET_IDS & !before.mode != 0 {
        return wrong("no repair gives a file setuid or setgid");
    }
    if !kind.is_dir() && change.changes_hands() && after.mode & SET_IDS != 0 {
        return wrong("it would keep setuid or setgid under another owner or group");
    }
    let given = if kind.is_dir() { SETGID | 0o070 } else { 0o070 };
    let taken = if kind.is_dir() { 0 } else { SET_IDS };
    if after.mode & !before.mode & !given != 0 || before.mode & !after.mode & !taken != 0 {
        return wrong("no repair changes other bits of the mode than the group's");
    }
    if !is_wider_for_the_group(before, after) {
        return wrong("no repair changes its access control list so");
    }
    let unknown = (before.gid != after.gid && (after.gid == u32::MAX || group_exists(after.gid).is_err()))
        || (before.uid != after.uid && (after.uid == u32::MAX || user_exists(after.uid).is_err()));
    if unknown {
        return wrong("there is no such user or group");
    }
    if after.capability.is_some() && after.capability != before.capability {
        return wrong("no repair gives a file capabilities");
    }
    None
}

/// Whether lists are the same but for what the mask and the file's group may.
fn is_wider_for_the_group(before: &Access, after: &Access) -> bool {
    match (&before.acl, &after.acl) {
        (None, None) => true,
        (Some(before), Some(after)) => {
            before.0.len() == after.0.len()
                && before.0.iter().zip(&after.0).all(|(old, new)| {
                    let may_widen = matches!(old.tag, AclTag::GroupObj | AclTag::Mask);
                    old.tag == new.tag && (old.perm == new.perm || (may_widen && old.perm & !new.perm == 0))
                })
        }
        _ => false,
    }
}
