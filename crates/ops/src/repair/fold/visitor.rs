//! The visitor: which entries are looked at, and where what is found goes.

use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use pwalk_engine::{Batch, Context, Descend, Descent, Dir, Entry, Operand, Totals, Visitor, WalkError, Want, join};
use pwalk_fs::{Errno, Freshness, Kind, Meta, pin_path, stat_fd};

use super::look::{Look, Place};
use super::{Folder, Purpose, Shared, directory_of};
use crate::repair::Event;
use crate::repair::act::Failure;
use crate::repair::change::Change;
use crate::repair::exclude::{Excluded, Left};
use crate::repair::works::{Holder, Pending};

/// One worker's half.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Changes found in one directory, to be handed on together.
    found: Vec<Pending>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), found: Vec::new() }
    }
}

impl Visitor for Worker {
    type State = Folder;

    fn enter(&mut self, cx: &mut Context<'_, Self>, dir: &Dir<Folder>, parent: Option<&Folder>) -> (Folder, Descend) {
        let shared = Arc::clone(&self.shared);
        let nothing = || (Folder { group: None, excluded: Excluded::default(), mount: 0 }, Descend::Skip);
        let excluded = match parent {
            None => shared.excluded[dir.root()].clone(),
            Some(parent) => parent.excluded.descend(dir.name()),
        };
        let Left::In(excluded) = excluded else { return nothing() };
        let (Some(meta), Some(fd)) = (dir.meta(), dir.open_fd()) else { return nothing() };
        let path = || shared.path_of(dir);
        let mount = match shared.refuse(&fd, meta, dir.root(), parent, &path) {
            Ok(mount) => mount,
            Err(why) => {
                // A path that was given and is not repaired is more than something left alone on the way.
                shared.failed.fetch_add(u64::from(parent.is_none()), Relaxed);
                shared.leave_alone(&shared.left, &path(), &why);
                return nothing();
            }
        };
        let inherited = parent.and_then(|parent| parent.group);
        let look = Look { meta, inherited, root: dir.root(), place: Place::Fd(fd.as_fd()), path: &path };
        if let Some(change) = shared.look(&look) {
            self.found.push(shared.pending(change, Holder::Walk(fd), None, mount, meta));
            self.hand_on(cx);
        }
        let new = shared.rules.owner_and_group(meta.uid, meta.gid, inherited);
        let own = new.filter(|(uid, gid)| !shared.rules.is_private(*uid, *gid)).map(|(_, gid)| gid);
        (Folder { group: own.or(inherited), excluded, mount }, Descend::Into)
    }

    fn wants(&mut self, _: &Dir<Folder>, entry: &Entry<'_>) -> Want {
        // Directories are judged by their own descriptors, when they are entered.
        if matches!(entry.kind, Kind::File | Kind::Unknown) { Want::Meta } else { Want::Names }
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Folder>) {
        let (shared, dir) = (Arc::clone(&self.shared), Arc::clone(batch.dir()));
        let Some(folder) = dir.state() else { return };
        let above = OnceCell::new();
        let mut open = None;
        for index in 0..batch.len() {
            let entry = batch.get(index);
            if !folder.excluded.is_empty() && folder.excluded.descend(entry.name) == Left::Out {
                if entry.descent == Descent::Yes {
                    batch.prune(index);
                }
                continue;
            }
            let Some(meta) = entry.meta.filter(|meta| meta.kind() == Kind::File) else { continue };
            let path = || {
                let mut path = above.get_or_init(|| shared.path_of(&dir)).clone();
                join(&mut path, entry.name);
                path
            };
            if meta.mount_root == Some(true) {
                shared.leave_alone(&shared.left, &path(), "is a file that is mounted there");
                continue;
            }
            if open.is_none() {
                match cx.fd(&dir) {
                    Ok(fd) => open = Some(fd),
                    Err(error) => {
                        // Its files of this batch are not repaired.
                        shared.failed.fetch_add(1, Relaxed);
                        shared.tell(&Event::Unread(&error));
                        break;
                    }
                }
            }
            let Some(fd) = &open else { break };
            let place = Place::Name(fd.as_fd(), entry.c_name());
            let look = Look { meta, inherited: folder.group, root: dir.root(), place, path: &path };
            if let Some(change) = shared.look(&look) {
                let holder = Holder::Walk(fd.clone());
                self.found.push(shared.pending(change, holder, Some(entry.c_name()), folder.mount, meta));
            }
        }
        self.hand_on(cx);
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        let path = CString::new(operand.path).map_err(|_| Errno::NOENT);
        match path.and_then(|path| self.shared.single(&path, operand.root)) {
            Ok(found) => self.found.extend(found),
            Err(errno) => self.shared.fail(operand.path, "look at it", errno),
        }
        self.hand_on(cx);
        self.make_rest(cx);
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Folder>>, _: &Totals) {
        if dir.parent().is_none() {
            self.make_rest(cx);
        }
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        self.shared.tell(&Event::Unread(error));
    }
}

