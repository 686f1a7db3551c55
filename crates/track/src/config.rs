//! The settings of `pwalk track` that stand in a file: TOML, YAML, or the INI file of a classic crawler.
//!
//! Where: the file that is named, else the one that `PWALK_CONFIG` names, else the first that is there of `pwalk/track.toml`, `pwalk/track.ini`,
//! `pwalk/config.toml`, `.yaml` and `.yml` in the user's configuration directory (`$XDG_CONFIG_HOME`, else `~/.config`), and `/etc/pwalk/track.toml` and
//! `track.ini`. One file is read and no other. The ending says the format (`ini.rs` has the rules of INI); of a file with another
//! ending, TOML if it is TOML, else INI.
//!
//! | section | keys |
//! |---|---|
//! | `general` | `threads` (1 to 4096, or `auto`), `catalog` (directory) |
//! | `crawler` | `data_root` (directory to scan when none is named), `fingerprint` (`none`, `new`, `all`, `sample`), `hash` (`blake3`, `xxh3`), `hash_threads` (1 to 1024), `max_bytes_per_sec` (`100M`), `one_file_system`, `exclude` (patterns: a list, or with commas) |
//! | `metadata` | any: noted with each run |
//! | `postgresql` | `host`, `port`, `database`, `user`, `password`, `sslmode` |
//! | `logging` | `log_root` (directory), `log_level` (`error`, `warning`, `info`, `debug`) |
//!
//! With `log_root` each run writes a file there: at level `error` its errors and its verdict, at `warning` warnings as well, at `info`, which is the
//! default, its options and its summary too, at `debug` each change. Nothing else is logged.
//!
//! What is not one of these is named in a warning, but for the settings of `pwalk copy` (`copy_…`, outside of sections), which may stand in the same file.
//! Case in names of sections and keys means nothing. A value that cannot be used is an error; neither it nor any other message shows a value, because it could be the
//! password.

mod ini;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{FileFormat, Value, ValueKind};

use crate::connection::{PostgresSection, SslMode};
use crate::fingerprint::FingerprintMode;
use crate::{Hash, Password};
use ini::{Ini, has_percent};
use values::Section;

pub use values::parse_bytes;

/// How much a run's log says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors and the verdict.
    Error,
    /// Warnings too.
    Warning,
    /// Options and summary too.
    #[default]
    Info,
    /// Each change too.
    Debug,
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "error" | "critical" => Ok(Self::Error),
            "warning" | "warn" => Ok(Self::Warning),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err("log_level is error, warning, info or debug"),
        }
    }
}

/// What a file says. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackConfig {
    /// `[general] threads`: 1 to 4096; `auto` is none.
    pub threads: Option<usize>,
    /// `[general] catalog`: an absolute path.
    pub catalog: Option<PathBuf>,
    /// `[crawler] data_root`: what is scanned when nothing is named; an absolute path.
    pub data_root: Option<PathBuf>,
    /// `[crawler] fingerprint`.
    pub fingerprint: Option<FingerprintMode>,
    /// `[crawler] hash`.
    pub hash: Option<Hash>,
    /// `[crawler] hash_threads`: 1 to 1024.
    pub hash_threads: Option<usize>,
    /// `[crawler] max_bytes_per_sec`: at least 1.
    pub max_bytes_per_sec: Option<u64>,
    /// `[crawler] one_file_system`.
    pub one_file_system: Option<bool>,
    /// `[crawler] exclude`: patterns.
    pub exclude: Vec<String>,
    /// `[metadata]`: keys as written, and their values.
    pub metadata: BTreeMap<String, String>,
    /// `[postgresql]`: none where there is no such section.
    pub postgresql: Option<PostgresSection>,
    /// `[logging] log_root`: an absolute path.
    pub log_root: Option<PathBuf>,
    /// `[logging] log_level`.
    pub log_level: Option<LogLevel>,
    /// What the user should know: keys that mean nothing, a password that others can read.
    pub warnings: Vec<String>,
    /// The file; none where there was none.
    pub path: Option<PathBuf>,
}

/// Why the settings cannot be used: the file, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(String);

