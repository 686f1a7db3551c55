//! A tree as the kernel has it, and how two of them differ.
//!
//! Every attribute is text under a name, so that a difference names itself and nothing is forgotten in a comparison by hand. Content is a digest
//! of the blocks that are not zeros with their offsets: the same for a hole and for zeros, and quick for a hole of terabytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, SeekFrom, Stat, major, makedev, minor};
use rustix::io::Errno;

use crate::common::oracle;

/// What is known of one entry.
#[derive(Debug, Default)]
pub(super) struct Entry {
    fields: BTreeMap<String, String>,
    /// Allocated bytes, if it is a file that has holes.
    sparse: Option<u64>,
    /// Bytes of a file.
    size: u64,
}

impl Entry {
    pub(super) fn is_dir(&self) -> bool {
        self.fields["kind"] == "Directory"
    }
}

/// By path below the root, which is the empty one.
pub(super) type Tree = BTreeMap<Vec<u8>, Entry>;

/// Makes looking at a tree and copying it change nothing: the times of access of directories and links are put ahead of all others, so
/// that the kernel (`relatime`) leaves them alone.
pub(super) fn settle(root: &Path) {
    let touch = "( -type d -o -type l ) -exec touch -h -a -d +1hour -- {} +";
    oracle("find", [root.as_os_str()].into_iter().chain(touch.split(' ').map(OsStr::new)));
}

/// Looks at everything.
pub(super) fn look(root: &Path) -> Tree {
    let (mut tree, mut links) = (Tree::new(), HashMap::new());
    let mut waiting = vec![Vec::new()];
    while let Some(below) = waiting.pop() {
        let path = root.join(OsStr::from_bytes(&below));
        let path = if below.is_empty() { root.to_owned() } else { path };
        let stat = fs::statat(fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        if is(&stat, FileType::Directory) {
            for name in names(&path) {
                waiting.push(if below.is_empty() { name } else { [&below, b"/".as_slice(), &name].concat() });
            }
        } else if stat.st_nlink > 1 {
            links.entry((stat.st_dev, stat.st_ino)).or_insert_with(Vec::new).push(below.clone());
        }
        tree.insert(below, entry(&path, &stat));
    }
    // A file is known by the first of its names.
    for mut names in links.into_values() {
        names.sort();
        let first = names[0].escape_ascii().to_string();
        for name in names {
            tree.get_mut(&name).unwrap().fields.insert("same file as".to_owned(), first.clone());
        }
    }
    tree
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

fn names(path: &Path) -> Vec<Vec<u8>> {
    let fd = open(path, OFlags::DIRECTORY);
    let entries = fs::Dir::read_from(&fd).unwrap();
    let names = entries.map(|e| e.unwrap_or_else(|e| panic!("list {path:?}: {e}")).file_name().to_bytes().to_vec());
    names.filter(|name| !matches!(name.as_slice(), b"." | b"..")).collect()
}

/// Opens without leaving a trace, where that is allowed.
fn open(path: &Path, flags: OFlags) -> OwnedFd {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::open(path, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| fs::open(path, flags, Mode::empty()))
        .unwrap_or_else(|e| panic!("open {path:?}: {e}"))
}

fn entry(path: &Path, stat: &Stat) -> Entry {
    let mut entry = Entry::default();
    let mut field = |name: &str, value: String| entry.fields.insert(name.to_owned(), value);
    field("kind", format!("{:?}", FileType::from_raw_mode(stat.st_mode)));
    // Linux knows no modes of links, though some servers show some.
    if !is(stat, FileType::Symlink) {
        field("mode", format!("{:o}", stat.st_mode));
    }
    field("owner", format!("{}:{}", stat.st_uid, stat.st_gid));
    field("changed", format!("{}.{:09}", stat.st_mtime, stat.st_mtime_nsec));
    field("accessed", format!("{}.{:09}", stat.st_atime, stat.st_atime_nsec));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = std::fs::read_link(path).unwrap();
            field("target", target.as_os_str().as_bytes().escape_ascii().to_string());
        }
        FileType::BlockDevice | FileType::CharacterDevice => {
            let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
            assert_eq!(makedev(major, minor), stat.st_rdev);
            field("device", format!("{major}:{minor}"));
        }
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap();
            field("size", size.to_string());
            field("content", format!("{:016x}", digest(&open(path, OFlags::empty()), size)));
            let allocated = u64::try_from(stat.st_blocks).unwrap() * 512;
            entry.sparse = (allocated < size).then_some(allocated);
            entry.size = size;
        }
        _ => {}
    }
    for (name, value) in attributes(path) {
        entry.fields.insert(format!("attribute {name}"), value);
    }
    entry
}

