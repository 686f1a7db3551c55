//! The visitor: which entries an expression is run over, and when.
//!
//! An entry is evaluated in the batch of the directory that holds it, before anything of it is opened: what `-prune`
//! keeps out of is never touched. Under `-depth` a directory waits for its end. Starting points are in no batch; they come by
//! themselves ([`Visitor::root`], [`Visitor::operand`]).
//!
//! Metadata are asked for only where name and type leave something open ([`Node::outlook`](crate::plan::Node::outlook)).

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::sync::Arc;

use pwalk_engine::{
    Batch, Class, Context, Descend, Descent, Dir, Entry, Op, Operand, Totals, Visitor, WalkError, Want,
};
use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, stat_at, stat_path};

use crate::act::{Inside, Verdict, evaluate, run_inside};
use crate::entry::{Found, Here, Holder, Pinned};
use crate::expr::Links as Follow;
use crate::format::base;
use crate::plan::Outlook;
use crate::run::Run;
use crate::streams::Records;

/// One worker's part of a run.
pub(crate) struct Finder {
    run: Arc<Run>,
    records: Records,
    /// The path of the entry at hand.
    path: Vec<u8>,
    below: Vec<u8>,
}

impl Finder {
    pub(crate) fn new(run: &Arc<Run>) -> Self {
        let records = Records::new(&run.streams);
        Self { run: Arc::clone(run), records, path: Vec::new(), below: Vec::new() }
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) {
        self.records.flush(&self.run.streams);
    }

    /// Evaluates a starting point.
    fn root_entry(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) -> Verdict {
        let settings = &self.run.program.settings;
        let kind = operand.meta.kind();
        let Ok(c_name) = CString::new(operand.path) else { return Verdict::default() };
        if settings.links != Follow::Never && kind == Kind::Symlink {
            // It was to be followed and leads nowhere, or in a circle, which is an error.
            if stat_path(&c_name, Links::Follow) == Err(Errno::LOOP) {
                self.run.failed_at(operand.path, Errno::LOOP);
                return Verdict::default();
            }
        }
        if settings.min_depth > 0 {
            return Verdict::default();
        }
        let found = Found {
            path: operand.path,
            name: name_of(operand.path),
            holder: &Here(&c_name),
            kind,
            meta: Some(operand.meta),
            root: operand.path,
            depth: 0,
            follows: settings.links != Follow::Never,
            system: &self.run.system,
        };
        let verdict = evaluate(&self.run, &found, None, &mut self.records);
        self.done(cx, verdict);
        verdict
    }

    /// Evaluates an entry for which a command is run beside others.
    fn evaluate_later(&mut self, cx: &mut Context<'_, Self>, later: &Later) {
        let run = Arc::clone(&self.run);
        let dir = &later.dir;
        path_of(&run, dir, &mut self.path, &mut self.below);
        slash(&mut self.path);
        self.path.extend_from_slice(later.name.to_bytes());
        let found = Found {
            path: &self.path,
            name: later.name.to_bytes(),
            holder: &InDir { cx, dir, name: || later.name.as_c_str() },
            kind: later.kind,
            meta: later.meta.as_ref(),
            root: &run.roots[dir.root()],
            depth: dir.depth() + 1,
            follows: run.program.settings.links == Follow::Always,
            system: &run.system,
        };
        let verdict = evaluate(&run, &found, dir.state(), &mut self.records);
        self.done(cx, verdict);
    }

    /// After a batch, or anything else that the engine called for.
    fn done(&mut self, cx: &mut Context<'_, Self>, verdict: Verdict) {
        self.records.settle(&self.run.streams);
        if verdict.quit || self.run.streams.is_broken() {
            cx.stop();
        }
    }
}

impl Visitor for Finder {
    type State = Inside;

