//! The walk that copies, one more visitor of the engine.
//!
//! What flows down is the directory at the destination. A directory is made when it is entered and gets what is kept of it when everything in
//! it is done. Files are known by name and type alone: a file is described by its own descriptor once it is open, so what is copied is
//! what was described. They are handed out in small groups, so that idle workers find some to take.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use pwalk_engine::{
    Batch, Context, Descend, Descent, Dir, DirFd, Held, Mounts, Operand, Reserved, Totals, Visitor, WalkError,
};
use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, stat_at, stat_path};

use super::Event;
use super::error::{Failure, source};
use super::keep::{Attributes, Fresh};
use super::pair::Pair;
use super::place::{Place, Places, named};
use super::shared::{Shared, Tally, Target};

/// Files that are handed out together.
const GROUP: usize = 16;
/// Fewer than this are not worth handing out.
const FEW: usize = 4;
/// System calls for a file, by which the number of workers is judged.
pub(crate) const CALLS: usize = 12;

/// What a directory hands down.
pub(crate) struct Folder {
    /// Its copy; none if there is none, in a run that makes none.
    pub(crate) place: Option<Arc<Place>>,
    attributes: Attributes,
}

/// A directory of the source.
pub(crate) enum Source {
    Walked(Arc<Dir<Folder>>, DirFd),
    /// That of a source which is no directory; with the path that the user gave of the latter.
    Given(OwnedFd, Vec<u8>),
}

/// From where to where.
pub(crate) struct Spot {
    pub(crate) source: Source,
    /// None in a run that makes nothing, where nothing is.
    pub(crate) place: Option<Arc<Place>>,
    /// Its descriptor, while it is used.
    dir: OnceLock<Arc<Held>>,
    /// The name of the copy, where it is another.
    pub(crate) renamed: Option<CString>,
}

impl Spot {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Walked(_, fd) => fd.as_fd(),
            Source::Given(fd, _) => fd.as_fd(),
        }
    }

    /// The directory of the copy.
    pub(crate) fn dir(&self, places: &Places) -> Result<&Held, Failure> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let dir = places.fd(self.place.as_ref().ok_or(Failure::Swapped)?)?;
        Ok(self.dir.get_or_init(|| dir))
    }

    /// Notes that an entry's copy is whole.
    pub(crate) fn settle(&self, name: &CStr) {
        if let Some(place) = &self.place {
            place.settle(self.target(name));
        }
    }

    pub(crate) fn target<'a>(&'a self, name: &'a CStr) -> &'a CStr {
        self.renamed.as_deref().unwrap_or(name)
    }

    /// The path of an entry of the source.
    pub(crate) fn path(&self, name: &CStr) -> Vec<u8> {
        match &self.source {
            Source::Walked(dir, _) => dir.path_of(name.to_bytes()),
            Source::Given(_, path) => path.clone(),
        }
    }
}

/// A name that waits for another of the same file to be copied.
pub(crate) struct Waiting {
    pub(crate) spot: Arc<Spot>,
    pub(crate) name: CString,
    pub(crate) kind: Kind,
    pub(crate) reserved: Reserved<Worker>,
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) buffer: Vec<u8>,
    /// Room for the names of attributes.
    pub(crate) names: Vec<u8>,
    path: Vec<u8>,
    pub(crate) tally: Tally,
    /// Of the last two file systems.
    pub(crate) pair: Option<((u64, u64), Arc<Pair>)>,
    /// Ranges copied so far.
    pub(crate) turn: u32,
}

