//! Paths and names between Python and the kernel: bytes on one side, `str` with surrogate escapes or `bytes` on the other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

/// Which of Python's two kinds of names to make: that of the path the caller gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Text,
    Bytes,
}

impl Names {
    /// The kind of a `str` or `bytes`.
    pub(crate) fn of(path: &Bound<'_, PyAny>) -> Self {
        if path.is_instance_of::<PyBytes>() { Self::Bytes } else { Self::Text }
    }

    /// A name as a Python object.
    #[inline]
    pub(crate) fn object<'py>(self, py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Bytes => Ok(PyBytes::new(py, name).into_any()),
            Self::Text => match std::str::from_utf8(name) {
                Ok(text) if name.is_ascii() || is_utf8(py)? => Ok(PyString::new(py, text).into_any()),
                // Elsewhere the same bytes are other characters.
                Ok(_) => py.import("os")?.call_method1("fsdecode", (PyBytes::new(py, name),)),
                Err(_) => Ok(OsStr::from_bytes(name).into_pyobject(py)?.into_any()),
            },
        }
    }
}

/// Whether Python takes names to be UTF-8, as it does nearly everywhere; it makes up its mind when it starts.
fn is_utf8(py: Python<'_>) -> PyResult<bool> {
    static IS_UTF8: PyOnceLock<bool> = PyOnceLock::new();
    let ask = || py.import("sys")?.call_method0("getfilesystemencoding")?.eq("utf-8");
    IS_UTF8.get_or_try_init(py, ask).copied()
}

/// The bytes of a `str` or `bytes`, as `os.fsencode` makes them.
pub(crate) fn bytes_of(path: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = path.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    Ok(path.extract::<std::ffi::OsString>()?.as_bytes().to_vec())
}

/// An `OSError` of the sub-class that belongs to `errno`.
pub(crate) fn os_error(py: Python<'_>, errno: i32, path: Bound<'_, PyAny>) -> PyErr {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    // "No such file or directory (os error 2)": Python shows the number itself.
    let text = text.rsplit_once(" (os error").map_or(text.as_str(), |(text, _)| text).to_owned();
    match py.get_type::<PyOSError>().call1((errno, text, path)) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
