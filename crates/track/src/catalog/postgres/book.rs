//! Roots and runs: the bookkeeping of the catalog, and the words that go to the server for it.

use std::collections::BTreeMap;

use postgres::types::{FromSql, ToSql};
use postgres::{Client, GenericClient, Row};
use pwalk_scan::Verdict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dial::Dial;
use crate::TrackError;
use crate::catalog::run::{Identity, Root, Run, RunKind};
use crate::change::{ChangeType, Counts};

/// What advisory locks of pwalk are called: `pwlk`.
pub(super) const LOCKS: i32 = 0x7077_6c6b;

/// Columns of counts, in the order of [`ChangeType::ALL`].
const COUNTS: [&str; 7] = ["added", "removed", "modified", "metadata_changed", "moved", "unseen", "bitrot"];

const RUN: &str = "s.run_id, r.path, s.kind, s.started_ns, s.finished_ns, s.verdict, s.entries, s.bytes, s.errors, s.hashed_files, s.hashed_bytes,
    s.extent::text, s.metadata::text, s.pruned,
    s.added, s.added_bytes, s.removed, s.removed_bytes, s.modified, s.modified_bytes, s.metadata_changed, s.metadata_changed_bytes,
    s.moved, s.moved_bytes, s.unseen, s.unseen_bytes, s.bitrot, s.bitrot_bytes";
/// Where the counts begin in that.
const FIRST_COUNT: usize = 14;

/// A column of a row; what it is not is an error.
pub(super) fn get<'r, T: FromSql<'r>>(dial: &Dial, row: &'r Row, column: usize) -> Result<T, TrackError> {
    row.try_get(column).map_err(|why| dial.failed("understand the catalog", &why))
}

fn word(dial: &Dial, row: &Row, column: usize) -> Result<u64, TrackError> {
    get::<i64>(dial, row, column).map(i64::cast_unsigned)
}

