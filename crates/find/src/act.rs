//! What is done with an entry: an expression is run over it, and its actions happen.
//!
//! Entries are evaluated by many workers at once. With `-quit` in the expression, an entry takes a lock at its first
//! action and keeps it until it is done with, so that nothing happens to any other entry after the one that ended it all.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use pwalk_fs::{Errno, Meta, open_root};

use crate::command::Waiting;
use crate::entry::{Found, Pinned};
use crate::expr::{Exec, Place};
use crate::plan::Doer;
use crate::program::{Deed, Telling};
use crate::run::Run;
use crate::shown::Shown;
use crate::streams::Records;
use crate::{json, ls};

/// What becomes of the walk after an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A directory is not entered.
    pub(crate) prune: bool,
    /// Everything ends.
    pub(crate) quit: bool,
}

/// Entries that wait for a command with `+` in the directory that they are in, for each action.
pub(crate) type Inside = Mutex<Vec<(usize, Waiting)>>;

/// Runs the expression over an entry. `inside`: what waits in the directory that holds it; none for a starting point.
pub(crate) fn evaluate(run: &Run, found: &Found<'_>, inside: Option<&Inside>, records: &mut Records) -> Verdict {
    let mut doing = Doing { run, found, inside, records, verdict: Verdict::default(), turn: None };
    run.program.node.run(&found.subject(), &mut doing);
    doing.verdict
}

/// Runs what waits in a directory that is done with.
pub(crate) fn run_inside(run: &Run, inside: &Inside, place: impl FnOnce() -> Result<Pinned, Errno>, path: &[u8]) {
    let waiting = std::mem::take(&mut *inside.lock().unwrap_or_else(PoisonError::into_inner));
    if waiting.is_empty() {
        return;
    }
    match place() {
        Ok(place) => waiting.into_iter().for_each(|(action, waiting)| run_waiting(run, action, waiting, &place)),
        Err(errno) => run.failed_at(path, errno),
    }
}

/// Runs the command of an action for what waits for it.
pub(crate) fn run_waiting(run: &Run, action: usize, waiting: Waiting, place: &Pinned) {
    if let Deed::Exec(exec) = &run.program.actions[action]
        && let Err(error) = run.commands.run_waiting(exec, waiting, place)
    {
        run.tell(&error);
    }
}

/// An entry whose turn it is.
struct Doing<'a> {
    run: &'a Run,
    found: &'a Found<'a>,
    inside: Option<&'a Inside>,
    records: &'a mut Records,
    verdict: Verdict,
    /// Held from the first action on, if any action may end it all.
    turn: Option<MutexGuard<'a, ()>>,
}

impl Doer for Doing<'_> {
    fn act(&mut self, number: usize) -> bool {
        if self.run.may_quit && self.turn.is_none() {
            self.turn = Some(self.run.turn.lock().unwrap_or_else(PoisonError::into_inner));
        }
        if self.run.has_quit.load(Relaxed) || self.run.commands.is_cancelled() {
            return false;
        }
        let run = self.run;
        match &run.program.actions[number] {
            Deed::Tell(telling, _) => {
                self.tell(number, telling);
                true
            }
            Deed::Exec(exec) => self.exec(number, exec),
            Deed::Delete => self.delete(),
            Deed::Prune => {
                self.verdict.prune = true;
                true
            }
            Deed::Quit => {
                // Relaxed: written and read under the lock, or where it only saves work.
                run.has_quit.store(true, Relaxed);
                self.verdict.quit = true;
                true
            }
        }
    }

    fn failed(&mut self, errno: Errno) {
        if errno == Errno::TOOBIG {
            // Only a regular expression says so.
            let path = Shown(self.found.path);
            self.run.tell(&format_args!("'{path}': the regular expression leaves too many ways to match this path"));
        } else {
            self.run.failed_at(self.found.path, errno);
        }
    }
}

