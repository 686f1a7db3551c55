//! What every measurement needs: the programs built, the trees made, a place for the outputs.

use super::Arguments;
use super::peers::Peers;
use super::race::Contender;
use crate::workspace::{Workspace, complete};
use crate::{mktree, system};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory to walk, and what to call it in a table.
pub(super) struct Tree {
    pub(super) path: PathBuf,
    pub(super) description: String,
}

pub(super) struct Lab {
    pub(super) workspace: Workspace,
    pub(super) peers: Peers,
    /// Rounds of every comparison.
    pub(super) runs: u32,
    /// Processors that we may use: the number of the floor's threads.
    pub(super) cores: usize,
    pub(super) entries: u64,
    pwalk: PathBuf,
    faultfs: PathBuf,
    floor: PathBuf,
    given_tree: Option<PathBuf>,
    /// Trees, which are kept.
    directory: PathBuf,
    /// Outputs and mount points, removed at the end. On the target directory's file system and not in `/tmp`:
    /// pwalk syncs its output, and that must cost what it costs on a disk.
    scratch: tempfile::TempDir,
}

impl Lab {
    pub(super) fn prepare(arguments: &Arguments) -> Result<Self> {
        system::provide(system::FOR_BENCHMARKS)?;
        let workspace = Workspace::find()?;
        let directory = workspace.own_directory().join("bench");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        complete(&mut workspace.cargo(["build", "--release", "--package", "pwalk-cli", "--package", "pwalk-testkit"]))?;
        let floor = directory.join("floor");
        let source = workspace.root.join("bench/floor.c");
        complete(Command::new("cc").args(["-O2", "-pthread", "-o"]).arg(&floor).arg(source))?;
        let peers = Peers::find();
        peers.announce();
        Ok(Self {
            peers,
            runs: arguments.runs,
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            entries: arguments.entries,
            pwalk: workspace.target.join("release/pwalk"),
            faultfs: workspace.target.join("release/faultfs"),
            floor,
            given_tree: arguments.tree.clone(),
            scratch: tempfile::tempdir_in(&directory).context("cannot make a directory for outputs")?,
            directory,
            workspace,
        })
    }

    /// The tree of the walk and size measurements: the given one, or a synthetic one.
    pub(super) fn tree(&self) -> Result<Tree> {
        if let Some(path) = &self.given_tree {
            return Ok(Tree { path: path.clone(), description: "given tree".to_owned() });
        }
        let (entries, seed) = (self.entries, mktree::SEED);
        let path = self.kept(&format!("tree-{entries}-{seed}"), |path| mktree::make(path, entries, seed))?;
        Ok(Tree { path, description: format!("mktree {entries} {seed}") })
    }

    /// A synthetic tree of so many entries, to be changed by whoever asks for it.
    pub(super) fn own_tree(&self, entries: u64) -> Result<Tree> {
        let seed = mktree::SEED;
        let path = self.kept(&format!("own-{entries}-{seed}"), |path| mktree::make(path, entries, seed))?;
        Ok(Tree { path, description: format!("mktree {entries} {seed}") })
    }

    /// A tree with content to copy: the given one, or one like the sources of a large program.
    pub(super) fn source_tree(&self) -> Result<Tree> {
        if let Some(path) = &self.given_tree {
            return Ok(Tree { path: path.clone(), description: "given tree".to_owned() });
        }
        let path = self.kept("sources", super::copy::make_sources)?;
        Ok(Tree { path, description: "80,000 files in 5,000 directories".to_owned() })
    }

    /// One directory of empty files.
    pub(super) fn flat_tree(&self) -> Result<Tree> {
        let entries = self.entries;
        let path = self.kept(&format!("flat-{entries}"), |path| mktree::make_flat(path, entries))?;
        Ok(Tree { path, description: format!("one directory of {entries} empty files") })
    }

    /// A tree that is made once. It gets its name when it is complete, so that an interrupted one is not used.
    fn kept(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.directory.join(name);
        if !path.exists() {
            eprintln!("making {name}, which is kept for the next run");
            let unfinished = self.directory.join(format!("{name}.unfinished"));
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            make(&unfinished)?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(path)
    }

    /// Where a program may write a file of this name.
    pub(super) fn output(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The program.
    pub(super) fn pwalk(&self) -> &Path {
        &self.pwalk
    }

    /// `pwalk report` into a file whose name decides the format.
    pub(super) fn report(&self, root: &Path, file: &str, flags: &[&str]) -> Contender {
        let output = self.output(file);
        let mut arguments: Vec<OsString> = vec!["report".into(), root.into(), "-o".into(), output.clone().into()];
        arguments.push("--quiet".into());
        arguments.extend(flags.iter().map(OsString::from));
        let label = ["pwalk report T -o", file].into_iter().chain(flags.iter().copied()).collect::<Vec<_>>().join(" ");
        Contender { label, program: self.pwalk.clone(), arguments, output: Some(output), rounds: self.runs }
    }

    /// `pfind` with an expression; without one the classic listing.
    pub(super) fn pfind(&self, root: &Path, words: &[&str]) -> Contender {
        Contender {
            label: ["pfind T"].into_iter().chain(words.iter().copied()).collect::<Vec<_>>().join(" "),
            program: self.pwalk.with_file_name("pfind"),
            arguments: [root.as_os_str().to_owned()].into_iter().chain(words.iter().map(OsString::from)).collect(),
            output: None,
            rounds: self.runs,
        }
    }

    /// `pwalk repair` with these arguments.
    pub(super) fn repair(&self, root: &Path, words: &[&str]) -> Contender {
        let mut arguments: Vec<OsString> = vec!["repair".into(), root.into()];
        arguments.extend(words.iter().map(OsString::from));
        Contender {
            label: ["pwalk repair T"].into_iter().chain(words.iter().copied()).collect::<Vec<_>>().join(" "),
            program: self.pwalk.clone(),
            arguments,
            output: None,
            rounds: self.runs,
        }
    }

    /// Another tool with these arguments, if it is installed: the tree first, as find has it, or last behind a lone dot.
    pub(super) fn peer(&self, name: &str, root: &Path, words: &[&str]) -> Option<Contender> {
        let program = self.peers.program(name)?;
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        let at = if words.last() == Some(&".") { arguments.len() } else { 0 };
        arguments.insert(at, root.into());
        let shown = words.iter().map(|word| (*word).to_owned());
        let mut label: Vec<String> = shown.collect();
        label.insert(at, "T".to_owned());
        let label = format!("{name} {}", label.join(" "));
        Some(Contender { label, program, arguments, output: None, rounds: self.runs })
    }

    /// The floor with so many threads; `mode` is stat, cached or nostat.
    pub(super) fn floor(&self, root: &Path, threads: usize, mode: &str) -> Contender {
        Contender {
            label: format!("floor T {threads} {mode}"),
            program: self.floor.clone(),
            arguments: vec![root.into(), threads.to_string().into(), mode.into()],
            output: None,
            rounds: self.runs,
        }
    }

    /// The test kit's FUSE file system.
    pub(super) fn faultfs(&self) -> Command {
        Command::new(&self.faultfs)
    }
}
