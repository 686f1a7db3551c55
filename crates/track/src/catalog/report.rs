//! Changes, counted: by time, and by directory, user, group or extension.
//!
//! Growth is what was added and what changed files grew by, less what was removed; a directory's own size is the file system's business and does not count. What
//! moved is counted where it is now, and so is what has another owner: less there, more here. But what is in a directory that moved is not told of, and
//! stays with where it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Date32Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use pwalk_fs::Accounts;
use pwalk_scan::{Stat, extension, path_text};

use super::{Catalog, ChangeFilter};
use crate::TrackError;
use crate::change::{Change, ChangeType};
use crate::entry::kind;
use crate::key::Roots;

/// What is reported.
#[derive(Clone, Debug, Default)]
pub struct ReportOptions {
    /// Of which changes.
    pub filter: ChangeFilter,
    /// For each of these.
    pub period: Option<Period>,
    /// And for each of these.
    pub by: Option<Group>,
    /// Directories below the root by which is grouped, from 1.
    pub depth: Option<u32>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight, where the machine is.
    Day,
    /// From Monday to Sunday.
    Week,
}

/// What changes are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The directories in the root.
    Dir,
    /// The owner.
    User,
    /// The group.
    Group,
    /// What follows the last `.` of the name.
    Extension,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportRow {
    /// The first day of the period, `2026-01-31`, if there are periods.
    pub period: Option<String>,
    /// The directory, user, group or extension, if there are any.
    pub group: Option<Vec<u8>>,
    /// What is new, and its bytes.
    pub added: (u64, u64),
    /// What may have other content, and its bytes now.
    pub modified: (u64, u64),
    /// What is gone, and its bytes.
    pub removed: (u64, u64),
    /// What has another path.
    pub moved: u64,
    /// Of what only rights, owner or times are other.
    pub metadata: u64,
    /// What nobody could look at.
    pub unseen: u64,
    /// What is rotten.
    pub bitrot: u64,
    /// Bytes that there are more, or less.
    pub growth: i64,
}

/// A report: a row for each period and group in which something changed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By period, and within one by group.
    pub rows: Vec<ReportRow>,
    /// All of them together.
    pub total: ReportRow,
    /// Runs that it is about.
    pub runs: u64,
}

pub(super) fn report(catalog: &mut Catalog, options: &ReportOptions) -> Result<Report, TrackError> {
    let accounts = Accounts::default();
    let mut rows: BTreeMap<(Option<String>, Option<Vec<u8>>), ReportRow> = BTreeMap::new();
    let mut total = ReportRow::default();
    let mut runs = 0;
    let mut last = None;
    let mut period = None;
    let mut roots = Roots::new([]);
    catalog.changes(&options.filter, &mut |run, change| {
        if last != Some(run.id) {
            last = Some(run.id);
            runs += 1;
            period = options.period.map(|period| period.of(run.finished));
            roots = Roots::new([run.root.clone()]);
        }
        let group = |path, stat| options.by.map(|by| by.of(path, stat, &roots, options.depth.unwrap_or(1), &accounts));
        let now = group(change.path, change.new.or(change.old));
        let before = group(change.old_path.unwrap_or(change.path), change.old);
        let was = size(change.old);
        rows.entry((period.clone(), now.clone())).or_default().add(change);
        total.add(change);
        if change.old.is_some() && change.new.is_some() && before != now {
            // What another had, or was elsewhere, is less there and more here.
            rows.entry((period.clone(), now)).or_default().growth += was;
            rows.entry((period.clone(), before)).or_default().growth -= was;
        }
        Ok(())
    })?;
    let named = |((period, group), row)| ReportRow { period, group, ..row };
    Ok(Report { rows: rows.into_iter().map(named).collect(), total, runs })
}

impl Report {
    /// The columns of [`Self::batch`].
    pub fn schema() -> SchemaRef {
        let mut fields = vec![
            Field::new("period", DataType::Date32, true),
            Field::new("group", DataType::Utf8, true),
            Field::new("group_bytes", DataType::Binary, true),
        ];
        let kind = |name| if name == GROWTH { DataType::Int64 } else { DataType::UInt64 };
        fields.extend(ReportRow::FIELDS.map(|name| Field::new(name, kind(name), false)));
        Arc::new(Schema::new(fields))
    }

