//! The classic call, without a subcommand: CSV on standard output, no header unless asked for.
//!
//! `pwalk [--NoSnap] [--depth N] [--exclude FILE] [--one-file-system|-x] [--header] PATH`
//!
//! Scripts of many years call it so, and it answers as the classic program does: `--depth 0` is no limit;
//! directories deeper than the limit, on other file systems with `-x`, or named in the exclude file have
//! no line. Errors go to standard error, and the exit codes are those of every other command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use pwalk_engine::{Exclude, Mounts, Options, Snapshots};
use pwalk_scan::report::{FileFormat, LedgerPlace, ReportOptions, UnreadDirs};
use pwalk_scan::{Header, Target, trim_root};

use crate::Exit;
use crate::args::{ProgressMode, Usage};
use crate::progress::Show;
use crate::report::run_with;
use crate::signals::cancel_on_signals;

/// The classic call: metadata of every entry below PATH as CSV on standard output.
#[derive(Parser, Debug)]
#[command(name = "pwalk", version)]
struct Classic {
    /// Leave out directories named .snapshot
    #[arg(long = "NoSnap")]
    no_snap: bool,
    /// Read directories down to N levels below PATH; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    depth: u32,
    /// A file of directories to leave out, a full path a line
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
    /// Leave out directories on other file systems
    #[arg(short = 'x', long)]
    one_file_system: bool,
    /// Write the header line
    #[arg(long)]
    header: bool,
    /// The directory
    path: PathBuf,
}

const FLAGS: [&str; 6] = ["--NoSnap", "--depth", "--exclude", "--one-file-system", "-x", "--header"];

/// Whether the arguments are a classic call: a classic flag first, or something that exists and is no command.
pub(crate) fn is_meant(arguments: &[OsString]) -> bool {
    let Some(first) = arguments.get(1) else { return false };
    let bytes = first.as_bytes();
    let flag = FLAGS.iter().any(|f| bytes == f.as_bytes() || bytes.starts_with(&[f.as_bytes(), b"="].concat()));
    // A path may be any word, but a mistyped command should be told as one.
    flag || (!bytes.starts_with(b"-") && (bytes.contains(&b'/') || PathBuf::from(first).symlink_metadata().is_ok()))
}

pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<Exit> {
    let classic = Classic::parse_from(arguments);
    let root = classic.path.as_os_str().as_bytes().to_vec();
    let patterns = match &classic.exclude {
        None => Vec::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|e| Usage(format!("cannot read the exclude file {}: {e}", file.display())))?;
            text.lines().filter_map(|line| pattern(&root, line)).collect()
        }
    };
    let exclude = Exclude::new(&patterns).map_err(|e| Usage(e.to_string()))?;
    let walk = Options {
        max_depth: (classic.depth > 0).then_some(classic.depth),
        mounts: if classic.one_file_system { Mounts::Stay } else { Mounts::Cross },
        snapshots: if classic.no_snap { Snapshots::Skip } else { Snapshots::Include },
        exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
        cancel: cancel_on_signals()?,
        ..Options::default()
    };
    let options = ReportOptions {
        output: Target::from_arg(OsStr::new("-")),
        format: Some(FileFormat::Csv),
        header: if classic.header { Header::Written } else { Header::Omitted },
        exclude_patterns: patterns,
        unread_dirs: UnreadDirs::Omitted,
        errors: LedgerPlace::Losses,
        walk,
        ..ReportOptions::new(vec![root])
    };
    run_with(&options, &Show::new(ProgressMode::Never, true), true)
}

/// A line of the exclude file, a path as the walk writes it, as a pattern below the root.
fn pattern(root: &[u8], line: &str) -> Option<String> {
    let line = line.trim_end_matches('/');
    let root = std::str::from_utf8(trim_root(root)).ok()?;
    let below = line.strip_prefix(root)?;
    let below = if root == "/" { below } else { below.strip_prefix('/')? };
    if below.is_empty() {
        return None;
    }
    let mut pattern = String::from("/");
    for c in below.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' | '#' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('/');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_full_path_becomes_a_pattern_below_the_root() {
        assert_eq!(pattern(b"/data/", "/data/a b/*c/").as_deref(), Some("/a\\ b/\\*c/"));
        assert_eq!(pattern(b"/", "/proc").as_deref(), Some("/proc/"));
        assert_eq!(pattern(b"/data", "/database/x"), None);
        assert_eq!(pattern(b"/data", "/data"), None);
        assert_eq!(pattern(b"/data", ""), None);
    }
}
