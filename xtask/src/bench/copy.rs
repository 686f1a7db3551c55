//! `pwalk copy` beside the tools that people copy with.
//!
//! A tree of small files from memory to memory (`/dev/shm`) and from disk to disk, one directory of 100,000 small files, and one large file.
//! `cp -a` keeps everything, as pwalk does; `cpz`, `xcp` and `fcp` keep little more than content and mode.

use super::lab::{Lab, Tree};
use super::race::{Contender, race, race_aside};
use super::table::{Ratio, Table};
use anyhow::{Context, Result};
use rustix::fs::statvfs;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(600);
const MEMORY: &str = "/dev/shm";
/// Other tools and what they are told; `S` is the source, `D` the copy, which is not there.
const PEERS: &[(&str, &[&str])] = &[
    ("cp", &["-a", "S", "D"]),
    ("cpz", &["S", "D"]),
    ("fcp", &["S", "D"]),
    ("xcp", &["-r", "--no-progress", "S", "D"]),
    ("rsync", &["-a", "S/", "D/"]),
];
const STRATEGIES: &[&str] = &["baseline", "buffered", "sendfile", "parallel", "pipeline"];

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let memory = tempfile::tempdir_in(MEMORY).context("cannot make a directory in memory")?;
    let (sources, copy) = (memory.path().join("sources"), memory.path().join("copy"));
    let tree = lab.source_tree()?;
    clone_tree(&tree.path, &sources)?;
    let mut tables = vec![
        small(lab, "memory to memory", &tree, &sources, &copy)?
            .note("Promise: at most 1.15 × the time of cpz, and at least twice as fast as cp -a."),
    ];
    fs::remove_dir_all(&sources)?;
    tables.push(on_disk(lab, &tree)?);
    let flat = memory.path().join("flat");
    make_flat(&flat)?;
    let described = Tree { path: flat.clone(), description: "one directory of 100,000 files of 1 KB".to_owned() };
    tables.push(small(lab, "memory to memory", &described, &flat, &copy)?.note("Promise: 1.5 × as fast as cpz."));
    tables.push(large(lab)?);
    Ok(tables)
}

/// All tools and all strategies on a tree of small files.
fn small(lab: &Lab, from_to: &str, tree: &Tree, source: &Path, copy: &Path) -> Result<Table> {
    let mut contenders = peers(lab, source, copy, PEERS);
    contenders.push(ours(lab, source, copy, None));
    contenders.extend(STRATEGIES.iter().map(|name| ours(lab, source, copy, Some(name))));
    // Of two that are there the leaner one.
    let reference = contenders.iter().map(|c| c.label.clone()).find(|label| label.starts_with("cpz"));
    let reference = reference.unwrap_or_else(|| contenders[0].label.clone());
    let timings = race(&contenders, PATIENCE)?;
    remove(copy)?;
    Ok(Table::of_timings(format!("copy: {}, {from_to}", tree.description), &timings, &reference, Ratio::Slower))
}

/// Fewer of them, on a disk, to a new place each time.
fn on_disk(lab: &Lab, tree: &Tree) -> Result<Table> {
    let copy = lab.output("copy");
    let mut contenders = peers(lab, &tree.path, &copy, &PEERS[..2]);
    contenders.extend([None, Some("sendfile"), Some("parallel")].map(|name| ours(lab, &tree.path, &copy, name)));
    let reference = contenders.iter().map(|c| c.label.clone()).find(|label| label.starts_with("cpz"));
    let reference = reference.unwrap_or_else(|| contenders[0].label.clone());
    // All copies stay until the end.
    let room = free(&copy)? / (2 << 30) / contenders.len() as u64;
    let rounds = lab.runs.min(u32::try_from(room).unwrap_or(u32::MAX)).max(1);
    contenders.iter_mut().for_each(|contender| contender.rounds = rounds);
    let timings = race_aside(&contenders, PATIENCE, &lab.output("copies"))?;
    remove(&copy)?;
    Ok(Table::of_timings(format!("copy: {}, disk to disk", tree.description), &timings, &reference, Ratio::Slower)
        .note("Each copy is made to a new place, everything synced before. Promise: at most 1.1 × the time of cpz."))
}

