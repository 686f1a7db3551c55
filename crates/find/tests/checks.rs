//! Promise: a test is true of an entry when GNU find says so.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pwalk_find::check::{Ask, Check, Subject, Window};
use pwalk_find::expr::{Access, Expr, Test};
use pwalk_find::parse::parse;
use pwalk_fs::{Errno, Kind, Links, Meta, Time, stat_path};

/// One entry, asked through the standard library.
struct Entry(PathBuf);

impl Ask for Entry {
    fn link(&self) -> Result<Vec<u8>, Errno> {
        Ok(fs::read_link(&self.0).unwrap().into_os_string().into_vec())
    }

    fn other_kind(&self) -> Result<Kind, Errno> {
        let path = CString::new(self.0.as_os_str().as_bytes()).unwrap();
        let found = stat_path(&path, Links::Follow).or_else(|_| stat_path(&path, Links::NoFollow));
        found.map(|meta| meta.kind())
    }

    fn is_empty_dir(&self) -> Result<bool, Errno> {
        Ok(fs::read_dir(&self.0).unwrap().next().is_none())
    }

    fn may(&self, access: Access) -> bool {
        let flag = match access {
            Access::Read => "-r",
            Access::Write => "-w",
            Access::Execute => "-x",
        };
        Command::new("test").arg(flag).arg(&self.0).status().unwrap().success()
    }

    fn has_user(&self, uid: u32) -> bool {
        uid == 0
    }

    fn has_group(&self, gid: u32) -> bool {
        gid == 0
    }
    fn fs_type(&self, _: &Meta) -> Vec<u8> {
        b"ext4".to_vec()
    }
}

fn make(root: &Path) {
    for (number, size) in [0, 1, 511, 512, 513, 1023, 1024, 1025, 5000, 1 << 20, (1 << 20) + 1].into_iter().enumerate()
    {
        let file = File::create(root.join(format!("size{number}"))).unwrap();
        file.set_len(size).unwrap();
    }
    for mode in [0, 0o111, 0o400, 0o644, 0o755, 0o1777, 0o2755, 0o4711, 0o6000, 0o7777] {
        let (file, dir) = (root.join(format!("mode{mode:o}")), root.join(format!("dir{mode:o}")));
        fs::write(&file, b"").unwrap();
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join("dir755/inside"), b"").unwrap();
    let now = SystemTime::now();
    for hours in [0, 1, 23, 25, 47, 49, 71, 73, 24 * 9 + 1, 24 * 400] {
        let file = File::create(root.join(format!("age{hours}"))).unwrap();
        let then = now - Duration::from_secs(hours * 3600 + 90);
        file.set_times(FileTimes::new().set_modified(then).set_accessed(then + Duration::from_secs(1800))).unwrap();
    }
    for hours in [1, 12, 23, 25, 36, 47, 49, 100] {
        let file = File::create(root.join(format!("used{hours}"))).unwrap();
        file.set_times(FileTimes::new().set_accessed(now + Duration::from_secs(hours * 3600))).unwrap();
    }
    let future = File::create(root.join("future")).unwrap();
    future.set_times(FileTimes::new().set_modified(now + Duration::from_secs(100_000))).unwrap();
    symlink("size0", root.join("to-file")).unwrap();
    symlink("dir755", root.join("to-dir")).unwrap();
    symlink("nowhere", root.join("to-nothing")).unwrap();
    fs::hard_link(root.join("size3"), root.join("size3-again")).unwrap();
    Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
}

const TESTS: &[&str] = &[
    "-used 0",
    "-used 1",
    "-used 2",
    "-used -1",
    "-used -2",
    "-used +0",
    "-used +1",
    "-used 1.5",
    "-used -1.5",
    "-used +1.5",
    "-used +-1",
    "-true",
    "-false",
    "-name size*",
    "-iname SIZE1*",
    "-path */dir755/*",
    "-lname *i*",
    "-ilname NO*",
    "-type f",
    "-type d,l",
    "-type p",
    "-xtype f",
    "-xtype l",
    "-xtype d,p",
    "-size 0",
    "-size 1",
    "-size -1",
    "-size +1",
    "-size 1k",
    "-size -2k",
    "-size +1k",
    "-size 1M",
    "-size +0M",
    "-size 2M",
    "-size 512c",
    "-size -512c",
    "-size +256w",
    "-size 1G",
    "-empty",
    "-mtime 0",
    "-mtime 1",
    "-mtime -1",
    "-mtime +1",
    "-mtime -2",
    "-mtime +0",
    "-mtime 2",
    "-mtime +-1",
    "-mtime -0",
    "-mtime 1.5",
    "-mtime -1.5",
    "-mtime +8.9",
    "-mtime 400",
    "-mmin 2",
    "-mmin -5",
    "-mmin +60",
    "-mmin 62",
    "-mmin -1441.75",
    "-mmin +1500",
    "-atime 0",
    "-atime +1",
    "-amin -90",
    "-amin +30",
    "-ctime 0",
    "-cmin -60",
    "-cmin +60",
    "-perm 644",
    "-perm -111",
    "-perm /111",
    "-perm -u+s",
    "-perm /u+s,g+s",
    "-perm /000",
    "-perm -0",
    "-perm a+X",
    "-perm -u+rwX",
    "-perm /7000",
    "-perm 1777",
    "-perm u=rwx,go=u-w",
    "-uid 0",
    "-uid +0",
    "-gid -1",
    "-nouser",
    "-nogroup",
    "-links 1",
    "-links +1",
    "-links -2",
    "-links 2",
    "-readable",
    "-writable",
    "-executable",
    "-inum +1",
    "-inum -1",
];

