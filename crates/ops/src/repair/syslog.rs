//! The system's log: one line for each change, before it is made, as `pwalk-repair`, facility LOG_USER.

use std::fmt::Write;
use std::os::unix::net::UnixDatagram;

use nix::syslog::{Facility, LogFlags, Priority, Severity, closelog, openlog, syslog};
use pwalk_fs::{Accounts, rwx};

use super::access::Access;
use super::change::Change;
use super::error::escaped;

/// The log while it is open. What the C library keeps of it belongs to the process, so it is closed at the end.
pub(crate) struct Syslog {
    /// Whether somebody takes the messages.
    pub(crate) is_heard: bool,
}

impl Syslog {
    pub(crate) fn open() -> Self {
        if let Err(error) = openlog(Some(c"pwalk-repair"), LogFlags::LOG_PID, Facility::LOG_USER) {
            tracing::warn!(%error, "cannot open the system log");
        }
        // The C library does not say whether a message arrived.
        let heard = UnixDatagram::unbound().and_then(|socket| socket.connect("/dev/log"));
        Self { is_heard: heard.is_ok() }
    }

    pub(crate) fn tell(&self, change: &Change) {
        if !self.is_heard {
            return;
        }
        let line = format!("{}: {}", escaped(&change.path), difference(&change.before, &change.after, None));
        if let Err(error) = syslog(Priority::new(Severity::LOG_INFO, Facility::LOG_USER), line.as_str()) {
            tracing::warn!(%error, "cannot write to the system log");
        }
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        closelog();
    }
}

/// What changes, old before new: `group root -> lab, mode 0600 -> 0640`; with `None` for the names, or for those who have none,
/// the numbers.
pub fn difference(before: &Access, after: &Access, names: Option<&Accounts>) -> String {
    let user = |uid: u32| names.and_then(|names| names.user(uid)).unwrap_or_else(|| uid.to_string());
    let group = |gid: u32| names.and_then(|names| names.group(gid)).unwrap_or_else(|| gid.to_string());
    let mut out = String::new();
    let mut part = |text: std::fmt::Arguments<'_>| {
        let comma = if out.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        write!(out, "{comma}{text}").unwrap_or_default();
    };
    if before.uid != after.uid {
        part(format_args!("owner {} -> {}", user(before.uid), user(after.uid)));
    }
    if before.gid != after.gid {
        part(format_args!("group {} -> {}", group(before.gid), group(after.gid)));
    }
    if before.mode != after.mode {
        part(format_args!("mode {:04o} -> {:04o}", before.mode, after.mode));
    }
    if let (Some(old), Some(new)) = (&before.acl, &after.acl) {
        for (tag, name) in [(pwalk_fs::AclTag::GroupObj, "group::"), (pwalk_fs::AclTag::Mask, "mask::")] {
            let (old, new) = (old.perm(tag).unwrap_or(0), new.perm(tag).unwrap_or(0));
            if old != new {
                part(format_args!("acl {name}{} -> {name}{}", rwx(old), rwx(new)));
            }
        }
    }
    if before.capability != after.capability {
        part(format_args!("{}", if after.capability.is_some() { "capabilities set" } else { "capabilities dropped" }));
    }
    out
}
