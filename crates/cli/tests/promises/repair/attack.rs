//! Promise: nothing that happens in the tree makes a repair touch anything outside it.
//!
//! While root repairs, somebody swaps directories and files for links, hard links and mounts that lead to a canary outside, as fast as
//! the system lets him. A thousand times over, not a bit of the canary may change.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use pwalk_testkit::is_root;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, Uid, chownat, fstat, openat, renameat_with};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};

use super::{ALICE, Folder, own};
use crate::common::{PWALK, oracle};

/// How often the folder is repaired, under attack all the time.
const REPAIRS: usize = 1000;

#[test]
fn nothing_outside_is_touched_whatever_is_swapped_in() {
    if !is_root() {
        return;
    }
    // A thread of its own, because the mounts are only for it and for what it starts.
    std::thread::spawn(|| {
        own_mounts();
        attack();
    })
    .join()
    .unwrap();
}

/// Gives this thread, and what it starts, mounts of its own.
fn own_mounts() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

/// All that a repair could change or disturb, but for what the attacker does to it himself: links to a file change its `ctime`.
fn untouched(canary: &Path) -> Vec<u8> {
    let format = "%p %y %i %U:%G %m %s %T@\\n";
    let mut state = oracle("find", [canary.as_os_str(), "-printf".as_ref(), format.as_ref()]);
    state.extend(oracle(
        "find",
        [canary.as_os_str(), "-type".as_ref(), "d".as_ref(), "-printf".as_ref(), "%p %C@\\n".as_ref()],
    ));
    state.extend(oracle(
        "getfacl",
        ["-R", "-n", "-p", "-P", "--"].map(Into::into).into_iter().chain([canary.as_os_str().to_owned()]),
    ));
    state
}

fn attack() {
    let folder = Folder::new();
    let canary = folder.beside("canary");
    std::fs::create_dir_all(canary.join("deep/er")).unwrap();
    for name in ["file", "deep/file", "deep/er/file", "deep/er/x"] {
        std::fs::write(canary.join(name), "").unwrap();
        own(&canary.join(name), ALICE, ALICE, 0o4700);
    }
    for name in ["", "deep", "deep/er"] {
        own(&canary.join(name), ALICE, ALICE, 0o700);
    }
    for i in 0..20 {
        // As in the canary, so that what is swapped in fits.
        folder.dir(&format!("d{i}"), ALICE, ALICE, 0o700);
        for name in ["deep", "deep/er"] {
            folder.dir(&format!("d{i}/{name}"), ALICE, ALICE, 0o700);
        }
        for name in ["file", "deep/file", "deep/er/file", "deep/er/x"] {
            folder.file(&format!("d{i}/{name}"), ALICE, ALICE, 0o4700);
        }
    }
    let names = (0..20).flat_map(|i| NAMES.map(|name| folder.top.join(format!("d{i}")).join(name)));
    let inodes: HashSet<_> = names.map(|path| pinned(&path).unwrap().1).collect();
    let before = untouched(&canary);
    let (done, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let attackers: [fn(&Folder, &Path); 5] = [swap_links, swap_files, link_hard, link_briefly, mount_over];
        for attacker in attackers {
            let (folder, canary, done, swaps) = (&folder, &canary, &done, &swaps);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    attacker(folder, canary);
                    swaps.fetch_add(1, Relaxed);
                }
            });
        }
        scope.spawn(|| {
            // Set even when a repair fails, or the others would never end.
            let _ended = Ended(&done);
            for round in 0..REPAIRS {
                // Put out of order again, so that each run has much to change.
                let journal = folder.beside("journal");
                let mut command = Command::new(PWALK);
                command.args(["repair", "--quiet", "--apply", "--force-group-writable", "--journal"]).arg(&journal);
                let ran = command.arg(&folder.top).output().unwrap();
                let said = String::from_utf8(ran.stderr).unwrap();
                assert!(matches!(ran.status.code(), Some(0 | 1)), "round {round}: {} {said}", ran.status);
                assert!(!said.contains("panicked"), "{said}");
                std::fs::remove_file(&journal).ok();
                disorder(&folder.top, &inodes);
                if round % 50 == 0 {
                    assert_same(&untouched(&canary), &before, round);
                }
            }
        });
    });
    assert!(swaps.load(Relaxed) > 1000, "{swaps:?}");
    while unmount(folder.top.join("d2"), UnmountFlags::DETACH).is_ok() {}
    while unmount(folder.top.join("d3/file"), UnmountFlags::DETACH).is_ok() {}
    assert_same(&untouched(&canary), &before, REPAIRS);
}

