//! The bookkeeping of a local catalog: which runs there were, and which files are its state. In SQLite.
//!
//! A file that is not in here is not part of the catalog, so the commit of one transaction publishes a run. The journal is a rollback journal and not
//! a write-ahead log, which needs shared memory and so one machine: the catalog may be on NFS or Lustre.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pwalk_scan::Verdict;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TrackError;
use crate::catalog::run::{Identity, Root, Run, RunKind};
use crate::change::{ChangeType, Counts};

/// `pwlk`: what `file` and others know a database by.
const APPLICATION: i32 = 0x7077_6c6b;
/// The version of the tables.
const VERSION: i32 = 1;

/// How long another process may take to publish.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
create table roots (
  id integer primary key,
  path blob not null unique,
  path_text text not null,
  ino integer not null,
  dev integer not null,
  btime integer,
  mount_source blob not null,
  mount_type blob not null
) strict;
create table runs (
  id integer primary key,
  root integer not null references roots,
  kind text not null,
  started integer not null,
  finished integer not null,
  verdict text not null,
  entries integer not null,
  bytes integer not null,
  errors integer not null,
  hashed_files integer not null,
  hashed_bytes integer not null,
  extent text not null,
  metadata text not null,
  changes text,
  pruned integer not null default 0
) strict;
create index runs_of_root on runs (root, id);
create table counts (
  run integer not null references runs,
  change_type text not null,
  changes integer not null,
  bytes integer not null,
  primary key (run, change_type)
) strict, without rowid;
-- Files of rows. Those of kind 'state' are there, but for the rows that 'gone' files name; those of kind 'past' were there once.
create table segments (
  id integer primary key,
  root integer not null references roots,
  run integer not null,
  kind text not null,
  file text not null unique,
  rows integer not null
) strict;
create index segments_of_root on segments (root, id);
-- The next run.
create table next (run integer not null) strict;
insert into next values (1);
";

/// A file of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: SegmentKind,
    /// The run that wrote it.
    pub(super) run: u64,
    /// Its path below the catalog.
    pub(super) file: String,
    pub(super) rows: u64,
}

/// What a file of rows holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentKind {
    /// What is there.
    State,
    /// What was there, and until which run.
    Past,
    /// Rows of state segments that are there no more.
    Gone,
}

impl SegmentKind {
    fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Past => "past",
            Self::Gone => "gone",
        }
    }

    fn of(name: &str) -> Self {
        match name {
            "past" => Self::Past,
            "gone" => Self::Gone,
            _ => Self::State,
        }
    }
}

/// The bookkeeping.
pub(super) struct Book {
    path: PathBuf,
    db: Connection,
}

/// What is published with a run.
pub(super) struct Publication<'a> {
    pub(super) root: u64,
    pub(super) identity: &'a Identity,
    pub(super) run: &'a Run,
    /// The file of changes, if there are any.
    pub(super) changes: Option<String>,
    /// Files of rows that come, and those that go.
    pub(super) added: Vec<Segment>,
    pub(super) removed: Vec<String>,
}

impl Book {
    /// Opens it, or makes a new one.
    pub(super) fn open(path: &Path) -> Result<Self, TrackError> {
        let failed = |why| TrackError::Book { path: path.to_owned(), why };
        let mut db = Connection::open(path).map_err(failed)?;
        let book = |db: &mut Connection| -> rusqlite::Result<i32> {
            db.busy_timeout(PATIENCE)?;
            db.pragma_update(None, "journal_mode", "delete")?;
            db.pragma_update(None, "synchronous", "extra")?;
            db.pragma_update(None, "foreign_keys", true)?;
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let application: i32 = change.pragma_query_value(None, "application_id", |row| row.get(0))?;
            if version == 0 && application == 0 {
                change.execute_batch(TABLES)?;
                change.pragma_update(None, "application_id", APPLICATION)?;
                change.pragma_update(None, "user_version", VERSION)?;
                change.commit()?;
                return Ok(VERSION);
            }
            Ok(if application == APPLICATION { version } else { 0 })
        };
        match book(&mut db).map_err(failed)? {
            VERSION => Ok(Self { path: path.to_owned(), db }),
            version => Err(TrackError::OtherCatalog { path: path.to_owned(), version }),
        }
    }

    fn failed(&self, why: rusqlite::Error) -> TrackError {
        TrackError::Book { path: self.path.clone(), why }
    }