fn check(test: Test, day: Time) -> Check {
    match test {
        Test::True => Check::Constant(true),
        Test::False => Check::Constant(false),
        Test::Pattern(what, pattern, ignore) => Check::pattern(what, &pattern, ignore),
        Test::Type(letters) => Check::Type(letters),
        Test::XType(letters) => Check::XType(letters),
        Test::Size(size) => Check::Size(size),
        Test::Empty => Check::Empty,
        Test::Age(stamp, span, amount) => Check::Time(stamp, Window::of_age(span, amount, day)),
        Test::Used(amount) => Check::Used(amount),
        Test::Perm(bits, mode) => Check::Perm(bits, mode),
        Test::Uid(count) => Check::Uid(count),
        Test::Gid(count) => Check::Gid(count),
        Test::NoUser => Check::NoUser,
        Test::NoGroup => Check::NoGroup,
        Test::Links(count) => Check::Links(count),
        Test::Inode(count) => Check::Inode(count),
        Test::Access(access) => Check::Access(access),
        other => panic!("{other:?}"),
    }
}

fn day() -> Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time { sec: i64::try_from(now.as_secs()).unwrap() - 86_400, nsec: now.subsec_nanos() }
}

#[test]
fn each_test_as_in_gnu_find() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let list = |test: &[&str]| -> BTreeSet<Vec<u8>> {
        let output = Command::new("find").arg(directory.path()).args(test).arg("-print0").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8(output.stderr).unwrap());
        output.stdout.split(|b| *b == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let everything = list(&[]);
    assert!(everything.len() > 40);
    let mut different = Vec::new();
    for line in TESTS {
        let words: Vec<&str> = line.split(' ').collect();
        let theirs = list(&words);
        let Some(Expr::Test(test)) = parse(&words).unwrap().0.expr else { panic!("{line} is no test") };
        let check = check(test, day());
        let ours: BTreeSet<Vec<u8>> = everything.iter().filter(|path| holds(&check, path)).cloned().collect();
        for path in ours.symmetric_difference(&theirs) {
            let who = if ours.contains(path) { "only ours" } else { "only theirs" };
            different.push(format!("{line}: {who}: {}", path.escape_ascii()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn holds(check: &Check, path: &[u8]) -> bool {
    let meta = stat_path(&CString::new(path).unwrap(), Links::NoFollow).unwrap();
    let name = path.rsplit(|b| *b == b'/').next().unwrap();
    let entry = Entry(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())));
    let mut subject = Subject { path, name, kind: meta.kind(), meta: None, ask: &entry };
    let without = check.ask(&subject).unwrap();
    subject.meta = Some(&meta);
    let with = check.ask(&subject).unwrap().unwrap();
    assert!(without.is_none_or(|answer| answer == with), "what is known without metadata stays true");
    with
}

#[test]
fn days_begin_at_midnight_if_asked() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    // In a zone where today began an hour ago, and in one where it ends in an hour.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for since_midnight in [3_600, 22 * 3_600] {
        let west = (now % 86_400 + 86_400 - since_midnight) % 86_400;
        let zone = format!("XXX{}:{}:{}", west / 3600, west / 60 % 60, west % 60);
        let midnight = Time { sec: i64::try_from(now - since_midnight).unwrap(), nsec: 0 };
        for line in ["-mtime 0", "-mtime 1", "-mtime -1", "-mtime +1", "-mtime -3", "-mmin -600", "-mmin +3000"] {
            let words: Vec<&str> = line.split(' ').collect();
            let mut find = Command::new("find");
            find.env("TZ", &zone).arg(directory.path()).args(["-type", "f", "-daystart"]).args(&words);
            let output = find.arg("-print0").output().unwrap();
            let theirs: BTreeSet<&[u8]> = output.stdout.split(|b| *b == 0).filter(|path| !path.is_empty()).collect();
            let Some(Expr::Test(Test::Age(stamp, span, amount))) = parse(&words).unwrap().0.expr else { panic!() };
            let check = Check::Time(stamp, Window::of_age(span, amount, midnight));
            let all = Command::new("find").arg(directory.path()).args(["-type", "f", "-print0"]).output().unwrap();
            let all = all.stdout.split(|b| *b == 0).filter(|path| !path.is_empty());
            let ours: BTreeSet<&[u8]> = all.filter(|path| holds(&check, path)).collect();
            let different: Vec<_> = ours.symmetric_difference(&theirs).map(|p| p.escape_ascii().to_string()).collect();
            assert!(different.is_empty(), "{zone} {line}: {different:?}");
        }
    }
}