    /// The rows as Arrow has them; the bytes of a group stand there where its text is not all of them.
    ///
    /// # Errors
    /// None that anybody could do anything about: the columns do not fit together.
    pub fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let rows = || self.rows.iter();
        let texts = || rows().map(|row| row.group.as_deref().map(path_text));
        let group: StringArray = texts().map(|text| text.map(|(text, _)| text)).collect();
        let exact = |row: &ReportRow| row.group.clone().filter(|group| path_text(group).1.is_some());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows().map(|row| row.period.as_deref().and_then(day)).collect::<Date32Array>()),
            Arc::new(group),
            Arc::new(rows().map(exact).collect::<BinaryArray>()),
        ];
        for (column, name) in ReportRow::FIELDS.into_iter().enumerate() {
            let values = rows().map(|row| row.values()[column]);
            columns.push(match name {
                GROWTH => Arc::new(values.collect::<Int64Array>()),
                _ => Arc::new(values.map(i64::cast_unsigned).collect::<UInt64Array>()),
            });
        }
        RecordBatch::try_new(Self::schema(), columns)
    }
}

/// The one number that may be less than nothing.
const GROWTH: &str = "growth_bytes";

/// `2026-01-31` as days since 1970.
fn day(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    Some(date.since(Date::constant(1970, 1, 1)).ok()?.get_days())
}

/// Bytes of what is no directory.
fn size(stat: Option<&Stat>) -> i64 {
    stat.filter(|stat| !kind(stat).is_dir()).map_or(0, |stat| stat.size.max(0))
}

impl ReportRow {
    /// The names of [`Self::values`].
    pub const FIELDS: [&str; 11] = [
        "added",
        "added_bytes",
        "modified",
        "modified_bytes",
        "removed",
        "removed_bytes",
        GROWTH,
        "moved",
        "metadata",
        "unseen",
        "bitrot",
    ];

    /// All its numbers.
    pub fn values(&self) -> [i64; 11] {
        let Self { added, modified, removed, moved, metadata, unseen, bitrot, .. } = self;
        let n = u64::cast_signed;
        let [a, m, r] = [added, modified, removed].map(|(count, bytes)| (n(*count), n(*bytes)));
        let [moved, metadata, unseen, bitrot] = [moved, metadata, unseen, bitrot].map(|count| n(*count));
        [a.0, a.1, m.0, m.1, r.0, r.1, self.growth, moved, metadata, unseen, bitrot]
    }

    fn add(&mut self, change: &Change<'_>) {
        let (old, new) = (size(change.old), size(change.new));
        let more = |of: &mut (u64, u64), bytes: i64| {
            of.0 += 1;
            of.1 += bytes.cast_unsigned();
        };
        match change.change_type {
            ChangeType::Added => {
                more(&mut self.added, new);
                self.growth += new;
            }
            ChangeType::Removed => {
                more(&mut self.removed, old);
                self.growth -= old;
            }
            ChangeType::Modified => {
                more(&mut self.modified, new);
                self.growth += new - old;
            }
            ChangeType::Moved => {
                self.moved += 1;
                self.growth += new - old;
            }
            ChangeType::Metadata => self.metadata += 1,
            ChangeType::Unseen => self.unseen += 1,
            ChangeType::Bitrot => self.bitrot += 1,
        }
    }
}

impl Period {
    /// The first day of the one that a time is in.
    fn of(self, time: i64) -> String {
        let Ok(time) = Timestamp::from_nanosecond(time.into()) else { return String::new() };
        let date = Zoned::new(time, TimeZone::system()).date();
        let date = match self {
            Self::Day => date,
            Self::Week if date.weekday() == Weekday::Monday => date,
            Self::Week => date.nth_weekday(-1, Weekday::Monday).unwrap_or(date),
        };
        date.to_string()
    }
}

impl Group {
    fn of(self, path: &[u8], stat: Option<&Stat>, roots: &Roots, depth: u32, accounts: &Accounts) -> Vec<u8> {
        let stat = stat.copied().unwrap_or_default();
        let is_dir = kind(&stat).is_dir();
        match self {
            Self::Dir => directory(path, is_dir, roots, depth),
            Self::User => accounts.user(stat.uid).unwrap_or_else(|| stat.uid.to_string()).into_bytes(),
            Self::Group => accounts.group(stat.gid).unwrap_or_else(|| stat.gid.to_string()).into_bytes(),
            Self::Extension if is_dir => Vec::new(),
            Self::Extension => {
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                extension(name).to_vec()
            }
        }
    }
}

/// The directory so far below the root that something is in, or the root.
fn directory(path: &[u8], is_dir: bool, roots: &Roots, depth: u32) -> Vec<u8> {
    let Some((root, below)) = roots.below(path) else { return path.to_vec() };
    // What is no directory is in the one above it.
    let end = if is_dir { below.len() } else { below.iter().rposition(|byte| *byte == b'/').unwrap_or(0) };
    let mut path = roots.paths()[root].clone();
    let components = below[..end].split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    for name in components.take(usize::try_from(depth).unwrap_or(usize::MAX)) {
        pwalk_engine::join(&mut path, name);
    }
    path
}