impl Worker {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            buffer: Vec::new(),
            names: Vec::new(),
            path: Vec::new(),
            tally: Tally::default(),
            pair: None,
            turn: 0,
        }
    }

    /// The buffer, made when it is first needed: of hundreds of workers not all may copy.
    pub(crate) fn with_buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.is_empty() {
            self.buffer.resize(self.shared.options.buffer, 0);
        }
        &mut self.buffer
    }

    /// Tells of trouble with an entry.
    pub(crate) fn fail(&mut self, cx: &mut Context<'_, Self>, path: &[u8], why: Failure) {
        self.shared.fail(path, &why);
        if self.shared.is_halted() {
            cx.stop();
        }
    }

    fn fail_dir(&mut self, cx: &mut Context<'_, Self>, dir: &Dir<Folder>, why: Failure) {
        let mut path = std::mem::take(&mut self.path);
        dir.path_into(&mut path);
        self.fail(cx, &path, why);
        self.path = path;
    }

    /// The copy of a directory, made or found.
    fn make(
        &mut self,
        cx: &Context<'_, Self>,
        dir: &Dir<Folder>,
        parent: Option<&Folder>,
    ) -> Result<Option<Arc<Place>>, Failure> {
        let shared = &self.shared;
        let root = if parent.is_none() { shared.target(dir.root()) } else { Target { place: None, name: None } };
        let (above, name) = match parent {
            Some(parent) => (parent.place.as_ref(), Some(dir.c_name())),
            None => (root.place.as_ref(), root.name.as_deref()),
        };
        let id = dir.meta().map(Meta::id);
        if shared.is_destination(id) {
            return Err(Failure::InItself);
        }
        let Some(above) = above else { return Ok(None) };
        let made = match name {
            None => Some(Arc::clone(above)),
            Some(name) if shared.options.dry_run => shared.places.find(above, name)?,
            Some(name) => Some(shared.places.enter(above, name, |name| match dir.parent() {
                None => shared.is_target(name),
                Some(parent) => {
                    cx.fd(parent).is_ok_and(|fd| stat_at(fd.as_fd(), name, Links::NoFollow, Freshness::Fresh).is_ok())
                }
            })?),
        };
        if let Some(made) = made.as_ref().filter(|_| !shared.options.dry_run) {
            shared.places.widen(made)?;
        }
        if name.is_none() {
            return Ok(made);
        }
        if parent.is_none() {
            shared.add_destination(made.as_ref());
        }
        if made.as_ref().is_some_and(|place| Some(place.id) == id) {
            return Err(Failure::SameFile);
        }
        Ok(made)
    }

    /// Sets what is kept of a directory.
    fn conclude(&mut self, cx: &mut Context<'_, Self>, dir: &Dir<Folder>, place: &Arc<Place>, attributes: &Attributes) {
        let Some(meta) = dir.meta() else { return };
        let mut keep = self.shared.options.keep;
        let fd = match self.shared.places.fd(place) {
            Ok(fd) => fd,
            Err(why) => return self.fail_dir(cx, dir, why),
        };
        let fresh = Fresh {
            owner: Some(place.owner),
            may_have_attributes: !place.is_made && (keep.xattr || keep.acl),
            ..Fresh::default()
        };
        let mut lost = Vec::new();
        let mut meta = *meta;
        let former = self.shared.places.former_mode(place);
        if !keep.mode && (place.is_made || former.is_some()) {
            // As it was, or as `mkdir` would have made it.
            let mode = former.unwrap_or(meta.mode & 0o777 & !self.shared.umask);
            meta.mode = (meta.mode & !0o7777) | mode;
            keep.mode = true;
        }
        keep.set(fd.as_fd(), &meta, attributes, fresh, |why| lost.push(why));
        if self.shared.options.fsync == super::Fsync::Each
            && let Err(errno) = pwalk_fs::sync(&*fd)
        {
            lost.push(Failure::Target { what: "sync", errno });
        }
        lost.into_iter().for_each(|why| self.fail_dir(cx, dir, why));
        cx.count_calls(4);
        self.shared.counts.dirs.fetch_add(1, Relaxed);
    }

    /// Copies one entry. One that is not `alone` is put off if it is large.
    pub(crate) fn entry(&mut self, cx: &mut Context<'_, Self>, spot: &Arc<Spot>, name: &CStr, kind: Kind, alone: bool) {
        count(cx);
        if self.shared.options.dry_run {
            self.would(cx, spot, name);
        } else if kind == Kind::File {
            self.file(cx, spot, name, alone);
        } else {
            self.other(cx, spot, name, kind);
        }
        if alone {
            self.tally.tell(&self.shared.counts);
        }
    }

    fn given(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) -> Result<(), Failure> {
        let (above, name) = super::target::split(operand.path).map_err(source("find"))?;
        let target = self.shared.target(operand.root);
        let spot = Arc::new(Spot {
            source: Source::Given(above, operand.path.to_vec()),
            place: target.place.clone(),
            dir: OnceLock::new(),
            renamed: target.name.clone(),
        });
        self.entry(cx, &spot, &name, operand.meta.kind(), true);
        Ok(())
    }
}

impl Visitor for Worker {
    type State = Folder;

    const HEARS_FILLED: bool = true;

