//! The catalog in PostgreSQL: the first load, what a run writes to the server's log, and its merge beside the obvious one.
//!
//! The server is a private one with the settings that Debian's package has. What a run writes is what the position in the write-ahead log moved, right
//! after a checkpoint, so that whole pages are counted too, as they are when runs are hours apart.

use super::lab::Lab;
use super::table::Table;
use crate::workspace::complete;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Files that change between two runs: of ten, eight grow, one is removed, and beside one a new one is made.
const CHANGED: usize = 1000;

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let tree = lab.own_tree(lab.entries)?;
    let server = Server::start(lab)?;
    let mut loads = Vec::new();
    for round in 0..lab.runs {
        let database = server.database(lab, &format!("load{round}"))?;
        let run = scan(lab, &database, &tree.path)?;
        eprintln!("first load: {:.3} s, of which {:.3} s publishing", run.elapsed, run.publishing);
        loads.push(run);
    }
    let database = server.database(lab, "catalog")?;
    scan(lab, &database, &tree.path)?;
    let (mut unchanged, mut changed) = (Vec::new(), Vec::new());
    for round in 0..lab.runs {
        unchanged.push(database.logged(|| scan(lab, &database, &tree.path))?);
        let changes = Changes::of(&tree.path, round)?;
        changes.make()?;
        changed.push(database.logged(|| scan(lab, &database, &tree.path))?);
        changes.take_back()?;
        scan(lab, &database, &tree.path)?;
    }
    let mut obvious = Vec::new();
    for _ in 0..lab.runs.min(3) {
        obvious.push(database.obvious(lab)?);
        eprintln!("the obvious merge: {:.3} s", obvious.last().map_or(0.0, |run| run.0));
    }
    Ok(vec![load_table(&tree.description, &loads), merge_table(&tree.description, &unchanged, &changed, &obvious)])
}

fn load_table(tree: &str, loads: &[Run]) -> Table {
    let rows = loads.first().map_or(0.0, |run| run.entries);
    let row = |label: &str, seconds: f64| {
        vec![label.to_owned(), format!("{seconds:.3}"), format!("{:.0}", rows / seconds), loads.len().to_string()]
    };
    Table {
        title: format!("track: the first load of PostgreSQL ({tree})"),
        notes: vec!["Client and server on the same cores. Promise: 250,000 rows/s.".to_owned()],
        header: ["median of", "s", "rows/s", "runs"].map(str::to_owned).to_vec(),
        rows: vec![
            row("publishing: rows sent, keys made, all committed", median(loads.iter().map(|run| run.publishing))),
            row("pwalk track scan T, walking included", median(loads.iter().map(|run| run.elapsed))),
        ],
    }
}

fn merge_table(tree: &str, unchanged: &[(Run, f64)], changed: &[(Run, f64)], obvious: &[(f64, f64)]) -> Table {
    let publishing = |runs: &[(Run, f64)]| median(runs.iter().map(|(run, _)| run.publishing));
    let logged = |runs: &[(Run, f64)]| median(runs.iter().map(|(_, bytes)| *bytes));
    let base = median(obvious.iter().map(|(seconds, _)| *seconds));
    let row = |label: &str, seconds: f64, bytes: f64, promise: &str, runs: usize| {
        let ratio = format!("{:.0}", base / seconds);
        vec![
            label.to_owned(),
            format!("{seconds:.3}"),
            format!("{:.3}", bytes / 1e6),
            promise.to_owned(),
            ratio,
            runs.to_string(),
        ]
    };
    let reference = "the obvious merge of 1,000 changes";
    let log = median(obvious.iter().map(|(_, bytes)| *bytes));
    Table {
        title: format!("track: runs in PostgreSQL ({tree})"),
        notes: vec![
            "Of pwalk all of the publishing is counted: changes sent, merged, committed. Of the obvious merge (bench/obvious.sql: paths as text, \
             the whole scan staged, one statement) only that statement, not the staging. Promise: 20 times as fast."
                .to_owned(),
        ],
        header: ["run", "s", "log MB", "promised MB", "× as fast as the obvious merge", "runs"].map(str::to_owned).to_vec(),
        rows: vec![
            row("pwalk, nothing changed", publishing(unchanged), logged(unchanged), "1", unchanged.len()),
            row("pwalk, 1,000 changes", publishing(changed), logged(changed), "5", changed.len()),
            row(reference, base, log, "", obvious.len()),
        ],
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a scan said of itself.
struct Run {
    entries: f64,
    elapsed: f64,
    publishing: f64,
}

fn scan(lab: &Lab, database: &Database, tree: &Path) -> Result<Run> {
    let output = Command::new(lab.pwalk())
        .args(["track", "scan", "--quiet", "--json", "--database", &database.url])
        .arg(tree)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "pwalk track scan: {}", output.status);
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).context("what pwalk track scan --json says")?;
    let number = |name: &str| run[name].as_f64().with_context(|| format!("the run has no {name}"));
    Ok(Run { entries: number("entries")?, elapsed: number("elapsed_seconds")?, publishing: number("publish_seconds")? })
}

