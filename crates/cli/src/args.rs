//! The command line, as clap reads it. Help, completions and man pages come from here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pwalk_engine::{Cancel, Exclude, FollowLinks, Mounts, Options, Snapshots, Threads};
use pwalk_fs::Freshness;

/// A mistake in the arguments that clap cannot see: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// One fast, honest pass over a very large file system.
#[derive(Parser, Debug)]
#[command(
    name = "pwalk",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  pwalk report /data                       every entry of /data into scan.csv.zst
  pwalk report /data -o data.parquet       the same for DuckDB, polars, pandas
  pwalk walk /data                         one line per directory
  pwalk find /data -name '*.bam' -size +1G find's own language, in parallel
  pwalk repair /shared                     what is wrong with its permissions
  pwalk copy /data/run7 /backup            what cp -a does, in parallel
  pwalk diff data.parquet /data            what changed since that scan
  pwalk track scan /data                   the same, kept in a catalog
  pwalk --NoSnap --header /data            the classic call: CSV on standard output

Exit codes: 0 complete, 1 finished but something could not be read (PARTIAL),
2 usage, 3 failed, 130 interrupted (what was written is kept and marked PARTIAL)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Write the metadata of every entry to CSV or Parquet
    Report(ReportArgs),
    /// Print each directory with the number of directories and files in it
    Walk(WalkArgs),
    /// Find entries by an expression in find's own language, and act on them
    Find(crate::find::FindArgs),
    /// Repair the permissions of shared folders: plans, applies, undoes
    Repair(crate::repair::RepairArgs),
    /// Copy trees, fast and faithfully
    Copy(crate::copy::CopyArgs),
    /// What changed between two scans, or between a scan and a directory
    Diff(crate::diff::DiffArgs),
    /// Keep a catalog of scans: what changed, when, and how it was
    Track(crate::track::TrackArgs),
    /// Measure walking and copying on this machine
    Bench(crate::bench::BenchArgs),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands to a directory
    Man {
        /// Where to write pwalk.1, pwalk-report.1, pfind.1, …
        directory: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk report /data                                scan.csv.zst, progress on the terminal
  pwalk report /home /data -o all.parquet -x        two trees, one file, no other file systems
  pwalk report /data -o - --quiet | gzip > data.csv.gz
  pwalk report /nfs -o nfs.parquet --max-iops 5000 --give-up-after 60
  pwalk report /src --exclude '*.o' --exclude /build --exclude-from ~/.gitignore
  duckdb -c \"select user, sum(size) from 'all.parquet' group by all order by 2 desc\"

What could not be read stands in NAME.errors.jsonl beside the output, and the verdict, options and
counts in the output's own metadata (Parquet, .zst, .gz).
Exit codes: 0 COMPLETE, 1 PARTIAL, 2 usage, 3 failed, 130 interrupted.")]
pub(crate) struct ReportArgs {
    /// Directories (or files) to report; several go into one scan
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "scan.csv.zst")]
    pub(crate) output: OsString,
    /// The kind of file, if its name should not decide (.parquet is Parquet, all else CSV)
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// How CSV is compressed; auto: as the name ends. The suffix is added to a name without it
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) compress: Compress,
    /// Compression level: zstd -7 to 22, gzip 0 to 9, Parquet 1 to 22 [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) level: Option<i32>,
    /// Leave out the header line of the CSV
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Where errors go, one JSON object a line [default: OUTPUT.errors.jsonl, if there are any]
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<OsString>,
    /// Show progress on standard error; auto: on a terminal
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) progress: ProgressMode,
    /// No progress and no summary; errors are still told
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk walk /data
  pwalk walk /data --depth 2 --exclude '.git/'

