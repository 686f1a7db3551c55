//! The limit of open file descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Errno;

/// How many descriptors this process may have open now (`RLIMIT_NOFILE`, the soft limit).
pub fn file_descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limit to the hard one, which needs no privilege, and returns what holds now.
///
/// # Errors
/// What the kernel says; the old limit then still holds.
pub fn raise_file_descriptor_limit() -> Result<u64, Errno> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}
