//! Many small files into one, and reading them all in order.
//!
//! A run adds a file or two, so after a while there are many, and each read would open them all. When there are more than a few the newest are put
//! together, and with them older ones that are not much larger: so a row is written again about as often as the state doubles, and not with each run.
//! When a good part of all rows is gone everything is written anew.
//!
//! Rows that are gone are kept, in segments of the past, so that the tree can be seen as it was; until they are pruned.

use std::collections::HashSet;

use pwalk_scan::ScanFile;

use super::gone::GoneWriter;
use super::{LocalStore, Segment, SegmentKind, StateFiles};
use crate::TrackError;
use crate::catalog::ordered::{drain, push, sorter};
use crate::catalog::run::Root;
use crate::catalog::segment::{SegmentRow, SegmentWriter, read_group};
use crate::catalog::store::Entry;
use crate::key::Roots;
use crate::side::Reading;

/// Files of one kind that may be there.
const FILES: usize = 8;

/// What is to be put together.
pub(super) struct Plan {
    pub(super) is_due: bool,
    /// State segments from this one on.
    from: usize,
    /// The segments of the past too.
    past: bool,
}

impl Plan {
    /// All of it.
    pub(super) fn everything() -> Self {
        Self { is_due: true, from: 0, past: true }
    }
}

/// What is worth being put together.
pub(super) fn plan(segments: &[Segment], added: &[Segment]) -> Plan {
    let of = |kind| segments.iter().chain(added).filter(move |segment| segment.kind == kind);
    let rows: Vec<u64> = of(SegmentKind::State).map(|segment| segment.rows).collect();
    let gone: u64 = of(SegmentKind::Gone).map(|segment| segment.rows).sum();
    let all: u64 = rows.iter().sum();
    let past = of(SegmentKind::Past).count() >= FILES;
    if gone * 3 > all && all > 0 {
        return Plan { is_due: true, from: 0, past };
    }
    let is_due = rows.len() > FILES || of(SegmentKind::Gone).count() > FILES;
    let (mut from, mut sum) = (rows.len(), 0);
    while from > 0 && (rows.len() - from < 2 || rows[from - 1] <= 2 * sum) {
        from -= 1;
        sum += rows[from];
    }
    Plan { is_due, from, past }
}

impl LocalStore {
    /// Puts files together: those that come and those that go. Rows that were gone before the run `horizon` are left out.
    pub(super) fn compacted(
        &self,
        root: &Root,
        added: &[Segment],
        plan: &Plan,
        run: u64,
        horizon: Option<u64>,
        reading: &Reading,
    ) -> Result<(Vec<Segment>, Vec<String>), TrackError> {
        let failed = |why| reading.spilled(why);
        let mut segments = self.book.segments(root.id)?;
        let published: HashSet<String> = segments.iter().map(|segment| segment.file.clone()).collect();
        segments.extend_from_slice(added);
        let mut state = self.state_files(segments)?;
        self.find_gone_by(&mut state)?;
        let roots = root.roots();
        let (mut rows, mut past) = (sorter(reading), sorter(reading));
        let is_kept = |to_run: u64| horizon.is_none_or(|horizon| to_run > horizon);
        for file in plan.from..state.files.len() {
            state.read(file, |number, row| {
                if !state.gone.has(number) {
                    return push(&mut rows, &roots, number, row).map_err(failed);
                }
                let to_run = state.gone_by(number);
                let row = SegmentRow { to_run: Some(to_run), ..*row };
                if is_kept(to_run) { push(&mut past, &roots, number, &row).map_err(failed) } else { Ok(()) }
            })?;
        }
        let mut gone_files = HashSet::new();
        for segment in &state.segments {
            match segment.kind {
                SegmentKind::Gone => {
                    gone_files.insert(segment.file.clone());
                }
                SegmentKind::Past if plan.past => {
                    gone_files.insert(segment.file.clone());
                    read_all(&ScanFile::open(&self.dir.join(&segment.file))?, |_, row| {
                        let kept = row.to_run.is_some_and(is_kept);
                        if kept { push(&mut past, &roots, 0, row).map_err(failed) } else { Ok(()) }
                    })?;
                }
                _ => {}
            }
        }
        gone_files.extend(state.starts.files_from(plan.from).cloned());
        let mut made: Vec<Segment> =
            added.iter().filter(|segment| !gone_files.contains(&segment.file)).cloned().collect();
        let place = |room| LocalStore::file(root, room, run, "1.parquet");
        for (kind, room, sorter) in [(SegmentKind::State, "state", rows), (SegmentKind::Past, "past", past)] {
            let file = place(room);
            let mut writer = SegmentWriter::new(self.dir.join(&file));
            drain(sorter, &roots, reading, |_, row| writer.write(row))?;
            made.push(Segment { kind, run, file, rows: writer.finish()? });
        }
        // What is gone of the files that stay.
        let end = state.starts.start(plan.from).unwrap_or(state.rows);
        let file = place("gone");
        let mut writer = GoneWriter::new(self.dir.join(&file));
        for (number, to_run) in state.gone_by.iter().take_while(|(number, _)| *number < end) {
            writer.write(state.starts.place(*number), *to_run)?;
        }
        made.push(Segment { kind: SegmentKind::Gone, run, file, rows: writer.finish()? });
        made.retain(|segment| segment.rows > 0);
        let removed = gone_files.into_iter().filter(|file| published.contains(file)).collect();
        Ok((made, removed))
    }
}

