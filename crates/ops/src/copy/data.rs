//! The content of one file, in the worker that has it: shared, or its data range by range.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use pwalk_engine::Context;
use pwalk_fs::{Errno, Meta, clone, next_data, read_at, set_length, write_all_at};

use super::content::{Broken, Piece, is_no_way};
use super::draft::Draft;
use super::error::{Failure, source, target};
use super::file::LARGE;
use super::options::{Reflink, Sparse};
use super::pair::Pair;
use super::strategy::Chunks;
use super::visitor::Worker;

impl Worker {
    /// Lets the copy share the blocks of the source, if it can. Whether it did.
    pub(crate) fn clone_whole(&self, file: &OwnedFd, draft: &Draft, meta: &Meta, pair: &Pair) -> Result<bool, Failure> {
        let options = &self.shared.options;
        let wanted = match options.reflink {
            Reflink::Never => false,
            Reflink::Always => true,
            Reflink::Auto => options.strategy.clones() && pair.may_clone() && options.sparse == Sparse::Auto,
        };
        if !wanted || meta.size == 0 {
            return Ok(false);
        }
        match clone(file.as_fd(), draft.fd.as_fd()) {
            Ok(()) => {
                self.tally.moved.fetch_add(meta.size, Relaxed);
                self.shared.counts.cloned.fetch_add(meta.size, Relaxed);
                Ok(true)
            }
            Err(errno) if options.reflink == Reflink::Always => Err(Failure::NoReflink(errno)),
            Err(errno) if is_no_way(errno) => {
                pair.no_clone(errno);
                Ok(false)
            }
            Err(errno) => Err(target("share blocks with")(errno)),
        }
    }

    pub(crate) fn wants_hands(&self, meta: &Meta, pair: &Pair) -> bool {
        let several = match self.shared.options.strategy.chunks() {
            Chunks::Never => false,
            Chunks::Always => true,
            Chunks::Measured => pair.several_pay() != Some(false),
        };
        several && !self.shared.is_tight && meta.size >= super::hands::LEAST
    }

    /// Copies the data of a file, in this worker.
    pub(crate) fn content(
        &mut self,
        cx: &Context<'_, Self>,
        file: &OwnedFd,
        draft: &Draft,
        meta: &Meta,
        pair: &Pair,
    ) -> Result<(), Failure> {
        let sparse = self.shared.options.sparse;
        let mut end = 0;
        for range in Ranges::of(file.as_fd(), meta, sparse) {
            let range = range?;
            match self.range(cx, (file.as_fd(), draft.fd.as_fd()), range, pair, false) {
                // It ended before its size, and may have none: if it was changed, that is seen when it is looked at again.
                Err(Failure::Changed) if meta.blocks == 0 => return self.unsized_content(cx, file, draft),
                done => done?,
            }
            end = range.1;
        }
        if meta.size == 0 && meta.blocks == 0 {
            return self.unsized_content(cx, file, draft);
        }
        if end < meta.size || sparse == Sparse::Always {
            set_length(draft.fd.as_fd(), meta.size).map_err(target("set the size of"))?;
        }
        Ok(())
    }

    /// Copies what has no size and may have content all the same, as the files of `/proc` do, or a size that is not its own, as those of `/sys`.
    fn unsized_content(&mut self, cx: &Context<'_, Self>, file: &OwnedFd, draft: &Draft) -> Result<(), Failure> {
        let mut at = 0;
        loop {
            let buffer = self.with_buffer();
            let got = read_at(file.as_fd(), at, buffer).map_err(source("read"))?;
            if got == 0 {
                return Ok(());
            }
            write_all_at(draft.fd.as_fd(), at, &buffer[..got]).map_err(target("write"))?;
            at += got as u64;
            if cx.is_stopping() {
                return Err(target("write")(Errno::CANCELED));
            }
        }
    }

    /// Copies one range.
    pub(crate) fn range(
        &mut self,
        cx: &Context<'_, Self>,
        files: (BorrowedFd<'_>, BorrowedFd<'_>),
        range: (u64, u64),
        pair: &Pair,
        is_shared: bool,
    ) -> Result<(), Failure> {
        self.with_buffer();
        self.turn = self.turn.wrapping_add(1);
        let shared = &self.shared;
        let options = &shared.options;
        let is_stopping = || cx.is_stopping();
        // Of a large range people see how far it is.
        let moved = if range.1 - range.0 < LARGE { &self.tally.moved } else { &shared.counts.moved };
        let mut piece = Piece::new(files, range, pair, &mut self.buffer, shared.pace(cx, &is_stopping, moved))
            .at_turn(self.turn)
            .shared(is_shared)
            .with_holes(options.sparse == Sparse::Always)
            .sharing(options.reflink != Reflink::Never);
        let mut done = options.strategy.copy_file(&mut piece);
        if let Err(Broken::Way(errno)) = done {
            if pair.is_news() && errno != Errno::NODATA {
                let name = options.strategy.name();
                let why = match options.sparse {
                    Sparse::Always => "only a buffer finds zeros (--sparse always)".to_owned(),
                    _ => errno.to_string(),
                };
                shared.warn(format!("strategy {name} does not work here ({why}): a buffer is used instead"));
            }
            done = piece.by_buffer();
        }
        match done {
            Ok(()) if piece.left() == 0 => Ok(()),
            Ok(()) => Err(Failure::Changed),
            Err(Broken::Read(errno)) => Err(source("read")(errno)),
            Err(Broken::Write(errno) | Broken::Way(errno)) => Err(target("write")(errno)),
        }
    }
}

/// The ranges of a file that hold data.
pub(crate) struct Ranges<'a> {
    file: BorrowedFd<'a>,
    at: u64,
    size: u64,
    has_holes: bool,
}

impl<'a> Ranges<'a> {
    pub(crate) fn of(file: BorrowedFd<'a>, meta: &Meta, sparse: Sparse) -> Self {
        let has_holes = sparse != Sparse::Never && meta.blocks.saturating_mul(512) < meta.size;
        Self { file, at: 0, size: meta.size, has_holes }
    }
}

impl Iterator for Ranges<'_> {
    type Item = Result<(u64, u64), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.size {
            return None;
        }
        let found = if self.has_holes { next_data(self.file, self.at) } else { Ok(Some((self.at, self.size))) };
        let range = match found {
            Ok(None) => return None,
            Ok(Some((from, to))) => (from, to.min(self.size)),
            // It does not know its holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (self.at, self.size),
            Err(errno) => return Some(Err(source("find the holes of")(errno))),
        };
        if range.0 >= self.size || range.1 <= self.at {
            return None;
        }
        self.at = range.1;
        Some(Ok(range))
    }
}
