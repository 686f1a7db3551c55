//! The compiled half of the Python package `pwalk`: the library's own functions with Python's types.
//!
//! Thin on purpose: what a Rust user would miss is in `engine`, `scan`, `ops` and `track`. Names go both ways as `os.fsencode` and
//! `os.fsdecode` have them, and Python's lock is given up around everything that may wait.

mod arrow;
mod bench;
mod catalog;
mod copy;
mod directory;
mod options;
mod paths;
mod repair;
mod report;
mod scan;
mod walk;
mod work;

use pyo3::prelude::*;

/// Names are allocated by the threads that read ahead and freed by the one that walks, and Arrow batches are freed by whoever
/// reads them. The C library makes such threads wait for each other; this allocator does not (a sixth of the time of a walk).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The module `pwalk._pwalk`.
#[pymodule(gil_used = false)]
mod _pwalk {
    #[pymodule_export]
    use super::bench::bench;
    #[pymodule_export]
    use super::catalog::{CatalogPlace, CatalogRows, catalog_since};
    #[pymodule_export]
    use super::copy::strategy::{copy_strategies, register_copy_strategy};
    #[pymodule_export]
    use super::copy::{copy, copy_settings};
    #[pymodule_export]
    use super::directory::{Directory, Entry};
    #[pymodule_export]
    use super::repair::repair;
    #[pymodule_export]
    use super::report::report;
    #[pymodule_export]
    use super::run_command;
    #[pymodule_export]
    use super::scan::{scan_schema, scan_stream};
    #[pymodule_export]
    use super::walk::Walker;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// The command `pwalk` or `pfind`, with these arguments (the first is its name); returns its exit code.
#[pyfunction]
fn run_command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
    let is_pfind = arguments.first().is_some_and(|name| name == "pfind");
    py.detach(|| if is_pfind { pwalk_cli::pfind(&arguments) } else { pwalk_cli::main(&arguments) })
}