    /// The number of a root, which gets one if it has none.
    pub(super) fn root_id(&mut self, path: &[u8]) -> Result<u64, TrackError> {
        let text = pwalk_scan::path_text(path).0;
        let add =
            "insert into roots (path, path_text, ino, dev, mount_source, mount_type) values (?1, ?2, 0, 0, x'', x'')
            on conflict (path) do update set path = excluded.path returning id";
        let id = self.db.query_row(add, params![path, text], |row| unsigned(row, 0));
        id.map_err(|why| self.failed(why))
    }

    /// A number for a run, which nobody else gets.
    pub(super) fn draw(&mut self) -> Result<u64, TrackError> {
        let drawn = self.db.query_row("update next set run = run + 1 returning run - 1", [], |row| unsigned(row, 0));
        drawn.map_err(|why| self.failed(why))
    }

    /// All roots that have runs.
    pub(super) fn roots(&self) -> Result<Vec<Root>, TrackError> {
        let ask = || -> rusqlite::Result<Vec<Root>> {
            let mut roots = self
                .db
                .prepare("select id, path, ino, dev, btime, mount_source, mount_type from roots order by path")?;
            let read = |row: &Row<'_>| {
                let identity = Identity {
                    ino: unsigned(row, 2)?,
                    dev: unsigned(row, 3)?,
                    btime: row.get(4)?,
                    mount: (row.get(5)?, row.get(6)?),
                };
                Ok(Root { id: unsigned(row, 0)?, path: row.get(1)?, identity, last_scan: None, last: 0 })
            };
            let mut roots: Vec<Root> = roots.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
            for root in &mut roots {
                let id = root.id.cast_signed();
                let last = "select coalesce(max(id), 0) from runs where root = ?1";
                root.last = self.db.query_row(last, [id], |row| unsigned(row, 0))?;
                root.last_scan =
                    self.runs_where("r.root = ?1 and r.kind = 'scan' order by r.id desc limit 1", &[id])?.pop();
            }
            roots.retain(|root| root.last > 0);
            Ok(roots)
        };
        ask().map_err(|why| self.failed(why))
    }

    /// All runs, the oldest first.
    pub(super) fn runs(&self) -> Result<Vec<Run>, TrackError> {
        self.runs_where("true order by r.id", &[]).map_err(|why| self.failed(why))
    }

    fn runs_where(&self, which: &str, params: &[i64]) -> rusqlite::Result<Vec<Run>> {
        let sql = format!(
            "select r.id, o.path, r.kind, r.started, r.finished, r.verdict, r.entries, r.bytes, r.errors, r.hashed_files, r.hashed_bytes,
                r.extent, r.metadata, r.pruned from runs r join roots o on o.id = r.root where {which}"
        );
        let mut runs = self.db.prepare_cached(&sql)?;
        let read = |row: &Row<'_>| {
            let verdict: String = row.get(5)?;
            Ok(Run {
                id: unsigned(row, 0)?,
                root: row.get(1)?,
                kind: RunKind::of(&row.get::<_, String>(2)?),
                started: row.get(3)?,
                finished: row.get(4)?,
                verdict: if verdict == "COMPLETE" { Verdict::Complete } else { Verdict::Partial },
                entries: unsigned(row, 6)?,
                bytes: unsigned(row, 7)?,
                errors: unsigned(row, 8)?,
                counts: Counts::default(),
                hashed: (unsigned(row, 9)?, unsigned(row, 10)?),
                extent: json(&row.get::<_, String>(11)?),
                metadata: json(&row.get::<_, String>(12)?),
                is_pruned: row.get(13)?,
            })
        };
        let mut runs: Vec<Run> =
            runs.query_map(rusqlite::params_from_iter(params), read)?.collect::<rusqlite::Result<_>>()?;
        let mut counts = self.db.prepare_cached("select change_type, changes, bytes from counts where run = ?1")?;
        for run in &mut runs {
            let mut rows = counts.query([run.id.cast_signed()])?;
            while let Some(row) = rows.next()? {
                if let Some(change_type) = ChangeType::of(&row.get::<_, String>(0)?) {
                    run.counts.more(change_type, unsigned(row, 1)?, unsigned(row, 2)?);
                }
            }
        }
        Ok(runs)
    }

    /// The file of a run's changes.
    pub(super) fn changes_of(&self, run: u64) -> Result<Option<String>, TrackError> {
        let ask = "select changes from runs where id = ?1";
        let file = self.db.query_row(ask, [run.cast_signed()], |row| row.get(0)).optional();
        file.map(Option::flatten).map_err(|why| self.failed(why))
    }

    /// The files of a root's rows.
    pub(super) fn segments(&self, root: u64) -> Result<Vec<Segment>, TrackError> {
        let ask = || -> rusqlite::Result<Vec<Segment>> {
            let mut segments =
                self.db.prepare_cached("select kind, run, file, rows from segments where root = ?1 order by id")?;
            let read = |row: &Row<'_>| {
                Ok(Segment {
                    kind: SegmentKind::of(&row.get::<_, String>(0)?),
                    run: unsigned(row, 1)?,
                    file: row.get(2)?,
                    rows: unsigned(row, 3)?,
                })
            };
            segments.query_map([root.cast_signed()], read)?.collect()
        };
        ask().map_err(|why| self.failed(why))
    }

    /// Makes a run part of the catalog: when. Later than all others, so that who asks for what is new since one of them misses nothing.
    pub(super) fn publish(&mut self, publication: &Publication<'_>) -> Result<i64, TrackError> {
        let publish = |db: &mut Connection| -> rusqlite::Result<i64> {
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last: i64 = change.query_row("select coalesce(max(finished), 0) from runs", [], |row| row.get(0))?;
            let finished = publication.run.finished.max(last + 1);
            write_run(&change, publication, finished)?;
            let Publication { root, identity, .. } = publication;
            change.execute(
                "update roots set ino = ?2, dev = ?3, btime = ?4, mount_source = ?5, mount_type = ?6 where id = ?1",
                params![
                    root.cast_signed(),
                    identity.ino.cast_signed(),
                    identity.dev.cast_signed(),
                    identity.btime,
                    identity.mount.0,
                    identity.mount.1
                ],
            )?;
            replace(&change, *root, &publication.added, &publication.removed)?;
            change.commit().map(|()| finished)
        };
        publish(&mut self.db).map_err(|why| self.failed(why))
    }

    /// Forgets the changes of runs, and puts files of rows in the place of others.
    pub(super) fn prune(
        &mut self,
        root: u64,
        runs: &[u64],
        added: &[Segment],
        removed: &[String],
    ) -> Result<(), TrackError> {
        let prune = |db: &mut Connection| -> rusqlite::Result<()> {
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for run in runs {
                change.execute("update runs set changes = null, pruned = 1 where id = ?1", [run.cast_signed()])?;
            }
            replace(&change, root, added, removed)?;
            change.commit()
        };
        prune(&mut self.db).map_err(|why| self.failed(why))
    }

    /// All files that are part of the catalog.
    pub(super) fn files(&self) -> Result<Vec<String>, TrackError> {
        let ask = || -> rusqlite::Result<Vec<String>> {
            let mut files = self
                .db
                .prepare("select file from segments union all select changes from runs where changes is not null")?;
            files.query_map([], |row| row.get(0))?.collect()
        };
        ask().map_err(|why| self.failed(why))
    }
}

