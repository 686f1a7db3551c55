//! Reading rows: how a root is, how it was, and what a run changed.
//!
//! Rows come as `COPY` sends them, in the order in which they lie on the server's disk, which nobody has to sort there; who wants them in
//! order sorts here, with a bound on memory.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use postgres::{Client, GenericClient};
use pwalk_fs::Kind;
use pwalk_scan::Stat;

use super::book::{ask, get, number};
use super::changes::errors;
use super::copy::Fields;
use super::dial::Dial;
use super::dirs::Directories;
use crate::TrackError;
use crate::catalog::ordered::{drain, push, sorter};
use crate::catalog::run::Root;
use crate::catalog::segment::SegmentRow;
use crate::catalog::store::Entry;
use crate::entry::{Detail, Hashed, Kept, kind};
use crate::fingerprint::FingerprintMode;
use crate::key::{Roots, key_into};
use crate::side::{Facts, Known, Pool, Reading, Side, is_gone};

/// What is read of a row, whatever it is read from.
pub(super) const COLUMNS: &str =
    "dir_id, name, inode, device, size, mtime_ns, ctime_ns, btime_ns, mode, uid, gid, fingerprint, hashed_at_ns, racy,
    changed_in";

/// Below so many entries a second connection costs more than it helps.
const MANY: u64 = 100_000;

impl Dial {
    /// What reading a stream said.
    pub(super) fn lost(&self, doing: &'static str, why: &io::Error) -> TrackError {
        let said = why.get_ref().and_then(|why| why.downcast_ref::<postgres::Error>());
        match said {
            Some(said) => self.failed(doing, said),
            None => self.because(doing, why.to_string(), "see whether the server still runs, and try again"),
        }
    }
}

/// Tells `each` the rows of a query.
pub(super) fn rows(
    dial: &Dial,
    client: &mut impl GenericClient,
    query: &str,
    mut each: impl FnMut(&Fields<&mut dyn Read>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    const DOING: &str = "read the catalog";
    let sent = client.copy_out(&format!("copy ({query}) to stdout (format binary)"));
    let mut sent = sent.map_err(|why| dial.failed(DOING, &why))?;
    let mut fields = Fields::new(&mut sent as &mut dyn Read).map_err(|why| dial.lost(DOING, &why))?;
    while fields.next().map_err(|why| dial.lost(DOING, &why))? {
        each(&fields)?;
    }
    Ok(())
}

/// All directories of a root.
pub(super) fn directories(
    dial: &Dial,
    client: &mut impl GenericClient,
    root: &Root,
) -> Result<Directories, TrackError> {
    let mut dirs = Directories::new();
    let query = format!(
        "select dir_id, parent_id, name from filesystem.directories where root_id = {} order by dir_id",
        number(root)
    );
    rows(dial, client, &query, |row| {
        let parent = row.long(1).and_then(|parent| dirs.find(parent));
        let added = dirs.push(row.long(0).unwrap_or(0), parent, row.bytes(2));
        added.map(|_| ()).map_err(|why| dial.lost("understand the catalog", &why))
    })?;
    Ok(dirs)
}

/// Where rows are: the directory of the last one is mostly that of the next.
struct Place<'d> {
    dirs: &'d Directories,
    last: Option<i64>,
    /// The directory's path below the root, and then that of the row.
    path: Vec<u8>,
    /// How long the directory's is.
    length: usize,
}

impl<'d> Place<'d> {
    fn new(dirs: &'d Directories) -> Self {
        Self { dirs, last: None, path: Vec::new(), length: 0 }
    }

    /// Goes to where a row is; whether that is another directory than before.
    fn go(&mut self, dial: &Dial, row: &Fields<&mut dyn Read>) -> Result<bool, TrackError> {
        let dir = row.long(0).unwrap_or(0);
        let is_other = self.last != Some(dir);
        if is_other {
            let unknown = || {
                let why = format!("an entry is in directory {dir}, which is not there");
                dial.because("understand the catalog", why, "restore the database from a backup")
            };
            self.dirs.path_into(self.dirs.find(dir).ok_or_else(unknown)?, &mut self.path);
            self.length = self.path.len();
            self.last = Some(dir);
        }
        self.path.truncate(self.length);
        let name = row.bytes(1);
        if !name.is_empty() {
            if self.length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
        }
        Ok(is_other)
    }

