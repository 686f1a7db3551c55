//! What is measured, and how.

use std::path::PathBuf;
use std::sync::Arc;

use pwalk_engine::Cancel;

use crate::method::Method;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Walking, in several ways.
    Traversal,
    /// Copying by each strategy.
    CopyStrategies,
    /// Copying by more and more workers.
    ParallelWorkers,
    /// Copying components, the largest first.
    Pipeline,
    /// All of these.
    All,
}

impl Operation {
    /// Its name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traversal => "traversal",
            Self::CopyStrategies => "copy_strategies",
            Self::ParallelWorkers => "parallel_workers",
            Self::Pipeline => "pipeline",
            Self::All => "all",
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Traversal, Self::CopyStrategies, Self::ParallelWorkers, Self::Pipeline, Self::All]
            .into_iter()
            .find(|operation| operation.name() == name)
    }

    /// What it consists of.
    pub(crate) fn parts(self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::Traversal, Self::CopyStrategies, Self::ParallelWorkers, Self::Pipeline],
            one => vec![one],
        }
    }
}

/// A benchmark to be made.
#[derive(Clone)]
pub struct Options {
    /// What is measured.
    pub operation: Operation,
    /// The tree.
    pub path: Vec<u8>,
    /// Sub-directories of the tree: what the pipeline copies; all, unless said.
    pub components: Option<Vec<Vec<u8>>>,
    /// The directory in which copies are made; unless said that for temporary files.
    pub target: Option<PathBuf>,
    /// How often each method is measured, after one round that only warms up.
    pub iterations: u32,
    /// Empty the kernel's caches before each run. Needs root.
    pub drop_caches: bool,
    /// Further ways of walking, measured with the others.
    pub walks: Vec<Arc<dyn Method>>,
    /// The switch that stops it. Copies are removed all the same.
    pub cancel: Cancel,
}

impl Options {
    /// Three rounds over the tree at `path`.
    pub fn new(operation: Operation, path: Vec<u8>) -> Self {
        Self {
            operation,
            path,
            components: None,
            target: None,
            iterations: 3,
            drop_caches: false,
            walks: Vec::new(),
            cancel: Cancel::new(),
        }
    }
}
