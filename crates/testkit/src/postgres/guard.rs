//! The shell that is the parent of a server, and ends it when the test process has ended.
//!
//! The shell starts the server and waits for a word on its standard input. No word, the end of input, means that the
//! test process is gone: then it stops the server and removes all files. The server is a child of the shell, so
//! its number cannot come to mean another process before the shell has waited for it.
//!
//! It is in a process group of its own: neither Ctrl-C nor a harness that kills the group reaches it before it has tidied.
//!
//! What the server logs comes through the shell's standard output and is read by a thread, which says when the server
//! is ready: no file is polled, nothing sleeps.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// What one step of a server may take: recovery after a kill may have to replay a lot on a slow disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// `$1` is the directory to remove, the rest is the server's command.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
home=$1
shift
"$@" 2>&1 </dev/null &
echo "$!"
if read -r line; then
    wait "$!"
else
    kill -QUIT "$!"
    wait "$!"
    rm -rf -- "$home"
fi
"#;

/// A server and its guard.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    input: ChildStdin,
    server: Pid,
    log: JoinHandle<()>,
}

impl Guard {
    /// Starts the server and returns when it takes connections.
    pub(super) fn post(home: &Path, server: &Command) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "pwalk-postgres-guard"])
            .arg(home)
            .arg(server.get_program())
            .args(server.get_args())
            .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start sh");
        let input = shell.stdin.take().expect("standard input is a pipe");
        let mut output = BufReader::new(shell.stdout.take().expect("standard output is a pipe"));
        let mut number = String::new();
        output.read_line(&mut number).expect("read from the guard");
        let server = number.trim().parse().ok().and_then(Pid::from_raw).expect("the guard prints a process number");
        let (log, ready) = follow(output);
        match ready.recv_timeout(PATIENCE) {
            Ok(Ok(())) => {}
            Ok(Err(words)) => panic!("PostgreSQL did not start: {words}"),
            Err(_) => panic!("PostgreSQL is not ready after {PATIENCE:?}"),
        }
        Self { shell, input, server, log }
    }

    /// Ends every process of the server at once.
    ///
    /// The postmaster is halted first, so that it starts no more children and their numbers stay theirs. Killing
    /// only the postmaster is no crash: a child in the middle of a statement would go on and might commit.
    pub(super) fn kill(self) {
        kill_process(self.server, Signal::STOP).expect("halt the server");
        let children: Vec<OwnedFd> = children(self.server).into_iter().map(open).collect();
        let postmaster = open(self.server);
        for process in children.iter().chain([&postmaster]) {
            match pidfd_send_signal(process, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {} // SRCH: a child that had ended by itself
                Err(error) => panic!("kill the server: {error}"),
            }
        }
        children.iter().for_each(wait);
        self.dismiss();
    }

    /// Ends the server without writing what is in its memory to the disk, but tidily.
    pub(super) fn stop(self) {
        kill_process(self.server, Signal::QUIT).expect("stop the server");
        self.dismiss();
    }

    /// Lets the guard go once the server has ended.
    fn dismiss(mut self) {
        self.input.write_all(b"go\n").expect("send the guard away");
        let status = self.shell.wait();
        let followed = self.log.join();
        assert!(status.is_ok() && followed.is_ok() || std::thread::panicking(), "the server's guard failed");
    }
}

/// Reads the log to its end, and says when the server is ready, or what it said instead.
fn follow(output: BufReader<ChildStdout>) -> (JoinHandle<()>, Receiver<Result<(), String>>) {
    let (say, ready) = mpsc::channel();
    let log = std::thread::spawn(move || {
        let mut told = false;
        let mut words = String::new();
        for line in output.lines() {
            let line = line.expect("the server logs text");
            if !told && line.contains("database system is ready to accept connections") {
                told = say.send(Ok(())).is_ok();
                words.clear();
            } else if !told {
                words.push_str(&line);
                words.push('\n');
            }
        }
        if !told && say.send(Err(words)).is_err() {
            // Nobody waits any more: the one who did has panicked.
        }
    });
    (log, ready)
}

/// The children of a process, which has one thread.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let list = list.expect("read the server's children from /proc");
    list.split_ascii_whitespace()
        .map(|number| number.parse().ok().and_then(Pid::from_raw).expect("/proc lists process numbers"))
        .collect()
}

fn open(process: Pid) -> OwnedFd {
    pidfd_open(process, PidfdFlags::empty()).expect("hold a process of the server, which its parent has not waited for")
}

/// Waits until a process has ended.
fn wait(process: &OwnedFd) {
    let patience = Timespec::try_from(PATIENCE).expect("two minutes");
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience));
    assert_eq!(ended.expect("wait for a process of the server"), 1, "a killed process of the server does not end");
}
