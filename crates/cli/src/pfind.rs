//! `pfind`: the inode number and the path of every regular file, as the classic program of that name lists them.
//!
//! The inode number is what the directory says, so no file is stat'ed.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use pwalk_engine::{
    Batch, Context, Descend, Dir, Ended, Frontier, Needs, Operand, Outcome, Silent, Sink, Visitor, WalkError, fold,
    join,
};
use pwalk_fs::Kind;

use crate::Exit;
use crate::args::{TreeArgs, Usage};
use crate::out::{Lines, Out};
use crate::report::roots;
use crate::signals::cancel_on_signals;
use crate::walk::tell_missing;

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
#[expect(clippy::print_stderr, reason = "this is the command line")]
pub fn main(arguments: &[OsString]) -> u8 {
    let args = match FindArgs::try_parse_from(arguments) {
        Ok(args) => args,
        Err(told) => {
            let shown = told.print().is_ok();
            return if told.exit_code() == 0 && shown { Exit::Complete as u8 } else { Exit::Usage as u8 };
        }
    };
    let exit = run(&args).unwrap_or_else(|error| {
        eprintln!("pfind: {error:#}");
        if error.is::<Usage>() { Exit::Usage } else { Exit::Failed }
    });
    exit as u8
}

fn run(args: &FindArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (options, _) = args.tree.options(&cancel)?;
    let (there, missing) = tell_missing("pfind", &args.paths);
    if there.is_empty() {
        return Ok(Exit::Failed);
    }
    let out = Out::new();
    let start = Frontier::start(roots(&there));
    let Ok((ended, errors)) = fold(Files(Arc::clone(&out)), start, &options, &Silent);
    out.exit(ended, missing || errors > 0)
}

struct Files(Arc<Out>);

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

impl Sink for Files {
    type Worker = Lister;
    type Summary = (Ended, u64);
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Names
    }

    fn worker(&self) -> Lister {
        Lister { lines: Lines::new(&self.0), path: Vec::new() }
    }

    fn finish(self, workers: Vec<Lister>, outcome: &Outcome) -> Result<(Ended, u64), Infallible> {
        for mut worker in workers {
            worker.lines.flush();
        }
        Ok((outcome.ended, outcome.errors))
    }
}
