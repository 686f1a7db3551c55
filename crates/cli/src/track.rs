//! `pwalk track`: a catalog of scans.

mod ask;
mod log;
mod report;
mod scan;
mod show;
mod tree;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pwalk_track::{Catalog, Place, Since, TrackConfig, TrackError};

use crate::Exit;
use crate::args::Usage;
use crate::human::say;

/// Keep a catalog of scans: what changed, when, and how it was
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track scan /data                             what changed since the last time, into the catalog
  pwalk track scan /data --fingerprint new           and digests of what is new
  pwalk track changes --since 7d --path /data/proj   what changed there in a week
  pwalk track report --weekly --by user              who added and removed how much
  pwalk track ls /data/proj --at 2026-01-31          the directory as it was
  pwalk track verify /data --budget 500G             read again what was not read for the longest time

The catalog is a directory; DuckDB reads it: duckdb -init CATALOG/views.sql
Exit codes: 0 done, 1 PARTIAL or something is rotten, 2 usage, 3 failed or refused, 130 interrupted.")]
pub(crate) struct TrackArgs {
    #[command(subcommand)]
    command: TrackCommand,
}

#[derive(Subcommand, Debug)]
enum TrackCommand {
    /// Make a catalog, or bring one up to date
    Init(InitArgs),
    /// Scan a directory, and add what changed to the catalog
    Scan(scan::ScanArgs),
    /// List the runs
    Runs(show::RunsArgs),
    /// What a run could not read
    Errors(show::ErrorsArgs),
    /// What changed
    Changes(show::ChangesArgs),
    /// Count changes by day or week, and by directory, user, group or extension
    Report(report::ReportArgs),
    /// List a directory as it is in the catalog, or as it was
    Ls(tree::LsArgs),
    /// Read files again, and see whether they still are what they were
    Verify(scan::VerifyArgs),
    /// Forget what old runs found; how things are stays known
    Prune(scan::PruneArgs),
    /// Give the catalog to other programs
    Export(tree::ExportArgs),
}

/// Which catalog.
#[derive(Args, Debug)]
#[command(next_help_heading = "Catalog")]
pub(crate) struct CatalogArgs {
    /// The catalog's directory [default: $XDG_DATA_HOME/pwalk/catalog, else ~/.local/share/pwalk/catalog]
    #[arg(long, value_name = "DIR", conflicts_with = "database")]
    catalog: Option<PathBuf>,
    /// A catalog in PostgreSQL: postgresql://USER@HOST/DATABASE; what it does not say PG* variables and ~/.pgpass do. A password in it is
    /// seen by everybody who lists processes: better in ~/.pgpass
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Settings, in TOML or INI [default: $PWALK_CONFIG, pwalk/track.toml or .ini in ~/.config, /etc/pwalk/track.toml or .ini]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl CatalogArgs {
    /// What the file of settings says; its warnings are told.
    pub(crate) fn settings(&self) -> anyhow::Result<TrackConfig> {
        let config = TrackConfig::read(self.config.as_deref()).map_err(|bad| Usage(bad.to_string()))?;
        config.warnings.iter().for_each(|warning| say(format_args!("pwalk: {warning}")));
        Ok(config)
    }

    fn place(&self, config: &TrackConfig) -> anyhow::Result<Place> {
        let place = Place::of(self.catalog.as_deref(), self.database.as_deref(), config);
        let place = place.map_err(|bad| Usage(bad.to_string()))?;
        if let Place::Database(connection) = &place {
            connection.warnings.iter().for_each(|warning| say(format_args!("pwalk: {warning}")));
        }
        Ok(place)
    }

    /// The catalog, which must be there.
    pub(crate) fn open(&self) -> anyhow::Result<Catalog> {
        self.open_with(&self.settings()?)
    }

    /// The same, with settings that were read.
    pub(crate) fn open_with(&self, config: &TrackConfig) -> anyhow::Result<Catalog> {
        Ok(self.place(config)?.open()?)
    }

    /// The catalog, which is made if it is a directory that is not there.
    pub(crate) fn create(&self, config: &TrackConfig) -> anyhow::Result<Catalog> {
        Ok(self.place(config)?.create()?)
    }
}

/// Make a catalog, or bring one up to date
///
/// In PostgreSQL the schema filesystem is created or migrated; nothing in it is ever dropped. A directory is made by the first scan too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track init --database postgresql://crawler@db.example.org/files
  pwalk track init --config /etc/pwalk/track.ini")]
struct InitArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

fn init(args: &InitArgs) -> anyhow::Result<Exit> {
    match args.catalog.place(&args.catalog.settings()?)? {
        Place::Dir(dir) => {
            Catalog::create(&dir)?;
            say(format_args!("the catalog is in {}", dir.display()));
        }
        Place::Database(connection) => {
            Catalog::init(&connection)?;
            say(format_args!("the catalog is in {connection}"));
        }
    }
    Ok(Exit::Complete)
}

pub(crate) fn run(args: &TrackArgs) -> anyhow::Result<Exit> {
    let done = match &args.command {
        TrackCommand::Init(args) => init(args),
        TrackCommand::Scan(args) => scan::scan(args),
        TrackCommand::Errors(args) => show::errors(args),
        TrackCommand::Runs(args) => show::runs(args),
        TrackCommand::Changes(args) => show::changes(args),
        TrackCommand::Report(args) => report::run(args),
        TrackCommand::Ls(args) => tree::ls(args),
        TrackCommand::Verify(args) => scan::verify(args),
        TrackCommand::Prune(args) => scan::prune(args),
        TrackCommand::Export(args) => tree::export(args),
    };
    done.or_else(|error| match error.downcast_ref::<TrackError>() {
        Some(TrackError::Interrupted) => {
            say(format_args!("pwalk: interrupted; nothing was recorded"));
            Ok(Exit::Interrupted)
        }
        Some(TrackError::Output(io)) if io.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Failed),
        _ => Err(error),
    })
}

/// A place in the history, for clap.
fn since(text: &str) -> Result<Since, String> {
    text.parse().map_err(|bad: pwalk_track::BadSince| bad.to_string())
}
