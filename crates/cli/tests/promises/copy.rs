//! Promise: a copy is the source again, whole and with everything that is kept, or it says what is missing.
//!
//! What is compared is what the kernel says of both trees (`look.rs`), never what pwalk says of them; `cp -a` and `rsync -aHAXS` are the
//! measure of what can be kept at all.

mod again;
mod edges;
mod faithful;
mod faults;
mod kill;
mod kinds;
mod look;
mod operands;
mod options;
mod settings;
mod targets;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use pwalk_testkit::TempTree;
use serde_json::Value;

use crate::common::{Ran, json_lines, oracle, pwalk, run};
use look::{look, losses, settle};

/// All of them.
const STRATEGIES: [&str; 6] = ["auto", "baseline", "buffered", "sendfile", "parallel", "pipeline"];

/// `pwalk copy ARGUMENTS`.
fn copy<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    run(pwalk(["copy"]).args(arguments))
}

/// `pwalk copy -T --include-snapshots OPTIONS SOURCE TARGET`: all of one tree to just this place.
fn copy_to(options: &[&str], source: &Path, target: &Path) -> Ran {
    run(pwalk(["copy", "-T", "--include-snapshots"]).args(options).arg("--").arg(source).arg(target))
}

/// Both trees have the same in them, and the same of it.
#[track_caller]
fn assert_same(source: &Path, target: &Path) {
    let lost = losses(&look(source), &look(target));
    assert!(lost.is_empty(), "{} differences, the first: {:#?}", lost.len(), &lost.iter().take(8).collect::<Vec<_>>());
}

/// The one event `done` of a run with `--json`.
#[track_caller]
fn done(ran: &Ran) -> Value {
    let mut events = json_lines(ran.text());
    let last = events.pop().unwrap_or_else(|| panic!("nothing was told: {}", ran.stderr));
    assert_eq!(last["event"], "done", "{last}");
    last
}

/// Names below `root` that look like those of files that are not whole yet.
fn unfinished(root: &Path) -> Vec<u8> {
    oracle("find", [root.as_os_str(), "-name".as_ref(), ".pwalk-copy.*".as_ref()])
}

/// A place with a source that is still to be filled, and room for copies.
struct Place {
    tree: TempTree,
    source: PathBuf,
}

impl Place {
    fn new() -> Self {
        let tree = TempTree::new();
        let source = tree.subdir("source");
        Self { tree, source }
    }

    /// Filled, and settled: reading it changes nothing.
    fn with<T>(build: impl FnOnce(&Path) -> T) -> Self {
        let place = Self::new();
        build(&place.source);
        settle(&place.source);
        place
    }

    /// A path beside the source.
    fn beside(&self, name: &str) -> PathBuf {
        self.tree.path().join(name)
    }
}
