//! What is right: from who may use an entry now to who should. No calls, no paths; every rule is here and nowhere else.
//!
//! 1. **Owner.** What belongs to the owner that is to be replaced gets the new owner and group.
//! 2. **Group.** A group is *private* if it is its owner's number, 0, or named as such. It becomes the group of the nearest
//!    directory upwards whose own is not private; where there is none, the entry is left as it is.
//! 3. **Bits.** Directories hand their group down (setgid) and their group reads and searches them; the group reads files, and
//!    executes what the owner executes. On demand it writes, too. Nothing is ever taken away, but for
//! 4. **setuid and setgid of a file**, which never survive another owner or group. A file that keeps them is not opened to more
//!    people than it was: its group may read it, and gets neither write nor execute.
//! 5. **Access control lists.** With one, the group bits of the mode are its mask, the most that anybody named in it can have, and
//!    the group has an entry of its own. Both get what the group should have.
//!
//! What the rules make of an entry, they leave as it is a second time.

use std::collections::HashSet;

use pwalk_fs::{AclTag, Kind};

use super::access::{Access, SET_IDS, SETGID};

/// Who gets what belonged to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOwner {
    /// The owner that is replaced.
    pub from: u32,
    /// The new owner.
    pub uid: u32,
    /// The new group.
    pub gid: u32,
}

/// The rules of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) private: HashSet<u32>,
    pub(crate) writable: bool,
    pub(crate) owner: Option<NewOwner>,
}

/// What the rules say of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it should be.
    Right,
    /// It should be so.
    Wrong(Access),
    /// Its group is private and no directory above has another: nothing is changed.
    NoGroup,
}

const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

impl Rules {
    /// Whether a group is only its owner's.
    pub(crate) fn is_private(&self, uid: u32, gid: u32) -> bool {
        gid == uid || gid == 0 || self.private.contains(&gid)
    }

    /// Owner and group that an entry should have, in a directory that hands down the group `inherited`. None without a group.
    pub(crate) fn owner_and_group(&self, uid: u32, gid: u32, inherited: Option<u32>) -> Option<(u32, u32)> {
        let (uid, gid) = match self.owner {
            Some(new) if new.from == uid => (new.uid, new.gid),
            _ => (uid, gid),
        };
        if self.is_private(uid, gid) { inherited.map(|gid| (uid, gid)) } else { Some((uid, gid)) }
    }

    /// What a file or directory should be like.
    pub(crate) fn judge(&self, kind: Kind, now: &Access, inherited: Option<u32>) -> Verdict {
        let Some((uid, gid)) = self.owner_and_group(now.uid, now.gid, inherited) else { return Verdict::NoGroup };
        let mut right = Access { uid, gid, ..now.clone() };
        if kind.is_dir() {
            right.mode |= SETGID;
        } else if (uid, gid) != (now.uid, now.gid) {
            right.mode &= !SET_IDS;
            right.capability = None;
        }
        let group = self.group_needs(kind, right.mode);
        right.mode |= group << 3;
        if let Some(acl) = &mut right.acl {
            let perm = u16::try_from(group).unwrap_or(0);
            acl.allow(AclTag::GroupObj, perm);
            acl.allow(AclTag::Mask, perm);
        }
        if right == *now { Verdict::Right } else { Verdict::Wrong(right) }
    }

