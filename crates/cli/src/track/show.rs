//! `pwalk track runs`, `errors` and `changes`: what a catalog knows.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pwalk_engine::Ended;
use pwalk_scan::report::FileFormat;
use pwalk_scan::{Target, path_text};
use pwalk_track::{
    Change, ChangeFilter, ChangeType, ChangeWriter, ChangesOf, Run, Since, TrackError, json, known_path, time,
};
use serde_json::{Map, Value, json as value};

use super::ask::one_of;
use super::{CatalogArgs, since};
use crate::Exit;
use crate::diff::{check_name, counted, line};
use crate::human::{bytes, count};
use crate::out::{Lines, Out};

/// List the runs
#[derive(Args, Debug)]
pub(super) struct RunsArgs {
    /// Only those of this directory
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// One JSON object a line for each run
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// What a run could not read
#[derive(Args, Debug)]
pub(super) struct ErrorsArgs {
    /// The run [default: the last one]
    #[arg(value_name = "RUN")]
    run: Option<u64>,
    /// One JSON object a line for each error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// What changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track changes                                       of the last scan of each directory
  pwalk track changes --since 7d --path /data/proj
  pwalk track changes --since 12 --type removed --json
  pwalk track changes --since 2026-01-01 -o changes.parquet")]
pub(super) struct ChangesArgs {
    /// Those of runs after this one, or after this time: 12, 7d, 2026-01-31 (its beginning) [default: the last scan of each directory, and what was verified since]
    #[arg(long, value_name = "RUN|TIME", value_parser = since)]
    since: Option<Since>,
    /// Those of this run
    #[arg(long, value_name = "RUN", conflicts_with = "since")]
    run: Option<u64>,
    /// Only what is at this path and below it
    #[arg(long, value_name = "SUBTREE")]
    path: Option<PathBuf>,
    /// Only changes of this type (repeatable)
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of::<ChangeType>(&ChangeType::ALL.map(ChangeType::name)))]
    types: Vec<ChangeType>,
    /// Write the changes to a file instead: Parquet if it ends in .parquet, else CSV; `-` is CSV on standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<OsString>,
    /// One JSON object a line for each change
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// A time where the machine is: `2026-01-31 12:00:00`.
pub(super) fn local(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(
        |_| String::new(),
        |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// A run as a JSON object.
pub(super) fn run_json(run: &Run) -> Value {
    let (root, root_bytes) = path_text(&run.root);
    let mut changes = Map::new();
    for of in ChangeType::ALL {
        changes.insert(of.name().to_owned(), value!({"count": run.counts.of(of), "bytes": run.counts.bytes_of(of)}));
    }
    let mut object = value!({
        "run": run.id,
        "root": root,
        "kind": run.kind.name(),
        "started": time(run.started),
        "finished": time(run.finished),
        "verdict": run.verdict.to_string(),
        "entries": run.entries,
        "bytes": run.bytes,
        "errors": run.errors,
        "changes": changes,
        "hashed_files": run.hashed.0,
        "hashed_bytes": run.hashed.1,
        "options": run.extent,
        "metadata": run.metadata,
        "pruned": run.is_pruned,
    });
    if let Some(bytes) = root_bytes {
        object["root_bytes"] = bytes.into();
    }
    object
}

pub(super) fn runs(args: &RunsArgs) -> anyhow::Result<Exit> {
    let path = args.path.as_deref().map(known_path);
    let runs = args.catalog.open()?.runs()?;
    let out = Out::new();
    let mut lines = Lines::new(&out);
    if !args.json {
        lines.text(&format!(
            "{:>6}  {:<19}  {:<6} {:<8} {:>14} {:>10}  changes",
            "run", "finished", "kind", "verdict", "entries", "size"
        ));
        lines.end();
    }
    for run in runs.iter().filter(|run| path.as_ref().is_none_or(|path| *path == run.root)) {
        if args.json {
            lines.text(&run_json(run).to_string());
        } else {
            let pruned = if run.is_pruned { "  (pruned)" } else { "" };
            lines.text(&format!(
                "{:>6}  {}  {:<6} {:<8} {:>14} {:>10}  {}{pruned}  ",
                run.id,
                local(run.finished),
                run.kind.name(),
                run.verdict,
                count(run.entries),
                bytes(run.bytes),
                counted(&run.counts),
            ));
            lines.path(&run.root);
        }
        if !lines.end() {
            break;
        }
    }
    lines.flush();
    out.exit(Ended::Whole, false)
}

pub(super) fn errors(args: &ErrorsArgs) -> anyhow::Result<Exit> {
    let mut catalog = args.catalog.open()?;
    let last = catalog.runs()?.iter().max_by_key(|run| run.finished).map(|run| run.id);
    let run = args.run.or(last).ok_or_else(|| TrackError::Unknown("the catalog has no runs yet".to_owned()))?;
    let out = Out::new();
    let mut lines = Lines::new(&out);
    let told = catalog.errors(run, &mut |loss| {
        if args.json {
            let (path, path_bytes) = path_text(loss.path);
            let mut object = value!({"run": run, "operation": loss.operation, "class": loss.class, "path": path});
            if let Some(bytes) = path_bytes {
                object["path_bytes"] = bytes.into();
            }
            lines.text(&object.to_string());
        } else {
            lines.text(&format!("{:<6} {:<10} ", loss.operation, loss.class));
            lines.path(loss.path);
        }
        if lines.end() { Ok(()) } else { Err(closed()) }
    });
    until_closed(told)?;
    lines.flush();
    out.exit(Ended::Whole, false)
}

/// What told lines until nobody took them any more has ended well; why nobody did [`Out::exit`] says.
pub(super) fn until_closed(told: Result<(), TrackError>) -> Result<(), TrackError> {
    match told {
        Err(TrackError::Output(io)) if io.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

/// Nobody reads any more.
pub(super) fn closed() -> TrackError {
    TrackError::Output(io::ErrorKind::BrokenPipe.into())
}

pub(super) fn changes(args: &ChangesArgs) -> anyhow::Result<Exit> {
    let mut catalog = args.catalog.open()?;
    let filter = ChangeFilter {
        after: args.since,
        run: args.run,
        subtree: args.path.as_deref().map(known_path),
        types: args.types.clone(),
        ..ChangeFilter::default()
    };
    // Without a time those of the last scan of each directory.
    let is_last = args.since.is_none() && args.run.is_none();
    let mut tell = |each: &mut dyn FnMut(&Run, &Change<'_>) -> Result<(), TrackError>| match is_last {
        true => catalog.last_changes(&filter, each),
        false => catalog.changes(&filter, each),
    };
    let out = Out::new();
    if let Some(output) = &args.output {
        let target = Target::from_arg(output);
        check_name(&target)?;
        let format = match &target {
            Target::Stdout => FileFormat::Csv,
            Target::File(path) => FileFormat::of(path),
        };
        let mut writer = ChangeWriter::create(&target, format, ChangesOf::Runs)?;
        tell(&mut |run, change| Ok(writer.write(run.id, change)?))?;
        writer.finish()?;
        return Ok(Exit::Complete);
    }
    let mut lines = Lines::new(&out);
    let told = tell(&mut |run, change| {
        if args.json {
            let mut object = Map::from_iter([("run".to_owned(), run.id.into())]);
            if let Value::Object(fields) = json(change) {
                object.extend(fields);
            }
            lines.text(&Value::Object(object).to_string());
        } else {
            lines.text(&format!("{:>6}  ", run.id));
            line(&mut lines, change);
        }
        if lines.end() { Ok(()) } else { Err(closed()) }
    });
    until_closed(told)?;
    lines.flush();
    out.exit(Ended::Whole, false)
}
