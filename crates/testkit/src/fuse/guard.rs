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
//! The process never ends. So a shell outside waits for the death of the thread that started it (`PR_SET_PDEATHSIG`, set
//! by `setpriv`) and then aborts the connection (`umount -f`) and detaches the mount. It is told to go, without doing
//! anything, when the mount is ended in order.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

/// `$1` is the mount point. Ctrl-C reaches the whole foreground group and must not end the guard.
const SCRIPT: &str = r#"
trap '' INT QUIT
trap 'kill $p; exit' TERM
trap 'kill $p; umount -c -i -f -l "$1" || fusermount3 -u -q -z -- "$1"; exit' HUP
while :; do sleep 1000 & p=$!; wait $p; done
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
            dismiss_child(&mut child);
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

fn spawn(mount: &Path) -> io::Result<Child> {
    Command::new("setpriv")
        .args(["--pdeathsig", "HUP", "--", "sh", "-c", SCRIPT, "pwalk-fuse-guard"])
        .arg(mount)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("start setpriv (package util-linux): {e}")))
}

fn dismiss_child(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It has not been waited for, so the number is still its own.
        kill_process(pid, Signal::TERM).expect("end the FUSE guard");
    }
    child.wait().expect("wait for the FUSE guard");
}
