//! Directories in a list in which each stands after the one above it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Dir;

/// The places of directories, by address: they must live as long as this is used.
#[derive(Default)]
pub(crate) struct Places(HashMap<usize, usize>);

impl Places {
    /// The place of `dir`. It and those above it that have none are added first, from the top: `add` is given a directory and
    /// the place of the one above it, and returns its own.
    pub(crate) fn of<S>(&mut self, dir: &Arc<Dir<S>>, mut add: impl FnMut(&Dir<S>, Option<usize>) -> usize) -> usize {
        let (mut missing, mut at, mut place) = (Vec::new(), Some(dir), None);
        while let Some(dir) = at {
            place = self.0.get(&Arc::as_ptr(dir).addr()).copied();
            if place.is_some() {
                break;
            }
            missing.push(dir);
            at = dir.parent.as_ref();
        }
        for dir in missing.into_iter().rev() {
            let own = add(dir, place);
            self.0.insert(Arc::as_ptr(dir).addr(), own);
            place = Some(own);
        }
        // There is always one: the first loop ends at a known directory or finds at least `dir` itself missing.
        place.unwrap_or(0)
    }
}
