//! `-s`: entries in the order of their names, what is in a directory right after it.
//!
//! A fold has no order, and putting its results in order would keep the first of them back until the last is known. So here
//! one directory after another is pulled from the engine's ordered walk, which reads ahead in parallel, and entries
//! are evaluated one after the other: results come at once, in order, and so do the commands that are run for them. What
//! waits is bounded: the names of the directories that the walk is in, what is read ahead, and the metadata of one stretch of
//! entries, which are asked for side by side where calls are slow.
//!
//! A directory's descriptor is opened when something is asked in it, by the path that led there, and compared with what was
//! listed; the few used last stay open.

mod handle;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::vec;

use pwalk_engine::{
    Contract, Ended, FollowLinks, Listed, Order, OrderedOptions, OrderedWalk, Snapshots, Visit, stat_each,
};
use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, at_path, stat_at};

use crate::act::{Inside, Verdict, evaluate, run_inside};
use crate::entry::{Found, Here, Pinned};
use crate::expr::Links as Follow;
use crate::finder::{name_of, slash};
use crate::plan::Outlook;
use crate::run::Run;
use crate::streams::Records;
use handle::{Handle, InDir, Open};

/// Entries whose metadata are read at once.
const STRETCH: usize = 1024;

/// How it ended, and how many snapshot directories were left out.
pub(crate) fn walk(run: &Run) -> (Ended, u64) {
    let mut sorted = Sorted { run, records: Records::new(&run.streams), open: Open::default(), left_out: 0 };
    let mut ended = Ended::Whole;
    for root in &run.roots {
        match sorted.root(root) {
            Ended::Whole => {}
            other => {
                ended = other;
                break;
            }
        }
    }
    sorted.records.flush(&run.streams);
    (ended, sorted.left_out)
}

struct Sorted<'a> {
    run: &'a Run,
    records: Records,
    open: Open,
    left_out: u64,
}

/// A directory that the walk is in.
struct Frame {
    handle: Rc<Handle>,
    listed: Arc<Listed>,
    depth: u32,
    /// What is left of it, in order: the place of an entry, and whether it is among the directories.
    rest: vec::IntoIter<(u32, bool)>,
    /// Those of them that were looked at, in order.
    stretch: VecDeque<Looked>,
    inside: Inside,
    /// What it was when it was met: it is evaluated at its end, under `-depth`.
    own: Option<Looked>,
}

/// An entry with what is known of it.
struct Looked {
    name: CString,
    kind: Kind,
    /// Whether it may be entered.
    is_dir: bool,
    unwanted: bool,
    /// It could not be looked at, which was told: it is not entered either.
    lost: bool,
    meta: Option<Meta>,
}

impl<'a> Sorted<'a> {
    fn root(&mut self, root: &'a [u8]) -> Ended {
        let settings = &self.run.program.settings;
        let Ok(c_root) = CString::new(root) else { return Ended::Whole };
        let links = if settings.links == Follow::Never { Links::NoFollow } else { Links::Follow };
        let stat = |links| at_path(root, |dir, rest| stat_at(dir, rest, links, Freshness::Fresh));
        let meta = match stat(links) {
            Err(Errno::NOENT) => stat(Links::NoFollow),
            other => other,
        };
        let meta = match meta {
            Ok(meta) => meta,
            Err(errno) => {
                self.run.failed_at(root, errno);
                return Ended::Whole;
            }
        };
        let enters = meta.kind().is_dir() && settings.max_depth != Some(0);
        let mut verdict = Verdict::default();
        if !(enters && settings.depth_first) {
            verdict = self.root_entry(root, &c_root, &meta);
        }
        if enters && !verdict.quit && (!verdict.prune || settings.depth_first) {
            let ended = self.tree(root, &meta);
            if ended != Ended::Whole {
                return ended;
            }
            if settings.depth_first {
                verdict = self.root_entry(root, &c_root, &meta);
            }
        }
        if verdict.quit { Ended::Stopped } else { Ended::Whole }
    }

    fn root_entry(&mut self, root: &[u8], c_root: &CStr, meta: &Meta) -> Verdict {
        let settings = &self.run.program.settings;
        if settings.min_depth > 0 {
            return Verdict::default();
        }
        let found = Found {
            path: root,
            name: name_of(root),
            holder: &Here(c_root),
            kind: meta.kind(),
            meta: Some(meta),
            root,
            depth: 0,
            follows: settings.links != Follow::Never,
            system: &self.run.system,
        };
        let verdict = evaluate(self.run, &found, None, &mut self.records);
        self.records.settle(&self.run.streams);
        verdict
    }

