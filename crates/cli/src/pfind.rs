//! `pfind`: the inode number and the path of every regular file, as the classic program of that name lists them.
//!
//! The inode number is what the directory says, so no file is stat'ed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use pwalk_engine::{Batch, Context, Descend, Dir, Operand, Visitor, WalkError, join};
use pwalk_fs::Kind;

use crate::args::TreeArgs;
use crate::out::Lines;
use crate::{ended, listing, refused};

/// List the regular files below directories: inode number, tab, path.
#[derive(Parser, Debug)]
#[command(
    name = "pfind",
    version,
    after_help = "Examples:
  pfind /data
  pfind /data --exclude .git/ | cut -f 2-

The order is unspecified. Control characters in names are escaped on a terminal; a pipe gets the bytes.
Exit codes: 0 complete, 1 something could not be read, 2 usage, 3 failed, 130 interrupted."
)]
pub(crate) struct FindArgs {
    /// Where to look
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
}

/// Runs the command with these arguments, the program's name first, and returns its exit code.
pub fn main(arguments: &[OsString]) -> u8 {
    match FindArgs::try_parse_from(arguments) {
        Ok(args) => ended("pfind", listing::run::<Lister>(&args.paths, &args.tree)),
        Err(told) => refused(&told),
    }
}

struct Lister {
    lines: Lines,
    path: Vec<u8>,
}

impl Lister {
    fn line(&mut self, inode: u64) -> bool {
        self.lines.text(&format!("{inode}\t"));
        self.lines.path(&self.path);
        self.lines.end()
    }
}

impl Visitor for Lister {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        ((), Descend::Into)
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        batch.dir().path_into(&mut self.path);
        let dir = self.path.len();
        for entry in batch.iter().filter(|entry| entry.kind == Kind::File) {
            self.path.truncate(dir);
            join(&mut self.path, entry.name);
            if !self.line(entry.d_ino) {
                return cx.stop();
            }
        }
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        if operand.meta.kind() == Kind::File {
            self.path.clear();
            self.path.extend_from_slice(operand.path);
            if !self.line(operand.meta.ino) {
                cx.stop();
            }
        }
    }

    #[expect(clippy::print_stderr, reason = "this is the command line")]
    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        eprintln!("pfind: {error}");
    }
}

impl listing::Lister for Lister {
    const PROGRAM: &'static str = "pfind";

    fn new(lines: Lines) -> Self {
        Self { lines, path: Vec::new() }
    }

    fn into_lines(self) -> Lines {
        self.lines
    }
}