    /// The three bits that the group must have, at least.
    fn group_needs(&self, kind: Kind, mode: u32) -> u32 {
        let write = if self.writable { W } else { 0 };
        if kind.is_dir() {
            return R | X | write;
        }
        if mode & SET_IDS != 0 {
            return R;
        }
        let execute = if mode & 0o100 != 0 { X } else { 0 };
        R | write | execute
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn access(uid: u32, gid: u32, mode: u32) -> Access {
        Access { uid, gid, mode, acl: None, capability: None, content: None }
    }

    fn judged(rules: &Rules, kind: Kind, now: (u32, u32, u32), inherited: Option<u32>) -> Option<(u32, u32, u32)> {
        match rules.judge(kind, &access(now.0, now.1, now.2), inherited) {
            Verdict::Right => Some(now),
            Verdict::Wrong(a) => Some((a.uid, a.gid, a.mode)),
            Verdict::NoGroup => None,
        }
    }

    #[test]
    fn the_rules_one_by_one() {
        let rules = Rules { private: HashSet::from([77]), ..Rules::default() };
        let of = |kind, now, inherited| judged(&rules, kind, now, inherited);
        // Directories: setgid, r-x.
        assert_eq!(of(Kind::Dir, (10, 500, 0o700), None), Some((10, 500, 0o2750)));
        assert_eq!(of(Kind::Dir, (10, 500, 0o3777), None), Some((10, 500, 0o3777)));
        // Files: r--, and x where the owner has it.
        assert_eq!(of(Kind::File, (10, 500, 0o600), None), Some((10, 500, 0o640)));
        assert_eq!(of(Kind::File, (10, 500, 0o700), None), Some((10, 500, 0o750)));
        assert_eq!(of(Kind::File, (10, 500, 0o001), None), Some((10, 500, 0o041)));
        // Private groups: the owner's own, root's, a named one.
        for private in [10, 0, 77] {
            assert_eq!(of(Kind::File, (10, private, 0o640), Some(500)), Some((10, 500, 0o640)));
            assert_eq!(of(Kind::File, (10, private, 0o600), None), None);
        }
        // setuid and setgid go with another group, and stay without one; then nobody new may execute.
        assert_eq!(of(Kind::File, (10, 0, 0o6755), Some(500)), Some((10, 500, 0o755)));
        assert_eq!(of(Kind::File, (10, 500, 0o6755), Some(500)), Some((10, 500, 0o6755)));
        assert_eq!(of(Kind::File, (10, 500, 0o4700), Some(500)), Some((10, 500, 0o4740)));
    }

    #[test]
    fn the_group_writes_on_demand() {
        let rules = Rules { writable: true, ..Rules::default() };
        assert_eq!(judged(&rules, Kind::Dir, (10, 500, 0o755), None), Some((10, 500, 0o2775)));
        assert_eq!(judged(&rules, Kind::File, (10, 500, 0o644), None), Some((10, 500, 0o664)));
        assert_eq!(judged(&rules, Kind::File, (10, 500, 0o4755), None), Some((10, 500, 0o4755)));
    }

    #[test]
    fn another_owner_brings_a_group() {
        let rules = Rules { owner: Some(NewOwner { from: 10, uid: 20, gid: 600 }), ..Rules::default() };
        assert_eq!(judged(&rules, Kind::File, (10, 10, 0o4755), None), Some((20, 600, 0o755)));
        assert_eq!(judged(&rules, Kind::File, (11, 500, 0o640), None), Some((11, 500, 0o640)));
        // A new group that is private gives way at once, so that the next run finds nothing to do.
        let rules = Rules { owner: Some(NewOwner { from: 10, uid: 20, gid: 20 }), ..Rules::default() };
        assert_eq!(judged(&rules, Kind::File, (10, 500, 0o640), Some(700)), Some((20, 700, 0o640)));
    }

    #[test]
    fn a_list_gets_both_its_mask_and_its_group() {
        let now = Access {
            acl: "user::rwx,user:7:rwx,group::---,mask::r--,other::---".parse().ok(),
            ..access(10, 500, 0o740)
        };
        let Verdict::Wrong(right) = Rules::default().judge(Kind::File, &now, None) else { panic!("nothing to do?") };
        assert_eq!(right.mode, 0o750);
        assert_eq!(right.acl.unwrap().to_string(), "user::rwx,user:7:rwx,group::r-x,mask::r-x,other::---");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_right_stays_right(
            dir: bool, uid in 0..4u32, gid in 0..4u32, mode in 0..0o10000u32, inherited in proptest::option::of(1..4u32),
            writable: bool, private in proptest::collection::hash_set(0..4u32, 0..2), owner: bool, acl: bool,
        ) {
            let rules = Rules { private, writable, owner: owner.then_some(NewOwner { from: 1, uid: 2, gid: 3 }) };
            let kind = if dir { Kind::Dir } else { Kind::File };
            let mask = ((mode >> 3) & 7) as usize;
            let text = ["---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx"][mask];
            let acl = acl.then(|| format!("user::rw-,user:9:rwx,group::-w-,mask::{text},other::---").parse().unwrap());
            let now = Access { acl, ..access(uid, gid, mode) };
            if let Verdict::Wrong(right) = rules.judge(kind, &now, inherited) {
                prop_assert_eq!(rules.judge(kind, &right, inherited), Verdict::Right);
                let changed_hands = (right.uid, right.gid) != (uid, gid);
                prop_assert!(dir || !changed_hands || right.mode & SET_IDS == 0);
                // Nothing is taken away but that, and nothing is given to others.
                prop_assert_eq!(now.mode & !right.mode & !SET_IDS, 0);
                prop_assert_eq!(right.mode & 0o5707 & !SET_IDS, mode & 0o5707 & !SET_IDS);
            }
        }
    }
}