Each line is `PATH: N dirs, M files`. A symbolic link counts as a file, and
so does anything else that is no directory. The order is unspecified.
Exit codes: 0 complete, 1 something could not be read, 2 usage, 3 failed, 130 interrupted.")]
pub(crate) struct WalkArgs {
    /// Directories to walk
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

/// How to walk: the same for every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Walking")]
pub(crate) struct TreeArgs {
    /// Workers: a number, or auto: as many as pay, measured while walking [default: auto]
    #[arg(long, alias = "max-threads", value_name = "N|auto", value_parser = threads)]
    threads: Option<Threads>,
    /// At most so many system calls a second, to spare a server that others use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_iops: Option<u64>,
    /// Read snapshot directories too (.snapshot; .zfs and .snapshots where they are snapshots)
    #[arg(long)]
    include_snapshots: bool,
    /// Stay on the file systems of the given paths
    #[arg(short = 'x', long)]
    one_file_system: bool,
    /// Read directories down to N levels below the given paths (0: only those); deeper ones are listed, not read
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
    /// Leave out what matches, as .gitignore has it, on the path below the given one (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// The same, a pattern a line (repeatable)
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Follow symbolic links; one that leads back to a directory above it is an error
    #[arg(long)]
    follow_links: bool,
    /// fresh: ask the server; cached: take what the client has, which may be stale (AT_STATX_DONT_SYNC)
    #[arg(long, value_enum, default_value = "fresh")]
    attributes: Attributes,
    /// Give up a system call that has not come back after so long, and go on without what it was reading
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    give_up_after: Option<Duration>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Format {
    Csv,
    Parquet,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Compress {
    Auto,
    Zstd,
    Gzip,
    None,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Attributes {
    Fresh,
    Cached,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// On a terminal
    Auto,
    /// Always; a line a second where it is no terminal
    Always,
    /// Never
    Never,
    /// One JSON object a line
    Json,
}

/// What a file of settings says of walking; what the command line says counts more.
#[derive(Debug, Default)]
pub(crate) struct TreeDefaults {
    pub(crate) threads: Option<Threads>,
    pub(crate) one_file_system: bool,
    /// Patterns that stand before those of the command line.
    pub(crate) exclude: Vec<String>,
}

impl TreeArgs {
    /// The engine's options, and the patterns as they were given.
    pub(crate) fn options(&self, cancel: &Cancel) -> anyhow::Result<(Options, Vec<String>)> {
        self.options_over(cancel, TreeDefaults::default())
    }

    /// The same, where not everything is on the command line.
    pub(crate) fn options_over(
        &self,
        cancel: &Cancel,
        defaults: TreeDefaults,
    ) -> anyhow::Result<(Options, Vec<String>)> {
        let mut patterns = defaults.exclude;
        for file in &self.exclude_from {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the patterns in {}", file.display()))
                .map_err(|e| Usage(format!("{e:#}")))?;
            patterns.extend(text.lines().map(str::to_owned));
        }
        // Last, because the last pattern that matches decides: a command line overrides a file.
        patterns.extend(self.exclude.iter().cloned());
        let exclude = Exclude::new(&patterns).map_err(|e| Usage(e.to_string()))?;
        let options = Options {
            threads: self.threads.or(defaults.threads).unwrap_or(Threads::Adaptive),
            max_iops: self.max_iops,
            max_depth: self.depth,
            follow_links: if self.follow_links { FollowLinks::Always } else { FollowLinks::Never },
            mounts: if self.one_file_system || defaults.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if self.include_snapshots { Snapshots::Include } else { Snapshots::Skip },
            exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
            freshness: match self.attributes {
                Attributes::Fresh => Freshness::Fresh,
                Attributes::Cached => Freshness::Cached,
            },
            give_up_after: self.give_up_after,
            cancel: cancel.clone(),
            ..Options::default()
        };
        Ok((options, patterns))
    }
}

pub(crate) fn threads(text: &str) -> Result<Threads, String> {
    if text == "auto" {
        return Ok(Threads::Adaptive);
    }
    match text.parse::<usize>() {
        Ok(n @ 1..=4096) => Ok(Threads::Fixed(n)),
        _ => Err("a number from 1 to 4096, or auto".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let bad = || "a number of seconds, at least 0.1".to_owned();
    let seconds: f64 = text.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|d| d.as_millis() >= 100).ok_or_else(bad)
}