impl StateFiles {
    /// Tells `each` the rows of a file, with their numbers.
    fn read(
        &self,
        file: usize,
        mut each: impl FnMut(u64, &SegmentRow<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let start = self.starts.start(file).unwrap_or(0);
        read_all(&self.files[file], |number, row| each(start + number, row))
    }

    /// The run that found a row gone.
    fn gone_by(&self, number: u64) -> u64 {
        let at = self.gone_by.binary_search_by_key(&number, |(row, _)| *row);
        at.map_or(0, |at| self.gone_by[at].1)
    }
}

fn read_all(
    file: &ScanFile,
    mut each: impl FnMut(u64, &SegmentRow<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let mut start = 0;
    for group in 0..file.groups() {
        read_group(file, group, |number, row| each(start + number, row))?;
        start += file.rows_of(group);
    }
    Ok(())
}

/// Tells of all entries at a path and below it, as they are or as a run found them.
pub(super) fn entries(
    store: &LocalStore,
    root: &Root,
    subtree: &[u8],
    at: Option<u64>,
    reading: &Reading,
    each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let failed = |why| reading.spilled(why);
    let mut state = store.state_files(store.book.segments(root.id)?)?;
    if at.is_some() {
        store.find_gone_by(&mut state)?;
    }
    let roots = root.roots();
    let asked = Roots::new([subtree.to_vec()]);
    let mut rows = sorter(reading);
    let then = at.unwrap_or(u64::MAX);
    for file in 0..state.files.len() {
        state.read(file, |number, row| {
            let is_there =
                row.run <= then && (!state.gone.has(number) || (at.is_some() && state.gone_by(number) > then));
            if is_there && asked.below(row.path).is_some() {
                push(&mut rows, &roots, number, row).map_err(failed)
            } else {
                Ok(())
            }
        })?;
    }
    let past = state.segments.iter().filter(|segment| segment.kind == SegmentKind::Past && at.is_some());
    for segment in past {
        read_all(&ScanFile::open(&store.dir.join(&segment.file))?, |_, row| {
            let was_there = row.run <= then && row.to_run.is_some_and(|to_run| to_run > then);
            if was_there && asked.below(row.path).is_some() {
                push(&mut rows, &roots, 0, row).map_err(failed)
            } else {
                Ok(())
            }
        })?;
    }
    drain(rows, &roots, reading, |place, row| each(&Entry::of(place, row)))
}
