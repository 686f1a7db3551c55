//! Making a run part of the catalog.
//!
//! ```text
//! rows ─ COPY ─► staging ─┐ counted, merged, and the run's own row written: one transaction
//! first run: ─► partition ┘ attached, with its keys made before, by several connections
//! ```
//!
//! When the answer to the commit is lost nobody knows yet whether the run is published. Then the root's lock is waited for by a new connection, so that
//! the server's old process has ended, and the run's row is read: it says either.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::Duration;

use postgres::{Client, Transaction};
use pwalk_scan::{path_text, read_losses_of};

use super::book::{self, ask, get, number};
use super::dial::Dial;
use super::dirs::Directories;
use super::stream::Stream;
use super::take_lock;
use super::write::Writer;
use crate::TrackError;
use crate::catalog::record::Contents;
use crate::catalog::run::{Root, Run, RunKind};
use crate::catalog::store::Draft;
use crate::key::Roots;
use crate::side::{Reading, is_gone};

/// Parts of a root's entries, and connections that make their keys.
const PARTITIONS: i32 = 4;
const BUILDERS: i32 = 2;

/// Rows of which the server should know how many there are before it plans the merge.
const WORTH_COUNTING: i64 = 10_000;

/// Changed rows that may wait before they are folded into the entries, at least; and at most one for so many entries.
const RECENT: i64 = 16_384;
const SHARE: i64 = 16;

/// How often, and how long between, the server is asked what became of a run.
const PATIENCE: (u32, Duration) = (60, Duration::from_millis(500));

const DOING: &str = "publish the run";

/// Publishes what a run found. What it could not read is in the ledger.
pub(super) fn publish(
    dial: &Dial,
    client: &mut Client,
    draft: Draft<'_>,
    (contents, roots): (Contents, &Roots),
    (dirs, ledger): (&mut Directories, Option<File>),
    reading: &Reading,
) -> Result<Run, TrackError> {
    let Draft { root, identity, mut run } = draft;
    let failed = |why: postgres::Error| dial.failed(DOING, &why);
    let is_first = root.last == 0;
    if is_first {
        client.execute("select filesystem.prepare_load($1, $2)", &[&number(root), &PARTITIONS]).map_err(failed)?;
    }
    let id = run.id.cast_signed();
    let mut writer = Writer::new(dial, client, (root, dirs), id, is_first);
    run.counts = contents.hand_over(roots, reading, &mut writer)?;
    let (entries, directories, changes) = writer.finish()?;
    if is_first {
        make_keys(dial, root)?;
    } else if entries > WORTH_COUNTING {
        client.batch_execute("analyze filesystem.staging_files").map_err(failed)?;
    }
    let mut change = client.transaction().map_err(failed)?;
    let files = if is_first { 0 } else { entries };
    let merge = "select filesystem.publish_changes($1, $2, $3, $4)";
    change.execute(merge, &[&id, &files, &directories, &changes]).map_err(failed)?;
    if is_first {
        attach(dial, &mut change, root, entries)?;
    }
    let unseen = note_errors(dial, &mut change, run.id, dirs, (roots, ledger))?;
    if run.kind == RunKind::Scan {
        change.execute("select filesystem.note_unseen($1, $2)", &[&number(root), &unseen]).map_err(failed)?;
    }
    let top = (dirs.len() > 0).then(|| dirs.id(0));
    run.finished = book::end_run(&mut change, root, &identity, &run, top).map_err(failed)?.ok_or_else(|| {
        dial.because(DOING, format!("run {} was ended by another", run.id), "see that only one pwalk scans this root")
    })?;
    if let Err(why) = change.commit() {
        if why.as_db_error().is_some() {
            return Err(failed(why));
        }
        settle(dial, client, root, run.id, &failed(why))?;
    }
    Ok(run)
}

/// What became of a run whose commit was not answered. Nothing, if it was published.
fn settle(dial: &Dial, client: &mut Client, root: &Root, run: u64, why: &TrackError) -> Result<(), TrackError> {
    for _ in 0..PATIENCE.0 {
        if let Ok(mut again) = dial.open()
            && take_lock(dial, &mut again, number(root))?
        {
            let is_published = book::is_published(dial, &mut again, run)?;
            *client = again;
            return if is_published { Ok(()) } else { Err(lost(dial, why, "it was not published; run it again")) };
        }
        sleep(PATIENCE.1);
    }
    Err(lost(dial, why, "whether it was published `pwalk track runs` tells, when the server runs again"))
}

