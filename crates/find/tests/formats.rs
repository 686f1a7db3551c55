//! Promise: `-printf` writes what GNU find writes.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod random;

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use pwalk_find::format::{Format, Tell, Told};
use pwalk_fs::{Errno, Kind, Links, Meta, stat_path};
use random::Random;

struct Entry<'a> {
    path: &'a [u8],
    kind: Kind,
}

fn c(path: &[u8]) -> CString {
    CString::new(path).unwrap()
}

impl Tell for Entry<'_> {
    fn link(&self) -> Vec<u8> {
        if self.kind != Kind::Symlink {
            return Vec::new();
        }
        fs::read_link(OsStr::from_bytes(self.path)).unwrap().into_os_string().into_vec()
    }
    fn other_letter(&self) -> u8 {
        match stat_path(&c(self.path), Links::Follow) {
            Ok(meta) => meta.kind().letter(),
            Err(Errno::NOENT) => b'N',
            Err(Errno::LOOP) => b'L',
            Err(_) => b'?',
        }
    }
    fn user(&self, uid: u32) -> Option<String> {
        (uid == 0).then(|| "root".to_owned())
    }
    fn group(&self, gid: u32) -> Option<String> {
        (gid == 0).then(|| "root".to_owned())
    }
    fn fs_type(&self, _: &Meta) -> Vec<u8> {
        // The tree is on one file system, and names with line feeds are no good here.
        let output = Command::new("df").arg("--output=fstype").arg(std::env::temp_dir()).output().unwrap();
        output.stdout.trim_ascii().rsplit(|b| *b == b'\n').next().unwrap().to_vec()
    }
}

fn make(root: &Path) {
    fs::create_dir_all(root.join("dir/inner")).unwrap();
    let times = [0, 1, 951_782_400, 1_580_702_706, 1_720_000_000, 1_735_689_599, 4_000_000_000];
    for (number, seconds) in times.into_iter().enumerate() {
        let file = File::create(root.join(format!("dir/file{number}"))).unwrap();
        file.set_len([0, 1, 700, 5_000, 123_456, 1 << 20, 3][number]).unwrap();
        let time = UNIX_EPOCH + Duration::new(seconds, 789_000_001);
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time + Duration::from_secs(86_400 * 45)))
            .unwrap();
    }
    fs::write(root.join("dir/written"), vec![1; 10_000]).unwrap();
    fs::write(root.join("dir/inner").join(OsString::from_vec(b"not text \xff \n.x".to_vec())), b"x").unwrap();
    for (number, mode) in [0, 0o4711, 0o4600, 0o2755, 0o2644, 0o1777, 0o1666, 0o7777].into_iter().enumerate() {
        let file = root.join(format!("mode{number}"));
        fs::write(&file, b"").unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    }
    symlink("dir/file1", root.join("link")).unwrap();
    symlink("nothing", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    Command::new("mkfifo").arg(root.join("fifo")).status().unwrap();
}

/// Each alone; then pieces of formats in random order.
const FORMATS: &[&str] = &[
    "%p",
    "%P",
    "%H",
    "%f",
    "%h",
    "%l",
    "%d",
    "%b",
    "%k",
    "%D",
    "%F",
    "%g",
    "%G",
    "%u",
    "%U",
    "%i",
    "%n",
    "%m",
    "%M",
    "%s",
    "%S",
    "%y",
    "%Y",
    "%a",
    "%c",
    "%t",
    "%%",
    "%A@",
    "%T@",
    "%C@",
    "%T+",
    "%TS",
    "%TT",
    "%TX",
    "%Tc",
    "%TD",
    "%Tx",
    "%Tr",
    "%TH",
    "%TI",
    "%Tk",
    "%Tl",
    "%TM",
    "%Tp",
    "%TZ",
    "%Ta",
    "%TA",
    "%Tb",
    "%TB",
    "%Th",
    "%Td",
    "%Tj",
    "%Tm",
    "%TU",
    "%Tw",
    "%TW",
    "%Ty",
    "%TY",
    "%TF",
    "%TR",
    "%Ts",
    "%TG",
    "%Tg",
    "%TV",
    "%Te",
    "%TC",
    "%Tz",
    "%10p|",
    "%-10f|",
    "%.3p",
    "%10.3p|",
    "%010s|",
    "%+s",
    "% s",
    "%#m",
    "%05m",
    "%-6m|",
    "%+d",
    "%05d",
    "%-5d|",
    "% d",
    "%.3d",
    "%8.3d|",
    "%8S|",
    "%.2S",
    "%.9S",
    "%-8S|",
    "%12M|",
    "%.4T+",
    "%30t|",
    "%-30t|",
    "%.0f",
    "\\a\\b\\f\\n\\r\\t\\v\\\\",
    "\\101\\1012\\7",
    "a\\cb",
    "\\q",
    "%z",
    "%5%|",
    "%Q%p",
    "\\0",
];

