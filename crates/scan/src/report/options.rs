//! The options of a report, and what follows from them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use pwalk_engine::{FollowLinks, Mounts, Options, Snapshots, Threads};
use pwalk_fs::Freshness;
use serde_json::{Value, json};

use crate::{Compression, DEFAULT_GZIP_LEVEL, DEFAULT_ZSTD_LEVEL, Header, Target};

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// The classic CSV.
    Csv,
    /// Parquet.
    Parquet,
}

impl FileFormat {
    /// As a name ends: `.parquet`, else CSV.
    pub fn of(path: &Path) -> Self {
        let is_parquet = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
        if is_parquet { Self::Parquet } else { Self::Csv }
    }
}

/// How the CSV is compressed. Parquet always is, inside, with zstd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As the name says: `.zst`, `.gz`, anything else not.
    #[default]
    Auto,
    /// zstd; `.zst` is added to a name without it.
    Zstd,
    /// gzip; `.gz` is added to a name without it.
    Gzip,
    /// Not.
    None,
}

/// Where errors go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LedgerPlace {
    /// `NAME.errors.jsonl` beside the output, if there are any; to standard error when the output is no file.
    #[default]
    Beside,
    /// A file, which is there afterwards in any case.
    File(Target),
    /// To standard error, and only what makes the scan partial: the classic program says nothing of names that its
    /// format cannot show.
    Losses,
}

/// Whether a directory that the options keep the walk out of (too deep, another file system) has a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnreadDirs {
    /// It has, with 0 entries.
    #[default]
    Written,
    /// It has not, as the classic program has it.
    Omitted,
}

/// What to report, and how.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// The trees, as their paths are to stand in the output: bytes.
    pub roots: Vec<Vec<u8>>,
    /// Where to.
    pub output: Target,
    /// None: Parquet if the name ends in `.parquet`, else CSV.
    pub format: Option<FileFormat>,
    /// How CSV is compressed.
    pub compress: Compress,
    /// Compression level: zstd -7 to 22 (Parquet 1 to 22), gzip 0 to 9. None: the one measured to be the best trade.
    pub level: Option<i32>,
    /// Whether CSV has a header line.
    pub header: Header,
    /// Where errors go.
    pub errors: LedgerPlace,
    /// Directories that are not read.
    pub unread_dirs: UnreadDirs,
    /// The patterns that were compiled into `walk.exclude`, to be recorded in the output.
    pub exclude_patterns: Vec<String>,
    /// How to walk.
    pub walk: Options,
}

impl ReportOptions {
    /// A report of `roots` into `scan.csv.zst`.
    pub fn new(roots: Vec<Vec<u8>>) -> Self {
        Self {
            roots,
            output: Target::File("scan.csv.zst".into()),
            format: None,
            compress: Compress::Auto,
            level: None,
            header: Header::Written,
            errors: LedgerPlace::Beside,
            unread_dirs: UnreadDirs::Written,
            exclude_patterns: Vec::new(),
            walk: Options::default(),
        }
    }
}

/// Options that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// There is nothing to walk.
    #[error("no path given; name at least one directory")]
    NoRoots,
    /// A path that the kernel cannot take.
    #[error("a path holds a NUL byte or is empty")]
    BadRoot,
    /// One would overwrite the other.
    #[error("--errors and --output are the same file; give the errors one of their own, or leave out --errors")]
    SameFile,
    /// Parquet compresses by itself.
    #[error("Parquet is always compressed inside, with zstd; leave out --compress, or write CSV")]
    CompressedParquet,
    /// No such level.
    #[error("there is no compression level {0} here: zstd has -7 to 22, gzip 0 to 9, Parquet 1 to 22, none has none")]
    Level(i32),
}

/// What the options come to.
pub(crate) struct Resolved {
    pub(crate) output: Target,
    pub(crate) format: FileFormat,
    pub(crate) compression: Compression,
    pub(crate) parquet_level: i32,
}

impl ReportOptions {
    pub(crate) fn resolve(&self) -> Result<Resolved, OptionsError> {
        if self.roots.is_empty() {
            return Err(OptionsError::NoRoots);
        }
        if self.roots.iter().any(|r| r.is_empty() || r.contains(&0)) {
            return Err(OptionsError::BadRoot);
        }
        let resolved = self.resolve_format()?;
        match &self.errors {
            LedgerPlace::File(errors) if is_same(errors, &resolved.output) => Err(OptionsError::SameFile),
            _ => Ok(resolved),
        }
    }

