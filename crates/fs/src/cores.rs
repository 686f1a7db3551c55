//! How many processors this process may really use.
//!
//! A batch job sees all processors of its node but was given some of them; a container sees all
//! but is stopped when it uses more than its quota. So ask in this order: the batch system
//! (`SLURM_CPUS_ON_NODE`), the control group's quota, the affinity mask; the affinity mask caps
//! all of them, because nothing runs outside it.

use std::path::{Path, PathBuf};

/// Who said how many processors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoresFrom {
    /// The environment variable `SLURM_CPUS_ON_NODE`.
    Slurm,
    /// `cpu.max` (cgroup v2) or `cpu.cfs_quota_us` (v1).
    Cgroup,
    /// `sched_getaffinity`.
    Affinity,
}

/// A number of processors, at least 1, and who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The number.
    pub count: usize,
    /// Its source.
    pub from: CoresFrom,
}

/// The processors that this process may use.
pub fn cores() -> Cores {
    let mask = rustix::thread::sched_getaffinity(None);
    let affinity = mask.map_or(1, |set| usize::try_from(set.count()).unwrap_or(1));
    let slurm = std::env::var("SLURM_CPUS_ON_NODE").ok();
    choose(slurm.as_deref(), cgroup_quota(), affinity)
}

fn choose(slurm: Option<&str>, cgroup: Option<usize>, affinity: usize) -> Cores {
    if let Some(count) = slurm.and_then(|s| s.trim().parse::<usize>().ok()).filter(|&n| n > 0) {
        return Cores { count: count.min(affinity.max(1)), from: CoresFrom::Slurm };
    }
    match cgroup {
        Some(quota) if quota < affinity => Cores { count: quota.max(1), from: CoresFrom::Cgroup },
        _ => Cores { count: affinity.max(1), from: CoresFrom::Affinity },
    }
}

/// The tightest processor quota of this process's control group and those above it.
fn cgroup_quota() -> Option<usize> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut tightest: Option<usize> = None;
    for line in own.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (mount, v2) = match (id, controllers) {
            ("0", "") => (PathBuf::from("/sys/fs/cgroup"), true),
            (_, c) if c.split(',').any(|c| c == "cpu") => (PathBuf::from("/sys/fs/cgroup/cpu"), false),
            _ => continue,
        };
        let mut group = mount.join(path.trim_start_matches('/'));
        while group.starts_with(&mount) {
            let quota = if v2 { quota_v2(&group) } else { quota_v1(&group) };
            tightest = match (tightest, quota) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            if !group.pop() {
                break;
            }
        }
    }
    tightest
}

fn quota_v2(group: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    rounded_up(quota.parse().ok()?, period.parse().ok()?)
}

fn quota_v1(group: &Path) -> Option<usize> {
    let read = |file| std::fs::read_to_string(group.join(file)).ok()?.trim().parse::<i64>().ok();
    let quota = u64::try_from(read("cpu.cfs_quota_us")?).ok()?;
    rounded_up(quota, u64::try_from(read("cpu.cfs_period_us")?).ok()?)
}

fn rounded_up(quota: u64, period: u64) -> Option<usize> {
    if period == 0 { None } else { usize::try_from(quota.div_ceil(period)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_system_is_trusted_first_then_the_quota_then_the_mask() {
        let from = |c: Cores| (c.count, c.from);
        assert_eq!(from(choose(Some("4"), Some(2), 16)), (4, CoresFrom::Slurm));
        assert_eq!(from(choose(Some("64"), None, 16)), (16, CoresFrom::Slurm));
        assert_eq!(from(choose(Some("many"), Some(2), 16)), (2, CoresFrom::Cgroup));
        assert_eq!(from(choose(None, Some(32), 16)), (16, CoresFrom::Affinity));
        assert_eq!(from(choose(None, None, 0)), (1, CoresFrom::Affinity));
    }

    #[test]
    fn half_a_processor_is_one() {
        assert_eq!(rounded_up(50_000, 100_000), Some(1));
        assert_eq!(rounded_up(250_000, 100_000), Some(3));
        assert_eq!(rounded_up(1, 0), None);
    }
}
