//! Starting points: from the command line, or from a file of names that each end with a NUL (`-files0-from`).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use crate::expr::Query;
use crate::program::{Deed, Program};
use crate::shown::{Shown, plain};

/// Where to start, and what was wrong with some of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The starting points, in order.
    pub paths: Vec<Vec<u8>>,
    /// Messages about names that are none. Each is an error.
    pub errors: Vec<String>,
}

/// Why there are no starting points.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// Both on the command line and in a file.
    #[error("extra operand '{}'\nfile operands cannot be combined with -files0-from", Shown(.0))]
    Both(Vec<u8>),
    /// Standard input cannot hold names and answers.
    #[error("option -files0-from reading from standard input cannot be combined with -ok, -okdir")]
    InputIsForAnswers,
    /// The file cannot be opened.
    #[error("cannot open '{}' for reading: {error}", Shown(.file))]
    Open {
        /// The file.
        file: Vec<u8>,
        /// Why.
        error: io::Error,
    },
    /// The file cannot be read.
    #[error("'{}': read error: {error}", Shown(.file))]
    Read {
        /// The file.
        file: Vec<u8>,
        /// Why.
        error: io::Error,
    },
}

impl Roots {
    /// The starting points of a query; the current directory if it names none.
    ///
    /// # Errors
    /// What is wrong with the file that holds them.
    pub fn new(query: &Query, program: &Program) -> Result<Self, RootsError> {
        let Some(file) = &program.settings.files0_from else {
            let paths = if query.roots.is_empty() { vec![b".".to_vec()] } else { query.roots.clone() };
            return Ok(Self { paths, errors: Vec::new() });
        };
        if let Some(root) = query.roots.first() {
            return Err(RootsError::Both(root.clone()));
        }
        let mut names = Vec::new();
        let read = |error| RootsError::Read { file: file.clone(), error: plain(error) };
        if file == b"-" {
            if program.actions.iter().any(|deed| matches!(deed, Deed::Exec(exec) if exec.ask)) {
                return Err(RootsError::InputIsForAnswers);
            }
            io::stdin().lock().read_to_end(&mut names).map_err(read)?;
        } else {
            let open = |error| RootsError::Open { file: file.clone(), error: plain(error) };
            let mut input = File::open(std::ffi::OsStr::from_bytes(file)).map_err(open)?;
            input.read_to_end(&mut names).map_err(read)?;
        }
        Ok(Self::split(file, &names))
    }

    fn split(file: &[u8], names: &[u8]) -> Self {
        let mut roots = Self::default();
        if names.is_empty() {
            return roots;
        }
        let names = names.strip_suffix(b"\0").unwrap_or(names);
        let file = if file == b"-" { b"(standard input)" } else { file };
        for (index, name) in names.split(|byte| *byte == 0).enumerate() {
            if name.is_empty() {
                roots.errors.push(format!("'{}':{}: invalid zero-length file name", Shown(file), index + 1));
            } else {
                roots.paths.push(name.to_vec());
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_a_nul_or_with_the_file() {
        let paths = |names: &[u8]| Roots::split(b"f", names).paths;
        assert_eq!(paths(b""), Vec::<Vec<u8>>::new());
        assert_eq!(paths(b"a\0b c\0"), [b"a".to_vec(), b"b c".to_vec()]);
        assert_eq!(paths(b"a\nb"), [b"a\nb".to_vec()]);
        let roots = Roots::split(b"f", b"a\0\0b\0");
        assert_eq!((roots.paths.len(), roots.errors), (2, vec!["'f':2: invalid zero-length file name".to_owned()]));
    }
}
