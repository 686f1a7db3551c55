//! `pwalk diff`.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use pwalk_scan::report::FileFormat;
use pwalk_scan::{Error, Target, Verdict};
use pwalk_track::{
    Change, ChangeType, ChangeWriter, ChangesOf, Counts, DiffOptions, DiffSummary, Source, TrackError, json,
};

use crate::Exit;
use crate::args::{ProgressMode, TreeArgs, Usage};
use crate::human::{bytes, count, plural};
use crate::out::{Lines, Out};
use crate::progress::Show;
use crate::signals::cancel_on_signals;

/// The exit code where something changed, as `diff` has it.
const CHANGED: Exit = Exit::Partial;

/// What changed between two scans, or between a scan and a directory
///
/// OLD and NEW are Parquet files of pwalk report, or directories, which are walked now. Entries that are only in one of them, that differ
/// (size, time of change, type, inode), whose mode, owner or inode's time of change differ, and that moved. What is below a directory that
/// could not be read is unseen, not removed. A directory that moved is one change, not one for each file in it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk report /data -o monday.parquet               a scan, to compare with later
  pwalk diff monday.parquet /data                    what changed since
  pwalk diff monday.parquet tuesday.parquet -o changes.parquet
  pwalk diff monday.parquet /data --json | jq -r 'select(.change_type == \"removed\") | .path'
  pwalk diff /data /backup/data                      is the copy what it should be?

Exit codes: 0 nothing changed, 1 something did, 2 usage, 3 failed, or not everything could be read
(PARTIAL), 130 interrupted.")]
pub(crate) struct DiffArgs {
    /// What was: a Parquet file of pwalk report, or a directory
    old: PathBuf,
    /// What is: the same
    new: PathBuf,
    /// Write the changes to a file instead: Parquet if it ends in .parquet, else CSV; `-` is CSV on standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<OsString>,
    /// One JSON object a line for each change
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Show progress on standard error; auto: on a terminal
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressMode,
    /// No progress and no summary; the exit code tells
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    tree: TreeArgs,
}

pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (walk, exclude_patterns) = args.tree.options(&cancel)?;
    let show = Show::new(args.progress, args.quiet);
    show.raise_file_descriptor_limit();
    let source = |path: &Path| match path.is_dir() {
        true => Source::Directory(path.as_os_str().as_bytes().to_vec()),
        false => Source::Scan(path.to_owned()),
    };
    let options = DiffOptions { walk, exclude_patterns, ..DiffOptions::new(source(&args.old), source(&args.new)) };
    let out = Out::new();
    let walks = [&options.old, &options.new].iter().any(|side| matches!(side, Source::Directory(_)));
    let mut teller = Teller::new(args, walks, Lines::new(&out))?;
    let done = pwalk_track::run(&options, &mut |change| teller.tell(change), &show);
    show.finish();
    let summary = match done {
        Ok(summary) => summary,
        Err(TrackError::Interrupted) => return Ok(Exit::Interrupted),
        Err(TrackError::Output(error)) => {
            // Who reads has seen enough, or the reason is kept where it was written to.
            out.exit(pwalk_engine::Ended::Whole, false)?;
            return match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(Exit::Failed),
                _ => Err(error.into()),
            };
        }
        Err(error) => return Err(error.into()),
    };
    teller.finish()?;
    let written = out.exit(pwalk_engine::Ended::Whole, false)?;
    if !args.quiet {
        tell(&summary, &show);
    }
    Ok(match (written, summary.verdict()) {
        (Exit::Complete, Verdict::Complete) if summary.counts.total() == 0 => Exit::Complete,
        (Exit::Complete, Verdict::Complete) => CHANGED,
        _ => Exit::Failed,
    })
}

/// Who writes the changes.
enum Teller {
    People(Lines),
    Json(Lines),
    File(Box<Changes>),
}

/// A file of changes.
struct Changes {
    target: Target,
    format: FileFormat,
    /// None until something is told: in a directory that is walked it would be new.
    writer: Option<ChangeWriter>,
}

impl Changes {
    fn writer(&mut self) -> Result<&mut ChangeWriter, Error> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(ChangeWriter::create(&self.target, self.format, ChangesOf::One)?)),
        }
    }
}

