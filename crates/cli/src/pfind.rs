//! `pfind`: find's language; without an expression the inode number and the path of every regular file, as the classic program of
//! that name lists them.
//!
//! The inode number is what the directory says, so no file is stat'ed, unless links are followed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};
use pwalk_engine::{Batch, Context, Descend, Dir, Operand, Visitor, WalkError, join};
use pwalk_find::parse::looks_like_expression;
use pwalk_fs::Kind;

use crate::args::TreeArgs;
use crate::human::say;
use crate::out::Lines;
use crate::{ended, find, listing, refused};

/// Find entries in find's own language; without an expression, list the regular files: inode number, tab, path.
#[derive(Parser, Debug)]
#[command(
    name = "pfind",
    version,
    override_usage = "pfind [-H|-L|-P] [PATH]... EXPRESSION\n       pfind [-L] [OPTIONS] [PATH]...",
    after_help = "The options above are for the listing without an expression:
  pfind /data
  pfind /data --exclude .git/ | cut -f 2-
Its exit codes: 0 complete, 1 something could not be read, 2 usage, 3 failed, 130 interrupted.

With an expression pfind is `pwalk find`:
  pfind /data -name '*.bam' -size +1G
`pwalk find --help` shows the whole language."
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
    let (program, rest) = arguments.split_at(arguments.len().min(1));
    if rest.iter().any(is_expression) {
        return find::main("pfind", rest, FindArgs::command());
    }
    // How find says whether links are followed; the last one counts.
    let mut plain = program.to_vec();
    let says = |argument: &&OsString| matches!(argument.as_bytes(), b"-H" | b"-L" | b"-P");
    if rest.iter().rfind(says).is_some_and(|argument| argument == "-L") {
        plain.push("--follow-links".into());
    }
    plain.extend(rest.iter().filter(|argument| !says(argument)).cloned());
    match FindArgs::try_parse_from(plain) {
        Ok(args) => ended("pfind", listing::run::<Lister>(&args.paths, &args.tree)),
        Err(told) => refused(&told),
    }
}

/// Whether an argument belongs to find's language, and not to the listing's own options.
fn is_expression(argument: &OsString) -> bool {
    let bytes = argument.as_bytes();
    let own = bytes.starts_with(b"--") || matches!(bytes, b"-x" | b"-h" | b"-V" | b"-H" | b"-L" | b"-P");
    looks_like_expression(bytes, true) && !own
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
            // Of what a link leads to, only the metadata know the number.
            if !self.line(entry.meta.filter(|_| entry.via_link).map_or(entry.d_ino, |meta| meta.ino)) {
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
    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        say(format_args!("pfind: {error}"));
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
