//! A process that ends a mount when the process that serves it has died.
//!
//! Timeline of the accident it is there for, in a test that walks its own mount and is killed (Ctrl-C, a timeout):
//!
//! ```text
//! walker thread                        server threads
//! waits in the kernel for an answer    killed
//! cannot be killed: the request was
//! read, so its answer is awaited
//! keeps /dev/fuse open (shared fds)    … which is what would abort the connection
//! ```
//!
//! The process never ends. So a shell outside waits for one of two things: that its standard input closes without a
//! word, as it does when this process dies with all its threads; or that the thread that started it dies
//! (`PR_SET_PDEATHSIG`, set by `setpriv`), which in the accident above is the only sign. Then it aborts the connection
//! (`umount -f`) and detaches the mount. A line on its standard input sends it away: the mount was ended in order.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// `$1` is the mount point. USR1 and not HUP: a shell cannot trap what it was started to ignore, as under `nohup`. Ctrl-C reaches the whole foreground group and must not end the guard.
const SCRIPT: &str = r#"
trap '' INT QUIT TERM
end() {
    trap '' USR1
    umount -c -i -f -l "$1" || fusermount3 -u -q -z -- "$1"
    exit
}
trap 'end "$1"' USR1
echo ready
read -r line && exit
end "$1"
"#;

/// The guard of one mount.
#[derive(Debug)]
pub(super) struct Guard {
    dismiss: mpsc::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Guard {
    /// Starts the guard. The signal comes when the *thread* that started it ends, so that is a thread of its own, which
    /// lives as long as the mount does.
    pub(super) fn post(mount: &Path) -> io::Result<Self> {
        let (dismiss, dismissed) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        let mount: PathBuf = mount.to_owned();
        let keeper = std::thread::Builder::new().name("fuse-guard".to_owned()).spawn(move || {
            let mut child = match spawn(&mount) {
                Ok(child) => child,
                Err(error) => return report(&started, Err(error)),
            };
            report(&started, Ok(()));
            // Nothing is ever sent: it ends with the sender, which means that the mount was ended in order.
            while dismissed.recv().is_ok() {}
            send_away(&mut child);
        })?;
        start.recv().map_err(|_| io::Error::other("the thread of the FUSE guard died"))??;
        Ok(Self { dismiss, keeper })
    }

    /// Sends the guard away; the mount is ended by the caller.
    pub(super) fn dismiss(self) {
        drop(self.dismiss);
        let ended = self.keeper.join();
        assert!(ended.is_ok() || std::thread::panicking(), "the thread of the FUSE guard failed");
    }
}

fn report(to: &mpsc::Sender<io::Result<()>>, outcome: io::Result<()>) {
    to.send(outcome).expect("the starter waits");
}

/// Starts the shell and waits until it is on guard: before it has set its traps a signal would only kill it.
fn spawn(mount: &Path) -> io::Result<Child> {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "USR1", "--", "sh", "-c", SCRIPT, "pwalk-fuse-guard"])
        .arg(mount)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("start setpriv (package util-linux): {e}")))?;
    let mut ready = String::new();
    let output = child.stdout.take().expect("standard output is a pipe");
    BufReader::new(output).read_line(&mut ready)?;
    if ready != "ready\n" {
        return Err(io::Error::other("the FUSE guard (setpriv … sh) did not start"));
    }
    Ok(child)
}

fn send_away(child: &mut Child) {
    let mut input = child.stdin.take().expect("standard input is a pipe");
    match input.write_all(b"go\n") {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {} // somebody killed the guard; it is not needed any more
        Err(e) => panic!("send the FUSE guard away: {e}"),
    }
    child.wait().expect("wait for the FUSE guard");
}
