//! A tree with everything in it that `cp -a` and `rsync -aHAXS` keep: what a copier forgets is in it. XFS can hold all of it: links of up to
//! 1,024 bytes, device numbers of up to 18 bits.

use std::fs::{File, create_dir, create_dir_all, hard_link, write};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use pwalk_testkit::{Random, is_root};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::common::oracle;

/// Makes it. Without root there are no owners, devices, trusted attributes and capabilities in it.
pub(super) fn kinds(root: &Path) {
    contents(&made(root, "contents"));
    names(&made(root, "names"));
    nodes(&made(root, "nodes"));
    links(&made(root, "links"));
    attributes(&made(root, "attributes"));
    lists(&made(root, "lists"));
    modes(&made(root, "modes"));
    times(&made(root, "times"));
}

fn made(root: &Path, name: &str) -> std::path::PathBuf {
    let path = root.join(name);
    create_dir(&path).unwrap();
    path
}

/// Bytes that no copy gets right by chance.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.bits().to_ne_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Files of all sizes around those at which something changes, and of holes.
fn contents(root: &Path) {
    for size in [0, 1, 4095, 4096, 4097, 65_536, 262_143, 262_144, 262_145, 1_000_000, 5_000_001] {
        write(root.join(format!("size-{size}")), noise(size as u64, size)).unwrap();
    }
    // Groups of files, and more in a directory than one group.
    let many = made(root, "many");
    (0..50).for_each(|i| write(many.join(format!("{i}")), noise(i, 1_000)).unwrap());
    const MIB: u64 = 1 << 20;
    let sparse = |name: &str, size: u64, data: &[u64]| {
        let mut file = File::create(root.join(name)).unwrap();
        for at in data {
            file.seek(SeekFrom::Start(*at)).unwrap();
            file.write_all(&noise(*at, 10_000)).unwrap();
        }
        file.set_len(size).unwrap();
    };
    sparse("hole-first", 8 * MIB + 10_000, &[8 * MIB]);
    sparse("hole-last", 8 * MIB + 5, &[0]);
    sparse("hole-between", 24 * MIB, &[MIB, 9 * MIB, 17 * MIB]);
    sparse("hole-all", 16 * MIB + 1, &[]);
    sparse("hole-large", 300 * MIB, &[100 * MIB]);
    write(root.join("zeros"), vec![0; 1 << 20]).unwrap();
}

fn names(root: &Path) {
    for name in
        [&b"\xff\xfe"[..], b"two\nlines", b"-rf", b" ", b"*", b".pwalk-copy.tmp", b"...", &[b'n'; 255], &[0xf0; 255]]
    {
        write(root.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    create_dir_all(root.join("empty/one/in/another")).unwrap();
}

fn nodes(root: &Path) {
    let node = |name: &str, kind, mode, device| {
        fs::mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(mode), device).unwrap();
        std::fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    node("fifo", FileType::Fifo, 0o622, 0);
    node("socket", FileType::Socket, 0o711, 0);
    symlink("nowhere/to be\n\u{e9}", root.join("dangling")).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"\xff\x01"), root.join("bytes")).unwrap();
    symlink("x/".repeat(500), root.join("long")).unwrap();
    symlink("../contents", root.join("directory")).unwrap();
    if is_root() {
        node("character", FileType::CharacterDevice, 0o640, fs::makedev(1, 3));
        node("block", FileType::BlockDevice, 0o660, fs::makedev(7, 200_000));
        for (name, uid, gid) in [("fifo", 7, 8), ("dangling", 9, 10), ("block", 11, 12), ("socket", 0, 13)] {
            lchown(root.join(name), Some(uid), Some(gid)).unwrap();
        }
    }
}

