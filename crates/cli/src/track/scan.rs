//! `pwalk track scan`, `verify` and `prune`: what changes a catalog.

use std::path::PathBuf;

use clap::Args;
use pwalk_engine::{Cancel, Threads};
use pwalk_scan::Verdict;
use pwalk_track::{
    Accepted, Catalog, ChangeType, FingerprintMode, Hash, Hashing, Keep, LogLevel, ScanOptions, ScanSummary, Since,
    TrackConfig, TrackError, VerifyOptions,
};

use super::ask::{label, one_of, size};
use super::log::Log;
use super::show::run_json;
use super::{CatalogArgs, since};
use crate::Exit;
use crate::args::{ProgressMode, TreeArgs, TreeDefaults, Usage};
use crate::diff::counted;
use crate::human::{bytes, plural, say, shown};
use crate::out::{Lines, Out};
use crate::progress::Show;
use crate::signals::cancel_on_signals;

/// Scan a directory, and add what changed to the catalog
///
/// The first scan adds everything; later ones add what changed since. A scan that is refused, stopped or killed adds nothing. What is below a directory that
/// could not be read stays as it was known, and is told of as unseen.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track scan /data
  pwalk track scan /data --fingerprint new --max-bytes-per-sec 200M
  pwalk track scan /data -x --exclude '*.tmp' --metadata ticket=4711

Exit codes: 0 COMPLETE, 1 PARTIAL or something is rotten, 2 usage, 3 failed or refused, 130 interrupted.")]
pub(super) struct ScanArgs {
    /// The directory [default: data_root of the settings]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Read files for digests of their content: none, new (what has no digest yet or seems changed), all (every file: tells bit rot),
    /// or sample (as new, but of large files only samples; what has such a digest is compared with that, by all too)
    /// [default: none]
    #[arg(long, value_name = "MODE", value_parser = one_of::<FingerprintMode>(&FingerprintMode::NAMES))]
    fingerprint: Option<FingerprintMode>,
    #[command(flatten)]
    hashing: HashArgs,
    /// The hash function for files that have no fingerprint yet; what has one is compared with that [default: blake3]
    #[arg(long, value_name = "FUNCTION", value_parser = one_of::<Hash>(&Hash::NAMES))]
    hash: Option<Hash>,
    /// Note something with the run (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    metadata: Vec<(String, String)>,
    /// Go on although the directory is missing, empty, or another one than last time
    #[arg(long)]
    accept_new_root: bool,
    /// Go on although more than half of the entries are gone
    #[arg(long)]
    accept_mass_delete: bool,
    /// The run as a JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Show progress on standard error; auto: on a terminal
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressMode,
    /// No progress and no summary; the exit code tells
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    tree: TreeArgs,
}

/// How files are read.
#[derive(Args, Debug)]
struct HashArgs {
    /// Threads that read files [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    hash_threads: Option<u16>,
    /// Read at most so many bytes of files a second, as 100M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes_per_sec: Option<u64>,
}

impl HashArgs {
    fn hashing(&self, config: &TrackConfig) -> Hashing {
        Hashing {
            threads: self.hash_threads.map(usize::from).or(config.hash_threads),
            max_bytes_per_sec: self.max_bytes_per_sec.or(config.max_bytes_per_sec),
            ..Hashing::default()
        }
    }
}

/// Read files again, and see whether they still are what they were
///
/// Files that have a fingerprint, those first that were not read for the longest time. One whose content is another although its size and times are not is
/// `bitrot`, a change of the run; what it was stays known. Meanwhile the directory cannot be scanned into the catalog: give it a --budget.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track verify /data --budget 500G            every night another part
  pwalk track verify /data --older-than 90d

