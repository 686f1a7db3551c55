//! `faultfs`: the synthetic file system of the tests, mounted from the command line for measuring by hand.
//!
//! It runs in the foreground until SIGINT or SIGTERM, unmounts and prints what it was asked. Arguments are read by hand:
//! a dozen flags that each take one value do not need a parser.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use pwalk_testkit::fuse::{Errno, Fault, Mounted, Op, Synthetic};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const USAGE: &str = "\
usage: faultfs MOUNT [SHAPE] [OPTION]...
Mounts a synthetic read-only file system on the directory MOUNT until SIGINT or SIGTERM.

shape (default: --dirs 200 --fanout 8 --files 50):
  --dirs N --fanout N --files N   N directories (with the root), sub-directories and files in each
  --flat N, --flat-dirs N         one directory of N files and N sub-directories
  --endless-names, --endless-depth
behaviour:
  --delay-us N           every request takes N microseconds
  --capacity N           only N requests are worked on at once, the others queue
  --cache-ms N           the kernel may keep names and attributes for N milliseconds
  --dt-unknown           listings have no file types
  --d-ino-lies           listings have other inode numbers than stat
  --check-permissions    the kernel checks permission bits
  --hang OP PATH         never answer, e.g. --hang readdir d0/d1
  --error OP PATH ERRNO  fail with an errno's number, e.g. --error getattr f1.dat 5
  --slow OP PATH US      take so much longer
OP: lookup getattr readlink open read opendir readdir statfs
";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).map(std::ffi::OsString::into_encoded_bytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(io::stderr(), &format!("faultfs: {message}\n"));
            ExitCode::from(2)
        }
    }
}

fn run(args: impl Iterator<Item = Vec<u8>>) -> Result<(), String> {
    let Some((mount, synthetic)) = parse(args)? else {
        say(io::stdout(), USAGE);
        return Ok(());
    };
    // Before the mount: a signal that comes early must not kill it.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|e| format!("signals: {e}"))?;
    let mounted = synthetic.mount_at(&mount).map_err(|e| format!("mount on {}: {e}", mount.display()))?;
    let entries = mounted.entries().map_or_else(|| "endless".to_owned(), |n| n.to_string());
    say(io::stderr(), &format!("faultfs: mounted on {}, {entries} entries\n", mount.display()));
    signals.forever().next();
    report(&mounted);
    mounted.unmount().map_err(|e| format!("unmount {}: {e}", mount.display()))
}

fn report(mounted: &Mounted) {
    let ops = mounted.ops();
    let counts: Vec<String> = Op::ALL.iter().map(|op| format!("{op:?} {}", ops.of(*op))).collect();
    let most = mounted.max_in_flight();
    say(io::stderr(), &format!("faultfs: {}; at most {most} in flight\n", counts.join(", ").to_lowercase()));
}

/// The shape flags, as they come.
#[derive(Default)]
struct Shape {
    dirs: Option<u64>,
    fanout: Option<u64>,
    files: Option<u64>,
    flat: Option<u64>,
    flat_dirs: Option<u64>,
    endless: Option<fn() -> Synthetic>,
}

impl Shape {
    fn build(self) -> Synthetic {
        match self {
            Self { endless: Some(endless), .. } => endless(),
            Self { flat: None, flat_dirs: None, dirs, fanout, files, .. } => {
                Synthetic::tree(dirs.unwrap_or(200).max(1), fanout.unwrap_or(8).max(1), files.unwrap_or(50))
            }
            Self { flat, flat_dirs, .. } => Synthetic::flat_with_dirs(flat.unwrap_or(0), flat_dirs.unwrap_or(0)),
        }
    }
}

type Change = Box<dyn FnOnce(Synthetic) -> Synthetic>;

/// Mount point and file system; `None` when help is asked for.
fn parse(mut args: impl Iterator<Item = Vec<u8>>) -> Result<Option<(PathBuf, Synthetic)>, String> {
    let (mut mount, mut shape, mut changes) = (None, Shape::default(), Vec::<Change>::new());
    while let Some(arg) = args.next() {
        let flag = arg.escape_ascii().to_string();
        let mut value = || args.next().ok_or_else(|| format!("{flag} needs a value; see --help"));
        match arg.as_slice() {
            b"--help" | b"-h" => return Ok(None),
            b"--dirs" => shape.dirs = Some(number(&value()?)?),
            b"--fanout" => shape.fanout = Some(number(&value()?)?),
            b"--files" => shape.files = Some(number(&value()?)?),
            b"--flat" => shape.flat = Some(number(&value()?)?),
            b"--flat-dirs" => shape.flat_dirs = Some(number(&value()?)?),
            b"--endless-names" => shape.endless = Some(Synthetic::endless_names),
            b"--endless-depth" => shape.endless = Some(Synthetic::endless_depth),
            b"--delay-us" => {
                let delay = Duration::from_micros(number(&value()?)?);
                changes.push(Box::new(move |fs| fs.delay(delay)));
            }
            b"--cache-ms" => {
                let valid = Duration::from_millis(number(&value()?)?);
                changes.push(Box::new(move |fs| fs.cache(valid, valid)));
            }
            b"--capacity" => {
                let requests = number(&value()?)?;
                changes.push(Box::new(move |fs| fs.capacity(requests)));
            }
            b"--dt-unknown" => changes.push(Box::new(|fs| fs.dt_unknown(true))),
            b"--d-ino-lies" => changes.push(Box::new(|fs| fs.d_ino_lies(true))),
            b"--check-permissions" => changes.push(Box::new(Synthetic::check_permissions)),
            b"--hang" | b"--error" | b"--slow" => {
                let (op, path) = (operation(&value()?)?, value()?);
                let fault = match arg.as_slice() {
                    b"--hang" => Fault::hang(op, path),
                    b"--error" => Fault::error(op, path, Errno::from_raw_os_error(number(&value()?)?)),
                    _ => Fault::slow(op, path, Duration::from_micros(number(&value()?)?)),
                };
                changes.push(Box::new(|fs| fs.fault(fault)));
            }
            [b'-', ..] => return Err(format!("unknown flag {flag}; see --help")),
            _ if mount.is_none() => mount = Some(to_path(arg)),
            _ => return Err(format!("a second mount point, {flag}; see --help")),
        }
    }
    let mount = mount.ok_or("which mount point? see --help")?;
    Ok(Some((mount, changes.into_iter().fold(shape.build(), |fs, change| change(fs)))))
}

fn number<N: std::str::FromStr>(bytes: &[u8]) -> Result<N, String> {
    let parsed = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| format!("{} is not a number that fits", bytes.escape_ascii()))
}

fn operation(bytes: &[u8]) -> Result<Op, String> {
    let named = |op: &Op| format!("{op:?}").to_lowercase().as_bytes() == bytes;
    Op::ALL.into_iter().find(named).ok_or_else(|| format!("unknown operation {}; see --help", bytes.escape_ascii()))
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

/// Writes for people. When nobody can read it any more (a closed terminal), the mount still has to end in order.
fn say(mut to: impl Write, text: &str) {
    if to.write_all(text.as_bytes()).is_err() {}
}
