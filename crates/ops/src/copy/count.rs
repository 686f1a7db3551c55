//! How much there is to copy: for what must be known before, the room that is needed and what is the largest.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Frontier, Needs, Operand, Options, Outcome, Silent, Sink, Totals, Visitor, fold, join,
};
use pwalk_fs::{Kind, space};

use super::error::CopyError;
use super::place::Places;
use super::target::Part;
use super::{CopyOptions, Sparse};

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// Bytes of all files, each once, however many names it has.
    pub(crate) bytes: u64,
    /// Bytes that they take.
    pub(crate) allocated: u64,
    /// Names that are no directories.
    pub(crate) files: u64,
    pub(crate) dirs: u64,
    /// Directories in the first root: name, bytes, files.
    pub(crate) components: Vec<(Vec<u8>, u64, u64)>,
}

impl Sizes {
    pub(crate) fn without_components(&self) -> Self {
        Self { components: Vec::new(), ..self.clone() }
    }
}

/// Counts what there is; or of that only what is in some sub-directories.
pub(crate) fn count(parts: &[&Part], components: Option<&[Vec<u8>]>, walk: &Options) -> Result<Sizes, CopyError> {
    let below = |part: &&Part, name: &Vec<u8>| {
        let mut path = part.source.clone();
        join(&mut path, name);
        path
    };
    let roots: Vec<_> = match components {
        Some(names) => parts.iter().flat_map(|part| names.iter().map(move |name| below(part, name))).collect(),
        None => parts.iter().map(|part| part.source.clone()).collect(),
    };
    let frontier =
        Frontier { unread_roots: (0..roots.len()).collect(), roots, with_slashes: true, ..Frontier::default() };
    let Ok(sizes) = fold(Counting(Arc::default()), frontier, walk, &Silent);
    Ok(sizes)
}

/// Whether there is room for all of it. What is counted is handed back, if it had to be.
///
/// Nothing in a tree takes more than what is in use on its file system; so where more than that is free nothing need be counted.
/// Where files are there already, only copying tells.
pub(crate) fn check_room(
    parts: &[Part],
    options: &CopyOptions,
    places: &Places,
    walk: &Options,
) -> Result<Option<Sizes>, CopyError> {
    let mut groups: Vec<(u64, Vec<&Part>)> = Vec::new();
    for part in parts {
        let Some(place) = part.place() else { continue };
        match groups.iter_mut().find(|(dev, _)| *dev == place.id.0) {
            Some((_, group)) => group.push(part),
            None => groups.push((place.id.0, vec![part])),
        }
    }
    let mut known = None;
    for (_, group) in groups {
        let Some(place) = group.first().and_then(|part| part.place()) else { continue };
        let Some(free) = places.fd(place).ok().and_then(|fd| space(&*fd).ok()) else { continue };
        let used = |part: &&Part| {
            let source = super::target::split(&part.source).ok()?;
            // That of the tree itself, which may be mounted where it is.
            let fd = pwalk_fs::open_child(std::os::fd::AsFd::as_fd(&source.0), &source.1, pwalk_fs::Links::Follow);
            space(fd.unwrap_or(source.0)).ok().map(|space| space.used)
        };
        let most: Option<u64> = group.iter().map(used).sum();
        let may_lack_inodes = free.free_inodes.is_some_and(|inodes| inodes < 1 << 20);
        let is_enough = most.is_some_and(|most| most < free.free) && !may_lack_inodes;
        if is_enough && !options.count_first {
            continue;
        }
        let sizes = count(&group, options.components.as_deref(), walk)?;
        let shares = options.reflink != super::Reflink::Never && group.iter().all(|part| part.meta.dev == place.id.0);
        let needed = if options.sparse == Sparse::Never { sizes.bytes } else { sizes.allocated };
        let is_new = !options.resume && group.iter().all(|part| part.is_absent(places));
        if is_new && !shares {
            let no_room =
                |needed, free, what| Err(CopyError::NoRoom { path: options.destination.clone(), needed, free, what });
            if needed > free.free {
                return no_room(needed, free.free, "bytes");
            }
            match free.free_inodes {
                Some(inodes) if sizes.files + sizes.dirs > inodes => {
                    return no_room(sizes.files + sizes.dirs, inodes, "files");
                }
                _ => {}
            }
        }
        let sum = known.get_or_insert_with(Sizes::default);
        sum.bytes += sizes.bytes;
        sum.files += sizes.files;
    }
    Ok(known.filter(|_| options.count_first))
}

