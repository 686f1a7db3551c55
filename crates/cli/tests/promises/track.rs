//! Promise: a catalog knows what there was, what there is, and what changed; what fails, is refused or is killed leaves it as it was.
//!
//! What changed is told once more by the naive model of the differences, and how a tree was by what was looked at then.

mod asked;
mod content;
mod honest;
mod kill;
mod postgres;
mod random;
mod settings;
mod views;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use pwalk_testkit::postgres::QUICK;
use pwalk_testkit::{Postgres, TempTree};
use serde_json::Value;

use crate::common::{Ran, json_lines, pwalk, run};
use crate::diff::bytes;

/// Makes a new catalog, beside a tree or in a database.
type New<'a> = &'a dyn Fn(&TempTree) -> Kept;

/// What must be so wherever a catalog is kept.
fn on_both(promise: impl Fn(New<'_>)) {
    let made = std::cell::Cell::new(0);
    let number = || made.replace(made.get() + 1);
    promise(&|place| Kept::local(place.path().join(format!("catalog {}", number()))));
    let server = Postgres::start_with(QUICK);
    promise(&|_| Kept::postgres(&server, &format!("catalog_{}", number())));
}

/// A catalog, wherever it is kept.
struct Kept {
    arguments: Vec<OsString>,
}

impl Kept {
    /// In a directory.
    fn local(dir: PathBuf) -> Self {
        Self { arguments: vec!["--catalog".into(), dir.into_os_string()] }
    }

    /// In a new database of a server, made by `pwalk track init`.
    #[track_caller]
    fn postgres(server: &Postgres, database: &str) -> Self {
        let kept = Self::in_database(&server.database(database));
        run(&mut kept.command("init")).expect(0);
        kept
    }

    /// In a database, whatever is there.
    fn in_database(url: &str) -> Self {
        Self { arguments: vec!["--database".into(), url.into()] }
    }

    /// `pwalk track WHAT`.
    fn command(&self, what: &str) -> Command {
        let mut command = pwalk(["track", what]);
        command.args(&self.arguments);
        command
    }

    /// The same, run with arguments.
    fn run<A: AsRef<std::ffi::OsStr>>(&self, what: &str, arguments: impl IntoIterator<Item = A>) -> Ran {
        run(self.command(what).args(arguments))
    }

    /// Scans, snapshots too: the run.
    #[track_caller]
    fn scan(&self, root: &Path) -> Value {
        let ran = run(self.command("scan").args(["--json", "--include-snapshots"]).arg(root)).expect(0);
        serde_json::from_str(ran.text()).unwrap()
    }

    /// What is in the catalog now, or was then: sizes, by path, the root left out.
    #[track_caller]
    fn sizes(&self, root: &Path, at: Option<u64>) -> BTreeMap<Vec<u8>, u64> {
        let mut command = self.command("ls");
        command.args(["--json", "--recursive"]).arg(root);
        if let Some(run) = at {
            command.args(["--at", &run.to_string()]);
        }
        let objects = json_lines(run(&mut command).expect(0).text());
        let sizes: BTreeMap<_, _> =
            objects.iter().map(|o| (bytes(o, "path").unwrap(), o["size"].as_u64().unwrap())).collect();
        assert_eq!(sizes.len(), objects.len(), "an entry is there twice");
        sizes
    }
}
