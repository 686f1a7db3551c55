//! `pwalk track ls` and `export`: what is, or was, where.

use std::path::PathBuf;

use clap::Args;
use pwalk_engine::Ended;
use pwalk_find::format::symbolic;
use pwalk_fs::{Accounts, Kind};
use pwalk_scan::path_text;
use pwalk_track::{Entry, Since, TrackError, known_path, time};
use serde_json::{Value, json as value};

use super::show::{closed, local, until_closed};
use super::{CatalogArgs, since};
use crate::Exit;
use crate::args::Usage;
use crate::human::{bytes, plural, say};
use crate::out::{Lines, Out};
use crate::signals::cancel_on_signals;

/// List a directory as it is in the catalog, or as it was
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track ls /data/proj
  pwalk track ls /data/proj --at 2026-01-31 --recursive
  pwalk track ls /data --at 12 --recursive --json | jq -r .path")]
pub(super) struct LsArgs {
    /// The directory, or a file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// As it was after this run, or at this time; a date is its beginning
    #[arg(long, value_name = "RUN|TIME", value_parser = since)]
    at: Option<Since>,
    /// And all that is below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// One JSON object a line for each entry
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// Give the catalog to other programs
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true), after_help = "Examples:
  pwalk track export --duckdb-sql | duckdb -init /dev/stdin
  pwalk track export --parquet proj.parquet --path /data/proj")]
pub(super) struct ExportArgs {
    /// Print the SQL with which DuckDB sees the catalog as views: files, past_files, file_changes, scan_runs
    #[arg(long, group = "what")]
    duckdb_sql: bool,
    /// Write the entries at --path and below it to a Parquet file
    #[arg(long, value_name = "FILE", requires = "path", group = "what")]
    parquet: Option<PathBuf>,
    /// What --parquet is to have
    #[arg(long, value_name = "PATH", requires = "parquet")]
    path: Option<PathBuf>,
    /// As they were after this run, or at this time; a date is its beginning
    #[arg(long, value_name = "RUN|TIME", value_parser = since, requires = "parquet")]
    at: Option<Since>,
    #[command(flatten)]
    catalog: CatalogArgs,
}

pub(super) fn ls(args: &LsArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let mut catalog = args.catalog.open()?;
    let path = known_path(&args.path);
    let accounts = Accounts::default();
    let out = Out::new();
    let mut lines = Lines::new(&out);
    let mut entries = 0_u64;
    let told = catalog.entries(&path, args.at, &cancel, &mut |entry| {
        entries += 1;
        let below = entry.path.get(path.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let is_dir = Kind::from_mode(entry.stat.mode).is_dir();
        // A directory is what is in it; what is no directory is itself.
        let is_asked = if below.is_empty() { !is_dir } else { args.recursive || !below.contains(&b'/') };
        if !is_asked {
            return Ok(());
        }
        if args.json {
            lines.text(&entry_json(entry).to_string());
        } else {
            let name = |of: Option<String>, id: u32| of.unwrap_or_else(|| id.to_string());
            lines.text(&format!(
                "{} {:<8} {:<8} {:>10} {}  ",
                String::from_iter(symbolic(entry.stat.mode).map(char::from)),
                name(accounts.user(entry.stat.uid), entry.stat.uid),
                name(accounts.group(entry.stat.gid), entry.stat.gid),
                bytes(u64::try_from(entry.stat.size).unwrap_or(0)),
                local(entry.stat.mtime),
            ));
            lines.path(if below.is_empty() { entry.path } else { below });
        }
        if lines.end() { Ok(()) } else { Err(closed()) }
    });
    until_closed(told)?;
    lines.flush();
    if entries == 0 {
        return Err(TrackError::Unknown(format!("the catalog has nothing at {}", path.escape_ascii())).into());
    }
    out.exit(Ended::Whole, false)
}

fn entry_json(entry: &Entry<'_>) -> Value {
    let (path, path_bytes) = path_text(entry.path);
    let stat = entry.stat;
    let mut object = value!({
        "path": path,
        "type": Kind::from_mode(stat.mode).name(),
        "size": stat.size,
        "mode": format!("{:04o}", stat.mode & 0o7777),
        "uid": stat.uid,
        "gid": stat.gid,
        "inode": stat.ino,
        "mtime": time(stat.mtime),
        "ctime": time(stat.ctime),
        "fingerprint": entry.fingerprint.map(|fingerprint| fingerprint.to_string()),
        "hashed_at": entry.hashed_at.map(time),
        "run": entry.run,
    });
    if let Some(bytes) = path_bytes {
        object["path_bytes"] = bytes.into();
    }
    object
}

pub(super) fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
    if args.parquet.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        return Err(Usage("--parquet -: Parquet is written from its end; name a file".to_owned()).into());
    }
    let mut catalog = args.catalog.open()?;
    let out = Out::new();
    if args.duckdb_sql {
        let mut lines = Lines::new(&out);
        lines.text(&catalog.duckdb_sql()?);
        lines.flush();
    }
    if let (Some(file), Some(path)) = (&args.parquet, &args.path) {
        let rows = catalog.export(&known_path(path), args.at, file.clone(), &cancel_on_signals()?)?;
        if rows == 0 {
            return Err(TrackError::Unknown(format!("the catalog has nothing at {}", path.display())).into());
        }
        say(format_args!("{}: {}", file.display(), plural(rows, "entry", "entries")));
    }
    out.exit(Ended::Whole, false)
}
