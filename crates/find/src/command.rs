//! `-exec` and its like: commands, run one at a time unless the user wants several.
//!
//! With `;` a command runs for each entry, and its exit status is the answer. With `+` entries are collected and the command
//! gets as many at once as the kernel takes: for `-exec` all over the tree, for `-execdir` in each directory by itself.
//!
//! `-execdir` runs in the directory that was read and is held open, whatever its path leads to by now: the child changes to its
//! own descriptor of it (`/proc/self/fd`), and is given `./name`.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

use nix::unistd::{SysconfVar, sysconf};

use crate::entry::Pinned;
use crate::expr::{Exec, Place};
use crate::shown::{Shown, plain};

/// Left free of what the kernel takes: POSIX asks 2,048 bytes of `xargs`, and the kernel adds the program's path and its own values.
const HEADROOM: usize = 8192;
/// The kernel takes no more, however large the stack may be: three quarters of 8 MiB (`fs/exec.c`).
const MOST: usize = 6 << 20;

/// Commands of a run.
pub(crate) struct Commands {
    /// How many more may run now.
    free: Mutex<usize>,
    freed: Condvar,
    /// Bytes of arguments that a command may have, besides the environment.
    room: usize,
    failed: AtomicBool,
}

/// Entries that wait for a command with `+`.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    paths: Vec<Vec<u8>>,
    bytes: usize,
}

/// Why a command cannot be begun.
#[derive(Debug, thiserror::Error)]
#[error("'{}': {error}", Shown(.program))]
pub(crate) struct CommandError {
    program: Vec<u8>,
    error: io::Error,
}

impl Commands {
    /// So many at once.
    pub(crate) fn new(parallel: usize) -> Self {
        let environment = std::env::vars_os().map(|(name, value)| cost(name.len() + 1 + value.len())).sum();
        let most = sysconf(SysconfVar::ARG_MAX).ok().flatten().and_then(|most| usize::try_from(most).ok());
        // POSIX promises this much everywhere.
        let room = most.unwrap_or(4096).min(MOST).saturating_sub(HEADROOM).saturating_sub(environment);
        Self { free: Mutex::new(parallel.max(1)), freed: Condvar::new(), room, failed: AtomicBool::new(false) }
    }

    /// Whether a command with `+` failed.
    pub(crate) fn any_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Runs a command for one entry; whether it ended well. `path`: what stands for `{}`.
    pub(crate) fn run(&self, exec: &Exec, path: &[u8], place: &Pinned) -> Result<bool, CommandError> {
        let arguments: Vec<OsString> = exec.command.iter().map(|word| fill(word, path)).collect();
        let permit = self.permit();
        let status = start(exec, &arguments, place);
        drop(permit);
        Ok(status?.success())
    }

    /// Asks whether to run a command, on standard error, and reads the answer from standard input.
    pub(crate) fn ask(&self, exec: &Exec, path: &[u8]) -> bool {
        let permit = self.permit();
        let program = exec.command.first().map_or(&b""[..], Vec::as_slice);
        let question = [b"< ", program, b" ... ", path, b" > ? "].concat();
        let mut answer = Vec::new();
        let asked = io::stderr().write_all(&question).and_then(|()| io::stderr().flush());
        let read = asked.and_then(|()| io::stdin().lock().read_until(b'\n', &mut answer));
        drop(permit);
        read.is_ok() && matches!(answer.first(), Some(b'y' | b'Y'))
    }

    /// Adds an entry to those that wait; where they would be too many, those before it come back and must be run.
    pub(crate) fn collect(&self, exec: &Exec, waiting: &mut Waiting, path: Vec<u8>) -> Option<Waiting> {
        let fixed: usize = exec.command.iter().map(|word| cost(word.len())).sum();
        let own = cost(path.len());
        let full = !waiting.paths.is_empty() && fixed + waiting.bytes + own > self.room;
        let before = full.then(|| std::mem::take(waiting));
        waiting.bytes += own;
        waiting.paths.push(path);
        before
    }

    /// Runs a command for all that wait.
    pub(crate) fn run_waiting(&self, exec: &Exec, waiting: Waiting, place: &Pinned) -> Result<(), CommandError> {
        if waiting.paths.is_empty() {
            return Ok(());
        }
        let fixed = exec.command.iter().filter(|word| *word != b"{}").map(|word| OsStr::from_bytes(word).to_owned());
        let arguments: Vec<OsString> = fixed.chain(waiting.paths.into_iter().map(OsString::from_vec)).collect();
        let permit = self.permit();
        let status = start(exec, &arguments, place);
        drop(permit);
        if !status.as_ref().is_ok_and(ExitStatus::success) {
            self.failed.store(true, Relaxed);
        }
        status.map(drop)
    }

    fn permit(&self) -> Permit<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }
}

/// Leave to run one command.
struct Permit<'a>(&'a Commands);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// What an argument takes of the kernel's room: its bytes, its NUL, and the pointer to it.
fn cost(len: usize) -> usize {
    len + 1 + size_of::<usize>()
}

fn start(exec: &Exec, arguments: &[OsString], place: &Pinned) -> Result<ExitStatus, CommandError> {
    let failed =
        |error| CommandError { program: exec.command.first().cloned().unwrap_or_default(), error: plain(error) };
    let Some((program, rest)) = arguments.split_first() else {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    };
    let mut command = Command::new(program);
    command.args(rest);
    if exec.ask {
        // The user answers there.
        command.stdin(Stdio::null());
    }
    if exec.place == Place::Directory && !matches!(place, Pinned::Here) {
        command.current_dir(format!("/proc/self/fd/{}", place.as_fd().as_raw_fd()));
    }
    command.status().map_err(failed)
}

/// Puts the path in the place of each `{}`.
fn fill(word: &[u8], path: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(word.len() + path.len());
    let mut rest = word;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{}") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(path);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

/// The first entry of `PATH` that would let a directory of the tree decide what `-execdir` runs: one that is relative, or empty.
pub(crate) fn insecure_path() -> Option<Vec<u8>> {
    let path = std::env::var_os("PATH")?;
    let mut entries = path.as_bytes().split(|byte| *byte == b':');
    entries.find(|entry| !entry.starts_with(b"/")).map(<[u8]>::to_vec)
}
