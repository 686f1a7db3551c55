//! The ways to move bytes from one file to another.
//!
//! A way is told a range and copies it, in steps short enough to stop between them. It ends early only where the source does.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::pair::Pair;
use pwalk_engine::{Permits, Throttle};
use pwalk_fs::{Errno, copy_range, go_to, read_at, send, write_all_at};

/// Bytes between two looks at whether to go on.
const STEP: usize = 8 << 20;
/// What a byte budget is counted in.
pub(crate) const UNIT: u64 = 4096;
/// What is skipped as a hole, if blocks of zeros are to become some.
const HOLE: usize = 4096;

/// What paces a copy and what it is counted with.
#[derive(Clone, Copy)]
pub(crate) struct Pace<'a> {
    pub(crate) permits: Permits<'a>,
    /// Leave for bytes, by [`UNIT`].
    pub(crate) bytes: Option<&'a Throttle>,
    pub(crate) is_stopping: &'a dyn Fn() -> bool,
    /// Bytes that were moved.
    pub(crate) moved: &'a AtomicU64,
}

/// A range of one file to be copied to the same range of another.
pub struct Piece<'a> {
    source: BorrowedFd<'a>,
    target: BorrowedFd<'a>,
    at: u64,
    end: u64,
    /// Whether others copy other ranges between the same descriptors.
    is_shared: bool,
    makes_holes: bool,
    may_share: bool,
    pair: &'a Pair,
    buffer: &'a mut Vec<u8>,
    turn: u32,
    pace: Pace<'a>,
    /// Whether somebody else may have moved the position of the file to write.
    is_lent: Cell<bool>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(
        files: (BorrowedFd<'a>, BorrowedFd<'a>),
        range: (u64, u64),
        pair: &'a Pair,
        buffer: &'a mut Vec<u8>,
        pace: Pace<'a>,
    ) -> Self {
        Self {
            source: files.0,
            target: files.1,
            at: range.0,
            end: range.1,
            is_shared: false,
            makes_holes: false,
            may_share: true,
            pair,
            buffer,
            turn: 0,
            pace,
            is_lent: Cell::new(false),
        }
    }

    pub(crate) fn shared(self, is_shared: bool) -> Self {
        Self { is_shared, ..self }
    }

    pub(crate) fn with_holes(self, makes_holes: bool) -> Self {
        Self { makes_holes, ..self }
    }

    /// Whether the two files may share blocks.
    pub(crate) fn sharing(self, may_share: bool) -> Self {
        Self { may_share, ..self }
    }

    /// Which one of a worker's pieces this is: now and then one is measured.
    pub(crate) fn at_turn(self, turn: u32) -> Self {
        Self { turn, ..self }
    }

    pub(crate) fn turn(&self) -> u32 {
        self.turn
    }

    /// Whether blocks of zeros become holes, which only [reading and writing](Self::by_buffer) makes.
    pub fn makes_holes(&self) -> bool {
        self.makes_holes
    }

    pub(crate) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// The file to read.
    pub fn source(&self) -> BorrowedFd<'a> {
        self.source
    }

    /// The file to write, which is empty where nothing was written.
    pub fn target(&self) -> BorrowedFd<'a> {
        self.is_lent.set(true);
        self.target
    }

    /// Where the range begins, or goes on after what was [done](Self::done).
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// Whether other ranges of these files are copied at the same time, through the same descriptors: then their positions mean nothing.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Notes that the next `bytes` are copied, and waits as long as the user's limits say.
    ///
    /// # Errors
    /// `ECANCELED`: the run is being stopped.
    pub fn done(&mut self, bytes: u64) -> Result<(), Errno> {
        self.at += bytes;
        self.pace.moved.fetch_add(bytes, Relaxed);
        if let Some(throttle) = self.pace.bytes {
            for _ in 0..bytes.div_ceil(UNIT) {
                // At a slow pace one buffer takes minutes.
                if (self.pace.is_stopping)() {
                    break;
                }
                Permits::of(Some(throttle)).wait(1);
            }
        }
        if self.left() > 0 && (self.pace.is_stopping)() { Err(Errno::CANCELED) } else { Ok(()) }
    }

    /// As many bytes as one step takes: few enough to be stopped soon, and to keep a limit without bursts.
    pub fn step(&self) -> usize {
        let step = if self.pace.bytes.is_some() { STEP / 32 } else { STEP };
        usize::try_from(self.left()).unwrap_or(usize::MAX).min(step)
    }

    /// Waits until so many system calls may be made. The ways below do that themselves.
    pub fn wait_for_calls(&self, calls: usize) {
        self.pace.permits.wait(calls);
    }

    /// Reads and writes, through a buffer.
    ///
    /// # Errors
    /// What the kernel says, by the side it says it of.
    pub fn by_buffer(&mut self) -> Result<(), Broken> {
        let mut buffer = std::mem::take(self.buffer);
        let done = self.through(&mut buffer);
        *self.buffer = buffer;
        done
    }

    fn through(&mut self, buffer: &mut [u8]) -> Result<(), Broken> {
        while self.left() > 0 {
            let room = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
            self.pace.permits.wait(2);
            let got = read_at(self.source, self.at, &mut buffer[..room]).map_err(Broken::Read)?;
            if got == 0 {
                return Ok(());
            }
            self.write(&buffer[..got]).map_err(Broken::Write)?;
            self.done(got as u64).map_err(Broken::Write)?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        if !self.makes_holes {
            return write_all_at(self.target, self.at, bytes);
        }
        let mut at = self.at;
        for block in bytes.chunks(HOLE) {
            if block.iter().any(|byte| *byte != 0) {
                write_all_at(self.target, at, block)?;
            }
            at += block.len() as u64;
        }
        Ok(())
    }

    /// `copy_file_range`: within the kernel, by the file system itself where it can.
    ///
    /// # Errors
    /// What the kernel says; [`Broken::Way`] where it cannot be done so and has to go on otherwise.
    pub fn by_range(&mut self) -> Result<(), Broken> {
        self.in_kernel(|piece, step| copy_range(piece.source, piece.target, piece.at, step))
    }

    /// `sendfile`: within the kernel, page by page.
    ///
    /// # Errors
    /// What the kernel says; [`Broken::Way`] where it cannot be done so and has to go on otherwise.
    pub fn by_send(&mut self) -> Result<(), Broken> {
        if self.is_shared {
            // It writes at the descriptor's position, and that is shared as well.
            return Err(Broken::Way(Errno::INVAL));
        }
        // A new file's position is its beginning until something is sent to it.
        if self.at > 0 || self.is_lent.get() {
            go_to(self.target, self.at).map_err(Broken::Write)?;
        }
        self.in_kernel(|piece, step| send(piece.source, piece.target, piece.at, step))
    }

    /// In the way that was measured to be fastest for this size, between these two file systems.
    ///
    /// # Errors
    /// What the kernel says, by the side it says it of.
    pub fn by_what_is_fastest(&mut self) -> Result<(), Broken> {
        let (pair, may_share) = (self.pair, self.may_share);
        pair.copy(self, may_share)
    }

    fn in_kernel(&mut self, call: impl Fn(&Self, usize) -> Result<usize, Errno>) -> Result<(), Broken> {
        if self.makes_holes {
            return Err(Broken::Way(Errno::INVAL));
        }
        while self.left() > 0 {
            self.pace.permits.wait(1);
            match call(self, self.step()) {
                // The end, or a file system that pretends it is: reading tells.
                Ok(0) => return Err(Broken::Way(Errno::NODATA)),
                Ok(got) => self.done(got as u64).map_err(Broken::Write)?,
                Err(errno) if is_no_way(errno) => return Err(Broken::Way(errno)),
                // Whose fault it was, reading tells.
                Err(Errno::IO) => return Err(Broken::Way(Errno::IO)),
                Err(errno) => return Err(Broken::Write(errno)),
            }
        }
        Ok(())
    }
}

/// Why a range was not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The source cannot be read.
    Read(Errno),
    /// The target cannot be written; `ECANCELED` if the run is being stopped.
    Write(Errno),
    /// This way does not work between these two files, or no further; another goes on from where it stopped.
    Way(Errno),
}

/// Whether the kernel says that two files cannot be copied so.
pub(crate) fn is_no_way(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::XDEV
            | Errno::OPNOTSUPP
            | Errno::INVAL
            | Errno::NOSYS
            | Errno::NOTTY
            | Errno::BADF
            | Errno::PERM
            | Errno::TXTBSY
    )
}