/// A server that runs until it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(lab: &Lab) -> Result<Self> {
        let program = lab.pwalk().with_file_name("pgcluster");
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut url)?;
        ensure!(!url.trim().is_empty(), "no server was started");
        Ok(Self { child, url: url.trim().to_owned() })
    }

    /// A database of this name, with an empty catalog.
    fn database(&self, lab: &Lab, name: &str) -> Result<Database> {
        let own = Database { url: self.url.clone() };
        if !self.url.contains("/catalog") {
            bail!("the server's database has another name: {}", self.url);
        }
        if name != "catalog" {
            own.psql(&["-c", &format!("create database {name}")])?;
        }
        let database = Database { url: self.url.replacen("/catalog", &format!("/{name}"), 1) };
        complete(Command::new(lab.pwalk()).args(["track", "init", "--database", &database.url]))?;
        Ok(database)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

struct Database {
    url: String,
}

impl Database {
    fn psql(&self, arguments: &[&str]) -> Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url]).args(arguments);
        let output = psql.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run psql")?;
        ensure!(output.status.success(), "psql: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Where the write-ahead log is.
    fn position(&self) -> Result<f64> {
        let text = self.psql(&["-c", "select pg_current_wal_lsn() - '0/0'::pg_lsn"])?;
        text.trim().parse().with_context(|| format!("psql says {text:?}"))
    }

    /// What a run says, and the bytes that it had the server log.
    fn logged(&self, run: impl FnOnce() -> Result<Run>) -> Result<(Run, f64)> {
        self.psql(&["-c", "checkpoint"])?;
        let before = self.position()?;
        let run = run()?;
        let bytes = self.position()? - before;
        eprintln!("a run: {:.3} s publishing, {bytes:.0} bytes of log", run.publishing);
        Ok((run, bytes))
    }

    /// The obvious merge of as many changes, in a schema of its own: its seconds, and the bytes of its log.
    fn obvious(&self, lab: &Lab) -> Result<(f64, f64)> {
        let script = lab.workspace.root.join("bench/obvious.sql");
        let said = self.psql(&["-f", script.to_str().context("the workspace's path is not UTF-8")?])?;
        let milliseconds =
            said.lines().find_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok());
        let bytes = said.lines().find_map(|line| line.split('|').next()?.parse::<f64>().ok());
        match (milliseconds, bytes) {
            (Some(milliseconds), Some(bytes)) => Ok((milliseconds / 1e3, bytes)),
            _ => bail!("bench/obvious.sql says {said:?}"),
        }
    }
}

/// Files that are changed, and can be put back.
struct Changes {
    grown: Vec<PathBuf>,
    removed: Vec<PathBuf>,
    beside: Vec<PathBuf>,
}

impl Changes {
    /// All over the tree, others in each round.
    fn of(tree: &Path, round: u32) -> Result<Self> {
        let mut files = Vec::new();
        list(tree, &mut files)?;
        files.sort_unstable();
        ensure!(files.len() > 2 * CHANGED, "the tree has only {} files", files.len());
        let step = files.len() / CHANGED;
        let mut of = Self { grown: Vec::new(), removed: Vec::new(), beside: Vec::new() };
        for (number, path) in files.into_iter().skip(round as usize % step).step_by(step).take(CHANGED).enumerate() {
            match number % 10 {
                8 => of.removed.push(path),
                9 => of.beside.push(with_suffix(path, ".new")),
                _ => of.grown.push(path),
            }
        }
        Ok(of)
    }

    fn make(&self) -> Result<()> {
        self.grow(1)?;
        self.removed.iter().try_for_each(fs::remove_file)?;
        Ok(self.beside.iter().try_for_each(|path| File::create(path).map(drop))?)
    }

    fn take_back(&self) -> Result<()> {
        self.grow(-1)?;
        self.removed.iter().try_for_each(|path| File::create(path).map(drop))?;
        Ok(self.beside.iter().try_for_each(fs::remove_file)?)
    }

    fn grow(&self, by: i64) -> Result<()> {
        for path in &self.grown {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(file.metadata()?.len().saturating_add_signed(by))?;
        }
        Ok(())
    }
}

fn with_suffix(path: PathBuf, suffix: &str) -> PathBuf {
    let mut path = path.into_os_string();
    path.push(suffix);
    path.into()
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
