//! Names of users and groups, each asked for once per run.
//!
//! Where accounts come from a directory server an answer can take milliseconds, and a file system has millions of files
//! but hundreds of owners.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Group, Uid, User};

/// The names that were asked for so far. `None` for a number without a name.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Cache,
    groups: Cache,
}

type Cache = Mutex<HashMap<u32, Option<String>>>;

impl Accounts {
    /// The name of a user.
    pub fn user(&self, uid: u32) -> Option<String> {
        cached(&self.users, uid, |uid| User::from_uid(Uid::from_raw(uid)).map(|u| u.map(|u| u.name)))
    }

    /// The name of a group.
    pub fn group(&self, gid: u32) -> Option<String> {
        cached(&self.groups, gid, |gid| Group::from_gid(Gid::from_raw(gid)).map(|g| g.map(|g| g.name)))
    }
}

/// Asks while holding the lock, so that two threads do not ask the same. A directory server that does not answer
/// gives no name rather than no answer: the number is known as well.
fn cached(cache: &Cache, id: u32, ask: impl Fn(u32) -> nix::Result<Option<String>>) -> Option<String> {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let ask = |id| {
        ask(id).unwrap_or_else(|error| {
            tracing::warn!(id, %error, "cannot look up the name of an account");
            None
        })
    };
    cache.entry(id).or_insert_with(|| ask(id)).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_nobody_knows_the_last() {
        let accounts = Accounts::default();
        assert_eq!(accounts.user(0).as_deref(), Some("root"));
        assert_eq!(accounts.group(0).as_deref(), Some("root"));
        assert_eq!(accounts.user(u32::MAX - 7), None);
        assert_eq!(accounts.user(0).as_deref(), Some("root"));
    }
}
