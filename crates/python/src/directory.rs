//! `pwalk.Directory` and `pwalk.Entry`: one directory, just as `readdir` gives it.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_fs::{DirBuf, Errno, Kind, Links, More, open_child, open_path};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::paths::{Names, bytes_of, os_error};

/// An open directory and its path.
struct Open {
    fd: OwnedFd,
    path: Vec<u8>,
    names: Names,
}

impl Open {
    /// Opens `name` in this directory.
    fn child(&self, py: Python<'_>, name: &[u8], links: Links) -> PyResult<Result<Self, Errno>> {
        let c_name = CString::new(name).map_err(|_| PyValueError::new_err("embedded null byte"))?;
        let opened = py.detach(|| open_child(self.fd.as_fd(), &c_name, links));
        Ok(opened.map(|fd| Self { fd, path: self.path_of(name), names: self.names }))
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path.clone();
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    fn error(&self, py: Python<'_>, errno: Errno, path: &[u8]) -> PyResult<PyErr> {
        Ok(os_error(py, errno.raw_os_error(), self.names.object(py, path)?))
    }
}

/// An open directory. Iterating gives an `Entry` for each name in it, `.` and `..` included, in the order of the file system.
///
/// Its descriptor is held as long as the object lives, so what is opened or listed is this directory even if it is moved.
#[pyclass(frozen, module = "pwalk")]
pub(crate) struct Directory(Arc<Open>);

#[pymethods]
impl Directory {
    /// Opens the directory at `path` (str, bytes or os.PathLike). Raises OSError if that cannot be done.
    #[new]
    fn new(py: Python<'_>, path: Bound<'_, PyAny>) -> PyResult<Self> {
        let path = py.import("os")?.call_method1("fspath", (path,))?;
        let (names, bytes) = (Names::of(&path), bytes_of(&path)?);
        let c_path = CString::new(bytes.as_slice()).map_err(|_| PyValueError::new_err("embedded null byte"))?;
        match py.detach(|| open_path(&c_path, Links::Follow)) {
            Ok(fd) => Ok(Self(Arc::new(Open { fd, path: bytes, names }))),
            Err(errno) => Err(os_error(py, errno.raw_os_error(), path)),
        }
    }

    /// The path, as it was given, with the names below it.
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.names.object(py, &self.0.path)
    }

    /// Opens the sub-directory `name`. A symbolic link is followed. Raises OSError if that cannot be done.
    fn open(&self, py: Python<'_>, name: Bound<'_, PyAny>) -> PyResult<Self> {
        let name = bytes_of(&name)?;
        if name.contains(&b'/') {
            return Err(PyValueError::new_err("a name of an entry has no slash in it"));
        }
        match self.0.child(py, &name, Links::Follow)? {
            Ok(open) => Ok(Self(Arc::new(open))),
            Err(errno) => Err(self.0.error(py, errno, &self.0.path_of(&name))?),
        }
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Entries> {
        // A position of its own for each iteration.
        match self.0.child(py, b".", Links::NoFollow)? {
            Ok(own) => Ok(Entries(Mutex::new(Listing {
                dir: Arc::clone(&self.0),
                fd: own.fd,
                block: pwalk_fs::Names::default(),
                at: 0,
                buffer: DirBuf::new(),
            }))),
            Err(errno) => Err(self.0.error(py, errno, &self.0.path)?),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Directory(path={})>", self.path(py)?.repr()?))
    }
}

/// The entries of a directory, a block of the kernel's at a time.
#[pyclass(frozen, module = "pwalk._pwalk")]
struct Entries(Mutex<Listing>);

struct Listing {
    dir: Arc<Open>,
    fd: OwnedFd,
    block: pwalk_fs::Names,
    at: usize,
    buffer: DirBuf,
}

#[pymethods]
impl Entries {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Entry>> {
        let read = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).next());
        match read {
            Ok(entry) => Ok(entry),
            Err((dir, errno)) => Err(dir.error(py, errno, &dir.path)?),
        }
    }
}

impl Listing {
    fn next(&mut self) -> Result<Option<Entry>, (Arc<Open>, Errno)> {
        while self.at == self.block.len() {
            self.block.clear();
            self.at = 0;
            match self.block.read_all(self.fd.as_fd(), &mut self.buffer) {
                Ok(More::End) if self.block.is_empty() => return Ok(None),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err((Arc::clone(&self.dir), errno)),
            }
        }
        let (dirent, name) = (self.block.entry(self.at), self.block.name(self.at).to_vec());
        self.at += 1;
        Ok(Some(Entry { dir: Arc::clone(&self.dir), name, ino: dirent.ino, kind: dirent.kind }))
    }
}

/// One name in a directory, as `readdir` gave it: no system call was made for it alone.
#[pyclass(frozen, module = "pwalk")]
pub(crate) struct Entry {
    dir: Arc<Open>,
    name: Vec<u8>,
    ino: u64,
    kind: Kind,
}

#[pymethods]
impl Entry {
    /// The inode number that the directory says (of the directory below, where something is mounted over it).
    fn d_ino(&self) -> u64 {
        self.ino
    }

    /// The type: one of pwalk.DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK; DT_UNKNOWN where the file system
    /// does not say.
    fn d_type(&self) -> u8 {
        d_type(self.kind).0
    }

    /// The name.
    fn d_name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dir.names.object(py, &self.name)
    }

    /// The path of the directory that the entry is in.
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dir.names.object(py, &self.dir.path)
    }

    /// The entry opened as a `Directory`; None if it is no directory (a link to one is none). Raises OSError if it is one and
    /// cannot be opened.
    fn directory(&self, py: Python<'_>) -> PyResult<Option<Directory>> {
        if !matches!(self.kind, Kind::Dir | Kind::Unknown) {
            return Ok(None);
        }
        match self.dir.child(py, &self.name, Links::NoFollow)? {
            Ok(open) => Ok(Some(Directory(Arc::new(open)))),
            Err(Errno::NOTDIR | Errno::LOOP) if self.kind == Kind::Unknown => Ok(None),
            Err(errno) => Err(self.dir.error(py, errno, &self.dir.path_of(&self.name))?),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (path, name) = (self.path(py)?.repr()?, self.d_name(py)?.repr()?);
        Ok(format!("<Entry(path={path}, d_ino={}, d_type={}, d_name={name})>", self.ino, d_type(self.kind).1))
    }
}

/// The numbers of `dirent.h`, and their names.
const fn d_type(kind: Kind) -> (u8, &'static str) {
    match kind {
        Kind::Unknown => (0, "DT_UNKNOWN"),
        Kind::Fifo => (1, "DT_FIFO"),
        Kind::Char => (2, "DT_CHR"),
        Kind::Dir => (4, "DT_DIR"),
        Kind::Block => (6, "DT_BLK"),
        Kind::File => (8, "DT_REG"),
        Kind::Symlink => (10, "DT_LNK"),
        Kind::Socket => (12, "DT_SOCK"),
    }
}
