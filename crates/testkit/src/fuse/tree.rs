//! A small explicit tree.

use std::collections::HashMap;

use rustix::fs::FileType;

use super::layout::{Attr, Layout, ROOT};

/// An explicit tree, built by paths below the root, which are bytes separated by `/`. Directories that a path needs are
/// made. A mistake in the building (a name twice, a link to nothing) panics with the path.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Inode `n` is at `n - 1`.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    attr: Attr,
    parent: u64,
    children: Vec<(Vec<u8>, u64)>,
    by_name: HashMap<Vec<u8>, u64>,
    target: Option<Vec<u8>>,
}

impl Node {
    fn new(attr: Attr, parent: u64) -> Self {
        Self { attr, parent, children: Vec::new(), by_name: HashMap::new(), target: None }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty root.
    pub fn new() -> Self {
        Self { nodes: vec![Node::new(Attr::synthetic(ROOT, FileType::Directory), ROOT)] }
    }

    /// A directory; one that exists is left as it is.
    #[must_use]
    pub fn dir(mut self, path: impl AsRef<[u8]>) -> Self {
        self.directory(path.as_ref());
        self
    }

    /// A regular file of `bytes` zeros.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<[u8]>, bytes: u64) -> Self {
        let ino = self.add(path.as_ref(), FileType::RegularFile);
        let attr = &mut self.node_mut(ino).attr;
        (attr.size, attr.blocks) = (bytes, bytes.div_ceil(4_096) * 8);
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(mut self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let ino = self.add(path.as_ref(), FileType::Symlink);
        let node = self.node_mut(ino);
        (node.attr.size, node.attr.blocks) = (u64::try_from(target.as_ref().len()).expect("usize fits u64"), 0);
        node.target = Some(target.as_ref().to_vec());
        self
    }

    /// An entry of any other kind: fifo, socket, device.
    #[must_use]
    pub fn node(mut self, path: impl AsRef<[u8]>, kind: FileType) -> Self {
        assert!(kind != FileType::Directory, "directories are made by Tree::dir");
        let ino = self.add(path.as_ref(), kind);
        let attr = &mut self.node_mut(ino).attr;
        (attr.size, attr.blocks) = (0, 0);
        self
    }

    /// A further name `new` for what is at `existing`, which is no directory.
    #[must_use]
    pub fn hard_link(mut self, existing: impl AsRef<[u8]>, new: impl AsRef<[u8]>) -> Self {
        let ino = self.existing(existing.as_ref());
        assert!(self.node_mut(ino).attr.kind != FileType::Directory, "a hard link to a directory");
        let (parent, name) = self.place(new.as_ref());
        self.enter(parent, name, ino);
        self.node_mut(ino).attr.nlink += 1;
        self
    }

    /// Changes the attributes of what is at `path`; inode number and kind stay.
    #[must_use]
    pub fn attributes(mut self, path: impl AsRef<[u8]>, change: impl FnOnce(&mut Attr)) -> Self {
        let ino = self.existing(path.as_ref());
        let attr = &mut self.node_mut(ino).attr;
        let kind = attr.kind;
        change(attr);
        (attr.ino, attr.kind) = (ino, kind);
        self
    }

    fn directory(&mut self, path: &[u8]) -> u64 {
        let mut here = ROOT;
        for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            here = match self.lookup(here, name) {
                Some(ino) => ino,
                None => self.make(here, name.to_vec(), FileType::Directory),
            };
            let kind = self.node_mut(here).attr.kind;
            assert!(kind == FileType::Directory, "{} is not a directory", path.escape_ascii());
        }
        here
    }

    fn existing(&self, path: &[u8]) -> u64 {
        resolve(self, path).unwrap_or_else(|| panic!("{} is not in the tree", path.escape_ascii()))
    }

    fn add(&mut self, path: &[u8], kind: FileType) -> u64 {
        let (parent, name) = self.place(path);
        self.make(parent, name, kind)
    }

    /// The directory in which `path` is to be made, and its name there.
    fn place(&mut self, path: &[u8]) -> (u64, Vec<u8>) {
        let cut = path.iter().rposition(|b| *b == b'/');
        let (directory, name) = cut.map_or((b"".as_slice(), path), |at| (&path[..at], &path[at + 1..]));
        assert!(!name.is_empty() && name.len() <= 255, "{} names nothing", path.escape_ascii());
        (self.directory(directory), name.to_vec())
    }

    fn make(&mut self, parent: u64, name: Vec<u8>, kind: FileType) -> u64 {
        let ino = u64::try_from(self.nodes.len()).expect("usize fits u64") + 1;
        self.nodes.push(Node::new(Attr::synthetic(ino, kind), parent));
        self.enter(parent, name, ino);
        if kind == FileType::Directory {
            self.node_mut(parent).attr.nlink += 1;
        }
        ino
    }

    fn enter(&mut self, directory: u64, name: Vec<u8>, ino: u64) {
        let node = self.node_mut(directory);
        let before = node.by_name.insert(name.clone(), ino);
        assert!(before.is_none(), "{} is there twice", name.escape_ascii());
        node.children.push((name, ino));
    }

    fn get(&self, ino: u64) -> Option<&Node> {
        self.nodes.get(usize::try_from(ino.checked_sub(1)?).ok()?)
    }

    fn node_mut(&mut self, ino: u64) -> &mut Node {
        let index = usize::try_from(ino - 1).expect("u64 fits usize");
        &mut self.nodes[index]
    }
}

impl Layout for Tree {
    fn attr(&self, ino: u64) -> Option<Attr> {
        self.get(ino).map(|node| node.attr)
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Option<u64> {
        self.get(directory)?.by_name.get(name).copied()
    }

    fn entry(&self, directory: u64, index: u64, name: &mut Vec<u8>) -> Option<(u64, FileType)> {
        let (bytes, ino) = self.get(directory)?.children.get(usize::try_from(index).ok()?)?;
        name.extend_from_slice(bytes);
        Some((*ino, self.get(*ino)?.attr.kind))
    }

    fn parent(&self, ino: u64) -> u64 {
        self.get(ino).map_or(ROOT, |node| node.parent)
    }

    fn target(&self, ino: u64) -> Option<&[u8]> {
        self.get(ino)?.target.as_deref()
    }

    fn entries(&self) -> Option<u64> {
        let names: usize = self.nodes.iter().map(|node| node.children.len()).sum();
        Some(u64::try_from(names).expect("usize fits u64"))
    }
}

/// The inode at a path below the root; empty components are passed over, so `""` and `"/"` are the root.
pub(super) fn resolve(layout: &(impl Layout + ?Sized), path: &[u8]) -> Option<u64> {
    let mut components = path.split(|b| *b == b'/').filter(|name| !name.is_empty());
    components.try_fold(ROOT, |directory, name| layout.lookup(directory, name))
}
