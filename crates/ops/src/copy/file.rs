//! One regular file: opened, copied to a file that nobody sees, given what is kept of it, looked at again, and only then shown.
//!
//! ```text
//! open, describe ──► what is there already? ──► another name of a copy? ──► content ──► changed meanwhile? ──► attributes ──► name
//! ```
//!
//! A name at the destination therefore stands for a whole file or for none. A file that was changed while it was copied is copied again, three
//! times at most.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use pwalk_engine::Context;
use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, open_file, stat_at, stat_quick};

use super::draft::Draft;
use super::error::{Failure, source, target};
use super::links::Met;
use super::options::{Existing, Fsync};
use super::pair::Pair;
use super::visitor::{Spot, Waiting, Worker};

/// How often a file that changes is copied.
pub(crate) const ATTEMPTS: usize = 3;
/// Files as large as this are copied by whoever is free, not in a group.
pub(crate) const LARGE: u64 = 4 << 20;
/// The clock by which files get their times ticks so often at the least.
const TICK: Duration = Duration::from_millis(20);

/// What stands under the name of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    /// This, and it may be replaced.
    Old,
    /// This, and it stays.
    Stays((u64, u64)),
}

/// A file of the source, and what stands where its copy belongs.
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) meta: Meta,
    pub(crate) standing: Standing,
    /// How often it was opened: one that changes is copied again.
    pub(crate) attempt: usize,
}

/// What became of an entry.
pub(crate) enum Became {
    /// A copy, with this identity if anybody asks.
    Copy(Option<(u64, u64)>),
    /// Others do it, and tell.
    Later,
}

impl Worker {
    /// Copies a file.
    pub(crate) fn file(&mut self, cx: &mut Context<'_, Self>, spot: &Arc<Spot>, name: &CStr, alone: bool) {
        let opened = self.begin(cx, spot, name, alone);
        let done = opened.and_then(|opened| opened.map(|opened| self.copy(cx, spot, name, opened)).transpose());
        if let Err(why) = done {
            self.fail(cx, &spot.path(name), why);
        }
    }

    /// Opens a file that is to be copied. None if there is nothing to do, or somebody else does it, or it is done: one with several names.
    pub(crate) fn begin(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        alone: bool,
    ) -> Result<Option<Opened>, Failure> {
        let (file, meta) = self.open(spot, name)?;
        if meta.size >= LARGE && !alone && !self.shared.is_tight {
            drop(file);
            let (spot, name) = (Arc::clone(spot), name.to_owned());
            cx.spawn(move |worker, cx| worker.entry(cx, &spot, &name, Kind::File, true));
            return Ok(None);
        }
        let standing = self.standing(spot, name, &meta)?;
        if meta.nlink > 1 && self.shared.options.keep.links {
            let opened = Opened { file, meta, standing, attempt: 1 };
            let linked = self.linked(cx, spot, name, &meta, standing, |worker, cx| worker.copy(cx, spot, name, opened));
            return linked.map(|()| None);
        }
        Ok((!matches!(standing, Standing::Stays(_))).then_some(Opened { file, meta, standing, attempt: 1 }))
    }

    /// Opens a file and describes it.
    pub(crate) fn open(&self, spot: &Spot, name: &CStr) -> Result<(OwnedFd, Meta), Failure> {
        let file = open_file(spot.fd(), name).map_err(|errno| match errno {
            // A link, a socket.
            Errno::LOOP | Errno::NXIO => Failure::Replaced,
            errno => source("open")(errno),
        })?;
        let mut meta = stat_quick(&file).map_err(source("look at"))?;
        if meta.kind() != Kind::File {
            return Err(Failure::Replaced);
        }
        // What was changed shortly before the copy began could be changed again and bear the same time.
        if meta.mtime.sec >= self.shared.begun && is_racy(&meta) {
            std::thread::sleep(TICK);
            meta = stat_quick(&file).map_err(source("look at"))?;
        }
        Ok((file, meta))
    }

    /// What is known of copying from one file system to another: mostly of the same two as before. It is taken, and to be put back, because
    /// to count who has it is dear where all have it.
    pub(crate) fn pair(&mut self, meta: &Meta, spot: &Spot) -> ((u64, u64), Arc<Pair>) {
        let devices = (meta.dev, spot.place.as_ref().map_or(0, |place| place.id.0));
        let last = self.pair.take().filter(|(known, _)| *known == devices);
        last.unwrap_or_else(|| (devices, self.shared.pairs.get(devices)))
    }

