//! Rows in the order of directories and names, however they come.

use super::segment::SegmentRow;
use crate::TrackError;
use crate::entry::{Detail, Kept, decode, encode_kept};
use crate::key::{Roots, above, own_key};
use crate::side::Reading;
use crate::sort::{Merged, Sorter};

/// What they are put into.
pub(super) fn sorter(reading: &Reading) -> Sorter {
    Sorter::new(reading.memory / 4, &reading.spill)
}

/// Adds a row, by its directory and name, with its number.
pub(super) fn push(sorter: &mut Sorter, roots: &Roots, number: u64, row: &SegmentRow<'_>) -> std::io::Result<()> {
    let key = roots.key(row.path).unwrap_or_default();
    let dir = above(&key).unwrap_or(&key);
    let name = [key.get(dir.len() + 1..).unwrap_or_default(), b"\0", &row.run.to_be_bytes()].concat();
    let kept = Kept { place: number, is_racy: row.is_racy, hashed: row.hashed };
    let detail = encode_kept(&Detail { stat: row.stat, kept: Some(kept) });
    sorter.push(dir, &name, &[&row.run.to_le_bytes(), &row.to_run.unwrap_or(0).to_le_bytes(), &detail])
}

/// Tells `each` all rows in order.
pub(super) fn drain(
    sorter: Sorter,
    roots: &Roots,
    reading: &Reading,
    mut each: impl FnMut(u64, &SegmentRow<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let failed = |why| reading.spilled(why);
    let mut rows = Merged::all(vec![sorter]).map_err(failed)?;
    while rows.next_group().map_err(failed)? {
        if reading.cancel.is_cancelled() {
            return Err(TrackError::Interrupted);
        }
        let dir = rows.key().to_vec();
        while let Some((name, payload)) = rows.item() {
            let name = name.get(..name.len().saturating_sub(9)).unwrap_or_default();
            let word =
                |at: usize| payload.get(at..at + 8).and_then(|run| run.try_into().ok()).map_or(0, u64::from_le_bytes);
            let (run, to_run) = (word(0), word(8));
            let (detail, _) = decode(payload.get(16..).unwrap_or_default());
            let kept = detail.kept.unwrap_or(Kept { place: 0, is_racy: false, hashed: None });
            let row = SegmentRow {
                path: &roots.path(&own_key(&dir, name)),
                stat: detail.stat,
                is_racy: kept.is_racy,
                hashed: kept.hashed,
                run,
                to_run: (to_run > 0).then_some(to_run),
            };
            each(kept.place, &row)?;
            rows.advance().map_err(failed)?;
        }
    }
    Ok(())
}
