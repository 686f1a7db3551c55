//! `pwalk copy`.

mod told;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use pwalk_engine::{Cancel, Ended, Exclude, Mounts, Options, Snapshots, Threads};
use pwalk_ops::copy::{
    Config, CopyError, CopyOptions, CopySummary, Existing, Fsync, Keep, Listener, Pipeline, Reflink, Sparse,
    read_patterns, run as copy, strategy,
};

use crate::Exit;
use crate::args::{ProgressMode, Usage, threads};
use crate::out::Out;
use crate::progress::Show;
use crate::report::roots;
use crate::signals::cancel_on_signals;
use told::Told;

/// Copy trees, fast and faithfully
///
/// SRC and DST mean what they mean to cp -a: into DST if that is a directory, else under that name. Owner, mode, times, links,
/// hard links, holes, extended attributes, capabilities and access control lists are kept. A file gets its name when it is whole.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk copy /data/run7 /backup                      /backup/run7, as cp -a would make it
  pwalk copy -T /data/run7 /backup/run7              into just this directory
  pwalk copy /data/run7 /backup --dry-run            what would be done, a line each
  pwalk copy /data/run7 /backup --resume             go on after an interruption
  pwalk copy -T /home /mirror/home --mirror --exclude '.cache/'
  pwalk copy /data /nfs/data --verify --fsync end --max-bytes-per-sec 200M
  pwalk copy /work /fast/work --strategy pipeline --components src,data

Strategies: auto (measures what is fastest), baseline, buffered, sendfile, parallel, pipeline.
Settings may stand in a file (--config, PWALK_CONFIG, ~/.config/pwalk/config.toml or .yaml) as copy_strategy,
copy_buffer_size_kb and copy_max_workers, or in the environment as PWALK_COPY_STRATEGY and so on; the
command line comes first.
Exit codes: 0 COMPLETE, 1 something was not copied, 2 usage, 130 interrupted.")]
pub(crate) struct CopyArgs {
    /// What to copy, and at the end where to
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    paths: Vec<PathBuf>,
    /// Make just this: do not copy into DST if it is a directory
    #[arg(short = 'T', long)]
    no_target_directory: bool,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    walk: WalkArgs,
    /// Show progress on standard error; auto: on a terminal
    #[arg(long, value_enum, default_value = "auto", num_args = 0..=1, default_missing_value = "always", require_equals = true)]
    progress: ProgressMode,
    /// No progress and no summary; trouble is still told
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object a line on standard output: each trouble, each removal, and what it all came to
    #[arg(long)]
    json: bool,
}

