//! The catalog in PostgreSQL, for those who run a server.
//!
//! ```text
//! dial.rs, tls.rs ─► a connection        schema.sql, views.sql: what is there (their heads say why it is so)
//! read.rs, changes.rs ◄─ COPY ─ current_entries, past, changes     dirs.rs: directories' numbers and paths
//! write.rs ─► stream.rs ─ COPY ─► staging tables, or a root's own partition the first time
//! publish.rs: all of it becomes the state, in one transaction
//! ```
//!
//! Nothing that decides what a change is happens here or on the server: the old state is read, compared where the directory is, and what differs is
//! sent. So a run costs the server one pass over the rows, and writes as much as changed. Merging there, with the whole
//! scan sent each time, was measured to take two hundred times as long (`bench/obvious.sql`).
//!
//! One connection has the root's advisory lock from beginning to end, and publishes: if it is lost nothing can be published, and another may have
//! the lock. Rows that were staged by a run that did not get there are removed by the next one.

mod book;
mod changes;
mod copy;
mod dial;
mod dirs;
mod publish;
mod read;
mod stream;
mod tls;
mod write;

use std::io::{Seek, SeekFrom};
use std::thread::sleep;
use std::time::Duration;

use postgres::Client;
use pwalk_engine::Cancel;
use pwalk_scan::{LedgerTarget, Loss};

use self::book::{ask, get, number};
use self::dial::Dial;
use self::dirs::Directories;
use super::record::Contents;
use super::run::{Root, Run};
use super::scan::reading_of;
use super::store::{Draft, Entry, Store};
use crate::TrackError;
use crate::change::Change;
use crate::connection::Connection;
use crate::fingerprint::FingerprintMode;
use crate::key::Roots;
use crate::side::{Reading, Side};

/// The version of the schema that this program makes and uses.
const VERSION: i32 = 1;
const SCHEMA: &str = include_str!("postgres/schema.sql");
const VIEWS: &str = include_str!("postgres/views.sql");

/// Bytes of a root's path, by which it is looked up: what an index takes.
const LONGEST_ROOT: usize = 2048;

/// How often, and how long between, a lock is tried for: a killed client's server process takes a moment to notice.
const TRIES: (u32, Duration) = (25, Duration::from_millis(100));

/// A catalog in a database.
pub(crate) struct PgStore {
    dial: Dial,
    client: Client,
    /// Of the root that is locked, since its state was read.
    dirs: Option<Directories>,
    /// What the run could not read, as it is noted.
    ledger: Option<std::fs::File>,
}

impl PgStore {
    /// Connects to a database that has a catalog.
    pub(crate) fn connect(connection: &Connection) -> Result<Self, TrackError> {
        let dial = Dial::new(connection);
        let mut client = dial.open()?;
        let server = dial.server();
        match version(&dial, &mut client)? {
            Some(VERSION) => Ok(Self { dial, client, dirs: None, ledger: None }),
            None => Err(TrackError::Unknown(format!(
                "there is no catalog in {server}; make one there with `pwalk track init`"
            ))),
            Some(older) if older < VERSION => Err(TrackError::Unknown(format!(
                "the catalog in {server} is of an older pwalk (version {older}); run `pwalk track init` there"
            ))),
            Some(newer) => Err(TrackError::Unknown(format!(
                "the catalog in {server} is of a newer pwalk (version {newer}); use that one"
            ))),
        }
    }

    /// Makes the catalog's schema, or brings it up to date. What is there stays.
    pub(crate) fn init(connection: &Connection) -> Result<(), TrackError> {
        const DOING: &str = "make the catalog";
        let dial = Dial::new(connection);
        let mut client = dial.open()?;
        if let Some(version) = version(&dial, &mut client)?.filter(|version| *version > VERSION) {
            let server = dial.server();
            return Err(TrackError::Unknown(format!(
                "the catalog in {server} is of a newer pwalk (version {version}); use that one"
            )));
        }
        let failed = |why: postgres::Error| {
            let advice = "a user who may create a schema in this database can make it";
            dial.because(DOING, dial::explain(&why), advice)
        };
        let mut change = client.transaction().map_err(failed)?;
        // Two at once would be in each other's way.
        change.batch_execute(&format!("select pg_advisory_xact_lock({})", book::LOCKS)).map_err(failed)?;
        change.batch_execute(SCHEMA).map_err(failed)?;
        change.batch_execute(VIEWS).map_err(failed)?;
        change.commit().map_err(failed)
    }

    /// Tries to get a root's lock.
    fn try_lock(&mut self, root: i32) -> Result<bool, TrackError> {
        take_lock(&self.dial, &mut self.client, root)
    }
}

fn take_lock(dial: &Dial, client: &mut Client, root: i32) -> Result<bool, TrackError> {
    let rows = ask(dial, client, "select pg_try_advisory_lock($1, $2)", &[&book::LOCKS, &root])?;
    rows.first().map_or(Ok(false), |row| get(dial, row, 0))
}

