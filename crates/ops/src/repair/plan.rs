//! A plan in a file: what a repair would change, for somebody to read, to shorten, and to have applied.
//!
//! JSON lines, the same objects as in a journal, between a line that says where and when and one that says whether the plan is
//! COMPLETE. It gets its name when it is finished, so that a half plan is never applied for a whole one. Applying it needs no order
//! and no last line: whoever reviews it may sort it and leave lines out.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::change::{Change, Item};
use super::error::RepairError;
use super::journal::{Header, PLAN, Root, open_own};

/// The last line.
#[derive(Serialize, Deserialize)]
struct End {
    end: String,
    changes: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Change(Box<Item<'static>>),
    #[expect(dead_code, reason = "read to tell it from nonsense")]
    End(End),
}

/// A plan that is being written, from any thread.
pub(crate) struct PlanFile {
    path: PathBuf,
    state: Mutex<(BufWriter<NamedTempFile>, Option<std::io::Error>)>,
}

impl PlanFile {
    pub(crate) fn create(path: &Path, roots: &[Root]) -> Result<Self, RepairError> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |e| RepairError::plan(path, e);
        // What is renamed over is gone.
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(RepairError::plan(path, "there is something else than a regular file; give another name"));
        }
        let named = NamedTempFile::new_in(parent).map_err(failed)?;
        let mut file = BufWriter::new(named);
        file.write_all(Header::new(PLAN, roots).line().as_bytes()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), state: Mutex::new((file, None)) })
    }

    /// Appends changes. If the plan cannot be written, `finish` says so.
    pub(crate) fn append(&self, changes: &[Change]) {
        let mut lines = Vec::new();
        for change in changes {
            lines.extend_from_slice(super::change::to_json(change).as_bytes());
            lines.push(b'\n');
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, error) = &mut *state;
        if error.is_none() {
            *error = file.write_all(&lines).err();
        }
    }

    /// Whether writing has failed.
    pub(crate) fn failed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.is_some()
    }

    /// Gives the file its name.
    pub(crate) fn finish(self, verdict: &str, changes: u64) -> Result<PathBuf, RepairError> {
        let (mut file, error) = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failed = |e| RepairError::plan(&self.path, e);
        if let Some(error) = error {
            return Err(failed(error));
        }
        let end = End { end: verdict.to_owned(), changes };
        // Text and a number: what cannot be written does not exist.
        let end = serde_json::to_string(&end).unwrap_or_default() + "\n";
        file.write_all(end.as_bytes()).map_err(failed)?;
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path).map_err(|e| failed(e.error))?;
        Ok(self.path)
    }
}

/// A plan that is read. All of it is checked before the first change is handed out.
pub(crate) struct ReviewedPlan {
    path: PathBuf,
    pub(crate) roots: Vec<Root>,
    pub(crate) changes: u64,
}

impl ReviewedPlan {
    pub(crate) fn open(path: &Path) -> Result<Self, RepairError> {
        let failed = |why: String| RepairError::Unreadable { path: path.to_owned(), why };
        let mut lines = read(path).map_err(failed)?;
        let first = lines.next().ok_or("it is empty".to_owned()).and_then(|line| line.map_err(|e| e.to_string()));
        let roots = Header::read(PLAN, &first.map_err(failed)?).map_err(failed)?;
        let mut plan = Self { path: path.to_owned(), roots, changes: 0 };
        for change in plan.changes()? {
            let change = change.map_err(failed)?;
            if change.root >= plan.roots.len() {
                return Err(failed(format!("{} belongs to no root", crate::shown::shown(&change.path))));
            }
            if let Some(why) = super::plausible::what_no_rule_does(&change) {
                return Err(failed(why));
            }
            plan.changes += 1;
        }
        Ok(plan)
    }

    /// The changes, in the order of the file.
    pub(crate) fn changes(&self) -> Result<impl Iterator<Item = Result<Change, String>> + use<>, RepairError> {
        let lines = read(&self.path).map_err(|why| RepairError::Unreadable { path: self.path.clone(), why })?;
        Ok(lines.enumerate().skip(1).filter_map(|(i, line)| {
            let bad = |why: String| format!("line {}: {why}", i + 1);
            let line = match line {
                Ok(line) if line.trim().is_empty() => return None,
                Ok(line) => line,
                Err(e) => return Some(Err(bad(e.to_string()))),
            };
            match serde_json::from_str(&line) {
                Ok(Line::Change(item)) => Some(Change::try_from(*item).map_err(|e| bad(e.to_owned()))),
                Ok(Line::End { .. }) => None,
                Err(_) => Some(Err(bad("it is no change as --plan writes it".to_owned()))),
            }
        }))
    }
}

fn read(path: &Path) -> Result<std::io::Lines<BufReader<File>>, String> {
    open_own(path).map(|file| BufReader::new(file).lines())
}
