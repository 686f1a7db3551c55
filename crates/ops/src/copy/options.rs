//! What is copied, where to, and what is kept of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pwalk_engine::Options;

use super::error::CopyError;
use super::strategy::{Auto, Strategy};

/// Bytes of a buffer, unless told: it stays in a core's cache.
pub const BUFFER: usize = 256 << 10;

/// Whether files share their blocks with what they are a copy of, where the file system can do that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reflink {
    /// Where it can be.
    #[default]
    Auto,
    /// They must: a file that cannot is a failure.
    Always,
    /// They never do.
    Never,
}

/// What becomes of holes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparse {
    /// A hole stays a hole.
    #[default]
    Auto,
    /// Blocks of zeros become holes, too.
    Always,
    /// Holes are filled with zeros.
    Never,
}

/// What becomes of a file that is there already. Nothing is ever removed for a copy but what it replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    #[default]
    Overwrite,
    /// It stays.
    Skip,
    /// It is replaced if its content is older than the source's.
    Update,
    /// It stays, and that is a failure.
    Fail,
}

/// When the copy must have reached the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// When the kernel writes it.
    #[default]
    None,
    /// At the end of the run, all at once.
    End,
    /// Each file before it gets its name, each directory before its parent is done.
    Each,
}

/// What is kept of an entry apart from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Permission bits, setuid, setgid and sticky among them.
    pub mode: bool,
    /// Owner and group.
    pub ownership: bool,
    /// Times of access and change.
    pub timestamps: bool,
    /// Several names of one file.
    pub links: bool,
    /// Extended attributes, capabilities among them.
    pub xattr: bool,
    /// Access control lists.
    pub acl: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Self { mode: true, ownership: true, timestamps: true, links: true, xattr: true, acl: true }
    }
}

impl Keep {
    /// Everything but what is listed: `mode`, `ownership`, `timestamps`, `links`, `xattr`, `acl`, `all`.
    ///
    /// # Errors
    /// A word that is none of these.
    pub fn without<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, CopyError> {
        let mut keep = Self::default();
        for word in list {
            match word {
                "mode" => keep.mode = false,
                "ownership" => keep.ownership = false,
                "timestamps" => keep.timestamps = false,
                "links" => keep.links = false,
                "xattr" => keep.xattr = false,
                "acl" => keep.acl = false,
                "all" => {
                    keep = Self {
                        mode: false,
                        ownership: false,
                        timestamps: false,
                        links: false,
                        xattr: false,
                        acl: false,
                    };
                }
                _ => return Err(CopyError::NoSuchAttribute(word.to_owned())),
            }
        }
        Ok(keep)
    }
}

/// A copy to be made. What is not said is as on the command line.
#[derive(Clone)]
pub struct CopyOptions {
    /// What is copied, as `cp` has it: a directory with all that is in it, or anything else; links are copied as links.
    pub sources: Vec<Vec<u8>>,
    /// Where to: into a directory that is there, else under this name.
    pub destination: Vec<u8>,
    /// Under just this name, also if there is a directory (`cp -T`).
    pub exact: bool,
    /// How content is copied.
    pub strategy: Arc<dyn Strategy>,
    /// Only these sub-directories of the source, by the strategy that knows of components.
    pub components: Option<Vec<Vec<u8>>>,
    /// Bytes of a buffer, at least 4,096.
    pub buffer: usize,
    /// Shared blocks.
    pub reflink: Reflink,
    /// Holes.
    pub sparse: Sparse,
    /// Files that are there.
    pub existing: Existing,
    /// Remove what the source does not have.
    pub mirror: bool,
    /// Read both sides again and compare.
    pub verify: bool,
    /// When it is on the disk.
    pub fsync: Fsync,
    /// Go on with a copy that was interrupted: files of the same size and time of change are not copied again.
    pub resume: bool,
    /// Only look what would be done.
    pub dry_run: bool,
    /// What is kept.
    pub keep: Keep,
    /// At most so many bytes a second.
    pub max_bytes_per_sec: Option<u64>,
    /// Count what there is to copy before beginning, so that progress knows the whole.
    pub count_first: bool,
    /// How the sources are walked; what is excluded is neither copied nor, mirroring, removed.
    pub walk: Options,
}

impl CopyOptions {
    /// A faithful copy of `sources` to `destination`.
    pub fn new(sources: Vec<Vec<u8>>, destination: Vec<u8>) -> Self {
        Self {
            sources,
            destination,
            exact: false,
            strategy: Arc::new(Auto),
            components: None,
            buffer: BUFFER,
            reflink: Reflink::default(),
            sparse: Sparse::default(),
            existing: Existing::default(),
            mirror: false,
            verify: false,
            fsync: Fsync::default(),
            resume: false,
            dry_run: false,
            keep: Keep::default(),
            max_bytes_per_sec: None,
            count_first: false,
            walk: Options::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), CopyError> {
        if self.sources.is_empty() {
            return Err(CopyError::NoSource);
        }
        if self.components.is_some() && !self.strategy.has_components() {
            return Err(CopyError::Components(self.strategy.name().to_owned()));
        }
        let unique: BTreeSet<_> = self.components.iter().flatten().collect();
        match self.components.iter().flatten().find(|name| name.is_empty() || name.contains(&b'/')) {
            Some(bad) => Err(CopyError::NoSuchComponent(bad.clone())),
            None if self.components.as_ref().is_some_and(|all| all.len() != unique.len()) => {
                Err(CopyError::NoSuchComponent(b"(twice the same)".to_vec()))
            }
            None => Ok(()),
        }
    }
}

/// Reads exclude patterns from a file, one a line.
///
/// # Errors
/// What reading says, and text that is not UTF-8.
pub fn read_patterns(path: &Path) -> Result<Vec<String>, CopyError> {
    let failed = |why: std::io::Error| CopyError::ExcludeFrom { path: path.to_owned(), why };
    Ok(std::fs::read_to_string(path).map_err(failed)?.lines().map(str::to_owned).collect())
}
