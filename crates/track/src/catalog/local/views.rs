//! The catalog as DuckDB sees it: a file of SQL that is made anew with each run.
//!
//! Views name the files that are part of the catalog, so that what a killed run left is not among them. A session that was opened before a run goes on
//! with what was there, for one more run.

use std::fmt::Write;

use pwalk_scan::{Output, Target, path_text};

use super::{LocalStore, SegmentKind, VIEWS};
use crate::ChangeType::{Added, Modified, Removed};
use crate::TrackError;
use crate::catalog::run::Run;

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
        let mut output = Output::create(&Target::File(self.dir.join(VIEWS)))?;
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
        for (name, query) in [
            ("files", files_query(&state, &gone)),
            ("past_files", past_query(&state, &gone, &past)),
            ("file_changes", changes_query(&changes)),
            ("scan_runs", runs_query(&runs)),
        ] {
            writeln!(sql, "create or replace view {name} as\n  {query};").unwrap_or_default();
        }
        Ok(sql)
    }
}

/// The rows of state segments, and beside each what a file of rows that are gone says of it.
fn with_gone(what: &str, state: &str, join: &str, gone: &str) -> String {
    format!(
        "select {what}\n  from read_parquet([{state}], filename = true, file_row_number = true) s\n  \
         {join} (select segment, row::bigint as row, to_run, filename as of from read_parquet([{gone}], filename = true)) g\n  \
         on g.row = s.file_row_number and g.segment = parse_filename(s.filename)\n  \
         and parse_dirpath(parse_dirpath(g.of)) = parse_dirpath(parse_dirpath(s.filename))"
    )
}

/// What is there.
fn files_query(state: &str, gone: &str) -> String {
    match (state, gone) {
        ("", _) => NO_ROWS.to_owned(),
        (state, "") => format!("select * from read_parquet([{state}])"),
        (state, gone) => with_gone("s.* exclude (filename, file_row_number)", state, "anti join", gone),
    }
}

/// What was there, and until which run.
fn past_query(state: &str, gone: &str, past: &str) -> String {
    let mut pasts = Vec::new();
    if !past.is_empty() {
        pasts.push(format!("select * from read_parquet([{past}])"));
    }
    if !gone.is_empty() && !state.is_empty() {
        pasts.push(with_gone("s.* exclude (filename, file_row_number, to_run), g.to_run", state, "join", gone));
    }
    if pasts.is_empty() { NO_ROWS.to_owned() } else { pasts.join("\n  union all by name ") }
}

fn changes_query(files: &[String]) -> String {
    if files.is_empty() {
        return NO_CHANGES.to_owned();
    }
    format!(
        "select parse_filename(filename, true)::ubigint as run, * exclude (filename)\n  from read_parquet([{}], filename = true)",
        files.join(", ")
    )
}

fn runs_query(runs: &[Run]) -> String {
    let row = |run: &Run| {
        let root = path_text(&run.root).0.replace('\'', "''");
        let [added, modified, removed] =
            [Added, Modified, Removed].map(|of| (run.counts.of(of), run.counts.bytes_of(of)));
        format!(
            "({}, '{root}', '{}', to_timestamp({} / 1e9), to_timestamp({} / 1e9), '{}', {}, {}, {}, {}, {}, {}, {}, {}, {})",
            run.id,
            run.kind.name(),
            run.started,
            run.finished,
            run.verdict,
            run.entries,
            run.bytes,
            run.errors,
            added.0,
            modified.0,
            removed.0,
            added.1,
            modified.1,
            removed.1,
        )
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    let (rows, which) = match rows.is_empty() {
        true => ("(0, '', '', now(), now(), '', 0, 0, 0, 0, 0, 0, 0, 0, 0)".to_owned(), " where false"),
        false => (rows.join(",\n  "), ""),
    };
    let columns = "run, root, kind, started, finished, verdict, entries, bytes, errors, added, modified, removed, \
        added_bytes, modified_bytes, removed_bytes";
    format!("select * from (values\n  {rows}) r({columns}){which}")
}
