//! `pwalk repair` beside the floor and beside python-pwalk's repair.
//!
//! Owners and groups are root's to change, so this runs as root, and in a place that is not the system's: a target directory below
//! `/var` or `/root` is refused by the program, as it should be.

use super::lab::{Lab, Tree};
use super::race::{Contender, Timing, race};
use super::table::{Ratio, Table};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
/// The group `users`.
const SHARED: u32 = 100;
const CHANGES: u64 = 200_000;

/// It takes paths that do not begin with a slash: all others are below `/`, which it protects.
const PYTHON_PWALK: &str = "\
import os, sys; from pwalk import repair
os.chdir(os.path.dirname(sys.argv[1])); repair(os.path.basename(sys.argv[1]), dry_run=False, force_group_writable=True)";

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    if !crate::system::is_root()? {
        bail!("repair is measured as root: it changes groups");
    }
    Ok(vec![dry(lab)?, apply(lab)?])
}

fn dry(lab: &Lab) -> Result<Table> {
    let tree = lab.tree()?;
    let floor = lab.floor(&tree.path, lab.cores, "stat");
    race(&[Contender { rounds: 1, ..lab.floor(&tree.path, lab.cores, "stat") }], PATIENCE)?;
    let reference = floor.label.clone();
    let timings = race(&[floor, lab.repair(&tree.path, &["--quiet"]), lab.repair(&tree.path, &[])], PATIENCE)?;
    let title = format!("repair: a dry run over a warm tree ({})", tree.description);
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Slower).note(
        "Promise: at most 1.15 × the floor. The floor asks for no access control list, of which no metadata tells; \
         a repair must, of every file whose group could be shut out behind its mask.",
    ))
}

fn apply(lab: &Lab) -> Result<Table> {
    let Tree { path, description } = lab.own_tree(CHANGES)?;
    let journal = lab.output("journal");
    let words = ["--quiet", "--apply", "--yes", "--force-group-writable", "--journal"];
    let mut ours = lab.repair(&path, &words);
    ours.arguments.push(journal.clone().into());
    ours.output = Some(journal);
    // The tree is put out of order before each.
    ours.rounds = 1;
    let peer = lab.peers.python().map(|python| Contender {
        label: "python-pwalk repair(T, dry_run=False, force_group_writable=True)".to_owned(),
        program: python.to_owned(),
        arguments: [OsString::from("-c"), PYTHON_PWALK.into(), path.clone().into()].into(),
        output: None,
        rounds: 1,
    });
    let reference = ours.label.clone();
    let contenders: Vec<Contender> = [Some(ours), peer].into_iter().flatten().collect();
    let mut timings: Vec<Timing> = Vec::new();
    for _ in 0..lab.runs {
        for (place, contender) in contenders.iter().enumerate() {
            disorder(&path).context("cannot put the tree out of order")?;
            let mut timing = race(std::slice::from_ref(contender), PATIENCE)?.remove(0);
            match timings.get_mut(place) {
                Some(all) => all.seconds.append(&mut timing.seconds),
                None => timings.push(timing),
            }
        }
    }
    let title = format!("repair: group and mode of every file ({description})");
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Slower)
        .note("Promise: python-pwalk takes at least 5 × the time, the journal included. It keeps none."))
}

/// Directories in order, files with a private group and for their owner only.
fn disorder(path: &Path) -> std::io::Result<()> {
    let mut dirs = vec![path.to_owned()];
    while let Some(dir) = dirs.pop() {
        lchown(&dir, None, Some(SHARED))?;
        fs::set_permissions(&dir, Permissions::from_mode(0o2775))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let (path, meta) = (entry.path(), entry.metadata()?);
            if meta.is_dir() {
                dirs.push(path);
            } else if meta.is_file() && (meta.gid() != 0 || meta.mode() & 0o777 != 0o600) {
                lchown(&path, None, Some(0))?;
                fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            }
        }
    }
    rustix::fs::sync();
    Ok(())
}