/// How content is copied.
#[derive(Args, Debug)]
#[command(next_help_heading = "Copying")]
struct HowArgs {
    /// How content is copied [default: auto]
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Workers: a number, or auto: as many as pay, measured while copying
    #[arg(long, visible_alias = "threads", value_name = "N|auto", value_parser = threads)]
    workers: Option<Threads>,
    /// Size of a buffer, 4 to 1,048,576 KiB [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    buffer_size_kb: Option<u32>,
    /// Share blocks with the source where the file systems can
    #[arg(long, value_enum, default_value = "auto")]
    reflink: When,
    /// auto: holes stay holes; always: zeros become holes; never: holes are filled
    #[arg(long, value_enum, default_value = "auto")]
    sparse: When,
    /// Read both sides again, from the disk where possible, and compare their BLAKE3 digests
    #[arg(long)]
    verify: bool,
    /// When the copy must be on the disk
    #[arg(long, value_enum, default_value = "none")]
    fsync: FsyncWhen,
    /// With --strategy pipeline: only these sub-directories of SRC
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    components: Option<Vec<PathBuf>>,
    /// At most so many bytes a second (K, M, G: powers of 1024)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_bytes_per_sec: Option<u64>,
    /// Read settings from this file (TOML or YAML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What is copied and kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "What is copied")]
struct WhatArgs {
    /// What becomes of a file that is there already
    #[arg(long, value_enum, default_value = "overwrite")]
    existing: ExistingWhat,
    /// Remove from the copy what the source does not have; refused if not everything in the source could be read
    #[arg(long)]
    mirror: bool,
    /// Go on with an interrupted copy: what has the same size and time is not copied again
    #[arg(long)]
    resume: bool,
    /// Only show what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What need not be kept: mode, ownership (nor setuid and setgid, which were the owner's), timestamps, links, xattr, acl, all
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    no_preserve: Vec<String>,
    /// Leave out .git directories
    #[arg(long)]
    exclude_git: bool,
    /// Leave out what matches, as .gitignore has it, on the path below SRC (repeatable); mirroring leaves it alone
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// The same, a pattern a line (repeatable)
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
}

/// How the source is walked.
#[derive(Args, Debug)]
#[command(next_help_heading = "Walking")]
struct WalkArgs {
    /// Stay on the file systems of the sources; a mount point becomes an empty directory
    #[arg(short = 'x', long)]
    one_file_system: bool,
    /// Copy snapshot directories too (.snapshot; .zfs and .snapshots where they are snapshots)
    #[arg(long)]
    include_snapshots: bool,
    /// At most so many system calls a second, to spare a server that others use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_iops: Option<u64>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FsyncWhen {
    /// When the kernel writes it
    None,
    /// All at once, in the end
    End,
    /// Each file, before it gets its name
    Each,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ExistingWhat {
    /// It is replaced
    Overwrite,
    /// It stays
    Skip,
    /// It is replaced if it is older
    Update,
    /// It stays, and that is an error
    Fail,
}

/// A number of bytes: `200M`.
fn bytes(text: &str) -> Result<u64, String> {
    let bad = || "a number of bytes, at least 4096, as 500000, 800K, 200M or 1G".to_owned();
    let (digits, unit) = match text.trim_end_matches(['i', 'B']).char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes: Option<u64> = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    bytes.filter(|n| *n >= 4096).ok_or_else(bad)
}

pub(crate) fn run(args: &CopyArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let show = Show::new(args.progress, args.quiet);
    show.raise_file_descriptor_limit();
    let out = Out::new();
    let told = Arc::new(Told::new(&out, &cancel, args));
    let listener: Arc<dyn Listener> = Arc::clone(&told) as Arc<dyn Listener>;
    // A DST that is a directory by now and was none before.
    let is_dir = || args.paths.last().is_some_and(|path| path.is_dir());
    let was_dir = is_dir() || args.no_target_directory;
    let is_new = || !was_dir && is_dir();
    let done = options(args, &cancel, &show).and_then(|options| copy(&options, &listener, &show));
    show.finish();
    match done {
        Ok(summary) => {
            told.summary(&summary, &show);
            told.flush();
            if interrupted(&summary) || summary.halted.is_some() {
                told.advise(is_new(), &show);
            }
            Ok(match out.exit(summary.ended, !summary.is_complete())? {
                // Nobody read the rest of what was told; what was copied was.
                Exit::Failed => Exit::Partial,
                exit => exit,
            })
        }
        Err(error) => {
            told.failed(&error);
            told.flush();
            if error.is_usage() {
                return Err(Usage(error.to_string()).into());
            }
            show.say(&format!("pwalk: {error}"));
            if !args.quiet && !args.json {
                show.say("PARTIAL: nothing was copied");
            }
            Ok(Exit::Partial)
        }
    }
}

fn options(args: &CopyArgs, cancel: &Cancel, show: &Show) -> Result<CopyOptions, CopyError> {
    let CopyArgs { how, what, walk, .. } = args;
    let config = Config::read(how.config.as_deref())?;
    let (sources, destination) = match roots(&args.paths) {
        mut paths if paths.len() > 1 => {
            let destination = paths.pop().unwrap_or_default();
            (paths, destination)
        }
        _ => return Err(CopyError::NoSource),
    };
    let mut options = CopyOptions::new(sources, destination);
    config.apply(&mut options)?;
    if let Some(name) = &how.strategy {
        options.strategy = strategy(name)?;
    } else if how.components.is_some() {
        options.strategy = Arc::new(Pipeline);
    }
    if let Some(kilobytes) = how.buffer_size_kb {
        options.buffer = kilobytes as usize * 1024;
    }
    let mut patterns = Vec::new();
    for file in &what.exclude_from {
        patterns.extend(read_patterns(file)?);
    }
    patterns.extend(what.exclude.iter().cloned());
    patterns.extend(what.exclude_git.then(|| ".git/".to_owned()));
    let exclude = Exclude::new(&patterns).map_err(CopyError::Pattern)?;
    Ok(CopyOptions {
        exact: args.no_target_directory,
        components: how.components.as_ref().map(|names| roots(names)),
        reflink: match how.reflink {
            When::Auto => Reflink::Auto,
            When::Always => Reflink::Always,
            When::Never => Reflink::Never,
        },
        sparse: match how.sparse {
            When::Auto => Sparse::Auto,
            When::Always => Sparse::Always,
            When::Never => Sparse::Never,
        },
        existing: match what.existing {
            ExistingWhat::Overwrite => Existing::Overwrite,
            ExistingWhat::Skip => Existing::Skip,
            ExistingWhat::Update => Existing::Update,
            ExistingWhat::Fail => Existing::Fail,
        },
        mirror: what.mirror,
        verify: how.verify,
        fsync: match how.fsync {
            FsyncWhen::None => Fsync::None,
            FsyncWhen::End => Fsync::End,
            FsyncWhen::Each => Fsync::Each,
        },
        resume: what.resume,
        dry_run: what.dry_run,
        keep: Keep::without(what.no_preserve.iter().map(String::as_str))?,
        max_bytes_per_sec: how.max_bytes_per_sec,
        count_first: show.is_seen(),
        walk: Options {
            threads: how.workers.unwrap_or(options.walk.threads),
            max_iops: walk.max_iops,
            mounts: if walk.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if walk.include_snapshots { Snapshots::Include } else { Snapshots::Skip },
            exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
            cancel: cancel.clone(),
            ..Options::default()
        },
        ..options
    })
}

/// Whether a run was interrupted.
fn interrupted(summary: &CopySummary) -> bool {
    summary.ended == Ended::Cancelled
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!([bytes("800K"), bytes("200M"), bytes("2GiB")], [Ok(800 << 10), Ok(200 << 20), Ok(2 << 30)]);
        for bad in ["", "M", "-1", "4095", "1.5G", "99999999999G", "é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
