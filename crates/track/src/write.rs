//! Changes in files and as JSON.
//!
//! The same fields everywhere: what is old and what is new stand side by side, and are null where there is none. A path is text; where its bytes
//! are not UTF-8 they stand beside it, in Parquet as bytes, else as base64.

mod parquet;

use std::path::Path;

use jiff::Timestamp;
use pwalk_scan::{Error, Output, Stat, Target, Written, path_text};
use serde_json::{Map, Value};

use crate::change::Change;
use parquet::ParquetChanges;

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeFormat {
    /// CSV with a header (RFC 4180).
    Csv,
    /// Parquet.
    Parquet,
}

impl ChangeFormat {
    /// As a name ends: `.parquet`, else CSV.
    pub fn of(path: &Path) -> Self {
        let is_parquet = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
        if is_parquet { Self::Parquet } else { Self::Csv }
    }
}

/// A time as text: RFC 3339 in UTC with nanoseconds.
fn time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}

/// The fields of a change, in the order in which they are written; null where there is none.
fn fields(change: &Change<'_>) -> Vec<(&'static str, Value)> {
    let path = path_text(change.path);
    let old_path = change.old_path.map(path_text);
    let (old_path, old_bytes) = old_path.map_or((Value::Null, None), |(text, bytes)| (text.into(), bytes));
    let of = |stat: Option<&Stat>, field: fn(&Stat) -> Value| stat.map_or(Value::Null, field);
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
        ("old_fingerprint", Value::Null),
        ("new_fingerprint", Value::Null),
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
pub struct ChangeWriter(Kind);

enum Kind {
    Csv { lines: Box<csv::Writer<Vec<u8>>>, output: Output, has_header: bool },
    Parquet(Box<ParquetChanges>),
}

/// Bytes of CSV that are written at once.
const BLOCK: usize = 1 << 20;

impl ChangeWriter {
    /// Starts the file.
    ///
    /// # Errors
    /// Its directory cannot be written to.
    pub fn create(target: &Target, format: ChangeFormat) -> Result<Self, Error> {
        let output = Output::create(target)?;
        Ok(Self(match format {
            ChangeFormat::Csv => {
                Kind::Csv { lines: Box::new(csv::Writer::from_writer(Vec::new())), output, has_header: false }
            }
            ChangeFormat::Parquet => Kind::Parquet(Box::new(ParquetChanges::new(output)?)),
        }))
    }

    /// Adds a change.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, change: &Change<'_>) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Parquet(parquet) => parquet.write(change),
            Kind::Csv { lines, output, has_header } => {
                let fields = fields(change);
                if !*has_header {
                    header(lines, output)?;
                    *has_header = true;
                }
                let text = |(_, value): &(_, Value)| match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                lines.write_record(fields.iter().map(text)).map_err(|e| csv_error(output, e))?;
                if lines.get_ref().len() >= BLOCK { flush(lines, output) } else { Ok(()) }
            }
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<Written, Error> {
        match self.0 {
            Kind::Parquet(parquet) => parquet.finish(),
            Kind::Csv { mut lines, mut output, has_header } => {
                if !has_header {
                    header(&mut lines, &output)?;
                }
                flush(&mut lines, &mut output)?;
                output.commit()
            }
        }
    }
}

/// The names of the fields, as any change has them.
fn header(lines: &mut csv::Writer<Vec<u8>>, output: &Output) -> Result<(), Error> {
    let names = fields(&NOTHING).into_iter().map(|(name, _)| name);
    lines.write_record(names).map_err(|e| csv_error(output, e))
}

/// A change that says nothing.
const NOTHING: Change<'_> = Change {
    change_type: crate::ChangeType::Added,
    path: b"",
    old_path: None,
    old: None,
    new: None,
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