/// Of all data blocks that are not zeros.
fn digest(fd: &OwnedFd, size: u64) -> u64 {
    const BLOCK: u64 = 4096;
    let (mut hasher, mut block) = (DefaultHasher::new(), [0; 4096]);
    let mut at = 0;
    while at < size {
        at = match fs::seek(fd, SeekFrom::Data(at)) {
            Ok(data) => data / BLOCK * BLOCK,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(e) => panic!("seek: {e}"),
        };
        let end = fs::seek(fd, SeekFrom::Hole(at)).unwrap_or(size);
        while at < end {
            let mut filled = 0;
            while filled < block.len() {
                let offset = at + u64::try_from(filled).unwrap();
                match rustix::io::pread(fd, &mut block[filled..], offset).unwrap() {
                    0 => break,
                    read => filled += read,
                }
            }
            if filled == 0 {
                break;
            }
            if block[..filled].iter().any(|byte| *byte != 0) {
                (at, &block[..filled]).hash(&mut hasher);
            }
            at += BLOCK;
        }
        if end >= size {
            break;
        }
    }
    hasher.finish()
}

/// Extended attributes, of links themselves.
fn attributes(path: &Path) -> Vec<(String, String)> {
    let mut names = vec![0; 65_536];
    let length = match fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Vec::new(),
        Err(e) => panic!("attributes of {path:?}: {e}"),
    };
    // XFS shows each access control list a second time, as it stores it.
    let is_xfs = fs::statfs(path.parent().unwrap()).unwrap().f_type == 0x5846_5342;
    let is_shown = |name: &&[u8]| !name.is_empty() && (!is_xfs || !name.starts_with(b"trusted.SGI_ACL_"));
    let names = names[..length].split(|byte| *byte == 0).filter(is_shown);
    let with_value = names.map(|name| {
        let mut value = vec![0; 65_536];
        let length = fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        (name.escape_ascii().to_string(), value[..length].escape_ascii().to_string())
    });
    with_value.collect()
}

/// What the copy lacks, has too much, or has otherwise: path, what, and how it is and should be.
pub(super) type Losses = BTreeSet<(String, String, String)>;

/// Compares.
pub(super) fn losses(source: &Tree, copy: &Tree) -> Losses {
    let mut losses = Losses::new();
    let paths: BTreeSet<_> = source.keys().chain(copy.keys()).collect();
    for path in paths {
        let shown = path.escape_ascii().to_string();
        let (source, copy) = match (source.get(path), copy.get(path)) {
            (Some(source), Some(copy)) => (source, copy),
            (Some(_), None) => {
                losses.insert((shown, "missing".to_owned(), String::new()));
                continue;
            }
            _ => {
                losses.insert((shown, "too much".to_owned(), String::new()));
                continue;
            }
        };
        let fields: BTreeSet<_> = source.fields.keys().chain(copy.fields.keys()).collect();
        for field in fields {
            let (should, is) = (source.fields.get(field), copy.fields.get(field));
            if should != is {
                losses.insert((shown.clone(), field.clone(), format!("{should:?} became {is:?}")));
            }
        }
        // A file system has blocks of its own size, and blocks of its own for what is where.
        if let Some(allocated) = source.sparse {
            let most = allocated + 64 * 1024 + (source.size - allocated) / 64;
            let is = copy.sparse.unwrap_or(copy.size);
            if is > most && copy.size > most {
                losses.insert((shown, "holes".to_owned(), format!("{allocated} allocated became {is}")));
            }
        }
    }
    losses
}