fn lost(dial: &Dial, why: &TrackError, advice: &'static str) -> TrackError {
    let why = match why {
        TrackError::Database { why, .. } => why.clone(),
        other => other.to_string(),
    };
    dial.because(DOING, why, advice)
}

/// Makes the keys of the partitions of a first run, and has them looked over once, which the server would otherwise do when it is read first.
fn make_keys(dial: &Dial, root: &Root) -> Result<(), TrackError> {
    let build = |builder: i32| -> Result<(), TrackError> {
        let failed = |why: postgres::Error| dial.failed("make keys", &why);
        let mut client = dial.open()?;
        let set = "set maintenance_work_mem = '256MB'; set max_parallel_maintenance_workers = 0";
        client.batch_execute(set).map_err(failed)?;
        for part in (0..PARTITIONS).filter(|part| part % BUILDERS == builder) {
            let table = format!("filesystem.entries_{}_{part}", root.id);
            let key = format!("alter table {table} add primary key (root_id, dir_id, name)");
            client.batch_execute(&key).map_err(failed)?;
            client.batch_execute(&format!("vacuum (analyze) {table}")).map_err(failed)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let build = &build;
        let threads: Vec<_> = (0..BUILDERS).map(|builder| scope.spawn(move || build(builder))).collect();
        let joined = threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Result<(), TrackError>>()
    })
}

/// Makes the partition of a first run part of the entries, if all of it is there.
fn attach(dial: &Dial, change: &mut Transaction<'_>, root: &Root, entries: i64) -> Result<(), TrackError> {
    let count = format!("select count(*) from filesystem.entries_{}", root.id);
    let there: i64 = ask(dial, change, &count, &[])?.first().map_or(Ok(0), |row| get(dial, row, 0))?;
    if there != entries {
        let why = format!("of {entries} entries {there} are there: the server was restarted during the scan");
        return Err(dial.because(DOING, why, "run it again"));
    }
    let attach = change.execute("select filesystem.publish_load($1)", &[&number(root)]);
    attach.map(|_| ()).map_err(|why| dial.failed(DOING, &why))
}

/// Writes what could not be read: the numbers of the directories among it.
fn note_errors(
    dial: &Dial,
    change: &mut Transaction<'_>,
    run: u64,
    dirs: &mut Directories,
    (roots, ledger): (&Roots, Option<File>),
) -> Result<Vec<i64>, TrackError> {
    let mut unseen = Vec::new();
    let mut errors =
        Stream::new(dial, "filesystem.scan_errors (run_id, path, shown, operation, class, errno, message)", 0);
    if let Some(ledger) = ledger {
        read_losses_of(BufReader::new(ledger), Path::new("the error ledger"), |loss| {
            if let (false, Some((_, below))) = (is_gone(loss.class, loss.operation), roots.below(loss.path)) {
                unseen.extend(dirs.at(below).map(|dir| dirs.id(dir)));
            }
            let row = errors.row(7)?;
            row.word(run).bytes(loss.path).text(&path_text(loss.path).0).text(loss.operation).text(loss.class);
            row.maybe(loss.errno, super::copy::Rows::int).text(loss.message);
            errors.send_full(change)?;
            Ok::<_, TrackError>(())
        })?;
    }
    errors.finish(change)?;
    unseen.sort_unstable();
    unseen.dedup();
    Ok(unseen)
}

/// Moves what changed lately into the entries, when it has become much. Nothing that can be seen changes.
pub(super) fn fold_if_due(dial: &Dial, client: &mut Client, root: &Root) -> Result<(), TrackError> {
    let failed = |why: postgres::Error| dial.failed("fold recent changes", &why);
    let entries = root.last_scan.as_ref().map_or(0, |run| i64::try_from(run.entries).unwrap_or(i64::MAX));
    let most = RECENT.max(entries / SHARE);
    let count = "select count(*) from (select from filesystem.recent where root_id = $1 limit $2) r";
    let recent: i64 =
        ask(dial, client, count, &[&number(root), &(most + 1)])?.first().map_or(Ok(0), |row| get(dial, row, 0))?;
    if recent > most {
        client.execute("select filesystem.fold($1)", &[&number(root)]).map_err(failed)?;
        client.batch_execute("vacuum filesystem.recent").map_err(failed)?;
    }
    Ok(())
}