/// The version of the schema, if it is there.
fn version(dial: &Dial, client: &mut Client) -> Result<Option<i32>, TrackError> {
    let there = ask(dial, client, "select to_regclass('filesystem.schema_version') is not null", &[])?;
    if !there.first().map_or(Ok(false), |row| get(dial, row, 0))? {
        return Ok(None);
    }
    let rows = ask(dial, client, "select max(version) from filesystem.schema_version", &[])?;
    rows.first().map_or(Ok(None), |row| get(dial, row, 0))
}

impl Store for PgStore {
    fn roots(&mut self) -> Result<Vec<Root>, TrackError> {
        book::roots(&self.dial, &mut self.client, None)
    }

    fn runs(&mut self) -> Result<Vec<Run>, TrackError> {
        book::runs(&self.dial, &mut self.client, None)
    }

    fn lock(&mut self, path: &[u8]) -> Result<Root, TrackError> {
        if path.len() > LONGEST_ROOT {
            return Err(TrackError::Unknown(format!(
                "the root of a catalog in PostgreSQL has a path of at most {LONGEST_ROOT} bytes; keep this one in a directory"
            )));
        }
        let id = book::root_id(&self.dial, &mut self.client, path)?;
        let mut tries = TRIES.0;
        while !self.try_lock(id)? {
            tries -= 1;
            if tries == 0 {
                return Err(TrackError::Locked { root: path.escape_ascii().to_string() });
            }
            sleep(TRIES.1);
        }
        self.dirs = None;
        let root = book::roots(&self.dial, &mut self.client, Some(id))?.pop();
        root.ok_or_else(|| TrackError::Unknown("the root that was just added is gone".to_owned()))
    }

    fn unlock(&mut self, root: &Root) {
        self.dirs = None;
        self.ledger = None;
        let unlock = self.client.execute("select pg_advisory_unlock($1, $2)", &[&book::LOCKS, &number(root)]);
        if unlock.is_err() {
            // The connection is lost, and with it the lock.
        }
    }

    fn begin(&mut self, root: &Root) -> Result<(u64, LedgerTarget), TrackError> {
        publish::fold_if_due(&self.dial, &mut self.client, root)?;
        let begin = "select filesystem.begin_run($1, $2, '{}')";
        let begun = ask(&self.dial, &mut self.client, begin, &[&number(root), &(root.last == 0)])?;
        let run: i64 = begun.first().map_or(Ok(0), |row| get(&self.dial, row, 0))?;
        // Without a name, so that nothing of it is left behind, however the run ends.
        let ledger = tempfile::tempfile().map_err(spilled)?;
        self.ledger = Some(ledger.try_clone().map_err(spilled)?);
        Ok((run.cast_unsigned(), LedgerTarget::Stream(Box::new(ledger))))
    }

    fn state(&mut self, root: &Root, rereads: FingerprintMode, reading: &Reading) -> Result<Side, TrackError> {
        let dirs = read::directories(&self.dial, &mut self.client, root)?;
        let side = read::state(&self.dial, &mut self.client, (root, &dirs), rereads, reading)?;
        self.dirs = Some(dirs);
        Ok(side)
    }

    fn publish(
        &mut self,
        draft: Draft<'_>,
        contents: Contents,
        roots: &Roots,
        reading: &Reading,
    ) -> Result<Run, TrackError> {
        let mut dirs = match self.dirs.take() {
            Some(dirs) => dirs,
            None => read::directories(&self.dial, &mut self.client, draft.root)?,
        };
        let mut ledger = self.ledger.take();
        if let Some(ledger) = &mut ledger {
            ledger.seek(SeekFrom::Start(0)).map_err(spilled)?;
        }
        publish::publish(&self.dial, &mut self.client, draft, (contents, roots), (&mut dirs, ledger), reading)
    }

    fn entries(
        &mut self,
        root: &Root,
        subtree: &[u8],
        at: Option<u64>,
        reading: &Reading,
        each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        read::entries(&self.dial, &mut self.client, (root, subtree, at), reading, each)
    }

    fn changes(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        changes::changes(&self.dial, &mut self.client, run, &reading_of(&Cancel::default()), each)
    }

    fn errors(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Loss<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        changes::errors(&self.dial, &mut self.client, run.id, each)
    }

    fn duckdb_sql(&mut self) -> Result<String, TrackError> {
        Err(TrackError::Unknown(
            "--duckdb-sql is for catalogs in a directory; one in PostgreSQL is asked in SQL there (schema filesystem)"
                .to_owned(),
        ))
    }

    fn prune(&mut self, root: &Root, before: u64, _: &Reading) -> Result<(), TrackError> {
        self.dirs = None;
        let done = self.client.execute("select filesystem.prune($1, $2)", &[&number(root), &before.cast_signed()]);
        done.map(|_| ()).map_err(|why| self.dial.failed("forget old runs", &why))
    }
}

/// What could not be noted.
fn spilled(why: std::io::Error) -> TrackError {
    TrackError::Spill { dir: std::env::temp_dir(), why }
}