/// Rows that the server answers with.
pub(super) fn ask(
    dial: &Dial,
    client: &mut impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, TrackError> {
    client.query(sql, values).map_err(|why| dial.failed("read the catalog", &why))
}

/// Runs that were published, the oldest first.
pub(super) fn runs(dial: &Dial, client: &mut Client, root: Option<i32>) -> Result<Vec<Run>, TrackError> {
    let sql = format!(
        "select {RUN} from filesystem.scan_runs s join filesystem.roots r on r.root_id = s.root_id
         where s.verdict in ('COMPLETE', 'PARTIAL') and ($1::integer is null or s.root_id = $1) order by s.run_id"
    );
    ask(dial, client, &sql, &[&root])?.iter().map(|row| run_of(dial, row)).collect()
}

fn run_of(dial: &Dial, row: &Row) -> Result<Run, TrackError> {
    let mut counts = Counts::default();
    for (at, of) in ChangeType::ALL.into_iter().enumerate() {
        let column = FIRST_COUNT + 2 * at;
        counts.more(of, word(dial, row, column)?, word(dial, row, column + 1)?);
    }
    let verdict: &str = get(dial, row, 5)?;
    Ok(Run {
        id: word(dial, row, 0)?,
        root: get(dial, row, 1)?,
        kind: RunKind::of(get(dial, row, 2)?),
        started: get(dial, row, 3)?,
        finished: get(dial, row, 4)?,
        verdict: if verdict == "COMPLETE" { Verdict::Complete } else { Verdict::Partial },
        entries: word(dial, row, 6)?,
        bytes: word(dial, row, 7)?,
        errors: word(dial, row, 8)?,
        counts,
        hashed: (word(dial, row, 9)?, word(dial, row, 10)?),
        extent: json(get(dial, row, 11)?),
        metadata: json(get(dial, row, 12)?),
        is_pruned: get(dial, row, 13)?,
    })
}

/// All roots that have runs, by path; or the one with this number, also without any.
pub(super) fn roots(dial: &Dial, client: &mut Client, only: Option<i32>) -> Result<Vec<Root>, TrackError> {
    let sql = "select root_id, path, inode, device, btime_ns, mount_source, mount_type from filesystem.roots
               where $1::integer is null or root_id = $1 order by path";
    let rows = ask(dial, client, sql, &[&only])?;
    let mut roots = Vec::new();
    for row in &rows {
        let id: i32 = get(dial, row, 0)?;
        let number = |column| get::<Option<i64>>(dial, row, column).map(|n| n.unwrap_or(0).cast_unsigned());
        let bytes = |column| get::<Option<Vec<u8>>>(dial, row, column).map(Option::unwrap_or_default);
        let identity =
            Identity { ino: number(2)?, dev: number(3)?, btime: get(dial, row, 4)?, mount: (bytes(5)?, bytes(6)?) };
        let mut runs = runs(dial, client, Some(id))?;
        let last = runs.last().map_or(0, |run| run.id);
        let scan = runs.iter().rposition(|run| run.kind == RunKind::Scan);
        let last_scan = scan.map(|at| runs.swap_remove(at));
        if last > 0 || only.is_some() {
            let id = u64::from(id.cast_unsigned());
            roots.push(Root { id, path: get(dial, row, 1)?, identity, last_scan, last });
        }
    }
    Ok(roots)
}

/// A root's number as the server has it.
pub(super) fn number(root: &Root) -> i32 {
    i32::try_from(root.id).unwrap_or(i32::MAX)
}

/// The number of a root, which gets one if it has none.
pub(super) fn root_id(dial: &Dial, client: &mut Client, path: &[u8]) -> Result<i32, TrackError> {
    let shown = pwalk_scan::path_text(path).0;
    let add = "insert into filesystem.roots (path, shown) values ($1, $2) on conflict (path) do nothing";
    // Asked first: to try to insert would use up a number each time.
    let known = "select root_id from filesystem.roots where path = $1";
    let mut rows = ask(dial, client, known, &[&path])?;
    if rows.is_empty() {
        ask(dial, client, add, &[&path, &&*shown])?;
        rows = ask(dial, client, known, &[&path])?;
    }
    let row = rows.first().ok_or_else(|| TrackError::Unknown("the root that was just added is gone".to_owned()))?;
    get(dial, row, 0)
}

/// Whether a run was published.
pub(super) fn is_published(dial: &Dial, client: &mut Client, run: u64) -> Result<bool, TrackError> {
    let sql = "select verdict in ('COMPLETE', 'PARTIAL') from filesystem.scan_runs where run_id = $1";
    let rows = ask(dial, client, sql, &[&run.cast_signed()])?;
    rows.first().map_or(Ok(false), |row| get(dial, row, 0))
}

/// What the lock is called under which runs are ended, one after the other; roots have numbers from 1.
const ENDING: i32 = 0;

/// Writes what a run came to, and makes it its root's last. When that was, later than all others, so that who asks for what is new since one of
/// them misses nothing; none if it is not a run that was begun. The transaction should end soon.
pub(super) fn end_run(
    client: &mut impl GenericClient,
    root: &Root,
    identity: &Identity,
    run: &Run,
    top: Option<i64>,
) -> Result<Option<i64>, postgres::Error> {
    let id = run.id.cast_signed();
    client.execute("select pg_advisory_xact_lock($1, $2)", &[&LOCKS, &ENDING])?;
    let last =
        "select coalesce(max(finished_ns), 0) from filesystem.scan_runs where verdict in ('COMPLETE', 'PARTIAL')";
    let last: i64 = client.query_one(last, &[])?.try_get(0)?;
    let finished = run.finished.max(last + 1);
    let (kind, verdict) = (run.kind.name(), run.verdict.to_string());
    let (extent, metadata) = (text(&run.extent), text(&run.metadata));
    let n = u64::cast_signed;
    let changed = client.execute(
        "update filesystem.scan_runs set kind = $2, started_ns = $3, finished_ns = $4, started_at = filesystem.timestamp_of($3),
             finished_at = filesystem.timestamp_of($4), verdict = $5, entries = $6, bytes = $7, errors = $8, hashed_files = $9,
             hashed_bytes = $10, extent = $11::text::jsonb, metadata = $12::text::jsonb
         where run_id = $1 and verdict = 'RUNNING'",
        &[&id, &kind, &run.started, &finished, &verdict, &n(run.entries), &n(run.bytes), &n(run.errors), &n(run.hashed.0),
          &n(run.hashed.1), &extent, &metadata],
    )?;
    for (of, column) in ChangeType::ALL.into_iter().zip(COUNTS) {
        let (count, bytes) = (run.counts.of(of), run.counts.bytes_of(of));
        if count > 0 {
            let sql = format!("update filesystem.scan_runs set {column} = $2, {column}_bytes = $3 where run_id = $1");
            client.execute(&sql, &[&id, &n(count), &n(bytes)])?;
        }
    }
    let last = (run.kind == RunKind::Scan).then_some(id);
    client.execute(
        "update filesystem.roots set last_run = coalesce($2, last_run), inode = $3, device = $4, btime_ns = $5, mount_source = $6,
             mount_type = $7, dir_id = coalesce($8, dir_id) where root_id = $1",
        &[&number(root), &last, &n(identity.ino), &n(identity.dev), &identity.btime, &identity.mount.0, &identity.mount.1, &top],
    )?;
    Ok((changed == 1).then_some(finished))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}

fn json<V: DeserializeOwned>(text: &str) -> BTreeMap<String, V> {
    serde_json::from_str(text).unwrap_or_default()
}