    /// What stands under the name of the copy, and whether it stays.
    pub(crate) fn standing(&self, spot: &Spot, name: &CStr, meta: &Meta) -> Result<Standing, Failure> {
        let Some(place) = spot.place.as_ref().filter(|place| !place.is_made) else { return Ok(Standing::Nothing) };
        let dir = self.shared.places.fd(place)?;
        let there = match stat_at(dir.as_fd(), spot.target(name), Links::NoFollow, Freshness::Fresh) {
            Ok(there) => there,
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(errno) => return Err(target("look for")(errno)),
        };
        if there.id() == meta.id() {
            return Err(Failure::SameFile);
        }
        if there.kind() == Kind::Dir {
            return Err(Failure::InTheWay(Kind::Dir));
        }
        let options = &self.shared.options;
        let stays = match options.existing {
            // It is ours, and perhaps torn.
            _ if place.is_leftover() => false,
            Existing::Skip => true,
            Existing::Update => there.mtime >= meta.mtime,
            Existing::Fail => return Err(Failure::Exists),
            Existing::Overwrite => false,
        };
        if stays {
            self.left(&self.shared.counts.skipped, meta);
            return Ok(Standing::Stays(there.id()));
        }
        let is_second = self.shared.is_second.load(Relaxed);
        // Names are given last: what has the size and the time is whole.
        if (options.resume || is_second)
            && there.kind() == meta.kind()
            && there.size == meta.size
            && there.mtime == meta.mtime
            && (is_second || self.is_verified(spot, name, meta.kind())?)
        {
            if !is_second {
                self.left(&self.shared.counts.already, meta);
            }
            spot.settle(name);
            return Ok(Standing::Stays(there.id()));
        }
        Ok(Standing::Old)
    }

    /// Whether what seems to be copied already has the source's content, if that is to be looked at.
    fn is_verified(&self, spot: &Spot, name: &CStr, kind: Kind) -> Result<bool, Failure> {
        if !self.shared.options.verify || kind != Kind::File {
            return Ok(true);
        }
        let file = open_file(spot.fd(), name).map_err(source("open"))?;
        let copy = open_file(spot.dir(&self.shared.places)?.as_fd(), spot.target(name)).map_err(target("open"))?;
        match super::verify::same(file.as_fd(), copy.as_fd(), &mut vec![0; self.shared.options.buffer]) {
            Err(Failure::Differs) => Ok(false),
            same => same.map(|()| true),
        }
    }

    /// Counts what was left as it was.
    fn left(&self, count: &AtomicU64, meta: &Meta) {
        count.fetch_add(1, Relaxed);
        if meta.kind() == Kind::File {
            // Each name brings its part.
            self.shared.counts.left_bytes.fetch_add(meta.size / u64::from(meta.nlink.max(1)), Relaxed);
        }
    }

