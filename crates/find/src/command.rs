//! `-exec` and its like: commands, run one at a time unless the user wants several.
//!
//! With `;` a command runs for each entry, and its exit status is the answer. With `+` entries are collected and the command
//! gets as many at once as the kernel takes: for `-exec` all over the tree, for `-execdir` in each directory by itself.
//!
//! `-execdir` runs in the directory that was read and is held open, whatever its path leads to by now: the child changes to its
//! own descriptor of it (`/proc/self/fd`), and is given `./name`.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

use nix::unistd::{SysconfVar, sysconf};
use pwalk_engine::Cancel;
use pwalk_fs::Errno;

use crate::entry::Pinned;
use crate::expr::{Exec, Place};
use crate::shown::{Shown, masked, plain};

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
    /// Nobody answers any more.
    input_ended: AtomicBool,
    cancel: Cancel,
}

/// Entries that wait for a command with `+`.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    paths: Vec<Vec<u8>>,
    bytes: usize,
}

/// Why a command cannot be begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("'{}': {error}", Shown(program))]
    Start { program: Vec<u8>, error: io::Error },
    #[error("'{}' terminated by signal {signal}", Shown(program))]
    Signal { program: Vec<u8>, signal: i32 },
}

impl Commands {
    /// So many at once, and none any more when the switch is pulled.
    pub(crate) fn new(parallel: usize, cancel: Cancel) -> Self {
        let environment = std::env::vars_os().map(|(name, value)| cost(name.len() + 1 + value.len())).sum();
        let most = sysconf(SysconfVar::ARG_MAX).ok().flatten().and_then(|most| usize::try_from(most).ok());
        // POSIX promises this much everywhere.
        let room = most.unwrap_or(4096).min(MOST).saturating_sub(HEADROOM).saturating_sub(environment);
        Self {
            free: Mutex::new(parallel.max(1)),
            freed: Condvar::new(),
            room,
            failed: AtomicBool::new(false),
            input_ended: AtomicBool::new(false),
            cancel,
        }
    }

    /// Whether nothing more is to be done.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether a command with `+` failed.
    pub(crate) fn any_failed(&self) -> bool {
        self.failed.load(Relaxed)
    }

    /// Runs a command for one entry; whether it ended well. `path`: what stands for `{}`.
    pub(crate) fn run(&self, exec: &Exec, path: &[u8], place: &Pinned) -> Result<bool, CommandError> {
        let arguments: Vec<OsString> = exec.command.iter().map(|word| fill(word, path)).collect();
        let permit = self.permit();
        if self.is_cancelled() {
            return Ok(false);
        }
        let status = start(exec, &arguments, place);
        drop(permit);
        ended(exec, status?)
    }

    /// Asks whether to run a command, on standard error, and reads the answer from standard input.
    pub(crate) fn ask(&self, exec: &Exec, path: &[u8]) -> bool {
        let permit = self.permit();
        let program = exec.command.first().map_or(&b""[..], Vec::as_slice);
        let shown = if io::stderr().is_terminal() { masked(path) } else { path.to_vec() };
        let question = [b"< ", program, b" ... ", shown.as_slice(), b" > ? "].concat();
        let mut answer = Vec::new();
        let asked = io::stderr().write_all(&question).and_then(|()| io::stderr().flush());
        if asked.is_ok() && !self.input_ended.load(Relaxed) {
            let read = io::stdin().lock().read_until(b'\n', &mut answer);
            self.input_ended.store(!read.is_ok_and(|bytes| bytes > 0), Relaxed);
        }
        drop(permit);
        matches!(answer.first(), Some(b'y' | b'Y'))
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
        if self.is_cancelled() {
            return Ok(());
        }
        let status = start(exec, &arguments, place);
        drop(permit);
        if !status.as_ref().is_ok_and(ExitStatus::success) {
            self.failed.store(true, Relaxed);
        }
        ended(exec, status?).map(drop)
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
    let Some((program, rest)) = arguments.split_first() else {
        return Err(CommandError::Start { program: Vec::new(), error: io::ErrorKind::InvalidInput.into() });
    };
    let run = |mut command: Command| {
        if exec.ask {
            // The user answers there.
            command.stdin(Stdio::null());
        }
        if exec.place == Place::Directory && !matches!(place, Pinned::Here) {
            command.current_dir(format!("/proc/self/fd/{}", place.as_fd().as_raw_fd()));
        }
        command.status()
    };
    let mut command = Command::new(program);
    command.args(rest);
    let status = match run(command) {
        // A script that does not name its interpreter is the shell's (`execvp`).
        Err(error) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            let mut shell = Command::new("/bin/sh");
            shell.arg(found(program)).args(rest);
            run(shell)
        }
        status => status,
    };
    status.map_err(|error| CommandError::Start { program: program.as_bytes().to_vec(), error: plain(error) })
}

/// Where a program is, as the search for it would find it.
fn found(program: &OsStr) -> OsString {
    if program.as_bytes().contains(&b'/') {
        return program.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.find(|place| place.is_file()).map_or(program.to_owned(), Into::into)
}

/// Whether a command ended well.
fn ended(exec: &Exec, status: ExitStatus) -> Result<bool, CommandError> {
    match status.signal() {
        Some(signal) => {
            Err(CommandError::Signal { program: exec.command.first().cloned().unwrap_or_default(), signal })
        }
        None => Ok(status.success()),
    }
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
