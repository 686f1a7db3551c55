//! A mounted synthetic file system, from mount to unmount.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::guard::Guard;
use super::rules::{Counts, Effect, Fault, Op, Rule};
use super::server::{Server, Shared};
use super::synthetic::nanoseconds;
use crate::{TempTree, is_root};

/// Threads that read requests. They only queue whatever has to wait, so two are enough for hundreds in flight.
const SESSION_THREADS: usize = 2;

/// Who looks at permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody: FUSE's own default.
    Unchecked,
    /// The kernel.
    Checked,
}

/// Panics, naming what to install, where this process cannot mount FUSE file systems. Tests that need one call it
/// (through [`Synthetic::mount`](super::Synthetic::mount)) rather than skip.
pub fn require_fuse() {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let helper = || Command::new("fusermount3").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(
        device.is_ok() && (is_root() || helper()),
        "needs /dev/fuse: apt-get install fuse3, run as root or in group fuse"
    );
}

/// A mounted synthetic file system. Dropping it, also while a test panics, answers everything that waits with `EIO` and
/// unmounts lazily, so that nothing stays behind: no mount, no blocked thread.
pub struct Mounted {
    shared: Arc<Shared>,
    path: PathBuf,
    session: Option<BackgroundSession>,
    guard: Option<Guard>,
    /// Holds the mount point; removed after the unmount.
    _directory: Option<TempTree>,
}

impl Mounted {
    pub(super) fn in_temporary(shared: Shared, access: Access) -> io::Result<Self> {
        let directory = TempTree::new();
        let path = directory.subdir("mnt");
        let mut mounted = Self::at(shared, access, &path)?;
        mounted._directory = Some(directory);
        Ok(mounted)
    }

    pub(super) fn at(shared: Shared, access: Access, path: &Path) -> io::Result<Self> {
        require_fuse();
        let path = path.canonicalize()?;
        let shared = Arc::new(shared);
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("pwalk-faultfs".to_owned())];
        if access == Access::Checked {
            config.mount_options.push(MountOption::DefaultPermissions);
        }
        // Others may look in when root mounts; anybody else would need user_allow_other in /etc/fuse.conf.
        config.acl = if is_root() { SessionACL::All } else { SessionACL::Owner };
        config.n_threads = Some(SESSION_THREADS);
        let guard = Guard::post(&path)?;
        let session = Session::new(Server(Arc::clone(&shared)), &path, &config)?;
        let device = session.as_fd().try_clone_to_owned()?;
        shared.device.set(device).expect("one session per mount");
        let session = session.spawn()?;
        Ok(Self { shared, path, session: Some(session), guard: Some(guard), _directory: None })
    }

    /// Where it is mounted, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Entries below the root, `None` when endless.
    pub fn entries(&self) -> Option<u64> {
        self.shared.layout.entries()
    }

    /// Requests so far.
    pub fn ops(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Requests that were received and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// The most requests that were in flight at any moment.
    pub fn max_in_flight(&self) -> usize {
        self.shared.max_in_flight.load(Ordering::Relaxed)
    }

    /// Starts [`max_in_flight`](Self::max_in_flight) anew.
    pub fn reset_max_in_flight(&self) {
        self.shared.max_in_flight.store(self.in_flight(), Ordering::Relaxed);
    }

    /// Every request received from now on takes `delay`.
    pub fn set_delay(&self, delay: Duration) {
        Op::ALL.into_iter().for_each(|op| self.set_delay_on(op, delay));
    }

    /// Every request of one operation received from now on takes `delay`.
    pub fn set_delay_on(&self, op: Op, delay: Duration) {
        self.shared.delays[op.index()].store(nanoseconds(delay), Ordering::Relaxed);
    }

    /// Adds a fault while mounted.
    pub fn add_fault(&self, fault: &Fault) {
        let rule = Rule::new(fault, self.shared.layout.as_ref());
        self.shared.rules.write().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Ends all faults; what hangs goes on hanging until [`release`](Self::release).
    pub fn clear_faults(&self) {
        self.shared.rules.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests hang now.
    pub fn hanging(&self) -> usize {
        self.shared.queue.hanging()
    }

    /// Waits until `count` requests hang, at most `timeout`; whether they do. This is how a test knows that the walker
    /// has arrived, without sleeping.
    pub fn wait_hanging(&self, count: usize, timeout: Duration) -> bool {
        self.shared.queue.wait_hanging(count, timeout)
    }

    /// Ends all hang faults and answers what hangs as if nothing had been.
    pub fn release(&self) {
        let mut rules = self.shared.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|rule| rule.effect != Effect::Hang);
        drop(rules);
        self.shared.queue.release();
    }

    /// Unmounts, as dropping does, but can say what went wrong.
    ///
    /// # Errors
    /// What the unmount failed with; the mount may still be there.
    pub fn unmount(mut self) -> io::Result<()> {
        self.end()
    }

    /// Ends the mount; a second call does nothing.
    fn end(&mut self) -> io::Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        // From here on nobody is kept waiting, whatever happens below.
        self.shared.closed.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
        // Lazily: a test may still hold a directory open. The session threads serve it (EIO) until it is closed.
        let detached = match unmount(&self.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL) => Ok(()), // INVAL: somebody else unmounted it
            Err(Errno::PERM) => fusermount(&self.path),
            Err(errno) => Err(errno.into()),
        };
        // Its own, eager, unmount finds nothing left to do.
        drop(session);
        detached
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            assert!(std::thread::panicking(), "unmount {:?}: {error}", self.path);
        }
    }
}

fn fusermount(path: &Path) -> io::Result<()> {
    let output = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(path).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("fusermount3 -u: {}", output.stderr.escape_ascii())))
}