fn write_run(change: &Transaction<'_>, publication: &Publication<'_>, finished: i64) -> rusqlite::Result<()> {
    let run = publication.run;
    change.execute(
        "insert into runs values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0)",
        params![
            run.id.cast_signed(),
            publication.root.cast_signed(),
            run.kind.name(),
            run.started,
            finished,
            run.verdict.to_string(),
            run.entries.cast_signed(),
            run.bytes.cast_signed(),
            run.errors.cast_signed(),
            run.hashed.0.cast_signed(),
            run.hashed.1.cast_signed(),
            text(&run.extent),
            text(&run.metadata),
            publication.changes,
        ],
    )?;
    for of in ChangeType::ALL {
        let (changes, bytes) = (run.counts.of(of), run.counts.bytes_of(of));
        if changes > 0 {
            change.execute(
                "insert into counts values (?1, ?2, ?3, ?4)",
                params![run.id.cast_signed(), of.name(), changes.cast_signed(), bytes.cast_signed()],
            )?;
        }
    }
    Ok(())
}

fn replace(change: &Transaction<'_>, root: u64, added: &[Segment], removed: &[String]) -> rusqlite::Result<()> {
    for file in removed {
        change.execute("delete from segments where file = ?1", [file])?;
    }
    for Segment { kind, run, file, rows } in added {
        change.execute(
            "insert into segments (root, run, kind, file, rows) values (?1, ?2, ?3, ?4, ?5)",
            params![root.cast_signed(), run.cast_signed(), kind.name(), file, rows.cast_signed()],
        )?;
    }
    Ok(())
}

/// A number that is never negative, as SQLite has it.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

fn json<V: DeserializeOwned>(text: &str) -> BTreeMap<String, V> {
    serde_json::from_str(text).unwrap_or_default()
}
