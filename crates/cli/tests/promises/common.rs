//! What all promises need: the program as a child process, the oracles, and readers for what it wrote.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program under test.
pub(crate) const PWALK: &str = env!("CARGO_BIN_EXE_pwalk");

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; a signal is an error of the test.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let code = output.status.code().unwrap_or_else(|| panic!("{}: {stderr}", output.status));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code, stdout: output.stdout, stderr }
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.stderr);
        self
    }

    /// Standard output as text, for what is text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }
}

/// `pwalk` with arguments, and with the signals that stop it not ignored, whatever the tests were started by (`nohup`).
pub(crate) fn pwalk<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,TERM", PWALK]).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap_or_else(|e| panic!("{command:?}: {e}")))
}

/// `pwalk report ROOT -o - ARGUMENTS`.
pub(crate) fn to_stdout(root: impl AsRef<Path>, arguments: &[&str]) -> Ran {
    let mut command = pwalk(["report", "-o", "-", "--quiet"]);
    run(command.args(arguments).arg("--").arg(root.as_ref()))
}

/// `pwalk report ROOT -o OUTPUT ARGUMENTS`.
pub(crate) fn to_file(root: impl AsRef<Path>, output: &Path, arguments: &[&str]) -> Ran {
    let mut command = pwalk(["report", "-o"]);
    run(command.arg(output).args(arguments).arg("--").arg(root.as_ref()))
}

/// The standard output of another program, which must succeed.
pub(crate) fn oracle<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", output.stderr.escape_ascii());
    output.stdout
}

/// All paths from `root` down as GNU find sees them, `root` included, with further find arguments.
pub(crate) fn find(root: &Path, arguments: &[&str]) -> BTreeSet<Vec<u8>> {
    let all = [&[root.as_os_str()], &*arguments.iter().map(OsStr::new).collect::<Vec<_>>(), &[OsStr::new("-print0")]];
    paths_of(&oracle("find", all.concat()), 0)
}

/// Makes reading the directories below `root` change nothing: their times of access are put ahead of all others, so that
/// the kernel (`relatime`) leaves them alone.
pub(crate) fn settle(root: &Path) {
    let touch = ["-type", "d", "-exec", "touch", "-a", "-d", "+1 hour", "--", "{}", "+"];
    oracle("find", [root.as_os_str()].into_iter().chain(touch.map(OsStr::new)));
}

/// The pieces that `separator` ends.
pub(crate) fn paths_of(text: &[u8], separator: u8) -> BTreeSet<Vec<u8>> {
    text.split(|&b| b == separator).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The lines of a CSV. A line is an entry, since a line feed in a name is left out.
pub(crate) fn lines(csv: &[u8]) -> Vec<&[u8]> {
    assert!(csv.is_empty() || csv.ends_with(b"\n"), "the last line has an end");
    csv.split_inclusive(|&b| b == b'\n').collect()
}

/// The fields of a CSV line, unquoted.
pub(crate) fn fields(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut fields, mut quoted) = (vec![Vec::new()], false);
    let mut bytes = line.strip_suffix(b"\n").unwrap_or(line).iter().peekable();
    while let Some(&byte) = bytes.next() {
        let field = fields.last_mut().expect("there is one");
        match byte {
            b'"' if quoted && bytes.peek() == Some(&&b'"') => field.extend(bytes.next()),
            b'"' => quoted = !quoted,
            b',' if !quoted => fields.push(Vec::new()),
            _ => field.push(byte),
        }
    }
    assert_eq!(fields.len(), 17, "{}", line.escape_ascii());
    fields
}

/// The paths in a CSV without header.
pub(crate) fn csv_paths(csv: &[u8]) -> BTreeSet<Vec<u8>> {
    let paths: Vec<Vec<u8>> = lines(csv).iter().map(|line| fields(line).swap_remove(3)).collect();
    let set: BTreeSet<Vec<u8>> = paths.iter().cloned().collect();
    assert_eq!(set.len(), paths.len(), "an entry has one line");
    set
}

/// The line of one path in a CSV.
pub(crate) fn row_of(csv: &[u8], path: impl AsRef<Path>) -> Vec<String> {
    let path = path.as_ref().as_os_str().as_bytes();
    let mut found = lines(csv).into_iter().map(fields).filter(|f| f[3] == path);
    let row = found.next().unwrap_or_else(|| panic!("{} has no line", path.escape_ascii()));
    assert_eq!(found.next(), None, "{} has one line", path.escape_ascii());
    row.into_iter().map(|f| String::from_utf8(f).expect("text")).collect()
}

/// `NAME.errors.jsonl`.
pub(crate) fn ledger_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".errors.jsonl");
    name.into()
}

/// JSON objects, one a line.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// The error ledger in a file.
pub(crate) fn ledger(path: &Path) -> Vec<Value> {
    json_lines(&std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}")))
}

/// The Python that has the readers.
pub(crate) fn python() -> Command {
    let python = std::env::var_os("PWALK_TEST_PYTHON").expect(
        "PWALK_TEST_PYTHON must name a Python with duckdb, pyarrow, polars and pandas: run `cargo xtask test`, which makes it",
    );
    Command::new(python)
}

/// What `DuckDB` answers to a query in which `?` is a file: rows of JSON values, bytes as lists of numbers.
pub(crate) fn duckdb(query: &str, file: &Path) -> Vec<Value> {
    const SCRIPT: &str = "
import duckdb, json, sys
duckdb.sql('set enable_progress_bar = false')
rows = duckdb.sql(sys.argv[1].replace('?', \"'\" + sys.argv[2].replace(\"'\", \"''\") + \"'\")).fetchall()
print(json.dumps(rows, default=lambda v: list(v) if isinstance(v, bytes) else str(v)))
";
    let output = python().args(["-c", SCRIPT, query]).arg(file).output().expect("run Python");
    assert!(output.status.success(), "{query}: {}", output.stderr.escape_ascii());
    let Ok(Value::Array(rows)) = serde_json::from_slice(&output.stdout) else {
        panic!("{query}: {}", output.stdout.escape_ascii())
    };
    rows
}

/// The one number that a query gives.
pub(crate) fn number(query: &str, file: &Path) -> u64 {
    let rows = duckdb(query, file);
    rows[0][0].as_u64().unwrap_or_else(|| panic!("{query}: {rows:?}"))
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
    let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    names
}

/// A path of any bytes.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

/// Waits until something is so, at most as long as only a failure takes.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// A running `pwalk`, killed if the test ends before it.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Some(child.unwrap_or_else(|e| panic!("{command:?}: {e}"))))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("running")
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child());
        rustix::process::kill_process(pid, signal).expect("send a signal");
    }

    /// Waits for its end.
    pub(crate) fn output(mut self) -> Output {
        self.0.take().expect("running").wait_with_output().expect("wait")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }
}

/// Does something in a thread that has mounts of its own: what it and its children mount nobody else sees, and it is gone in the end.
pub(crate) fn in_mounts_of_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    use rustix::mount::{MountPropagationFlags, mount_change};
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("mounts of its own");
            let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", flags).expect("keep mounts to itself");
            act()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
