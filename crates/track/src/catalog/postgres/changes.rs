//! What a run changed, and what it could not read.

use postgres::{Client, GenericClient};
use pwalk_scan::Stat;

use super::book::{ask, get, number, roots};
use super::dial::Dial;
use super::read::{COLUMNS, at_once, directories, rows, sort};
use crate::TrackError;
use crate::catalog::ordered::drain;
use crate::catalog::run::{Root, Run};
use crate::change::{Change, ChangeType, Confidence};
use crate::side::Reading;

/// Tells what a run could not read.
pub(super) fn errors(
    dial: &Dial,
    client: &mut impl GenericClient,
    run: u64,
    each: &mut dyn FnMut(&pwalk_scan::Loss<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let query =
        format!("select path, operation, class, errno, message from filesystem.scan_errors where run_id = {run}");
    rows(dial, client, &query, |row| {
        let text = |field| row.text(field).unwrap_or_default();
        let (operation, class, message) = (text(1), text(2), text(4));
        each(&pwalk_scan::Loss { operation, class, errno: row.int(3), message, path: row.bytes(0) })
    })
}

/// Tells of the changes of a run.
pub(super) fn changes(
    dial: &Dial,
    client: &mut Client,
    run: &Run,
    reading: &Reading,
    each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let sql = "select baseline, root_id from filesystem.scan_runs where run_id = $1";
    let found = ask(dial, client, sql, &[&run.id.cast_signed()])?;
    let Some(of) = found.first() else { return Ok(()) };
    if get::<bool>(dial, of, 0)? {
        let id: i32 = get(dial, of, 1)?;
        let found = roots(dial, client, Some(id))?.pop();
        return found.map_or(Ok(()), |root| added(dial, client, &root, run.id, reading, each));
    }
    let query = format!(
        "select change_type, confidence, path, path_bytes, old_path, old_path_bytes, old_fingerprint, new_fingerprint,
             old_inode, old_size, old_mtime_ns, old_ctime_ns, old_mode, old_uid, old_gid,
             new_inode, new_size, new_mtime_ns, new_ctime_ns, new_mode, new_uid, new_gid
         from filesystem.changes where run_id = {} order by seq",
        run.id
    );
    rows(dial, client, &query, |row| {
        let side = |first: usize| {
            let short = |at| u32::try_from(row.long(first + at).unwrap_or(0)).unwrap_or(u32::MAX);
            let long = |at| row.long(first + at).unwrap_or(0);
            let mode = row.int(first + 4)?.cast_unsigned();
            let (size, mtime, ctime) = (long(1), long(2), long(3));
            let ino = long(0).cast_unsigned();
            Some(Stat { ino, dev: 0, size, mtime, ctime, btime: None, mode, uid: short(5), gid: short(6) })
        };
        let (old, new) = (side(8), side(15));
        let fingerprint = |field| row.text(field).and_then(|text| text.parse().ok());
        each(&Change {
            change_type: row.text(0).and_then(ChangeType::of).unwrap_or(ChangeType::Modified),
            path: row.get(3).unwrap_or_else(|| row.bytes(2)),
            old_path: row.get(5).or_else(|| row.get(4)),
            old: old.as_ref(),
            new: new.as_ref(),
            old_fingerprint: fingerprint(6),
            new_fingerprint: fingerprint(7),
            confidence: row.text(1).and_then(Confidence::of).unwrap_or(Confidence::Certain),
        })
    })
}

/// What a first run found is what it added.
fn added(
    dial: &Dial,
    client: &mut Client,
    root: &Root,
    run: u64,
    reading: &Reading,
    each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let top = root.roots();
    let query = format!(
        "select {COLUMNS} from filesystem.all_versions where root_id = {} and changed_in = {run}",
        number(root)
    );
    let sorted = at_once(dial, client, |client| {
        let dirs = directories(dial, client, root)?;
        sort(dial, client, (root, &dirs, &top), &query, reading)
    })?;
    drain(sorted, &top, reading, |_, row| {
        each(&Change {
            change_type: ChangeType::Added,
            path: row.path,
            old_path: None,
            old: None,
            // As changes are kept: without device and time of birth.
            new: Some(&Stat { dev: 0, btime: None, ..row.stat }),
            old_fingerprint: None,
            new_fingerprint: row.hashed.map(|hashed| hashed.fingerprint),
            confidence: Confidence::Certain,
        })
    })
}
