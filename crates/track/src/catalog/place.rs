//! Where a catalog is, and how the paths in it are asked for: the same for everybody who asks.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Catalog;
use crate::{Connection, TrackConfig, TrackError};

/// Where a catalog is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a directory.
    Dir(PathBuf),
    /// In PostgreSQL.
    Database(Box<Connection>),
}

/// Why there is no such place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPlace(String);

impl Place {
    /// The directory that was named, else the database, else what the settings say, else `$XDG_DATA_HOME/pwalk/catalog`.
    ///
    /// # Errors
    /// The database's URL cannot be used, the settings name two places, or nothing says where the user's data are.
    pub fn of(dir: Option<&Path>, database: Option<&str>, config: &TrackConfig) -> Result<Self, BadPlace> {
        let section = config.postgresql.as_ref();
        if let Some(dir) = dir {
            return Ok(Self::Dir(dir.to_owned()));
        }
        if database.is_some() || section.is_some() {
            if let (None, Some(_), Some(file)) = (database, &config.catalog, &config.path) {
                return Err(BadPlace(format!(
                    "{} names a catalog and a database; leave one of them out, or name the catalog yourself",
                    file.display()
                )));
            }
            let connection = Connection::resolve(database, section).map_err(|bad| BadPlace(bad.to_string()))?;
            return Ok(Self::Database(Box::new(connection)));
        }
        if let Some(dir) = &config.catalog {
            return Ok(Self::Dir(dir.clone()));
        }
        let set = |name| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").filter(|dir| dir.is_absolute());
        let data = data.or_else(|| set("HOME").map(|home| home.join(".local/share")));
        let unknown =
            || BadPlace("there is no home directory to keep a catalog in; name the catalog's directory".to_owned());
        Ok(Self::Dir(data.ok_or_else(unknown)?.join("pwalk/catalog")))
    }

    /// The catalog, which must be there.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(&self) -> Result<Catalog, TrackError> {
        match self {
            Self::Dir(dir) => Catalog::open(dir),
            Self::Database(connection) => Catalog::connect(connection),
        }
    }

    /// The catalog, which is made if it is a directory that is not there.
    ///
    /// # Errors
    /// It cannot be used, or made; a database has none.
    pub fn create(&self) -> Result<Catalog, TrackError> {
        match self {
            Self::Dir(dir) => Catalog::create(dir),
            Self::Database(connection) => Catalog::connect(connection),
        }
    }
}

/// A path as catalogs know it: absolute, and without links. What is not there any more cannot be resolved, only the part that is.
pub fn known_path(path: &Path) -> Vec<u8> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut rest = Vec::new();
    let mut above = absolute.as_path();
    loop {
        if let Ok(real) = above.canonicalize() {
            let whole = rest.iter().rev().fold(real, |path, name| path.join(name));
            return whole.as_os_str().as_bytes().to_vec();
        }
        match (above.parent(), above.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name.to_owned());
                above = parent;
            }
            _ => return absolute.as_os_str().as_bytes().to_vec(),
        }
    }
}
