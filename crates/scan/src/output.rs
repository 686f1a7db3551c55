//! A file that appears under its name complete or not at all.
//!
//! A scan writes to a temporary name in the target's own directory, syncs it, renames it over the target and
//! syncs the directory: a reader sees the old file or the whole new one, also after a power cut. The
//! temporary name is made with `O_EXCL` from random bits, so that nobody can lay a link in its place. Trouble
//! with the directory shows when the output is created, before the scan has cost hours.
//!
//! * An existing regular target is replaced at the end only; the new file has the permissions of a new
//!   file (0666 less the umask), not those of the old one.
//! * A target that is a symbolic link to a regular file is itself replaced; what it led to stays
//!   untouched. `/dev/stdout` means standard output.
//! * A target that exists and is no regular file (`/dev/null`, a FIFO) is written into directly.
//!
//! Dropping an output that was not committed removes the temporary file; only a process that is killed leaves
//! one, named `.pwalk-*.tmp`. Alternative rejected: `O_TMPFILE` leaves nothing even then, but `linkat`
//! cannot replace an existing target, and NFS and Lustre do not have it.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Target {
    /// What the user wrote: `-` and `/dev/stdout` are standard output.
    pub fn from_arg(arg: &OsStr) -> Self {
        if arg == "-" || arg == "/dev/stdout" { Self::Stdout } else { Self::File(arg.into()) }
    }

    /// How it is named in messages.
    pub fn path(&self) -> &Path {
        match self {
            Self::Stdout => Path::new("standard output"),
            Self::File(path) => path,
        }
    }
}

/// What a completed output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Bytes written.
    pub bytes: u64,
}

/// An output file being written.
#[derive(Debug)]
pub struct Output {
    file: File,
    target: Target,
    /// Until it is renamed or removed. `None` where the target is written directly.
    temporary: Option<PathBuf>,
    bytes: u64,
}

impl Output {
    /// Opens the output. A FIFO blocks until it has a reader.
    ///
    /// # Errors
    /// When the target is a directory, or its directory is missing or not writable.
    pub fn create(target: &Target) -> Result<Self, Error> {
        let (file, temporary) = match target {
            Target::Stdout => {
                let fd = io::stdout().as_fd().try_clone_to_owned();
                (fd.map(File::from).map_err(|e| Error::io("open", target.path(), e))?, None)
            }
            Target::File(path) => open(path)?,
        };
        Ok(Self { file, target: target.clone(), temporary, bytes: 0 })
    }

    /// Whether this becomes a regular file with a name, beside which others can stand.
    pub fn is_named_file(&self) -> bool {
        self.temporary.is_some()
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How it is named in messages.
    pub fn path(&self) -> &Path {
        self.target.path()
    }

    /// Appends a block.
    pub fn append(&mut self, block: &[u8]) -> Result<(), Error> {
        self.write_all(block).map_err(|e| Error::io("write", self.target.path(), e))
    }

    /// Makes the file durable and gives it its name.
    pub fn commit(self) -> Result<Written, Error> {
        self.commit_after(&mut || Ok(()))
    }

    /// The same, with something between: when all is written and nothing can be seen yet. If that fails nothing will be seen.
    pub fn commit_after(mut self, before: &mut dyn FnMut() -> Result<(), Error>) -> Result<Written, Error> {
        let path = self.target.path();
        if self.temporary.is_some() {
            self.file.sync_all().map_err(|e| Error::io("sync", path, e))?;
        }
        before()?;
        if let (Some(temporary), Target::File(target)) = (&self.temporary, &self.target) {
            fs::rename(temporary, target).map_err(|e| Error::io("rename the finished file to", path, e))?;
            self.temporary = None;
            sync_directory(directory_of(path)).map_err(|e| Error::io("sync the directory of", path, e))?;
        }
        let path = match &self.target {
            Target::Stdout => None,
            Target::File(path) => Some(path.clone()),
        };
        Ok(Written { path, bytes: self.bytes })
    }
}

impl Write for Output {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let written = self.file.write(block)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = fs::remove_file(&temporary)
        {
            tracing::warn!(path = ?temporary, %error, "cannot remove the temporary file of an output that failed");
        }
    }
}

/// Removes a file if it is there.
pub(crate) fn remove_stale(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove the outdated", path, e)),
        _ => Ok(()),
    }
}

/// The file to write to and its temporary name, if it has one.
fn open(path: &Path) -> Result<(File, Option<PathBuf>), Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::because("write to", path, "the name is empty"));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(Error::because("write to", path, "it is a directory; name a file in it"));
        }
        Ok(found) if found.file_type().is_socket() => {
            return Err(Error::because("write to", path, "it is a socket"));
        }
        Ok(found) if !found.is_file() => {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| Error::io("open", path, e))?;
            return Ok((file, None));
        }
        // Missing or unreadable: making the temporary file says what is wrong, if anything.
        Ok(_) | Err(_) => {}
    }
    let directory = directory_of(path);
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::because("write to", path, "it names a directory; name a file in it"));
    }
    loop {
        let temporary = directory.join(format!(".pwalk-{:016x}.tmp", random()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, Some(temporary))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create a file in the directory of", path, e)),
        }
    }
}

/// The directory that holds `path`.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename in `directory` survive a power cut. File systems that cannot sync a directory say `EINVAL`
/// and have no more to offer.
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// 64 bits nobody can guess: `SipHash` under the keys that the standard library draws from the system.
fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(&Target::File(path.clone())).unwrap();
        output.append(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()).len(), 2);
        assert_eq!(output.commit().unwrap(), Written { path: Some(path.clone()), bytes: 3 });
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["x.csv"]);
    }

    #[test]
    fn an_output_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::create(&Target::File(dir.path().join("x"))).unwrap();
        output.append(b"half").unwrap();
        drop(output);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_link_is_replaced_and_what_it_led_to_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (link, victim) = (dir.path().join("link"), dir.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let mut output = Output::create(&Target::File(link.clone())).unwrap();
        output.append(b"new").unwrap();
        output.commit().unwrap();
        assert_eq!((fs::read(&link).unwrap(), fs::read(&victim).unwrap()), (b"new".to_vec(), b"precious".to_vec()));
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn special_files_are_written_into() {
        let output = Output::create(&Target::File("/dev/null".into())).unwrap();
        assert!(!output.is_named_file());
        output.commit().unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn impossible_targets_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Output::create(&Target::File(path.to_owned())).unwrap_err().to_string();
        assert!(refused(dir.path()).contains("is a directory"), "{}", refused(dir.path()));
        assert!(refused(&dir.path().join("no/x")).contains("No such file"));
        assert!(refused(&dir.path().join("x/")).contains("names a directory"));
        assert!(refused(Path::new("")).contains("empty"));
        assert!(names(dir.path()).is_empty());
    }
}
