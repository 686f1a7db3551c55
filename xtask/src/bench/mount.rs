//! The test kit's FUSE file system, mounted for a measurement.

use super::lab::Lab;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(super) struct Mount {
    point: PathBuf,
    server: Child,
}

impl Mount {
    /// Mounts `faultfs POINT ARGUMENTS` and waits until it is there.
    pub(super) fn new(lab: &Lab, arguments: &[&str]) -> Result<Self> {
        let point = lab.output("mount");
        fs::create_dir_all(&point)?;
        let parent = lab.output("");
        let server = lab
            .faultfs()
            .arg(&point)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run faultfs")?;
        let mut mount = Self { point, server };
        let started = Instant::now();
        // A mount point is on another device than the directory that holds it.
        while fs::metadata(&mount.point)?.dev() == fs::metadata(&parent)?.dev() {
            if let Some(status) = mount.server.try_wait()? {
                bail!("faultfs ended before it was mounted: {status}");
            }
            if started.elapsed() > Duration::from_secs(20) {
                bail!("faultfs did not mount within 20 s");
            }
            sleep(Duration::from_millis(10));
        }
        Ok(mount)
    }

    pub(super) fn path(&self) -> &Path {
        &self.point
    }

    /// Unmounts and waits for the server to end.
    pub(super) fn unmount(mut self) -> Result<()> {
        self.end()
    }

    /// SIGTERM, on which the server unmounts: from outside, only a mount that nobody uses could be taken away.
    fn end(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.server), Signal::TERM).context("cannot stop faultfs")?;
        let status = self.server.wait().context("faultfs")?;
        if !status.success() {
            bail!("faultfs on {}: {status}", self.point.display());
        }
        Ok(())
    }
}

/// Only for the way out after an error: the ordinary way is [`Mount::unmount`], which can fail.
impl Drop for Mount {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None))
            && let Err(error) = self.end()
        {
            eprintln!("xtask: {error:#}");
        }
    }
}
