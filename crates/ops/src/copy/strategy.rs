//! Strategies: how content is copied, and in which order a tree.
//!
//! A strategy moves bytes and schedules; what makes a copy faithful (names, attributes, holes, what is done when something changes)
//! is the same for all of them, so they differ in time and in nothing else.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::content::{Broken, Piece};
use super::error::CopyError;
use super::tree::Tree;

/// How many workers a strategy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One.
    One,
    /// As many as the user says, or as pay.
    Asked,
}

/// When several workers copy one large file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// Never.
    Never,
    /// Where it was seen to be faster.
    Measured,
    /// Always.
    Always,
}

/// How a tree is copied.
pub trait Strategy: Send + Sync {
    /// Its name, as in `--strategy`.
    fn name(&self) -> &str;

    /// What it does, in a line.
    fn description(&self) -> &str;

    /// What it needs to work, in words; empty if nothing.
    fn prerequisites(&self) -> &str {
        ""
    }

    /// How many workers it has.
    fn workers(&self) -> Workers {
        Workers::Asked
    }

    /// When several workers copy one file.
    fn chunks(&self) -> Chunks {
        Chunks::Never
    }

    /// Whether files are first tried to be made by sharing blocks, under `--reflink auto`.
    fn clones(&self) -> bool {
        false
    }

    /// Whether it can copy some components of the source only.
    fn has_components(&self) -> bool {
        false
    }

    /// Copies a range of a file. It ends early only where the source does.
    ///
    /// # Errors
    /// [`Broken`]; after [`Broken::Way`] the rest is copied through a buffer, and the user is told why.
    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken>;

    /// Copies the trees.
    ///
    /// # Errors
    /// What keeps the whole from being copied; trouble with single entries is told as it happens.
    fn copy_tree(&self, tree: &mut Tree<'_>) -> Result<(), CopyError> {
        tree.copy_all()
    }
}

/// The default: what is fastest here, by measurement.
#[derive(Clone, Copy, Debug)]
pub struct Auto;

impl Strategy for Auto {
    fn name(&self) -> &str {
        "auto"
    }

    fn description(&self) -> &str {
        "for each file what was measured to be fastest: shared blocks, copy_file_range, sendfile or a buffer; many workers"
    }

    fn chunks(&self) -> Chunks {
        Chunks::Measured
    }

    fn clones(&self) -> bool {
        true
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_what_is_fastest()
    }
}

/// The yardstick: one worker, plain reading and writing.
#[derive(Clone, Copy, Debug)]
pub struct Baseline;

impl Strategy for Baseline {
    fn name(&self) -> &str {
        "baseline"
    }

    fn description(&self) -> &str {
        "one worker that reads and writes, to compare the others with"
    }

    fn workers(&self) -> Workers {
        Workers::One
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_buffer()
    }
}

/// Reading and writing through a buffer of the given size.
#[derive(Clone, Copy, Debug)]
pub struct Buffered;

impl Strategy for Buffered {
    fn name(&self) -> &str {
        "buffered"
    }

    fn description(&self) -> &str {
        "reads and writes through a buffer of --buffer-size-kb; as many workers as pay"
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_buffer()
    }
}

/// Within the kernel, page by page.
#[derive(Clone, Copy, Debug)]
pub struct Sendfile;

impl Strategy for Sendfile {
    fn name(&self) -> &str {
        "sendfile"
    }

    fn description(&self) -> &str {
        "sendfile(2), within the kernel; as many workers as pay"
    }

    fn prerequisites(&self) -> &str {
        "a source file system that supports sendfile, as nearly all do"
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_send()
    }
}

/// Many workers, for one large file as well.
#[derive(Clone, Copy, Debug)]
pub struct Parallel;

impl Strategy for Parallel {
    fn name(&self) -> &str {
        "parallel"
    }

    fn description(&self) -> &str {
        "many workers over files and over chunks of large files, each by what was measured to be fastest"
    }

    fn chunks(&self) -> Chunks {
        Chunks::Always
    }

    fn clones(&self) -> bool {
        true
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_what_is_fastest()
    }
}

/// Components in parallel, the largest first.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline;

impl Strategy for Pipeline {
    fn name(&self) -> &str {
        "pipeline"
    }

    fn description(&self) -> &str {
        "sizes the sub-directories of the source (or --components) in parallel, then copies them in parallel, the largest first"
    }

    fn prerequisites(&self) -> &str {
        "one source, a directory"
    }

    fn chunks(&self) -> Chunks {
        Chunks::Measured
    }

    fn clones(&self) -> bool {
        true
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        piece.by_what_is_fastest()
    }

    fn has_components(&self) -> bool {
        true
    }

    fn copy_tree(&self, tree: &mut Tree<'_>) -> Result<(), CopyError> {
        tree.copy_components()
    }
}

static KNOWN: LazyLock<RwLock<Vec<Arc<dyn Strategy>>>> = LazyLock::new(|| {
    RwLock::new(vec![
        Arc::new(Auto),
        Arc::new(Baseline),
        Arc::new(Buffered),
        Arc::new(Sendfile),
        Arc::new(Parallel),
        Arc::new(Pipeline),
    ])
});

/// All strategies of this process, the six of its own first.
pub fn strategies() -> Vec<Arc<dyn Strategy>> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The strategy of this name.
///
/// # Errors
/// There is none.
pub fn strategy(name: &str) -> Result<Arc<dyn Strategy>, CopyError> {
    let all = strategies();
    all.iter().find(|strategy| strategy.name() == name).cloned().ok_or_else(|| CopyError::NoSuchStrategy {
        name: name.to_owned(),
        known: all.iter().map(|strategy| strategy.name()).collect::<Vec<_>>().join(", "),
    })
}

/// Makes a strategy known by its name.
///
/// # Errors
/// There is one of that name.
pub fn register_strategy(new: Arc<dyn Strategy>) -> Result<(), CopyError> {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if known.iter().any(|strategy| strategy.name() == new.name()) {
        return Err(CopyError::StrategyExists(new.name().to_owned()));
    }
    known.push(new);
    Ok(())
}
