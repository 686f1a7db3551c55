//! Excludes: patterns as in `.gitignore`, matched on the path below the root.
//!
//! `*.o` matches at any depth, `/build` only in the root, `cache/` only directories, `!keep.o` takes
//! one back; what is in an excluded directory is never looked at. The matching is that of the
//! `ignore` crate (over `globset`), which matches bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("bad exclude pattern {pattern:?}: {reason}")]
pub struct BadPattern {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A list of patterns; the last that matches decides.
#[derive(Debug, Clone)]
pub struct Exclude(Gitignore);

impl Exclude {
    /// Compiles patterns, in order. Empty lines and lines that begin with `#` mean nothing.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(patterns: I) -> Result<Self, BadPattern> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let bad = |e: ignore::Error| BadPattern { pattern: pattern.to_owned(), reason: e.to_string() };
            builder.add_line(None, pattern).map_err(bad)?;
        }
        let set = builder.build().map_err(|e| BadPattern { pattern: String::new(), reason: e.to_string() })?;
        Ok(Self(set))
    }

    /// Whether nothing is excluded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the entry at `path` (below the root, no leading slash) is excluded.
    pub fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        self.0.matched(Path::new(OsStr::from_bytes(path)), is_dir).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_git_means() {
        let x = Exclude::new(["*.o", "!keep.o", "/build", "cache/", "doc/**/*.tmp", "# note", ""]).unwrap();
        assert!(x.matches(b"a/b/c.o", false));
        assert!(!x.matches(b"a/keep.o", false));
        assert!(x.matches(b"build", true) && !x.matches(b"a/build", true));
        assert!(x.matches(b"a/cache", true) && !x.matches(b"a/cache", false));
        assert!(x.matches(b"doc/x/y/z.tmp", false));
        assert!(x.matches(b"\xff\xfe.o", false), "names are bytes");
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let e = Exclude::new(["ok", "a{b"]).unwrap_err();
        assert_eq!(e.pattern, "a{b");
    }
}