/// That a name does not promise what is not written.
pub(crate) fn check_name(target: &Target) -> Result<(), Usage> {
    let Target::File(path) = target else { return Ok(()) };
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending {
        "zst" | "gz" | "xz" | "bz2" => Err(Usage(format!(
            "--output {}: changes are written as Parquet, which is compressed, or as plain CSV; name a .parquet or .csv file",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// That the changes are not written over what they are the changes of.
fn check_output(args: &DiffArgs, target: &Target) -> Result<(), Usage> {
    check_name(target)?;
    let Target::File(path) = target else { return Ok(()) };
    let id = |path: &Path| path.metadata().ok().filter(Metadata::is_file).map(|meta| (meta.dev(), meta.ino()));
    match id(path) {
        Some(there) if [&args.old, &args.new].iter().any(|side| id(side) == Some(there)) => Err(Usage(format!(
            "--output {} is one of the scans to be compared; give the changes a file of their own",
            path.display()
        ))),
        _ => Ok(()),
    }
}

impl Teller {
    fn new(args: &DiffArgs, walks: bool, lines: Lines) -> anyhow::Result<Self> {
        Ok(match &args.output {
            Some(output) => {
                let target = Target::from_arg(output);
                let format = match &target {
                    Target::Stdout => FileFormat::Csv,
                    Target::File(path) => FileFormat::of(path),
                };
                check_output(args, &target)?;
                let mut changes = Changes { target, format, writer: None };
                if !walks {
                    // Nothing is walked: what keeps it from being written is told at once.
                    changes.writer()?;
                }
                Self::File(Box::new(changes))
            }
            None if args.json => Self::Json(lines),
            None => Self::People(lines),
        })
    }

    fn tell(&mut self, change: &Change<'_>) -> io::Result<()> {
        let went = match self {
            Self::File(file) => {
                return file.writer().and_then(|writer| writer.write(0, change)).map_err(io::Error::other);
            }
            Self::Json(lines) => {
                lines.text(&json(change).to_string());
                lines.end()
            }
            Self::People(lines) => {
                line(lines, change);
                lines.end()
            }
        };
        if went { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::File(mut file) => {
                file.writer()?;
                if let Some(writer) = file.writer.take() {
                    writer.finish()?;
                }
            }
            Self::Json(mut lines) | Self::People(mut lines) => {
                lines.flush();
            }
        }
        Ok(())
    }
}

/// `modified  file       1.2 GiB  +13.0 MiB  PATH`
pub(crate) fn line(lines: &mut Lines, change: &Change<'_>) {
    // A directory's own size is the file system's business, also of one that became a file.
    let is_dir = |stat: &pwalk_scan::Stat| pwalk_fs::Kind::from_mode(stat.mode).is_dir();
    let own = |stat: &pwalk_scan::Stat| if is_dir(stat) { 0 } else { u64::try_from(stat.size).unwrap_or(0) };
    let size = |stat: Option<&pwalk_scan::Stat>| stat.map(own);
    let (old, new) = (size(change.old), size(change.new));
    let is_dir = change.kind().is_dir();
    let now = new.or(old).filter(|_| !is_dir).map_or_else(String::new, bytes);
    let grown = match (old, new) {
        _ if is_dir => String::new(),
        (Some(old), Some(new)) if new > old => format!("+{}", bytes(new - old)),
        (Some(old), Some(new)) if new < old => format!("-{}", bytes(old - new)),
        _ => String::new(),
    };
    lines.text(&format!("{:<9} {:<7} {now:>10} {grown:>11}  ", change.change_type, change.kind().name()));
    if let Some(old_path) = change.old_path {
        lines.path(old_path);
        lines.text(" -> ");
    }
    lines.path(change.path);
}

fn tell(summary: &DiffSummary, show: &Show) {
    for warning in &summary.warnings {
        show.say(&format!("pwalk: {warning}"));
    }
    show.say(&format!("{}: {}", summary.verdict(), counted(&summary.counts)));
    let entries = |n| plural(n, "entry", "entries");
    show.say(&format!(
        "  {} before, {} now  {:.2} s",
        entries(summary.old.entries),
        entries(summary.new.entries),
        summary.elapsed.as_secs_f64()
    ));
    if summary.is_elsewhere {
        show.say("  the roots are different directories: inodes and times of inodes were not compared, and moves not looked for");
    }
}

/// `3 added (1.2 GiB)  1 removed`.
pub(crate) fn counted(counts: &Counts) -> String {
    let of = |change_type: &ChangeType| {
        let n = counts.of(*change_type);
        (n > 0).then(|| match counts.bytes_of(*change_type) {
            0 => format!("{} {change_type}", count(n)),
            size => format!("{} {change_type} ({})", count(n), bytes(size)),
        })
    };
    let parts: Vec<_> = ChangeType::ALL.iter().filter_map(of).collect();
    if parts.is_empty() { "no changes".to_owned() } else { parts.join("  ") }
}