    fn enter(&mut self, cx: &mut Context<'_, Self>, dir: &Dir<Folder>, parent: Option<&Folder>) -> (Folder, Descend) {
        let made = self.make(cx, dir, parent).and_then(|place| {
            let fd = dir.open_fd().filter(|_| !self.shared.options.dry_run);
            let attributes = fd.map(|fd| self.shared.options.keep.read(fd.as_fd(), &mut self.names)).transpose()?;
            Ok(Folder { place, attributes: attributes.unwrap_or_default() })
        });
        cx.count_calls(4);
        match made {
            Ok(folder) => {
                if folder.place.is_none() && self.shared.options.dry_run {
                    self.would_make(dir);
                }
                (folder, Descend::Into)
            }
            Err(why) => {
                self.fail_dir(cx, dir, why);
                (Folder { place: None, attributes: Attributes::new() }, Descend::Skip)
            }
        }
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Folder>) {
        let dir = batch.dir();
        let Some(folder) = dir.state().filter(|_| self.shared.copies_files.load(Relaxed)) else { return };
        let mut names: Vec<_> = batch
            .iter()
            .filter(|entry| entry.kind != Kind::Dir && entry.descent == Descent::NotDir)
            .map(|entry| (entry.c_name().to_owned(), entry.kind))
            .collect();
        if names.is_empty() {
            return;
        }
        let fd = match cx.fd(dir) {
            Ok(fd) => fd,
            Err(error) => {
                let errno = error.errno.unwrap_or(Errno::STALE);
                for (name, _) in names {
                    self.fail(
                        cx,
                        &dir.path_of(name.to_bytes()),
                        Failure::Source { what: "open the directory of", errno },
                    );
                }
                return;
            }
        };
        let spot = Arc::new(Spot {
            source: Source::Walked(Arc::clone(dir), fd),
            place: folder.place.clone(),
            dir: OnceLock::new(),
            renamed: None,
        });
        // What waits holds descriptors: with few of them nothing waits.
        while names.len() > GROUP + FEW && !self.shared.is_tight {
            let group = names.split_off(names.len() - GROUP);
            let spot = Arc::clone(&spot);
            cx.spawn(move |worker, cx| worker.group(cx, &spot, &group));
        }
        self.group(cx, &spot, &names);
    }

    fn filled(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Folder>>) {
        let Some(Folder { place: Some(place), .. }) = dir.state() else { return };
        // Files were left out if the run is being stopped: the next one goes on in it.
        if self.shared.options.dry_run || cx.is_stopping() {
            return;
        }
        let places = &self.shared.places;
        if let Err(why) = places.clear(place).and_then(|()| places.name(place)) {
            self.fail_dir(cx, dir, why);
        }
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        if let Err(why) = self.given(cx, operand) {
            self.fail(cx, operand.path, why);
        }
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Folder>>, _: &Totals) {
        if cx.is_stopping() || self.shared.options.dry_run {
            return;
        }
        match dir.state() {
            Some(_) if dir.depth() == 0 && !self.shared.keeps_roots.load(Relaxed) => {}
            Some(Folder { place: Some(place), attributes }) => self.conclude(cx, dir, place, attributes),
            Some(_) => {}
            // Where the walk stays on one file system, another's mount point is an empty directory.
            None if self.is_mount_point(dir) => {
                let parent = dir.parent().and_then(|parent| parent.state());
                match self.make(cx, dir, parent) {
                    Ok(Some(place)) => {
                        self.conclude(cx, dir, &place, &Attributes::new());
                        if let Err(why) = self.shared.places.name(&place) {
                            self.fail_dir(cx, dir, why);
                        }
                    }
                    Ok(None) => {}
                    Err(why) => self.fail_dir(cx, dir, why),
                }
            }
            None => {}
        }
    }

    fn error(&mut self, cx: &mut Context<'_, Self>, error: &WalkError) {
        // The copy itself, listed in the source under the name that it had while it was filled.
        if let Some(path) = named(&error.path)
            && self.shared.is_destination(stat_path(&path, Links::NoFollow).ok().map(|meta| meta.id()))
        {
            return self.fail(cx, path.to_bytes(), Failure::InItself);
        }
        self.shared.counts.unread.fetch_add(1, Relaxed);
        self.shared.listener.hear(&Event::Unread(error));
    }
}

/// Waits as long as the user's limits say, and counts the system calls that an entry takes.
pub(crate) fn count(cx: &Context<'_, Worker>) {
    cx.permits().wait(CALLS);
    cx.count_calls(CALLS as u64);
}

impl Worker {
    fn is_mount_point(&self, dir: &Dir<Folder>) -> bool {
        let dev = |dir: &Dir<Folder>| dir.meta().map(|meta| meta.dev);
        self.shared.options.walk.mounts == Mounts::Stay && dir.parent().is_some_and(|parent| dev(parent) != dev(dir))
    }
}
