//! The catalog as DuckDB sees it: a file of SQL that is made anew with each run.
//!
//! Views name the files that are part of the catalog, so that what a killed run left is not among them. A session that was opened before a run goes on
//! with what was there, for one more run.

use std::fmt::Write;

use pwalk_scan::{Output, Target};

use super::{LocalStore, SegmentKind};
use crate::TrackError;

/// The columns of a row, for where there is none.
const NO_ROWS: &str = "select ''::varchar as path, null::blob as path_bytes, '' as name, '' as extension, '' as type, \
    0::ubigint as inode, 0::ubigint as dev, 0::bigint as size, null::timestamptz as mtime, null::timestamptz as ctime, \
    null::timestamptz as btime, 0::uinteger as mode, 0::uinteger as uid, 0::uinteger as gid, null::varchar as fingerprint, \
    null::timestamptz as hashed_at, false as is_racy, 0::ubigint as run, null::ubigint as to_run where false";

/// The columns of a change, for where there is none.
const NO_CHANGES: &str = "select 0::ubigint as run, '' as change_type, '' as path, null::varchar as old_path, null::blob as path_bytes, \
    null::blob as old_path_bytes, '' as kind, 0::bigint as old_size, 0::bigint as new_size, null::timestamptz as old_mtime, \
    null::timestamptz as new_mtime, null::varchar as old_fingerprint, null::varchar as new_fingerprint, '' as confidence, \
    0::uinteger as old_mode, 0::uinteger as new_mode, 0::uinteger as old_uid, 0::uinteger as new_uid, 0::uinteger as old_gid, \
    0::uinteger as new_gid, 0::ubigint as old_inode, 0::ubigint as new_inode, null::timestamptz as old_ctime, \
    null::timestamptz as new_ctime, null::varchar as old_kind where false";

impl LocalStore {
    /// Writes the views beside the bookkeeping.
    pub(super) fn write_views(&self) -> Result<(), TrackError> {
        let mut output = Output::create(&Target::File(self.dir.join("views.sql")))?;
        output.append(self.views()?.as_bytes())?;
        output.commit()?;
        Ok(())
    }

    /// The views: `files`, `file_changes`, `scan_runs`, `past_files`.
    pub(crate) fn views(&self) -> Result<String, TrackError> {
        let dir = self.dir.canonicalize().map_err(|why| super::failed("find", &self.dir, why))?;
        let quoted = |file: &String| format!("'{}'", dir.join(file).display().to_string().replace('\'', "''"));
        let mut files: [Vec<String>; 3] = Default::default();
        for root in self.book.roots()? {
            for segment in self.book.segments(root.id)? {
                let of = match segment.kind {
                    SegmentKind::State => 0,
                    SegmentKind::Gone => 1,
                    SegmentKind::Past => 2,
                };
                files[of].push(quoted(&segment.file));
            }
        }
        let [state, gone, past] = files.map(|files| files.join(", "));
        let runs = self.book.runs()?;
        let mut changes = Vec::new();
        for run in &runs {
            changes.extend(self.book.changes_of(run.id)?.as_ref().map(quoted));
        }
        let mut sql = String::from("-- The views of a pwalk catalog for DuckDB: duckdb -init views.sql\n");
        let (state_files, gone_files) = (state.clone(), gone.clone());
        let no_rows = if state.is_empty() { NO_ROWS } else { "" };
        let state = match (state.as_str(), gone.as_str()) {
            ("", _) => no_rows.to_owned(),
            (state, "") => format!("select * from read_parquet([{state}])"),
            (state, gone) => format!(
                "select s.* exclude (filename, file_row_number)\n  from read_parquet([{state}], filename = true, file_row_number = true) s\n  \
                 anti join (select segment, row::bigint as row, filename as of from read_parquet([{gone}], filename = true)) g\n  \
                 on g.row = s.file_row_number and g.segment = parse_filename(s.filename)\n  \
                 and parse_dirpath(parse_dirpath(g.of)) = parse_dirpath(parse_dirpath(s.filename))"
            ),
        };
        let mut pasts = Vec::new();
        if !past.is_empty() {
            pasts.push(format!("select * from read_parquet([{past}])"));
        }
        if !gone_files.is_empty() && !state_files.is_empty() {
            pasts.push(format!(
                "select s.* exclude (filename, file_row_number, to_run), g.to_run\n  from read_parquet([{state_files}], filename = true, file_row_number = true) s\n  \
                 join (select segment, row::bigint as row, to_run, filename as of from read_parquet([{gone_files}], filename = true)) g\n  \
                 on g.row = s.file_row_number and g.segment = parse_filename(s.filename)\n  \
                 and parse_dirpath(parse_dirpath(g.of)) = parse_dirpath(parse_dirpath(s.filename))"
            ));
        }
        let past = if pasts.is_empty() { NO_ROWS.to_owned() } else { pasts.join("\n  union all by name ") };
        let changes = if changes.is_empty() {
            NO_CHANGES.to_owned()
        } else {
            format!(
                "select parse_filename(filename, true)::ubigint as run, * exclude (filename)\n  from read_parquet([{}], filename = true)",
                changes.join(", ")
            )
        };
        let mut values = String::new();
        for run in &runs {
            let root = pwalk_scan::path_text(&run.root).0.replace('\'', "''");
            let count = |of| run.counts.of(of);
            let bytes = |of| run.counts.bytes_of(of);
            use crate::ChangeType::{Added, Modified, Removed};
            writeln!(
                values,
                "  {}({}, '{root}', '{}', to_timestamp({} / 1e9), to_timestamp({} / 1e9), '{}', {}, {}, {}, {}, {}, {}, {}, {}, {})",
                if values.is_empty() { "" } else { ", " },
                run.id,
                run.kind.name(),
                run.started,
                run.finished,
                run.verdict,
                run.entries,
                run.bytes,
                run.errors,
                count(Added),
                count(Modified),
                count(Removed),
                bytes(Added),
                bytes(Modified),
                bytes(Removed),
            )
            .unwrap_or_default();
        }
        let columns = "run, root, kind, started, finished, verdict, entries, bytes, errors, added, modified, removed, \
            added_bytes, modified_bytes, removed_bytes";
        let runs = if values.is_empty() {
            format!(
                "select * from (values (0, '', '', now(), now(), '', 0, 0, 0, 0, 0, 0, 0, 0, 0)) r({columns}) where false"
            )
        } else {
            format!("select * from (values\n{values}) r({columns})")
        };
        for (name, query) in [("files", state), ("past_files", past), ("file_changes", changes), ("scan_runs", runs)] {
            writeln!(sql, "create or replace view {name} as\n  {query};").unwrap_or_default();
        }
        Ok(sql)
    }
}