#[derive(Default)]
struct Sums {
    bytes: AtomicU64,
    blocks: AtomicU64,
    names: AtomicU64,
    dirs: AtomicU64,
    components: Mutex<Vec<(Vec<u8>, u64, u64)>>,
}

struct Counting(Arc<Sums>);

struct Counter(Arc<Sums>);

/// Of a directory: how many there are below it, itself among them. Beside it in the state: the sizes of what has no content.
type Below = Arc<AtomicU64>;

impl Visitor for Counter {
    type State = (Below, AtomicU64);

    fn enter(
        &mut self,
        _: &mut Context<'_, Self>,
        dir: &Dir<Self::State>,
        parent: Option<&Self::State>,
    ) -> (Self::State, Descend) {
        self.0.dirs.fetch_add(1, Relaxed);
        let below = match parent {
            Some((below, _)) if dir.depth() > 1 => Arc::clone(below),
            _ => Below::default(),
        };
        below.fetch_add(1, Relaxed);
        ((below, AtomicU64::new(0)), Descend::Into)
    }

    fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, Self::State>) {
        // Links have sizes, too, but no content that is copied.
        let others = batch.iter().filter(|entry| !matches!(entry.kind, Kind::File | Kind::Dir));
        let size: u64 = others.filter_map(|entry| entry.meta).map(|meta| meta.size).sum();
        if let Some((_, beside)) = batch.dir().state().filter(|_| size > 0) {
            beside.fetch_add(size, Relaxed);
        }
    }

    fn operand(&mut self, _: &mut Context<'_, Self>, operand: &Operand<'_>) {
        if operand.meta.kind() == Kind::File {
            self.0.bytes.fetch_add(operand.meta.size, Relaxed);
        }
        self.0.blocks.fetch_add(operand.meta.blocks, Relaxed);
        self.0.names.fetch_add(1, Relaxed);
    }

    fn leave(&mut self, _: &mut Context<'_, Self>, dir: &Arc<Dir<Self::State>>, totals: &Totals) {
        // A directory's own size is the file system's business.
        let own = dir.meta().map_or(0, |meta| meta.size);
        let Some((below, beside)) = dir.state() else { return };
        let beside_size = beside.load(Relaxed) + own;
        if let Some((_, above)) = dir.parent().and_then(|parent| parent.state()) {
            above.fetch_add(beside_size, Relaxed);
        }
        let bytes = totals.tree_size.saturating_sub(beside_size);
        match dir.depth() {
            0 => {
                self.0.bytes.fetch_add(bytes, Relaxed);
                self.0.blocks.fetch_add(totals.tree_blocks, Relaxed);
                self.0.names.fetch_add(totals.tree_count, Relaxed);
            }
            1 if dir.root() == 0 => {
                let files = totals.tree_count.saturating_sub(below.load(Relaxed));
                let mut components = self.0.components.lock().unwrap_or_else(PoisonError::into_inner);
                components.push((dir.name().to_vec(), bytes, files));
            }
            _ => {}
        }
    }
}

impl Sink for Counting {
    type Worker = Counter;
    type Summary = Sizes;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Meta
    }

    fn worker(&self) -> Counter {
        Counter(Arc::clone(&self.0))
    }

    fn finish(self, workers: Vec<Counter>, _: &Outcome) -> Result<Sizes, Infallible> {
        drop(workers);
        let sums = &self.0;
        let dirs = sums.dirs.load(Relaxed);
        Ok(Sizes {
            bytes: sums.bytes.load(Relaxed),
            allocated: sums.blocks.load(Relaxed).saturating_mul(512),
            files: sums.names.load(Relaxed).saturating_sub(dirs),
            dirs,
            components: std::mem::take(&mut *sums.components.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    }
}