    fn resolve_format(&self) -> Result<Resolved, OptionsError> {
        let format = self.format.unwrap_or(match &self.output {
            Target::File(path) => FileFormat::of(path),
            Target::Stdout => FileFormat::Csv,
        });
        if format == FileFormat::Parquet {
            return self.resolve_parquet();
        }
        let compression = match (self.compress, &self.output) {
            (Compress::Auto, Target::File(path)) => Compression::from_name(path),
            (Compress::None, _) | (Compress::Auto, Target::Stdout) => Compression::None,
            (Compress::Zstd, _) => Compression::Zstd(DEFAULT_ZSTD_LEVEL),
            (Compress::Gzip, _) => Compression::Gzip(DEFAULT_GZIP_LEVEL),
        };
        let compression = match self.level {
            None => compression,
            Some(level) => compression.with_level(level).ok_or(OptionsError::Level(level))?,
        };
        let output = with_suffix(&self.output, compression);
        Ok(Resolved { output, format, compression, parquet_level: DEFAULT_ZSTD_LEVEL })
    }

    fn resolve_parquet(&self) -> Result<Resolved, OptionsError> {
        if !matches!(self.compress, Compress::Auto | Compress::Zstd) {
            return Err(OptionsError::CompressedParquet);
        }
        let level = self.level.unwrap_or(DEFAULT_ZSTD_LEVEL);
        if !(1..=22).contains(&level) {
            return Err(OptionsError::Level(level));
        }
        let (output, format, compression) = (self.output.clone(), FileFormat::Parquet, Compression::None);
        Ok(Resolved { output, format, compression, parquet_level: level })
    }

    /// The options that shaped the content, by their long names, as they stand in the output's metadata.
    pub(crate) fn recorded(&self, resolved: &Resolved) -> BTreeMap<String, Value> {
        let walk = &self.walk;
        let format = match resolved.format {
            FileFormat::Csv => "csv",
            FileFormat::Parquet => "parquet",
        };
        let threads = match walk.threads {
            Threads::Adaptive => json!("auto"),
            Threads::Fixed(n) => json!(n),
        };
        let attributes = if walk.freshness == Freshness::Cached { "cached" } else { "fresh" };
        let options = [
            ("format", json!(format)),
            ("threads", threads),
            ("max-iops", json!(walk.max_iops)),
            ("attributes", json!(attributes)),
            ("give-up-after", json!(walk.give_up_after.map(|d| d.as_secs_f64()))),
        ];
        let mut all = extent(walk, &self.exclude_patterns);
        all.extend(options.map(|(name, value)| (name.to_owned(), value)));
        all
    }
}

/// The options that decide which entries there are, by their long names. Two scans that differ in one of them do not tell what changed.
pub fn extent(walk: &Options, exclude_patterns: &[String]) -> BTreeMap<String, Value> {
    let options = [
        ("depth", json!(walk.max_depth)),
        ("one-file-system", json!(walk.mounts == Mounts::Stay)),
        ("follow-links", json!(walk.follow_links == FollowLinks::Always)),
        ("include-snapshots", json!(walk.snapshots == Snapshots::Include)),
        ("exclude", json!(exclude_patterns)),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether both are written to the same place, however it is spelled.
fn is_same(one: &Target, other: &Target) -> bool {
    let place = |path: &Path| {
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some((directory.canonicalize().ok()?, path.file_name()?.to_owned()))
    };
    match (one, other) {
        (Target::File(one), Target::File(other)) => one == other || place(one).is_some_and(|p| Some(p) == place(other)),
        (Target::Stdout, Target::Stdout) => true,
        _ => false,
    }
}

/// The name with the suffix that readers know the compression by. What is no plain file is left alone.
fn with_suffix(output: &Target, compression: Compression) -> Target {
    let Target::File(path) = output else { return output.clone() };
    let suffix = match compression {
        Compression::None => return output.clone(),
        Compression::Zstd(_) => ".zst",
        Compression::Gzip(_) => ".gz",
    };
    let same = std::mem::discriminant(&Compression::from_name(path)) == std::mem::discriminant(&compression);
    let special = path.metadata().is_ok_and(|m| !m.is_file());
    if same || special {
        return output.clone();
    }
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    Target::File(name.into())
}