fn large(lab: &Lab) -> Result<Table> {
    let (source, copy) = (lab.output("large"), lab.output("large-copy"));
    // It and its copy must fit.
    let size = (free(&source)? / 3).min(8 << 30);
    write_file(&source, size)?;
    let mut contenders = peers(lab, &source, &copy, &[("cp", &["S", "D"]), ("cpz", &["S", "D"])]);
    contenders.push(ours(lab, &source, &copy, None));
    contenders.extend(["baseline", "parallel"].map(|name| ours(lab, &source, &copy, Some(name))));
    let reference = contenders[0].label.clone();
    let timings = race(&contenders, PATIENCE)?;
    remove(&copy)?;
    fs::remove_file(&source)?;
    let title = format!("copy: one file of {:.1} GB, disk to disk", size as f64 / 1e9);
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Slower).note("Promise: no slower than cp."))
}

fn peers(lab: &Lab, source: &Path, copy: &Path, list: &[(&str, &[&str])]) -> Vec<Contender> {
    let there = list.iter().filter_map(|(name, words)| Some((name, words, lab.peers.locate(name)?)));
    there
        .map(|(name, words, program)| {
            let path = |path: &Path, word: &str| {
                let mut path = OsString::from(path);
                path.push(if word.ends_with('/') { "/" } else { "" });
                path
            };
            let argument = |word: &&str| match word.trim_end_matches('/') {
                "S" => path(source, word),
                "D" => path(copy, word),
                _ => OsString::from(*word),
            };
            Contender {
                label: format!("{name} {}", words.join(" ")),
                program,
                arguments: words.iter().map(argument).collect(),
                output: Some(copy.to_owned()),
                rounds: lab.runs,
            }
        })
        .collect()
}

fn ours(lab: &Lab, source: &Path, copy: &Path, strategy: Option<&str>) -> Contender {
    let mut arguments: Vec<OsString> = vec!["copy".into(), source.into(), copy.into(), "--quiet".into()];
    arguments.extend(strategy.iter().flat_map(|name| [OsString::from("--strategy"), name.into()]));
    let strategy = strategy.map_or_else(String::new, |name| format!(" --strategy {name}"));
    Contender {
        label: format!("pwalk copy S D{strategy}"),
        program: lab.pwalk().to_owned(),
        arguments,
        output: Some(copy.to_owned()),
        rounds: lab.runs,
    }
}

/// Bytes that are free beside a path.
fn free(path: &Path) -> Result<u64> {
    let room = statvfs(path.parent().unwrap_or(path))?;
    Ok(room.f_bavail * room.f_frsize)
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn clone_tree(source: &Path, copy: &Path) -> Result<()> {
    crate::workspace::complete(std::process::Command::new("cp").arg("-a").arg(source).arg(copy))
}

fn make_flat(path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    for i in 0..100_000 {
        fs::write(path.join(format!("file{i:06}.dat")), noise(i, 1024))?;
    }
    Ok(())
}

/// A tree like the sources of a large program: 5,000 directories, 80,000 files, half of them below 5 KB, 1.2 GB.
pub(super) fn make_sources(path: &Path) -> Result<()> {
    let mut dirs: Vec<PathBuf> = vec![path.to_owned()];
    for i in 1..5_000_usize {
        // Most below a few large ones, some five levels deep.
        let above = if i < 40 { 0 } else { (i * 7919) % (i / 5) };
        dirs.push(dirs[above].join(format!("dir{i}")));
    }
    for (i, dir) in dirs.iter().enumerate() {
        fs::create_dir(dir)?;
        for j in 0..16 {
            let number = (i * 16 + j) as u64;
            // From 300 bytes to 300 KB, by powers.
            let size = 300.0 * 1000_f64.powf((number.wrapping_mul(2_654_435_761) % 1000) as f64 / 1000.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to 300,000")]
            let size = (size / 2.9) as usize;
            fs::write(dir.join(format!("file-{j}.c")), noise(number, size))?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, size: u64) -> Result<()> {
    let mut file = fs::File::create(path)?;
    let block = noise(1, 1 << 20);
    for _ in 0..size >> 20 {
        file.write_all(&block)?;
    }
    file.sync_all().context("cannot write the large file")
}

/// Bytes that do not compress, the same each time.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