    fn root(&mut self, cx: &mut Context<'_, Self>, root: &Operand<'_>) -> Descend {
        let settings = &self.run.program.settings;
        let unread = settings.max_depth == Some(0);
        if settings.depth_first && !unread {
            return Descend::Into;
        }
        let depth_first = settings.depth_first;
        let verdict = self.root_entry(cx, root);
        if unread || (verdict.prune && !depth_first) { Descend::Skip } else { Descend::Into }
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        self.root_entry(cx, operand);
    }

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<Inside>, _: Option<&Inside>) -> (Inside, Descend) {
        (Inside::default(), Descend::Into)
    }

    fn wants(&mut self, dir: &Dir<Inside>, entry: &Entry<'_>) -> Want {
        // For every entry: no count of references is touched here.
        let Self { run, path, below, .. } = self;
        if u64::from(dir.depth()) + 1 < run.program.settings.min_depth {
            return Want::Nothing;
        }
        if run.program.uses_path {
            path_of(run, dir, path, below);
            slash(path);
            path.extend_from_slice(entry.name);
        }
        let found = Found {
            path,
            name: entry.name,
            holder: &Here(c""),
            kind: entry.kind,
            meta: None,
            root: b"",
            depth: dir.depth() + 1,
            follows: false,
            system: &run.system,
        };
        match run.program.node.outlook(&found.subject()) {
            Outlook::Open => Want::Meta,
            Outlook::Settled => Want::Names,
            Outlook::Nothing => Want::Nothing,
        }
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Inside>) {
        let run = Arc::clone(&self.run);
        let settings = &run.program.settings;
        let dir = batch.dir();
        let depth = dir.depth() + 1;
        path_of(&run, dir, &mut self.path, &mut self.below);
        slash(&mut self.path);
        let prefix = self.path.len();
        let mut verdict = Verdict::default();
        for index in 0..batch.len() {
            let entry = batch.get(index);
            let follows = settings.links == Follow::Always;
            if entry.unwanted && !(follows && entry.kind.is_dir()) {
                continue;
            }
            self.path.truncate(prefix);
            self.path.extend_from_slice(entry.name);
            if follows && entry.kind.is_dir() && is_circle(cx, dir, &entry) {
                run.tell_loop(&self.path);
                batch.prune(index);
                continue;
            }
            // Its turn comes when it is left.
            let later = settings.depth_first && entry.descent == Descent::Yes;
            if entry.unwanted || later || u64::from(depth) < settings.min_depth {
                continue;
            }
            if run.spreads && !entry.kind.is_dir() {
                let name = entry.c_name().to_owned();
                let later = Later { name, kind: entry.kind, meta: entry.meta.copied(), dir: Arc::clone(dir) };
                cx.spawn(move |finder: &mut Self, cx| finder.evaluate_later(cx, &later));
                continue;
            }
            let found = Found {
                path: &self.path,
                name: entry.name,
                holder: &InDir { cx, dir, name: || entry.c_name() },
                kind: entry.kind,
                meta: entry.meta,
                root: &run.roots[dir.root()],
                depth,
                follows,
                system: &run.system,
            };
            verdict = evaluate(&run, &found, dir.state(), &mut self.records);
            if verdict.prune && !settings.depth_first {
                batch.prune(index);
            }
            if verdict.quit || run.commands.is_cancelled() {
                break;
            }
        }
        self.done(cx, verdict);
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Inside>>, _: &Totals) {
        let run = Arc::clone(&self.run);
        let settings = &run.program.settings;
        path_of(&run, dir, &mut self.path, &mut self.below);
        if let Some(inside) = dir.state() {
            run_inside(&run, inside, || cx.fd(dir).map(Pinned::Dir).map_err(errno_of), &self.path);
        }
        if !settings.depth_first || u64::from(dir.depth()) < settings.min_depth {
            return;
        }
        let verdict = match dir.parent() {
            None => {
                let Some(meta) = dir.meta() else { return };
                self.root_entry(cx, &Operand { path: &run.roots[dir.root()], meta, root: dir.root() })
            }
            Some(parent) => {
                let found = Found {
                    path: &self.path,
                    name: dir.name(),
                    holder: &InDir { cx, dir: parent, name: || dir.c_name() },
                    // Of one that could not even be looked at, its type is all that is known.
                    kind: dir.meta().map_or(Kind::Dir, Meta::kind),
                    meta: dir.meta(),
                    root: &run.roots[dir.root()],
                    depth: dir.depth(),
                    follows: settings.links == Follow::Always,
                    system: &run.system,
                };
                evaluate(&run, &found, parent.state(), &mut self.records)
            }
        };
        self.done(cx, verdict);
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        let path = error.path.as_slice();
        match (error.class, error.errno) {
            (Class::Vanished, _) if self.run.program.settings.ignore_vanished && error.op != Op::List => {}
            (Class::Loop, None) => self.run.tell_loop(path),
            (_, Some(errno)) => self.run.failed_at(path, errno),
            (class, None) => self.run.tell_class(path, class),
        }
    }
}

/// Whether a directory is one of those above it, which happens where a link has led away from it. One that cannot be asked is none.
fn is_circle(cx: &Context<'_, Finder>, dir: &Arc<Dir<Inside>>, entry: &Entry<'_>) -> bool {
    let look = || stat_at(cx.fd(dir).ok()?.as_fd(), entry.c_name(), Links::Follow, Freshness::Fresh).ok();
    entry.meta.copied().or_else(look).is_some_and(|meta| dir.is_below(meta.id()))
}

/// A name in a directory of the walk, made for the kernel only if something is asked.
struct InDir<'a, 'c, N> {
    cx: &'a Context<'c, Finder>,
    dir: &'a Arc<Dir<Inside>>,
    name: N,
}

impl<'a, N: Fn() -> &'a CStr> Holder for InDir<'a, '_, N> {
    fn fd(&self) -> Result<Pinned, Errno> {
        self.cx.fd(self.dir).map(Pinned::Dir).map_err(errno_of)
    }

    fn name(&self) -> &CStr {
        (self.name)()
    }
}

/// An entry of a batch that is gone when its turn comes. A batch is one worker's, and its commands would run one after the other.
struct Later {
    name: CString,
    kind: Kind,
    meta: Option<Meta>,
    dir: Arc<Dir<Inside>>,
}

fn errno_of(error: WalkError) -> Errno {
    // A directory that is not where it was: as if it had been removed.
    error.errno.unwrap_or(Errno::NOENT)
}

/// Makes `path` the path of a directory, as it is printed: the starting point as it was given, and what is below it.
fn path_of(run: &Run, dir: &Dir<Inside>, path: &mut Vec<u8>, below: &mut Vec<u8>) {
    dir.path_below_root_into(below);
    path.clear();
    path.extend_from_slice(&run.roots[dir.root()]);
    if !below.is_empty() {
        slash(path);
        path.extend_from_slice(below);
    }
}

/// Appends a slash where none is.
pub(crate) fn slash(path: &mut Vec<u8>) {
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
}

/// The name of a starting point: the last component, without the slashes behind it; `/` is itself.
pub(crate) fn name_of(path: &[u8]) -> &[u8] {
    match base(path) {
        name if name.len() > 1 => name.strip_suffix(b"/").unwrap_or(name),
        name => name,
    }
}