fn check(root: &Path, format: &str, zone: &str) -> Vec<String> {
    let list = |format: &str| {
        let mut find = Command::new("find");
        find.env("LC_ALL", "C").env("TZ", zone).arg(root).args(["-printf", format]);
        find.output().unwrap().stdout
    };
    let theirs = list(&format!("%p\\0{format}\\0\\0\\0"));
    let (ours, _) = Format::parse(format.as_bytes()).unwrap();
    let records = list("%p\\0");
    let mut expected = theirs.as_slice();
    let mut different = Vec::new();
    for path in records.split(|b| *b == 0).filter(|path| !path.is_empty()) {
        let meta = stat_path(&c(path), Links::NoFollow).unwrap();
        let below = &path[root.as_os_str().len()..];
        let depth = u32::try_from(below.iter().filter(|b| **b == b'/').count()).unwrap();
        let entry = Entry { path, kind: meta.kind() };
        let told = Told { path, root: root.as_os_str().as_bytes(), depth, meta: &meta, terminal: false, tell: &entry };
        let mut out = [path, b"\0"].concat();
        ours.render(&told, &mut out);
        if !format.contains("\\c") {
            out.extend_from_slice(b"\0\0\0");
        }
        if let Some(rest) = expected.strip_prefix(out.as_slice()) {
            expected = rest;
        } else {
            let theirs = &expected[..expected.len().min(out.len() + 20)];
            different.push(format!("{format}\n  ours   {}\n  theirs {}", out.escape_ascii(), theirs.escape_ascii()));
            break;
        }
    }
    different
}

#[test]
fn every_format() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    // The zone of this process, which is ours too.
    let zone = std::env::var("TZ").unwrap_or_else(|_| "/etc/localtime".to_owned());
    let zone = if Path::new(&zone).exists() { format!(":{zone}") } else { "UTC0".to_owned() };
    let mut different: Vec<String> = FORMATS.iter().flat_map(|format| check(directory.path(), format, &zone)).collect();
    let mut random = Random(5);
    for _ in 0..150 {
        let mut format = String::new();
        for _ in 0..4 {
            let piece = FORMATS[random.below(FORMATS.len())];
            // What ends a format stands at its end, if at all.
            if piece != "a\\cb" {
                format.push_str(piece);
            }
        }
        different.extend(check(directory.path(), &format, &zone));
    }
    assert!(different.is_empty(), "{} formats differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn what_means_nothing_is_told() {
    let parse = |format: &str| Format::parse(format.as_bytes());
    assert_eq!(parse("%z\\q").unwrap().1, ["unrecognized format directive `%z'", "unrecognized escape `\\q'"]);
    assert_eq!(parse("%").unwrap_err().to_string(), "error: % at end of format string");
    assert_eq!(parse("%5").unwrap_err().to_string(), "error: % at end of format string");
    assert!(parse("%{x").unwrap_err().to_string().contains("reserved"));
    assert!(!parse("%p %P %f%h%H%d\\n").unwrap().0.uses_meta() && parse("%s").unwrap().0.uses_meta());
}
