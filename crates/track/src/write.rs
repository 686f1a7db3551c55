//! Changes in files and as JSON.
//!
//! The same fields everywhere: what is old and what is new stand side by side, and are null where there is none. A path is text; where its bytes
//! are not UTF-8 they stand beside it, in Parquet as bytes, else as base64. Changes of several runs have the run's number before them.

mod batch;
mod parquet;

use jiff::Timestamp;
use pwalk_scan::report::FileFormat;
use pwalk_scan::{Error, Output, Stat, Target, Written, path_text};
use serde_json::{Map, Value};

use crate::change::Change;
use crate::fingerprint::Fingerprint;
use parquet::ParquetChanges;

pub use batch::ChangeBatches;

/// A time, in nanoseconds since 1970, as RFC 3339 in UTC.
pub fn time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}

/// The fields of a change, in the order in which they are written; null where there is none.
fn fields(change: &Change<'_>) -> Vec<(&'static str, Value)> {
    let path = path_text(change.path);
    let old_path = change.old_path.map(path_text);
    let (old_path, old_bytes) = old_path.map_or((Value::Null, None), |(text, bytes)| (text.into(), bytes));
    let of = |stat: Option<&Stat>, field: fn(&Stat) -> Value| stat.map_or(Value::Null, field);
    let fingerprint = |of: Option<Fingerprint>| of.map_or(Value::Null, |of| of.to_string().into());
    let both = |field: fn(&Stat) -> Value| [of(change.old, field), of(change.new, field)];
    let [old_size, new_size] = both(|stat| stat.size.into());
    let [old_mtime, new_mtime] = both(|stat| time(stat.mtime).into());
    let [old_ctime, new_ctime] = both(|stat| time(stat.ctime).into());
    let [old_mode, new_mode] = both(|stat| format!("{:04o}", stat.mode & 0o7777).into());
    let [old_uid, new_uid] = both(|stat| stat.uid.into());
    let [old_gid, new_gid] = both(|stat| stat.gid.into());
    let [old_inode, new_inode] = both(|stat| stat.ino.into());
    vec![
        ("change_type", change.change_type.name().into()),
        ("path", path.0.into()),
        ("old_path", old_path),
        ("path_bytes", path.1.into()),
        ("old_path_bytes", old_bytes.into()),
        ("kind", change.kind().name().into()),
        ("old_size", old_size),
        ("new_size", new_size),
        ("old_mtime", old_mtime),
        ("new_mtime", new_mtime),
        ("old_fingerprint", fingerprint(change.old_fingerprint)),
        ("new_fingerprint", fingerprint(change.new_fingerprint)),
        ("confidence", change.confidence.name().into()),
        ("old_mode", old_mode),
        ("new_mode", new_mode),
        ("old_uid", old_uid),
        ("new_uid", new_uid),
        ("old_gid", old_gid),
        ("new_gid", new_gid),
        ("old_inode", old_inode),
        ("new_inode", new_inode),
        ("old_ctime", old_ctime),
        ("new_ctime", new_ctime),
        ("old_kind", change.old_kind().map_or(Value::Null, |kind| kind.name().into())),
    ]
}

/// A change as a JSON object; `path_bytes` and `old_path_bytes` are there only where they are needed.
pub fn json(change: &Change<'_>) -> Value {
    let needed = |(name, value): &(&str, Value)| !(name.ends_with("_bytes") && value.is_null());
    let fields = fields(change).into_iter().filter(needed).map(|(name, value)| (name.to_owned(), value));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Writes changes to a file, which has its name when it is whole.
pub struct ChangeWriter {
    kind: Kind,
    has_runs: bool,
}

/// Which changes a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesOf {
    /// Of one run, or of none.
    One,
    /// Of several runs: each change has the number of its run.
    Runs,
}

enum Kind {
    Csv { lines: Box<csv::Writer<Vec<u8>>>, output: Output },
    Parquet(Box<ParquetChanges>),
}

/// Bytes of CSV that are written at once.
const BLOCK: usize = 1 << 20;

impl ChangeWriter {
    /// Starts the file; CSV has a header (RFC 4180).
    ///
    /// # Errors
    /// Its directory cannot be written to.
    pub fn create(target: &Target, format: FileFormat, of: ChangesOf) -> Result<Self, Error> {
        let output = Output::create(target)?;
        let has_runs = of == ChangesOf::Runs;
        let kind = match format {
            FileFormat::Csv => {
                let mut lines = csv::Writer::from_writer(Vec::new());
                let names = fields(&NOTHING).into_iter().map(|(name, _)| name);
                lines
                    .write_record(has_runs.then_some("run").into_iter().chain(names))
                    .map_err(|e| csv_error(&output, e))?;
                Kind::Csv { lines: Box::new(lines), output }
            }
            FileFormat::Parquet => Kind::Parquet(Box::new(ParquetChanges::new(output, has_runs)?)),
        };
        Ok(Self { kind, has_runs })
    }

    /// Adds a change of a run, which matters only if this is of several.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, run: u64, change: &Change<'_>) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Parquet(parquet) => parquet.write(run, change),
            Kind::Csv { lines, output } => {
                let fields = fields(change);
                let text = |(_, value): &(_, Value)| match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let run = self.has_runs.then(|| run.to_string());
                lines.write_record(run.into_iter().chain(fields.iter().map(text))).map_err(|e| csv_error(output, e))?;
                if lines.get_ref().len() >= BLOCK { flush(lines, output) } else { Ok(()) }
            }
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<Written, Error> {
        match self.kind {
            Kind::Parquet(parquet) => parquet.finish(),
            Kind::Csv { mut lines, mut output } => {
                flush(&mut lines, &mut output)?;
                output.commit()
            }
        }
    }
}

/// A change that says nothing but has all fields.
const NOTHING: Change<'_> = Change {
    change_type: crate::ChangeType::Added,
    path: b"",
    old_path: None,
    old: None,
    new: None,
    old_fingerprint: None,
    new_fingerprint: None,
    confidence: crate::Confidence::Certain,
};

fn csv_error(output: &Output, error: csv::Error) -> Error {
    Error::io("write", output.path(), error.into())
}

fn flush(lines: &mut csv::Writer<Vec<u8>>, output: &mut Output) -> Result<(), Error> {
    let full = std::mem::replace(lines, csv::Writer::from_writer(Vec::new()));
    let bytes = full.into_inner().map_err(|e| Error::io("write", output.path(), e.into_error()))?;
    output.append(&bytes)
}