/// Hard links of everything that can have several names, within and across directories.
fn links(root: &Path) {
    for dir in ["a", "b", "c/d/e", "z"] {
        create_dir_all(root.join(dir)).unwrap();
    }
    for i in 0..40 {
        let first = root.join("a").join(format!("{i}"));
        write(&first, noise(i, 2_000)).unwrap();
        for other in ["b/", "c/d/e/other-", "a/again-"] {
            hard_link(&first, root.join(format!("{other}{i}"))).unwrap();
        }
    }
    write(root.join("z/large"), noise(1, 5_000_000)).unwrap();
    hard_link(root.join("z/large"), root.join("a/large")).unwrap();
    fs::mknodat(CWD, root.join("a/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    symlink("target", root.join("a/link")).unwrap();
    for name in ["fifo", "link"] {
        hard_link(root.join("a").join(name), root.join("z").join(name)).unwrap();
    }
}

fn set(path: &Path, name: &str, value: &[u8]) {
    fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap_or_else(|e| panic!("{name} of {path:?}: {e}"));
}

/// Capabilities as the kernel stores them: `cap_net_bind_service,cap_net_raw=ep`.
pub(super) const CAPABILITIES: &[u8] = &[1, 0, 0, 2, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn attributes(root: &Path) {
    let dir = made(root, "dir");
    let file = root.join("file");
    write(&file, "attributes").unwrap();
    for path in [&dir, &file] {
        set(path, "user.empty", b"");
        set(path, "user.bytes \n", b"\xff\0\n\x01");
        set(path, "user.long", &noise(5, 1_500));
    }
    // It has no right to be written to by its owner.
    let closed = root.join("read-only");
    write(&closed, "closed").unwrap();
    set(&closed, "user.one", b"1");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o444)).unwrap();
    if is_root() {
        let capable = root.join("capable");
        write(&capable, "capable").unwrap();
        lchown(&capable, Some(54_321), Some(60)).unwrap();
        std::fs::set_permissions(&capable, PermissionsExt::from_mode(0o755)).unwrap();
        set(&capable, "security.capability", CAPABILITIES);
        set(&file, "trusted.one", b"1");
        set(&dir, "trusted.one", b"1");
        symlink("x", root.join("link")).unwrap();
        set(&root.join("link"), "trusted.of-a-link", b"1");
    }
}

/// Access control lists. What is made in a directory with a default one must not inherit it in the copy.
fn lists(root: &Path) {
    let inherits = made(root, "inherits");
    let (plain, listed) = (inherits.join("plain"), inherits.join("listed"));
    write(&plain, "plain").unwrap();
    write(&listed, "listed").unwrap();
    let sub = made(&inherits, "sub");
    let acl = |rule: &str, path: &Path| {
        oracle("setfacl", [rule.split(' ').map(Into::into).collect(), vec![path.as_os_str().to_owned()]].concat());
    };
    acl("-m u:54321:rwx,g:60:r-x,m::rx", &listed);
    acl("-m u:54321:---", &sub);
    acl("-d -m u:54321:rwx,g:60:rwx", &inherits);
    // Made where the default list is: it has inherited.
    write(inherits.join("heir"), "heir").unwrap();
    symlink("plain", inherits.join("link")).unwrap();
    fs::mknodat(CWD, inherits.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    oracle("setfacl", ["-b".as_ref(), plain.as_os_str()]);
}

/// All bits; special ones with owners whose setting would take them away.
fn modes(root: &Path) {
    for mode in [0o000, 0o400, 0o200, 0o644, 0o777, 0o1777, 0o2755, 0o4755, 0o6755, 0o7777, 0o2600, 0o4000] {
        let (file, dir) = (root.join(format!("file-{mode:o}")), root.join(format!("dir-{mode:o}")));
        write(&file, "mode").unwrap();
        create_dir(&dir).unwrap();
        // Somebody who is not root cannot read it.
        let mode = if is_root() { mode } else { mode | 0o500 };
        if is_root() {
            write(dir.join("in it"), "inside").unwrap();
            for path in [&file, &dir] {
                lchown(path, Some(54_321), Some(60 + mode % 3)).unwrap();
            }
        }
        for path in [file, dir] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
    }
}

/// Of access and of change, of files, directories and links. None of a directory or link is so late that reading it changes it.
fn times(root: &Path) {
    let moments: [(&str, i64, i64); 7] = [
        ("epoch", 0, 0),
        ("before", -1, 999_999_999),
        ("1901", i64::from(i32::MIN), 0),
        ("2005", 1_111_111_111, 123_456_789),
        ("odd", 1_600_000_000, 1),
        ("2038", i64::from(i32::MAX) + 1, 5),
        ("2400", 13_569_465_600, 999_999_999),
    ];
    for (name, seconds, nanoseconds) in moments {
        write(root.join(name), name).unwrap();
        let mut paths = vec![root.join(name)];
        if (0..1_700_000_000).contains(&seconds) {
            paths.push(made(root, &format!("dir-{name}")));
            symlink("x", root.join(format!("link-{name}"))).unwrap();
            paths.push(root.join(format!("link-{name}")));
        }
        for path in paths {
            let times = Timestamps {
                last_access: Timespec { tv_sec: seconds + 86_400, tv_nsec: nanoseconds / 2 },
                last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
            };
            fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
    }
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o750)).unwrap();
}