/// Reads an environment variable.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl TrackConfig {
    /// Reads the settings in `file`, else in one of the usual places. That there is none there is fine.
    ///
    /// # Errors
    /// A file that is named (also by `PWALK_CONFIG`) or found and cannot be read, one that is neither TOML nor INI, and values that are not allowed.
    pub fn read(file: Option<&Path>) -> Result<Self, BadConfig> {
        Self::find(file, &|name| std::env::var_os(name), Path::new("/etc"))
    }

    fn find(file: Option<&Path>, variables: Variables<'_>, etc: &Path) -> Result<Self, BadConfig> {
        let set = |name| variables(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME");
        let named = file.map(Path::to_owned).or_else(|| set("PWALK_CONFIG"));
        let dir = set("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        let users = ["track.toml", "track.ini", "config.toml", "config.yaml", "config.yml"];
        let places = dir.iter().flat_map(|dir| users.map(|name| dir.join("pwalk").join(name)));
        let places = places.chain(["track.toml", "track.ini"].map(|name| etc.join("pwalk").join(name)));
        let Some(path) = named.or_else(|| places.into_iter().find(|path| path.exists())) else {
            return Ok(Self::default());
        };
        let bad = |why: String| BadConfig(format!("{}: {why}", path.display()));
        let mut text = String::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_string(&mut text).and_then(|_| file.metadata()));
        let mode = read.map_err(|why| bad(format!("cannot read the settings: {why}")))?.permissions().mode();
        let sections = parse(&path, &text).map_err(bad)?;
        let mut all = Self::of(sections, &path, home).map_err(BadConfig)?;
        let has_password = all.postgresql.as_ref().is_some_and(|section| section.password.is_some());
        if has_password && mode & 0o077 != 0 {
            let path = path.display();
            all.warnings
                .push(format!("{path} holds a password and others than its owner may use it: chmod 600 {path}"));
        }
        all.path = Some(path);
        Ok(all)
    }

    fn of(mut sections: HashMap<String, Value>, path: &Path, home: Option<PathBuf>) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let mut section = |name: &'static str| {
            let key = sections.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
            let left = match key.and_then(|key| sections.remove(&key)).map(|value| value.kind) {
                None | Some(ValueKind::Nil) => None,
                Some(ValueKind::Table(table)) => Some(table),
                Some(_) => return Err(format!("{}: {name} must be a section, [{name}]", path.display())),
            };
            let is_there = left.is_some();
            Ok((Section { name, file: path, home: home.clone(), left: left.unwrap_or_default() }, is_there))
        };
        let ((mut general, _), (mut crawler, _)) = (section("general")?, section("crawler")?);
        let ((mut metadata, _), (mut logging, _)) = (section("metadata")?, section("logging")?);
        let (mut postgresql, has_postgresql) = section("postgresql")?;

        let threads = general.parsed("threads", "a number from 1 to 4096, or auto", |text| match text {
            "auto" => Some(None),
            text => text.parse().ok().filter(|threads| (1..=4096).contains(threads)).map(Some),
        });
        let mut all = Self {
            threads: threads?.flatten(),
            catalog: general.path("catalog")?,
            data_root: crawler.path("data_root")?,
            fingerprint: crawler.word("fingerprint", "none, new, all or sample")?,
            hash: crawler.word("hash", "blake3 or xxh3")?,
            hash_threads: crawler.number("hash_threads", 1, 1024)?,
            max_bytes_per_sec: crawler.parsed(
                "max_bytes_per_sec",
                "a number of bytes, at least 1, as 500000, 800K, 100M or 1GiB",
                parse_bytes,
            )?,
            one_file_system: crawler.flag("one_file_system")?,
            exclude: crawler.list("exclude")?.unwrap_or_default(),
            log_root: logging.path("log_root")?,
            log_level: logging.word("log_level", "error, warning, info or debug")?,
            ..Self::default()
        };
        for key in metadata.left.keys().cloned().collect::<Vec<_>>() {
            if let Some(value) = metadata.text(&key)? {
                all.metadata.insert(key, value);
            }
        }
        let values = PostgresSection {
            host: postgresql.text("host")?.filter(|host| !host.is_empty()),
            port: postgresql
                .parsed("port", "a number from 1 to 65535", |text| text.parse().ok().filter(|port| *port > 0))?,
            database: postgresql.text("database")?.filter(|name| !name.is_empty()),
            user: postgresql.text("user")?.filter(|name| !name.is_empty()),
            password: postgresql.text("password")?.filter(|secret| !secret.is_empty()).map(Password::new),
            sslmode: postgresql.word("sslmode", SslMode::NAMES)?,
        };
        let secret = values.password.as_ref().map_or("", Password::reveal);
        if has_percent(secret) && path.extension().is_some_and(|ending| ending == "ini" || ending == "cfg") {
            let path = path.display();
            warnings.push(format!("[postgresql] password in {path} holds %% or %(: nothing is replaced there, % is %"));
        }
        all.postgresql = has_postgresql.then_some(values);
        let mut unknown = Vec::new();
        for section in [&general, &crawler, &postgresql, &logging] {
            unknown.extend(section.left.keys().map(|key| format!("[{}] {key}", section.name)));
        }
        for (name, value) in &sections {
            match &value.kind {
                ValueKind::Table(table) if table.is_empty() => unknown.push(format!("[{name}]")),
                ValueKind::Table(table) => unknown.extend(table.keys().map(|key| format!("[{name}] {key}"))),
                _ if name.starts_with("copy_") => {}
                _ => unknown.push(name.clone()),
            }
        }
        unknown.sort();
        let path = path.display();
        warnings.extend(unknown.into_iter().map(|key| format!("unknown key {key} in {path}: it is ignored")));
        all.warnings = warnings;
        Ok(all)
    }
}

fn parse(path: &Path, text: &str) -> Result<HashMap<String, Value>, String> {
    let with = |format: FileFormat| build(config::File::from_str(text, format));
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => with(FileFormat::Toml),
        Some("yaml" | "yml") => with(FileFormat::Yaml),
        Some("ini" | "cfg") => build(config::File::from_str(text, Ini)),
        _ => with(FileFormat::Toml).or_else(|_| build(config::File::from_str(text, Ini))),
    }
}

fn build(source: impl config::Source + Send + Sync + 'static) -> Result<HashMap<String, Value>, String> {
    let built = config::Config::builder().add_source(source).build();
    let all = built.and_then(config::Config::try_deserialize);
    // The lines of the file that a message of TOML's shows may hold the password.
    let is_shown = |line: &&str| !line.contains('|') && !line.trim().is_empty();
    all.map_err(|why| why.to_string().lines().filter(is_shown).map(str::trim).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