impl Worker {
    /// Hands on what was found in one directory.
    fn hand_on(&mut self, cx: &mut Context<'_, Self>) {
        if self.found.is_empty() {
            return;
        }
        let (shared, count) = (&self.shared, self.found.len() as u64);
        let before = shared.changes.fetch_add(count, Relaxed);
        match &shared.purpose {
            Purpose::Plan(file) => {
                let changes: Vec<_> = self.found.drain(..).map(|pending| pending.change).collect();
                shared.tell(&Event::Planned(&changes));
                if let Some(file) = file {
                    file.append(&changes);
                    if file.failed() {
                        cx.stop();
                    }
                }
            }
            Purpose::Ask(asked) => {
                if before + count > asked.limit {
                    shared.too_many.store(true, Relaxed);
                    cx.stop();
                }
                for Pending { change, .. } in self.found.drain(..) {
                    let Some(why) = asked.privilege.as_ref().and_then(|own| own.lacks(&change)) else { continue };
                    asked.lacking.fetch_add(1, Relaxed);
                    asked.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((change.path, why));
                }
            }
            Purpose::Apply(works) => {
                let group = works.add(&mut self.found);
                if group.is_some_and(|group| !works.make(group, cx.permits())) {
                    cx.stop();
                }
            }
        }
    }

    /// Makes what waits: a root is done.
    fn make_rest(&mut self, cx: &mut Context<'_, Self>) {
        if let Purpose::Apply(works) = &self.shared.purpose
            && !works.make_last(cx.permits())
        {
            cx.stop();
        }
    }
}

impl Shared {
    /// The full path of a directory.
    fn path_of(&self, dir: &Dir<Folder>) -> Vec<u8> {
        let (mut path, mut below) = (self.roots[dir.root()].path.clone(), Vec::new());
        dir.path_below_root_into(&mut below);
        if !below.is_empty() {
            join(&mut path, &below);
        }
        path
    }

    fn pending(&self, change: Change, holder: Holder, name: Option<&CStr>, mount: u64, meta: &Meta) -> Pending {
        Pending { change, holder, name: name.map(CStr::to_owned), mount, seen: Some(meta.ctime), linked: self.linked }
    }

    /// A root that is a file. There is no directory above it within the root, so it inherits no group.
    fn single(&self, path: &CStr, root: usize) -> Result<Option<Pending>, Errno> {
        let fd = pin_path(path)?;
        let meta = stat_fd(&fd, Freshness::Fresh)?;
        if meta.kind() != Kind::File || self.excluded[root] == Left::Out {
            return Ok(None);
        }
        let own = &self.roots[root].path;
        if self.roots[root].id != Some(meta.id()) {
            self.failed.fetch_add(1, Relaxed);
            self.tell(&Event::Failed { path: own, why: &Failure::Replaced });
            return Ok(None);
        }
        if let Some(refusal) = self.protected.check_file(fd.as_fd(), directory_of(&fd)?.as_fd())? {
            let why = format!("{} the system directory {}", refusal.how, refusal.system);
            self.leave_alone(&self.left, own, &why);
            return Ok(None);
        }
        let path = || own.clone();
        let look = Look { meta: &meta, inherited: None, root, place: Place::Fd(fd.as_fd()), path: &path };
        let change = self.look(&look);
        Ok(change.map(|change| self.pending(change, Holder::Own(Arc::new(fd)), None, 0, &meta)))
    }
}