impl Doing<'_> {
    fn tell(&mut self, number: usize, telling: &Telling) {
        static UNKNOWN: LazyLock<Meta> = LazyLock::new(Meta::default);
        let (run, found) = (self.run, self.found);
        let terminal = run.streams.is_terminal(number);
        let told = || found.told(found.meta.unwrap_or(&UNKNOWN), terminal);
        self.records.add(&run.streams, number, |out| match telling {
            Telling::Print if terminal => {
                out.extend_from_slice(&crate::shown::masked(found.path));
                out.push(b'\n');
            }
            Telling::Print => {
                out.extend_from_slice(found.path);
                out.push(b'\n');
            }
            Telling::Print0 => {
                out.extend_from_slice(found.path);
                out.push(0);
            }
            Telling::Ls => ls::line(&told(), run.start, out),
            Telling::Printf(format) => format.render(&told(), out),
            Telling::Json => json::line(&told(), out),
        });
    }

    fn exec(&mut self, number: usize, exec: &Exec) -> bool {
        let run = self.run;
        // What was said of this entry before comes before what the command says.
        self.records.flush(&run.streams);
        if exec.ask && !run.commands.ask(exec, self.found.path) {
            return false;
        }
        let (place, path) = match self.place(exec.place) {
            Ok(both) => both,
            Err(errno) => {
                run.failed_at(self.found.path, errno);
                return false;
            }
        };
        if !exec.many {
            return run.commands.run(exec, &path, &place).unwrap_or_else(|error| {
                // As if the command had failed: `-exec … ;` is a question.
                run.note(&error);
                false
            });
        }
        let ready = match (exec.place, self.inside) {
            (Place::Here, _) => {
                let mut waiting = run.waiting[number].lock().unwrap_or_else(PoisonError::into_inner);
                run.commands.collect(exec, &mut waiting, path)
            }
            (Place::Directory, Some(inside)) => {
                let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
                let at = inside.iter().position(|(action, _)| *action == number).unwrap_or_else(|| {
                    inside.push((number, Waiting::default()));
                    inside.len() - 1
                });
                run.commands.collect(exec, &mut inside[at].1, path)
            }
            // A starting point: nothing else is in its directory.
            (Place::Directory, None) => {
                let mut alone = Waiting::default();
                run.commands.collect(exec, &mut alone, path);
                Some(alone)
            }
        };
        // No lock is held while a command runs.
        if let Some(ready) = ready {
            run_waiting(run, number, ready, &place);
        }
        true
    }

    /// Where a command runs, and what it is given for `{}`.
    fn place(&self, place: Place) -> Result<(Pinned, Vec<u8>), Errno> {
        let found = self.found;
        if place == Place::Here {
            return Ok((Pinned::Here, found.path.to_vec()));
        }
        let dotted = |name: &[u8]| [b"./", name].concat();
        match found.holder.fd()? {
            Pinned::Here => {
                // A starting point: the directory is what its path says.
                let path = found.path;
                let end = path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count();
                if end == 0 {
                    return Ok((open(b"/")?, b"/".to_vec()));
                }
                let begin = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
                let above = if begin == 0 { &b"."[..] } else { &path[..begin] };
                Ok((open(above)?, dotted(&path[begin..(end + 1).min(path.len())])))
            }
            fd => Ok((fd, dotted(found.name))),
        }
    }

    fn delete(&mut self) -> bool {
        let found = self.found;
        if found.path == b"." {
            return true;
        }
        let removed = found.holder.fd().and_then(|fd| pwalk_fs::remove(fd.as_fd(), found.holder.name(), found.kind));
        match removed {
            Ok(()) => true,
            Err(Errno::NOENT) if self.run.program.settings.ignore_vanished => true,
            Err(errno) => {
                self.run.tell(&format_args!("cannot delete '{}': {}", Shown(found.path), crate::shown::said(errno)));
                false
            }
        }
    }
}

fn open(path: &[u8]) -> Result<Pinned, Errno> {
    let path = CString::new(path).map_err(|_| Errno::NOENT)?;
    Ok(Pinned::Own(open_root(&path)?.into()))
}