    /// Everything below a starting point.
    fn tree(&mut self, root: &'a [u8], meta: &Meta) -> Ended {
        let settings = &self.run.program.settings;
        let options = OrderedOptions {
            follow_links: if settings.links == Follow::Always { FollowLinks::Always } else { FollowLinks::Never },
            snapshots: if settings.snapshots { Snapshots::Include } else { Snapshots::Skip },
            order: Order::TopDown,
            threads: settings.threads.and_then(|threads| usize::try_from(threads).ok()),
            contract: Contract::Each,
            ..OrderedOptions::default()
        };
        let mut walk = OrderedWalk::new(root, options);
        let mut frames: Vec<Frame> = Vec::new();
        match walk.next() {
            Some(Ok(visit)) if visit.listed.id() == meta.id() => {
                let frame = self.arrive(&mut walk, visit, 0, None);
                frames.push(frame);
            }
            Some(Ok(_)) => self.run.failed_at(root, Errno::NOENT),
            Some(Err(error)) => self.run.failed_at(&error.path, error.errno),
            None => {}
        }
        let mut path = Vec::new();
        while let Some(frame) = frames.last_mut() {
            if self.run.commands.is_cancelled() {
                return Ended::Cancelled;
            }
            if self.run.streams.is_broken() {
                return Ended::Stopped;
            }
            let Some(looked) = self.next(frame) else {
                let Some(done) = frames.pop() else { break };
                if self.leave(done, frames.last(), root).quit {
                    return Ended::Stopped;
                }
                continue;
            };
            path.clone_from(&frame.handle.path);
            slash(&mut path);
            path.extend_from_slice(looked.name.to_bytes());
            let depth = frame.depth + 1;
            let deepest = settings.max_depth == Some(u64::from(depth));
            let unread = deepest || looked.lost || self.is_foreign(frame, &looked, meta);
            let enters = looked.is_dir && !unread;
            // One that cannot be asked is none of those above.
            let id = || {
                let look = |fd: Pinned| stat_at(fd.as_fd(), &looked.name, Links::Follow, Freshness::Fresh);
                looked.meta.or_else(|| frame.handle.fd().and_then(look).ok()).map(|meta| meta.id())
            };
            let id = if settings.links == Follow::Always && looked.is_dir { id() } else { None };
            let circle = id.is_some() && frames.iter().any(|frame| Some(frame.handle.id) == id);
            if circle {
                self.run.tell_loop(&path);
                if !deepest {
                    walk.pass_over();
                }
                continue;
            }
            let Some(frame) = frames.last() else { break };
            let mut verdict = Verdict::default();
            if !(enters && settings.depth_first) {
                verdict = self.entry(frame, &looked, &path, root);
            }
            if verdict.quit {
                return Ended::Stopped;
            }
            if !looked.is_dir || deepest {
                continue;
            }
            if unread || (verdict.prune && !settings.depth_first) {
                walk.pass_over();
                continue;
            }
            match walk.next() {
                Some(Ok(visit)) => {
                    let frame = self.arrive(&mut walk, visit, depth, Some(looked));
                    frames.push(frame);
                }
                Some(Err(error)) => {
                    self.run.failed_at(&error.path, error.errno);
                    if settings.depth_first && self.entry(frame, &looked, &path, root).quit {
                        return Ended::Stopped;
                    }
                }
                None => break,
            }
        }
        Ended::Whole
    }

    /// Begins with a directory.
    fn arrive(&mut self, walk: &mut OrderedWalk, visit: Visit, depth: u32, own: Option<Looked>) -> Frame {
        let settings = &self.run.program.settings;
        let Visit { path, listed } = visit;
        self.left_out += listed.left_out() as u64;
        let mut order: Vec<(u32, bool)> = Vec::with_capacity(listed.len());
        let follow = settings.links == Follow::Always;
        let dirs = (0_u32..).zip(listed.dirs());
        order.extend(dirs.map(|(nth, &place)| (place, follow || !listed.is_link(nth))));
        order.extend(listed.others().iter().map(|&place| (place, false)));
        order.sort_unstable_by(|(a, _), (b, _)| listed.name(*a).cmp(listed.name(*b)));
        let deepest = settings.max_depth == Some(u64::from(depth) + 1);
        let below = order.iter().filter(|(_, is_dir)| *is_dir && !deepest);
        walk.descend_into(below.map(|(place, _)| listed.name(*place)));
        // A starting point may be a link, which the user wrote.
        let links = if follow || own.is_none() { Links::Follow } else { Links::NoFollow };
        let handle = Rc::new(Handle { path, id: listed.id(), links, listed: listed.fd(), fd: RefCell::default() });
        if self.run.acts_in_directories {
            // Held before anything is done in it, which may move it. Where it cannot be opened the first to ask will tell.
            self.open.used(&handle);
            drop(handle.fd());
        }
        Frame {
            handle,
            listed,
            depth,
            rest: order.into_iter(),
            stretch: VecDeque::new(),
            inside: Inside::default(),
            own,
        }
    }