    fn dir(&self) -> &[u8] {
        &self.path[..self.length]
    }
}

/// The metadata in a row.
fn stat_of(row: &Fields<&mut dyn Read>) -> Stat {
    let long = |field| row.long(field).unwrap_or(0);
    let short = |field| u32::try_from(long(field)).unwrap_or(u32::MAX);
    Stat {
        ino: long(2).cast_unsigned(),
        dev: long(3).cast_unsigned(),
        size: long(4),
        mtime: long(5),
        ctime: long(6),
        btime: row.long(7),
        mode: row.int(8).unwrap_or(0).cast_unsigned(),
        uid: short(9),
        gid: short(10),
    }
}

fn kept_of(row: &Fields<&mut dyn Read>) -> Kept {
    let fingerprint = row.text(11).and_then(|text| text.parse().ok());
    let hashed = fingerprint.map(|fingerprint| Hashed { fingerprint, at: row.long(12).unwrap_or(0) });
    // Rows are known by directory and name here, and not by where they are.
    Kept { place: 0, is_racy: row.is_true(13), hashed }
}

/// What is known of a root, as one side of a comparison.
pub(super) fn state(
    dial: &Dial,
    client: &mut Client,
    (root, dirs): (&Root, &Directories),
    rereads: FingerprintMode,
    reading: &Reading,
) -> Result<Side, TrackError> {
    let last = root.last_scan.as_ref();
    let roots = root.roots();
    let facts = Facts {
        roots: vec![root.path.clone()],
        entries: last.map_or(0, |run| run.entries),
        bytes: last.map(|run| run.bytes),
        verdict: last.map_or(pwalk_scan::Verdict::Complete, |run| run.verdict),
        extent: last.map(|run| run.extent.clone()),
    };
    let pool = Pool::new(reading);
    let spilled = |why| reading.spilled(why);
    let read = |client: &mut Client, query: &str, is_over: &dyn Fn() -> bool| {
        let mut lane = pool.take();
        let (mut place, mut key) = (Place::new(dirs), Vec::new());
        rows(dial, client, query, |row| {
            if is_over() {
                return Err(TrackError::Interrupted);
            }
            if place.go(dial, row)? || key.is_empty() {
                key_into(&mut key, 0, place.dir());
            }
            let detail = Detail { stat: stat_of(row), kept: Some(kept_of(row)) };
            let name = row.bytes(1);
            if name.is_empty() {
                pool.top(0, &detail.stat);
            }
            let of = Known { key: &key, below: &place.path, name };
            let is_unread = || kind(&detail.stat) == Kind::File && detail.fingerprint().is_none();
            let is_suspect = row.is_true(13) || rereads.rereads(is_unread);
            lane.keep(reading.seed, &of, &detail, is_suspect).map_err(spilled)
        })
    };
    let is_large = facts.entries > MANY && reading.threads > 1;
    let queries = if is_large { partitions(dial, client, root)? } else { vec![versions(root, None)] };
    if let [query] = queries.as_slice() {
        read(client, query, &|| reading.cancel.is_cancelled())?;
    } else {
        let next = AtomicUsize::new(0);
        reading.in_threads(queries.len(), |is_over| {
            // Relaxed: nothing else depends on it.
            match queries.get(next.fetch_add(1, Relaxed)) {
                Some(query) => read(&mut dial.open()?, query, is_over),
                None => Ok(()),
            }
        })?;
    }
    if let Some(last) = last.filter(|run| run.errors > 0) {
        errors(dial, client, last.id, &mut |loss| {
            if is_gone(loss.class, loss.operation) {
                return Ok(());
            }
            pool.lost(&roots, loss.path).map_err(spilled)
        })?;
    }
    pool.finish(roots, false, facts, None).map_err(spilled)
}

/// What reads the current rows of a root in two parts, which are whole partitions.
fn partitions(dial: &Dial, client: &mut Client, root: &Root) -> Result<Vec<String>, TrackError> {
    let id = number(root);
    let sql = "select i.inhrelid::regclass::text from pg_inherits i
                where i.inhparent = to_regclass('filesystem.entries_' || $1::integer) order by 1";
    let leaves = ask(dial, client, sql, &[&id])?;
    if leaves.len() < 2 {
        return Ok(vec![versions(root, None)]);
    }
    let mut parts = vec![Vec::new(), Vec::new()];
    for (at, leaf) in leaves.iter().enumerate() {
        // The server has quoted the name where it needs that.
        let leaf: &str = get(dial, leaf, 0)?;
        parts[at % 2].push(format!(
            "select {COLUMNS} from {leaf} e where not exists (select from filesystem.recent r
              where r.root_id = {id} and r.dir_id = e.dir_id and r.name = e.name)"
        ));
    }
    parts[0].push(format!("select {COLUMNS} from filesystem.recent where root_id = {id} and not gone"));
    Ok(parts.into_iter().map(|part| part.join(" union all ")).collect())
}

