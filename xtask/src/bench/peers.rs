//! Other tools that answer the same question, where they are installed.
//!
//! They are looked for in `$PEERS/bin` (default `~/.cache/pwalk-peers`) and in `PATH`, the Python ones in
//! `$PEERS/venv`. Nothing is installed here, and what is missing is said.

use super::race::Contender;
use crate::system::{find_program, is_executable};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that need the size of every file: names to look for, arguments (`T` is the tree).
///
/// The searches ask for files over 100 MB, so that they must look at every size and print little.
const WALKERS: &[(&[&str], &[&str])] = &[
    (&["limit"], &["T", "THREADS", "stat"]),
    (&["diskus"], &["T"]),
    (&["bfs"], &["T", "-size", "+100M"]),
    (&["du"], &["-s", "T"]),
    (&["find"], &["T", "-size", "+100M"]),
    (&["fd", "fdfind"], &["-u", "-S", "+100M", ".", "T"]),
    (&["dust"], &["-d0", "T"]),
    (&["pdu"], &["T"]),
    (&["dua"], &["aggregate", "T"]),
];

/// Without compression, which is its fastest.
const PYTHON_PWALK: &str = "\
import sys; from pwalk import report
report(sys.argv[1], output=sys.argv[2], compress='none', **({'max_threads': int(sys.argv[3])} if sys.argv[3:] else {}))";

/// For the tools that must be told.
#[derive(Clone, Copy)]
pub(super) struct Threads {
    pub(super) limit: usize,
    /// None: its own default.
    pub(super) python: Option<usize>,
}

pub(super) struct Peers {
    /// The index in [`WALKERS`], and where the program is.
    walkers: Vec<(usize, PathBuf)>,
    /// A Python that has the `pwalk` package.
    python: Option<PathBuf>,
    missing: Vec<&'static str>,
    /// Where they are looked for before `PATH`.
    directory: Option<PathBuf>,
}

impl Peers {
    pub(super) fn find() -> Self {
        let directory = env::var_os("PEERS").map(PathBuf::from).or_else(|| {
            let home = PathBuf::from(env::var_os("HOME")?);
            Some(home.join(".cache/pwalk-peers"))
        });
        let mut peers = Self { walkers: Vec::new(), python: None, missing: Vec::new(), directory };
        for (index, (names, _)) in WALKERS.iter().enumerate() {
            match names.iter().find_map(|name| peers.locate(name)) {
                Some(path) => peers.walkers.push((index, path)),
                None => peers.missing.push(names[0]),
            }
        }
        let python = peers.directory.as_ref().map(|directory| directory.join("venv/bin/python"));
        peers.python = python.filter(|path| has_pwalk(path));
        if peers.python.is_none() {
            peers.missing.push("python-pwalk");
        }
        peers
    }

    /// Where a program is.
    pub(super) fn locate(&self, name: &str) -> Option<PathBuf> {
        let own = self.directory.as_ref().map(|directory| directory.join("bin").join(name));
        own.filter(|path| is_executable(path)).or_else(|| find_program(name))
    }

    /// Where a tool is, by the first of its names.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let place = WALKERS.iter().position(|(names, _)| names[0] == name)?;
        self.walkers.iter().find(|(index, _)| *index == place).map(|(_, path)| path.clone())
    }

    /// A Python with python-pwalk, if there is one.
    pub(super) fn python(&self) -> Option<&Path> {
        self.python.as_deref()
    }

    pub(super) fn announce(&self) {
        if !self.missing.is_empty() {
            eprintln!("not installed, so not compared: {}", self.missing.join(", "));
        }
    }

    /// Each tool that is here, on this tree. The threads are for `limit` and, if given, for python-pwalk; the others
    /// choose for themselves.
    pub(super) fn contenders(&self, root: &Path, threads: Threads, output: PathBuf, rounds: u32) -> Vec<Contender> {
        let mut contenders: Vec<Contender> = self
            .walkers
            .iter()
            .map(|(index, program)| {
                let (names, template) = WALKERS[*index];
                let argument = |word: &&str| match *word {
                    "T" => OsString::from(root),
                    "THREADS" => threads.limit.to_string().into(),
                    other => other.into(),
                };
                let label = [names[0], &template.join(" ")].join(" ").replace("THREADS", &threads.limit.to_string());
                let arguments = template.iter().map(argument).collect();
                Contender { label, program: program.clone(), arguments, output: None, rounds }
            })
            .collect();
        if let Some(python) = &self.python {
            let mut arguments = vec!["-c".into(), PYTHON_PWALK.into(), root.into(), output.clone().into()];
            arguments.extend(threads.python.map(|threads| threads.to_string().into()));
            let fixed = threads.python.map_or_else(String::new, |threads| format!(", {threads} threads"));
            contenders.push(Contender {
                label: format!("python-pwalk report T, plain CSV{fixed}"),
                program: python.clone(),
                arguments,
                output: Some(output),
                rounds,
            });
        }
        contenders
    }
}

fn has_pwalk(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "from pwalk import report"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
