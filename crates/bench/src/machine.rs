//! Where it was measured: a number without its machine and file systems says nothing.

use std::fs::read_to_string;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pwalk_fs::{FsType, cores, fs_type, mount_list, mount_of};
use pwalk_ops::path_text;
use serde::Serialize;

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// What they are called.
    pub cpu: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let after_colon = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
        let cpu = read_to_string("/proc/cpuinfo").ok();
        let cpu = cpu.and_then(|text| text.lines().find(|line| line.starts_with("model name")).and_then(after_colon));
        let memory = read_to_string("/proc/meminfo").ok();
        let memory = memory.and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        });
        let kernel = read_to_string("/proc/sys/kernel/osrelease").ok().map(|release| release.trim().to_owned());
        Self { cores: cores().count, cpu, kernel, memory }
    }
}

/// A path, and the file system that it is on.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The path; what is not UTF-8 in it is replaced.
    pub path: String,
    /// The path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// The type of the file system, as `mount` calls it.
    pub file_system: Option<String>,
}

impl Place {
    pub(crate) fn of(path: &Path) -> Self {
        let (text, path_bytes) = path_text(path.as_os_str().as_bytes());
        Self { path: text.into_owned(), path_bytes, file_system: file_system(path) }
    }
}

/// By the mount that it is in: device numbers of subvolumes are in no list.
fn file_system(path: &Path) -> Option<String> {
    let open = std::fs::File::open(path).ok()?;
    let mount = mount_of(open.as_fd()).ok()?;
    let listed = mount_list().into_iter().find(|listed| listed.id == mount);
    listed.and_then(|listed| String::from_utf8(listed.fs_type.into_vec()).ok()).or_else(|| match fs_type(&open) {
        Ok(FsType::Btrfs) => Some("btrfs".to_owned()),
        Ok(FsType::Zfs) => Some("zfs".to_owned()),
        Ok(FsType::Gpfs) => Some("gpfs".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_known() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && machine.kernel.is_some_and(|kernel| !kernel.is_empty()));
        assert!(machine.memory.is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(Place::of(Path::new("/proc")).file_system.as_deref(), Some("proc"));
    }
}