Exit codes: 0 all are as they were, 1 something is rotten or could not be read, 2 usage, 3 failed, 130 interrupted.")]
pub(super) struct VerifyArgs {
    /// A directory that was scanned with fingerprints, or one in it
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Stop after so many bytes, as 500G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    budget: Option<u64>,
    /// Stop after so many files
    #[arg(long, value_name = "N")]
    max_files: Option<u64>,
    /// Only files that were last read before: a duration as 90d, or a date
    #[arg(long, value_name = "TIME", value_parser = since)]
    older_than: Option<Since>,
    #[command(flatten)]
    hashing: HashArgs,
    /// The run as a JSON object on standard output
    #[arg(long)]
    json: bool,
    /// No summary; the exit code tells
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// Forget what old runs found; how things are stays known
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track prune --keep 365d       the changes of the last year
  pwalk track prune --keep 30         those of the last 30 scans of each directory")]
pub(super) struct PruneArgs {
    /// What to keep: so many scans of each directory, with the verifications since, or a duration or date
    #[arg(long, value_name = "N|TIME", value_parser = since)]
    keep: Since,
    /// No summary
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

impl ScanArgs {
    /// What is to be done, and with which directory.
    fn options(&self, config: &TrackConfig, cancel: &Cancel) -> anyhow::Result<(PathBuf, ScanOptions)> {
        let path = self.path.clone().or_else(|| config.data_root.clone());
        let path =
            path.ok_or_else(|| Usage("name the directory to scan, or set data_root in the settings".to_owned()))?;
        let defaults = TreeDefaults {
            threads: config.threads.map(Threads::Fixed),
            one_file_system: config.one_file_system == Some(true),
            exclude: config.exclude.clone(),
        };
        let (walk, exclude_patterns) = self.tree.options_over(cancel, defaults)?;
        let options = ScanOptions {
            walk,
            exclude_patterns,
            fingerprint: self.fingerprint.or(config.fingerprint).unwrap_or_default(),
            hashing: Hashing { hash: self.hash.or(config.hash).unwrap_or_default(), ..self.hashing.hashing(config) },
            metadata: config
                .metadata
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .chain(self.metadata.iter().cloned())
                .collect(),
            accepted: Accepted { new_root: self.accept_new_root, mass_delete: self.accept_mass_delete },
            ..ScanOptions::default()
        };
        Ok((path, options))
    }
}

pub(super) fn scan(args: &ScanArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let config = args.catalog.settings()?;
    let (path, options) = args.options(&config, &cancel)?;
    let show = Show::new(args.progress, args.quiet);
    show.raise_file_descriptor_limit();
    let mut log = Log::start(&config)?;
    logged(&mut log, LogLevel::Info, || {
        format!("scan {}: fingerprint {}", path.display(), options.fingerprint.name())
    })?;
    let mut catalog = opened(args.catalog.create(&config), &mut log)?;
    let done = catalog.scan(&path, &options, &show);
    show.finish();
    let summary = told(done, &mut log, &mut catalog)?;
    if !args.quiet {
        summary.warnings.iter().for_each(|warning| show.say(&format!("pwalk: {warning}")));
    }
    tell(&summary, args.json, args.quiet)
}

fn logged(log: &mut Option<Log>, level: LogLevel, text: impl Fn() -> String) -> anyhow::Result<()> {
    log.as_mut().map_or(Ok(()), |log| log.line(level, &text()))
}

/// The catalog; the log is told if there is none.
fn opened(catalog: anyhow::Result<Catalog>, log: &mut Option<Log>) -> anyhow::Result<Catalog> {
    if let Err(why) = &catalog {
        logged(log, LogLevel::Error, || format!("FAILED: {why:#}"))?;
    }
    catalog
}

/// What a run came to, which the log is told first.
fn told(
    done: Result<ScanSummary, TrackError>,
    log: &mut Option<Log>,
    catalog: &mut Catalog,
) -> anyhow::Result<ScanSummary> {
    match (&done, log.as_mut()) {
        (Ok(summary), Some(log)) => log.run(summary, catalog)?,
        (Err(why), Some(log)) => log.line(LogLevel::Error, &format!("FAILED: {why}"))?,
        _ => {}
    }
    Ok(done?)
}

pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let config = args.catalog.settings()?;
    let before = match args.older_than {
        Some(Since::Time(time)) => Some(time),
        Some(Since::Run(_)) => return Err(Usage("--older-than is a duration as 90d, or a date".to_owned()).into()),
        None => None,
    };
    let options = VerifyOptions {
        max_bytes: args.budget,
        max_files: args.max_files,
        before,
        hashing: args.hashing.hashing(&config),
        cancel: cancel_on_signals()?,
    };
    let mut log = Log::start(&config)?;
    logged(&mut log, LogLevel::Info, || format!("verify {}", args.path.display()))?;
    let mut catalog = opened(args.catalog.open_with(&config), &mut log)?;
    let done = catalog.verify(&args.path, &options);
    let summary = told(done, &mut log, &mut catalog)?;
    if !args.quiet {
        summary.warnings.iter().for_each(|warning| say(format_args!("pwalk: {warning}")));
    }
    tell(&summary, args.json, args.quiet)
}

pub(super) fn prune(args: &PruneArgs) -> anyhow::Result<Exit> {
    let keep = match args.keep {
        Since::Run(0) => {
            return Err(Usage("--keep 0 would keep nothing; the last run is always kept".to_owned()).into());
        }
        Since::Run(count) => Keep::Runs(count),
        Since::Time(time) => Keep::Since(time),
    };
    let pruned = args.catalog.open()?.prune(keep, &cancel_on_signals()?)?;
    if !args.quiet {
        say(format_args!("forgot the changes of {}", plural(pruned, "run", "runs")));
    }
    Ok(Exit::Complete)
}

/// Tells what a run came to.
fn tell(summary: &ScanSummary, json: bool, quiet: bool) -> anyhow::Result<Exit> {
    let run = &summary.run;
    let out = Out::new();
    if json {
        let mut lines = Lines::new(&out);
        let mut object = run_json(run);
        object["elapsed_seconds"] = summary.elapsed.as_secs_f64().into();
        object["publish_seconds"] = summary.publishing.as_secs_f64().into();
        lines.text(&object.to_string());
        lines.end();
        lines.flush();
    }
    if !quiet {
        lines(summary).iter().for_each(|line| say(format_args!("{line}")));
    }
    let written = out.exit(pwalk_engine::Ended::Whole, false)?;
    let is_bad = run.verdict == Verdict::Partial || run.counts.of(ChangeType::Bitrot) > 0;
    Ok(if written == Exit::Complete && is_bad { Exit::Partial } else { written })
}

fn lines(summary: &ScanSummary) -> Vec<String> {
    let run = &summary.run;
    let changes = if summary.is_first { "the first one".to_owned() } else { counted(&run.counts) };
    let mut lines = vec![
        format!("{}: run {} of {}: {changes}", run.verdict, run.id, shown(&run.root)),
        format!(
            "  {}, {}  {:.2} s",
            plural(run.entries, "entry", "entries"),
            bytes(run.bytes),
            summary.elapsed.as_secs_f64()
        ),
    ];
    if run.hashed.0 > 0 {
        lines.push(format!("  read {}, {}", plural(run.hashed.0, "file", "files"), bytes(run.hashed.1)));
    }
    if run.errors > 0 {
        let errors = plural(run.errors, "error", "errors");
        lines.push(format!("  {errors}: what could not be read is listed by `pwalk track errors {}`", run.id));
    }
    lines
}
