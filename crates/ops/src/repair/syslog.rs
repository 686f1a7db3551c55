//! The system's log: one line for each change, before it is made, as `pwalk-repair`, facility LOG_USER.
//!
//! The C library's `syslog` sends one message at a time under one lock of the process, and does not say whether somebody took it. With
//! two workers that wait for each other there, a run took three times as long as without a log. So the messages of a group go to
//! `/dev/log` together, in the form that `syslog` gives them (RFC 3164, local time).

use std::fmt::Write;
use std::io::IoSlice;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};

use pwalk_fs::{Accounts, AclTag, Errno, rwx};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use super::access::Access;
use super::act::Failure;
use super::change::Change;
use crate::shown::shown;

/// Facility LOG_USER (1), severity LOG_INFO (6).
const PRIORITY: u8 = 1 << 3 | 6;
/// Messages sent with one call.
const TOGETHER: usize = 256;

/// The log while it is open.
pub(crate) struct Syslog {
    /// None if nobody takes messages, or not any more.
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    pub(crate) fn open() -> Self {
        Self { socket: Mutex::new(connect()) }
    }

    /// Whether somebody took all messages so far.
    pub(crate) fn is_heard(&self) -> bool {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Tells of changes that are about to be made. Waits while the log is busy.
    pub(crate) fn tell<'a>(&self, changes: impl Iterator<Item = &'a Change>) {
        self.send(changes.map(|change| (change, difference(&change.before, &change.after, None))));
    }

    /// Tells of those that were not made after all.
    pub(crate) fn take_back<'a>(&self, changes: impl Iterator<Item = (&'a Change, &'a Failure)>) {
        self.send(changes.map(|(change, why)| (change, format!("not as announced: {why}"))));
    }

    fn send<'a>(&self, messages: impl Iterator<Item = (&'a Change, String)>) {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if socket.is_none() {
            return;
        }
        let time = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let head = format!("<{PRIORITY}>{time} pwalk-repair[{}]: ", std::process::id());
        let line = |(change, what): (&Change, String)| format!("{head}{}: {what}", shown(&change.path));
        let lines: Vec<String> = messages.map(line).collect();
        for lines in lines.chunks(TOGETHER) {
            let mut sent = socket.as_ref().map_or(Ok(()), |socket| send(socket, lines));
            if sent.is_err() {
                // The log was started anew, or has ended.
                *socket = connect();
                sent = socket.as_ref().map_or(Ok(()), |socket| send(socket, lines));
            }
            if let Err(error) = sent {
                tracing::warn!(%error, "cannot write to the system log");
                *socket = None;
            }
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect("/dev/log").ok().map(|()| socket)
}

fn send(socket: &UnixDatagram, lines: &[String]) -> Result<(), Errno> {
    let slices: Vec<[IoSlice<'_>; 1]> = lines.iter().map(|line| [IoSlice::new(line.as_bytes())]).collect();
    let mut none: Vec<SendAncillaryBuffer<'_, '_, '_>> = lines.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<_> = slices.iter().zip(&mut none).map(|(slice, none)| MMsgHdr::new(slice, none)).collect();
    let mut rest = &mut messages[..];
    while !rest.is_empty() {
        match sendmmsg(socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = &mut rest[sent..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
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
        for (tag, name) in [(AclTag::GroupObj, "group::"), (AclTag::Mask, "mask::")] {
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