fn assert_same(now: &[u8], before: &[u8], round: usize) {
    assert!(
        now == before,
        "round {round}: the canary was touched\n{}\nbefore:\n{}",
        now.escape_ascii(),
        before.escape_ascii()
    );
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The names in each of the folder's directories, as in the canary.
const NAMES: [&str; 7] = ["", "file", "deep", "deep/file", "deep/er", "deep/er/file", "deep/er/x"];

/// Pins what has a name now.
fn pinned(path: &Path) -> Option<(OwnedFd, (u64, u64))> {
    let fd = openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let meta = fstat(&fd).ok()?;
    Some((fd, (meta.st_dev, meta.st_ino)))
}

/// Makes wrong again what is the folder's own, wherever the attackers have put it, and never anything of the canary.
fn disorder(top: &Path, inodes: &HashSet<(u64, u64)>) {
    for path in (0..20).flat_map(|i| NAMES.map(|name| top.join(format!("d{i}")).join(name))) {
        if let Some((fd, id)) = pinned(&path)
            && inodes.contains(&id)
        {
            chownat(&fd, c"", Some(Uid::from_raw(ALICE)), Some(Gid::from_raw(ALICE)), AtFlags::EMPTY_PATH).unwrap();
            let mode = if fstat(&fd).unwrap().st_mode & 0o170_000 == 0o040_000 { 0o700 } else { 0o4700 };
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// Exchanges two names in one step.
fn exchange(a: &Path, b: &Path) {
    // It may fail when another attacker is in the way; he tries again.
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).ok();
}

fn make_link(to: &Path, at: PathBuf) -> PathBuf {
    std::fs::remove_file(&at).ok();
    std::os::unix::fs::symlink(to, &at).ok();
    at
}

/// A directory becomes a link to the canary, and a directory again.
fn swap_links(folder: &Folder, canary: &Path) {
    let link = make_link(canary, folder.top.join("link"));
    exchange(&link, &folder.top.join("d0"));
    exchange(&link, &folder.top.join("d0"));
    let below = make_link(&canary.join("deep"), folder.top.join("link2"));
    exchange(&below, &folder.top.join("d1/deep"));
    exchange(&below, &folder.top.join("d1/deep"));
}

/// A file becomes a link to the canary's.
fn swap_files(folder: &Folder, canary: &Path) {
    let link = make_link(&canary.join("deep/file"), folder.top.join("link3"));
    for name in ["d1/file", "d3/deep/file", "d3/deep/er/x"] {
        exchange(&link, &folder.top.join(name));
        exchange(&link, &folder.top.join(name));
    }
}

/// A file becomes another name of the canary's.
fn link_hard(folder: &Folder, canary: &Path) {
    let hard = folder.top.join("hard");
    std::fs::remove_file(&hard).ok();
    if std::fs::hard_link(canary.join("deep/er/file"), &hard).is_ok() {
        let own = folder.top.join("d3/deep/er/file");
        exchange(&hard, &own);
        exchange(&hard, &own);
        std::fs::remove_file(&hard).ok();
    }
}

/// A file of the canary's has another name for as short as can be: who looks at it, or pins it, finds a file with one name.
fn link_briefly(folder: &Folder, canary: &Path) {
    let brief = folder.top.join("brief");
    for _ in 0..10 {
        std::fs::hard_link(canary.join("deep/er/x"), &brief).ok();
        std::fs::remove_file(&brief).ok();
    }
}

/// The canary is mounted over a directory, and a file of it over a file.
fn mount_over(folder: &Folder, canary: &Path) {
    let (dir, file) = (folder.top.join("d2"), folder.top.join("d3/file"));
    mount_bind(canary, &dir).ok();
    mount_bind(canary.join("deep/er/x"), &file).ok();
    unmount(&dir, UnmountFlags::DETACH).ok();
    unmount(&file, UnmountFlags::DETACH).ok();
}
