//! What a copy would do, found out without doing it.

use std::ffi::CStr;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_engine::{Context, Dir};
use pwalk_fs::{Freshness, Links, stat_at};

use super::Event;
use super::error::{Failure, source};
use super::file::Standing;
use super::visitor::{Folder, Spot, Worker};

impl Worker {
    /// Looks what would become of an entry.
    pub(crate) fn would(&mut self, cx: &mut Context<'_, Self>, spot: &Spot, name: &CStr) {
        if let Err(why) = self.try_would(spot, name) {
            self.fail(cx, &spot.path(name), why);
        }
    }

    /// A directory would be made.
    pub(crate) fn would_make(&self, dir: &Dir<Folder>) {
        self.shared.counts.dirs.fetch_add(1, Relaxed);
        self.shared.listener.hear(&Event::Would { path: &dir.path(), replaces: false });
    }

    fn try_would(&self, spot: &Spot, name: &CStr) -> Result<(), Failure> {
        let meta = stat_at(spot.fd(), name, Links::NoFollow, Freshness::Fresh).map_err(source("look at"))?;
        let counts = &self.shared.counts;
        let replaces = match self.standing(spot, name, &meta)? {
            Standing::Stays(_) => return Ok(()),
            Standing::Nothing => false,
            Standing::Old => true,
        };
        counts.files.fetch_add(1, Relaxed);
        counts.replaced.fetch_add(u64::from(replaces), Relaxed);
        if meta.kind() == pwalk_fs::Kind::File {
            counts.bytes.fetch_add(meta.size, Relaxed);
        }
        self.shared.listener.hear(&Event::Would { path: &spot.path(name), replaces });
        Ok(())
    }
}