    /// One of several names of a file: the first is copied, the others are linked to its copy.
    pub(crate) fn linked(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        meta: &Meta,
        standing: Standing,
        copy: impl FnOnce(&mut Self, &mut Context<'_, Self>) -> Result<Became, Failure>,
    ) -> Result<(), Failure> {
        let kind = meta.kind();
        let message = || {
            let (spot, name) = (Arc::clone(spot), name.to_owned());
            cx.reserve().map(|reserved| Waiting { spot, name, kind, reserved })
        };
        match self.shared.links.meet(meta.id(), meta.nlink, message) {
            Met::Waits => Ok(()),
            Met::First => {
                let done = match standing {
                    Standing::Stays(id) => Ok(Became::Copy(Some(id))),
                    _ => copy(self, cx),
                };
                match done {
                    Ok(Became::Later) => Ok(()),
                    Ok(Became::Copy(id)) => {
                        self.settle(cx, spot, name, meta, id);
                        Ok(())
                    }
                    Err(why) => {
                        self.settle(cx, spot, name, meta, None);
                        Err(why)
                    }
                }
            }
            Met::Again(copied) => self.link(spot, name, &copied, standing),
        }
    }

    /// Tells those who wait for a file what became of its first name.
    pub(crate) fn settle(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Spot,
        name: &CStr,
        meta: &Meta,
        copy: Option<(u64, u64)>,
    ) {
        let Some(place) = &spot.place else { return };
        for waiting in self.shared.links.settle(meta.id(), place, spot.target(name), copy) {
            let Waiting { spot, name, kind, reserved } = waiting;
            cx.resume(reserved, move |worker, cx| worker.entry(cx, &spot, &name, kind, true));
        }
    }

    /// Copies an open file to its name.
    pub(crate) fn copy(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        opened: Opened,
    ) -> Result<Became, Failure> {
        let draft = self.draft(spot, name, &opened.meta)?;
        self.fill(cx, spot, name, opened, draft)
    }

    /// Copies an open file to the file that was made for it, which then gets its name.
    pub(crate) fn fill(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        opened: Opened,
        draft: Draft,
    ) -> Result<Became, Failure> {
        let Opened { file, meta, .. } = &opened;
        let (devices, pair) = self.pair(meta, spot);
        let done = match self.clone_whole(file, &draft, meta, &pair) {
            Ok(false) if self.wants_hands(meta, &pair) => {
                return self.many_hands(cx, spot, name, opened, draft, pair);
            }
            Ok(false) => self.content(cx, file, &draft, meta, &pair),
            Ok(true) => Ok(()),
            Err(why) => Err(why),
        };
        self.pair = Some((devices, pair));
        let done = done.and_then(|()| self.conclude_file(spot, name, &opened, &draft));
        self.concluded(cx, spot, name, &opened, &draft, done)
    }

    /// Takes away what did not become a copy, and copies once more what was changed meanwhile.
    pub(crate) fn concluded(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        opened: &Opened,
        draft: &Draft,
        done: Result<Option<(u64, u64)>, Failure>,
    ) -> Result<Became, Failure> {
        let why = match done {
            Ok(id) => return Ok(Became::Copy(id)),
            Err(why) => why,
        };
        self.drop_draft(spot, name, draft);
        if why != Failure::Changed || opened.attempt >= ATTEMPTS || cx.is_stopping() {
            return Err(why);
        }
        tracing::debug!(opened.attempt, "a file was changed while it was copied");
        let (file, meta) = self.open(spot, name)?;
        self.copy(cx, spot, name, Opened { file, meta, standing: opened.standing, attempt: opened.attempt + 1 })
    }

    /// Looks whether the source is what it was, sets what is kept, and gives the copy its name. Returns its identity, if that may be asked for.
    pub(crate) fn conclude_file(
        &mut self,
        spot: &Spot,
        name: &CStr,
        opened: &Opened,
        draft: &Draft,
    ) -> Result<Option<(u64, u64)>, Failure> {
        let Opened { file, meta, standing, .. } = opened;
        let keep = self.shared.options.keep;
        let attributes = keep.read(file.as_fd(), &mut self.names)?;
        let verified = if self.shared.options.verify {
            super::verify::same(file.as_fd(), draft.fd.as_fd(), self.with_buffer())
        } else {
            Ok(())
        };
        let now = stat_quick(file).map_err(source("look at"))?;
        if is_other(meta, &now) {
            return Err(Failure::Changed);
        }
        verified?;
        let mut lost = Vec::new();
        keep.set(draft.fd.as_fd(), meta, &attributes, draft.fresh, |why| lost.push(why));
        if self.shared.options.fsync == Fsync::Each {
            pwalk_fs::sync(&draft.fd).map_err(target("sync"))?;
        }
        let id = (meta.nlink > 1).then(|| stat_quick(&draft.fd).map(|meta| meta.id()));
        let id = id.transpose().map_err(target("look at"))?;
        self.publish(spot, name, draft, *standing)?;
        spot.settle(name);
        self.tally.files += 1;
        self.tally.bytes += meta.size;
        self.tally.replaced += u64::from(*standing == Standing::Old);
        lost.iter().for_each(|why| self.shared.fail(&spot.path(name), why));
        Ok(id)
    }
}

/// Whether a file was changed between two looks.
fn is_other(then: &Meta, now: &Meta) -> bool {
    (then.size, then.mtime, then.ctime) != (now.size, now.mtime, now.ctime)
}

/// Whether a file was changed so shortly ago that a change to come might bear the same time.
fn is_racy(meta: &Meta) -> bool {
    let since = u64::try_from(meta.mtime.sec).ok().map(|sec| Duration::new(sec, meta.mtime.nsec));
    let age = since.and_then(|since| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + since).ok());
    // Of a time to come nothing can be said; it is no clock's.
    age.is_some_and(|age| age < TICK)
}
