//! A visitor that writes down everything it is told, and the questions the tests ask of it.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub, reason = "shared by several test binaries")]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Frontier, Listing, Needs, Operand, Options, Outcome, Progress, Silent, Sink, Totals,
    Visitor, WalkError, fold, join,
};
use pwalk_fs::Kind;

/// What a fold told.
#[derive(Debug, Default)]
pub struct Notes {
    /// How often each path was an entry (or a root), with its type.
    pub entries: BTreeMap<Vec<u8>, (u32, Kind)>,
    /// Directories entered, in order.
    pub entered: Vec<Vec<u8>>,
    /// Directories left, in order, with totals and how far they were read.
    pub left: Vec<(Vec<u8>, Totals, Listing)>,
    /// Errors.
    pub errors: Vec<WalkError>,
}

impl Notes {
    pub fn paths(&self) -> Vec<Vec<u8>> {
        self.entries.keys().cloned().collect()
    }

    pub fn totals(&self, path: &Path) -> Totals {
        let bytes = path.as_os_str().as_bytes();
        self.left.iter().find(|(p, ..)| p == bytes).unwrap_or_else(|| panic!("{path:?} was not left")).1
    }

    /// Nothing twice, children left before parents, all that was entered left once.
    pub fn check_order(&self) {
        for (path, (count, _)) in &self.entries {
            assert_eq!(*count, 1, "{:?} is an entry {count} times", path.escape_ascii().to_string());
        }
        let mut place = BTreeMap::new();
        for (i, (path, ..)) in self.left.iter().enumerate() {
            assert!(place.insert(path.clone(), i).is_none(), "left twice: {:?}", path.escape_ascii().to_string());
        }
        for path in &self.entered {
            assert!(place.contains_key(path), "entered, not left: {:?}", path.escape_ascii().to_string());
        }
        for (path, &i) in &place {
            let above = path.iter().rposition(|&b| b == b'/').map(|slash| &path[..slash]);
            if let Some(&parent) = above.and_then(|p| place.get(p)) {
                assert!(i < parent, "left after its parent: {:?}", path.escape_ascii().to_string());
            }
        }
    }
}

pub struct Recorder {
    pub needs: Needs,
    pub notes: Arc<Mutex<Notes>>,
}

pub struct Scribe(Arc<Mutex<Notes>>);

impl Visitor for Scribe {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        let mut notes = self.0.lock().unwrap();
        let path = path_of(dir);
        if dir.parent().is_none() && !dir.is_resumed() {
            notes.entries.entry(path.clone()).or_insert((0, Kind::Dir)).0 += 1;
        }
        notes.entered.push(path);
        ((), Descend::Into)
    }

    fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        assert!(!batch.is_empty());
        let mut notes = self.0.lock().unwrap();
        let mut path = Vec::new();
        for entry in batch.iter() {
            batch.dir().path_into(&mut path);
            join(&mut path, entry.name);
            notes.entries.entry(path.clone()).or_insert((0, entry.kind)).0 += 1;
            assert_eq!(entry.c_name().to_bytes(), entry.name);
        }
    }

    fn operand(&mut self, _: &mut Context<'_, Self>, operand: &Operand<'_>) {
        let kind = operand.meta.kind();
        self.0.lock().unwrap().entries.entry(operand.path.to_vec()).or_insert((0, kind)).0 += 1;
    }

    fn leave(&mut self, _: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, totals: &Totals) {
        self.0.lock().unwrap().left.push((path_of(dir), *totals, dir.listing()));
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        self.0.lock().unwrap().errors.push(error.clone());
    }
}

impl Sink for Recorder {
    type Worker = Scribe;
    type Summary = (Outcome, Notes);
    type Error = std::convert::Infallible;

    fn needs(&self) -> Needs {
        self.needs
    }
    fn worker(&self) -> Scribe {
        Scribe(Arc::clone(&self.notes))
    }
    fn finish(self, workers: Vec<Scribe>, outcome: &Outcome) -> Result<(Outcome, Notes), Self::Error> {
        assert!(!workers.is_empty());
        let notes = std::mem::take(&mut *self.notes.lock().unwrap());
        Ok((outcome.clone(), notes))
    }
}

pub fn path_of<S>(dir: &Dir<S>) -> Vec<u8> {
    let mut path = Vec::new();
    dir.path_into(&mut path);
    path
}

pub fn record_from(start: Frontier, needs: Needs, options: &Options, progress: &dyn Progress) -> (Outcome, Notes) {
    let sink = Recorder { needs, notes: Arc::default() };
    let Ok(result) = fold(sink, start, options, progress);
    result
}

pub fn record(root: &Path, needs: Needs, options: &Options) -> (Outcome, Notes) {
    let start = Frontier::start([root.as_os_str().as_bytes()]);
    record_from(start, needs, options, &Silent)
}

/// Compares lists of paths, and shows where they differ instead of all of them.
#[track_caller]
pub fn assert_same(ours: &[Vec<u8>], theirs: &[Vec<u8>], what: &str) {
    let show = |a: &[Vec<u8>], b: &[Vec<u8>]| -> Vec<String> {
        let b: std::collections::BTreeSet<_> = b.iter().collect();
        a.iter().filter(|p| !b.contains(p)).take(5).map(|p| p.escape_ascii().to_string()).collect()
    };
    let (more, fewer) = (show(ours, theirs), show(theirs, ours));
    assert!(
        ours == theirs,
        "{what}: {} against {}; only ours {more:?}, only theirs {fewer:?}",
        ours.len(),
        theirs.len()
    );
}

/// What GNU find prints, sorted.
pub fn find(root: &Path, arguments: &[&str]) -> Vec<Vec<u8>> {
    let out = Command::new("find").arg(root).args(arguments).arg("-print0").output().unwrap();
    assert!(out.status.success(), "find: {}", String::from_utf8(out.stderr).unwrap());
    let mut paths: Vec<Vec<u8>> = out.stdout.split(|&b| b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
    paths.sort();
    paths
}

/// What `du` says of a tree: blocks of 512 bytes.
pub fn du_blocks(root: &Path) -> u64 {
    let out = Command::new("du").args(["-s", "--block-size=512"]).arg(root).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
