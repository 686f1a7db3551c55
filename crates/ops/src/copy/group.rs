//! Files of one directory that one worker copies together: all are opened, then a file is made for each, then each is filled.
//!
//! Kernels let one thread at a time make a name in a directory. Workers that made their files one by one would meet there all the time, and
//! waiting there is dear. A worker that makes all of a group in its turn has much to do before it needs the next.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use pwalk_engine::Context;
use pwalk_fs::Kind;

use super::file::Opened;
use super::visitor::{Spot, Worker, count};

impl Worker {
    /// Copies some entries of a directory that are no directories.
    pub(crate) fn group(&mut self, cx: &mut Context<'_, Self>, spot: &Arc<Spot>, names: &[(CString, Kind)]) {
        let is_one = names.len() == 1 || self.shared.is_tight || self.shared.options.dry_run;
        // Where descriptors are few, one after the other.
        let at_once = if is_one { 0 } else { self.shared.take_spare(names.len()) };
        for some in names.chunks(at_once.max(1)) {
            if let ([(name, kind)], false) = (some, cx.is_stopping()) {
                self.entry(cx, spot, name, *kind, names.len() == 1);
            } else {
                let opened = self.open_all(cx, spot, some);
                self.fill_all(cx, spot, opened);
            }
        }
        self.shared.give_spare(at_once);
        self.tally.tell(&self.shared.counts);
    }

    /// Opens the files; copies everything else.
    fn open_all<'a>(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        names: &'a [(CString, Kind)],
    ) -> Vec<(&'a CStr, Opened)> {
        let mut all = Vec::with_capacity(names.len());
        for (name, kind) in names {
            if cx.is_stopping() {
                return Vec::new();
            }
            if *kind != Kind::File {
                self.entry(cx, spot, name, *kind, false);
                continue;
            }
            count(cx);
            match self.begin(cx, spot, name, false) {
                Ok(Some(opened)) => all.push((name.as_c_str(), opened)),
                Ok(None) => {}
                Err(why) => self.fail(cx, &spot.path(name), why),
            }
        }
        all
    }

    fn fill_all(&mut self, cx: &mut Context<'_, Self>, spot: &Arc<Spot>, opened: Vec<(&CStr, Opened)>) {
        let turn = spot.place.as_ref().and_then(|place| place.turn());
        let drafts: Vec<_> = opened.iter().map(|(name, opened)| self.draft(spot, name, &opened.meta)).collect();
        drop(turn);
        for ((name, opened), draft) in opened.into_iter().zip(drafts) {
            let done = match draft {
                Ok(draft) if cx.is_stopping() => {
                    self.drop_draft(spot, name, &draft);
                    continue;
                }
                Ok(draft) => self.fill(cx, spot, name, opened, draft).map(drop),
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                self.fail(cx, &spot.path(name), why);
            }
        }
    }
}
