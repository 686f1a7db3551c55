//! Places that nobody looked into, asked for path by path.

use std::io;

use crate::key::below;
use crate::sort::Merged;

/// What is above a path, of those places that come in order.
pub(crate) struct Places {
    places: Merged,
    has_more: bool,
    /// The last one that is not below another.
    last: Option<Vec<u8>>,
    /// All of them, because nobody knows which.
    is_everywhere: bool,
}

impl Places {
    pub(crate) fn new(mut places: Merged, is_everywhere: bool) -> io::Result<Self> {
        let has_more = places.next_group()?;
        Ok(Self { places, has_more, last: None, is_everywhere })
    }

    /// Whether a path, none before an earlier one, is one of them or below one.
    pub(crate) fn cover(&mut self, key: &[u8]) -> io::Result<bool> {
        while self.has_more && self.places.key() <= key {
            let next = self.places.key();
            if self.last.as_ref().is_none_or(|last| below(next, last).is_none()) {
                self.last = Some(next.to_vec());
            }
            self.has_more = self.places.next_group()?;
        }
        Ok(self.is_everywhere || self.last.as_ref().is_some_and(|last| below(key, last).is_some()))
    }
}