    /// The next entry of a directory, looked at.
    fn next(&mut self, frame: &mut Frame) -> Option<Looked> {
        if frame.stretch.is_empty() {
            self.look(frame);
        }
        frame.stretch.pop_front()
    }

    /// Looks at the next stretch of entries.
    fn look(&mut self, frame: &mut Frame) {
        let run = self.run;
        let follow = run.program.settings.links == Follow::Always;
        let mut path = frame.handle.path.clone();
        slash(&mut path);
        let prefix = path.len();
        let mut asked = Vec::new();
        for (place, is_dir) in frame.rest.by_ref().take(STRETCH) {
            let name = frame.listed.c_name(place);
            let kind = frame.listed.kind(place);
            path.truncate(prefix);
            path.extend_from_slice(name.to_bytes());
            let must = kind == Kind::Unknown
                || (follow && kind == Kind::Symlink)
                || (is_dir && run.program.settings.one_file_system);
            let found = Found {
                path: &path,
                name: name.to_bytes(),
                holder: &Here(c""),
                kind,
                meta: None,
                root: b"",
                depth: frame.depth + 1,
                follows: false,
                system: &run.system,
            };
            let wanted = u64::from(frame.depth) + 1 >= run.program.settings.min_depth;
            let outlook = if wanted { run.program.node.outlook(&found.subject()) } else { Outlook::Nothing };
            if must || outlook == Outlook::Open {
                asked.push(frame.stretch.len());
            }
            let unwanted = outlook == Outlook::Nothing && !must;
            frame.stretch.push_back(Looked { name: name.to_owned(), kind, is_dir, unwanted, lost: false, meta: None });
        }
        if asked.is_empty() {
            return;
        }
        self.open.used(&frame.handle);
        let names: Vec<&CStr> = asked.iter().map(|&at| frame.stretch[at].name.as_c_str()).collect();
        let links = if follow { Links::Follow } else { Links::NoFollow };
        let metas = match frame.handle.fd() {
            Ok(fd) => stat_each(fd.as_fd(), &names, links)
                .into_iter()
                .zip(&names)
                .map(|(meta, name)| match meta {
                    // A link that leads nowhere is a link.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) if follow => {
                        stat_at(fd.as_fd(), name, Links::NoFollow, Freshness::Fresh)
                    }
                    meta => meta,
                })
                .collect(),
            Err(errno) => vec![Err(errno); names.len()],
        };
        let mut failed = Vec::new();
        for (at, meta) in asked.into_iter().zip(metas) {
            let looked = &mut frame.stretch[at];
            match meta {
                Ok(meta) => {
                    (looked.kind, looked.meta) = (meta.kind(), Some(meta));
                }
                Err(errno) => failed.push((at, errno)),
            }
        }
        // Those that cannot be looked at are told, and are not entered.
        for (at, errno) in failed.into_iter().rev() {
            path.truncate(prefix);
            path.extend_from_slice(frame.stretch[at].name.to_bytes());
            if errno != Errno::NOENT || !run.program.settings.ignore_vanished {
                run.failed_at(&path, errno);
            }
            frame.stretch[at].lost = true;
        }
    }

    fn entry(&mut self, frame: &Frame, looked: &Looked, path: &[u8], root: &[u8]) -> Verdict {
        let settings = &self.run.program.settings;
        let depth = frame.depth + 1;
        if looked.unwanted || looked.lost || u64::from(depth) < settings.min_depth {
            return Verdict::default();
        }
        self.open.used(&frame.handle);
        let found = Found {
            path,
            name: looked.name.to_bytes(),
            holder: &InDir { handle: &frame.handle, name: &looked.name },
            kind: looked.kind,
            meta: looked.meta.as_ref(),
            root,
            depth,
            follows: settings.links == Follow::Always,
            system: &self.run.system,
        };
        let verdict = evaluate(self.run, &found, Some(&frame.inside), &mut self.records);
        self.records.settle(&self.run.streams);
        verdict
    }

    /// A directory is done with.
    fn leave(&mut self, done: Frame, above: Option<&Frame>, root: &[u8]) -> Verdict {
        run_inside(self.run, &done.inside, || done.handle.fd(), &done.handle.path);
        match (done.own, above) {
            (Some(own), Some(above)) if self.run.program.settings.depth_first => {
                self.entry(above, &own, &done.handle.path, root)
            }
            _ => Verdict::default(),
        }
    }

    fn is_foreign(&self, frame: &Frame, looked: &Looked, root: &Meta) -> bool {
        let one = self.run.program.settings.one_file_system;
        // Of the starting point's device are all that were entered.
        one && frame.handle.id.0 == root.dev && looked.meta.is_some_and(|meta| meta.dev != root.dev)
    }
}
