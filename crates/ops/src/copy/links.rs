//! Files with several names: the first name that is met is copied, the others become names of that copy.
//!
//! Names of one file may be met at once by several workers, and the first may take long. Who comes second does not wait but leaves a
//! message, with its directory kept from being finished; whoever copies the first name sends it on its way. A file is forgotten when the last of its names has been met,
//! so memory follows the files some of whose names are still to come.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::place::Place;

type Id = (u64, u64);

enum Linked<W> {
    /// Somebody copies it; these wait for that.
    Copying { left: u32, waiting: Vec<W> },
    /// It is there, under this name.
    Done { left: u32, copy: Copied },
}

/// A copy, by the name it got first.
#[derive(Clone)]
pub(crate) struct Copied {
    pub(crate) place: Arc<Place>,
    pub(crate) name: CString,
    pub(crate) id: Id,
}

/// What somebody who met a name is to do.
pub(crate) enum Met {
    /// Copy it, and tell how that went.
    First,
    /// Make the name one of this copy.
    Again(Copied),
    /// Nothing: it was told what waits.
    Waits,
}

pub(crate) struct Links<W> {
    files: Mutex<HashMap<Id, Linked<W>>>,
    /// For who cannot leave a message.
    settled: Condvar,
}

impl<W> Default for Links<W> {
    fn default() -> Self {
        Self { files: Mutex::default(), settled: Condvar::new() }
    }
}

impl<W> Links<W> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Linked<W>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name of a file with `nlink` names was met. Without a message one waits here: for a worker who copies and needs nothing
    /// of us.
    pub(crate) fn meet(&self, id: Id, nlink: u32, mut message: impl FnMut() -> Option<W>) -> Met {
        let mut files = self.lock();
        loop {
            match files.get_mut(&id) {
                None => {
                    files.insert(id, Linked::Copying { left: nlink.saturating_sub(1), waiting: Vec::new() });
                    return Met::First;
                }
                Some(Linked::Done { left, copy }) => {
                    let copy = copy.clone();
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        files.remove(&id);
                    }
                    return Met::Again(copy);
                }
                Some(Linked::Copying { waiting, .. }) => match message() {
                    Some(message) => {
                        waiting.push(message);
                        return Met::Waits;
                    }
                    None => files = self.settled.wait(files).unwrap_or_else(PoisonError::into_inner),
                },
            }
        }
    }

    /// The first name is copied, or could not be: then the next is the first. Returns who waited.
    pub(crate) fn settle(&self, id: Id, place: &Arc<Place>, name: &CStr, copy: Option<Id>) -> Vec<W> {
        let mut files = self.lock();
        let Some(Linked::Copying { left, waiting }) = files.remove(&id) else { return Vec::new() };
        if let Some(copy) = copy.filter(|_| left > 0) {
            let copy = Copied { place: Arc::clone(place), name: name.to_owned(), id: copy };
            files.insert(id, Linked::Done { left, copy });
        }
        drop(files);
        self.settled.notify_all();
        waiting
    }
}