/// Which rows: of the current ones, or of all that ever were, and a condition on those.
fn versions(root: &Root, at: Option<u64>) -> String {
    let id = number(root);
    match at {
        None => format!("select {COLUMNS} from filesystem.current_entries where root_id = {id}"),
        Some(run) => format!(
            "select {COLUMNS} from filesystem.all_versions
              where root_id = {id} and changed_in <= {run} and (to_run is null or to_run > {run})"
        ),
    }
}

/// Something that is read as it is at one moment.
pub(super) fn at_once<T>(
    dial: &Dial,
    client: &mut Client,
    read: impl FnOnce(&mut postgres::Transaction<'_>) -> Result<T, TrackError>,
) -> Result<T, TrackError> {
    let began = client.build_transaction().isolation_level(postgres::IsolationLevel::RepeatableRead).read_only(true);
    let mut transaction = began.start().map_err(|why| dial.failed("read the catalog", &why))?;
    read(&mut transaction)
}

/// Tells of all entries at a path and below it.
pub(super) fn entries(
    dial: &Dial,
    client: &mut Client,
    (root, subtree, at): (&Root, &[u8], Option<u64>),
    reading: &Reading,
    each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    /// So many directories the server looks up one by one; of more it reads all.
    const FEW: usize = 10_000;
    let roots = root.roots();
    let below = roots.below(subtree).map(|(_, below)| below.to_vec()).unwrap_or_default();
    let asked = Roots::new([subtree.to_vec()]);
    let sorted = at_once(dial, client, |client| {
        let mut dirs = directories(dial, client, root)?;
        let mut query = versions(root, at);
        if !below.is_empty() {
            let mut few = match dirs.at(&below) {
                Some(top) => {
                    let is_below = dirs.below(top);
                    let chosen = (0..).zip(is_below).filter(|(_, is)| *is).map(|(index, _)| dirs.id(index));
                    chosen.collect::<Vec<i64>>()
                }
                None => Vec::new(),
            };
            // The entry itself is in the directory above.
            let above = below.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |slash| &below[..slash]);
            few.extend(dirs.at(above).map(|above| dirs.id(above)));
            if few.len() <= FEW {
                let few: Vec<String> = few.iter().map(i64::to_string).collect();
                query.push_str(&format!(" and dir_id = any ('{{{}}}'::bigint[])", few.join(",")));
            }
        }
        sort(dial, client, (root, &dirs, &asked), &query, reading)
    })?;
    drain(sorted, &roots, reading, |place, row| each(&Entry::of(place, row)))
}

/// The rows of a query that are below what is asked for, to be put in order.
pub(super) fn sort(
    dial: &Dial,
    client: &mut impl GenericClient,
    (root, dirs, asked): (&Root, &Directories, &Roots),
    query: &str,
    reading: &Reading,
) -> Result<crate::sort::Sorter, TrackError> {
    let roots = root.roots();
    let mut sorted = sorter(reading);
    let mut place = Place::new(dirs);
    let mut path = Vec::new();
    rows(dial, client, query, |row| {
        if reading.cancel.is_cancelled() {
            return Err(TrackError::Interrupted);
        }
        place.go(dial, row)?;
        path.clear();
        path.extend_from_slice(&root.path);
        if !place.path.is_empty() {
            pwalk_engine::join(&mut path, &place.path);
        }
        if asked.below(&path).is_none() {
            return Ok(());
        }
        let Kept { is_racy, hashed, .. } = kept_of(row);
        let run = row.long(14).unwrap_or(0).cast_unsigned();
        let row = SegmentRow { path: &path, stat: stat_of(row), is_racy, hashed, run, to_run: None };
        push(&mut sorted, &roots, 0, &row).map_err(|why| reading.spilled(why))
    })?;
    Ok(sorted)
}
