//! Sending rows to the server, by as many connections as it takes.
//!
//! Encoded rows collect in a block. A full block goes to a line, which is a thread with a connection of its own in the middle of a `COPY`; when all
//! lines have blocks waiting, the server is what is waited for and one more line is opened, up to a limit. What fits into
//! one block, as the changes of most runs do, goes over the connection that is there anyway.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use postgres::GenericClient;

use super::copy::{HEADER, Rows, TRAILER};
use super::dial::Dial;
use crate::TrackError;

/// Bytes that are sent at once.
const BLOCK: usize = 128 << 10;
/// Blocks that may wait for a connection.
const WAITING: usize = 8;
const DOING: &str = "send rows to the catalog";

/// Rows for one table.
pub(super) struct Stream {
    dial: Dial,
    /// Table and columns.
    target: String,
    most_lines: usize,
    lines: Vec<Line>,
    rows: Rows,
    sent: u64,
    /// How many of them the server has said to have.
    taken: u64,
    turn: usize,
}

/// A connection that takes blocks. When the sender goes without having said that this was all, the rows are withdrawn.
struct Line {
    sender: SyncSender<Block>,
    thread: JoinHandle<Result<u64, TrackError>>,
}

enum Block {
    Rows(Vec<u8>),
    End,
}

impl Stream {
    pub(super) fn new(dial: &Dial, target: impl Into<String>, most_lines: usize) -> Self {
        Self {
            dial: dial.clone(),
            target: target.into(),
            most_lines,
            lines: Vec::new(),
            rows: Rows::default(),
            sent: 0,
            taken: 0,
            turn: 0,
        }
    }

    /// Begins a row of so many fields, to be followed by these.
    pub(super) fn row(&mut self, fields: u8) -> Result<&mut Rows, TrackError> {
        if self.rows.bytes.len() >= BLOCK {
            self.pass_on()?;
        }
        self.sent += 1;
        Ok(self.rows.row(fields))
    }

    /// How many rows there were.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends what has collected over `client`, if it is a block: for rows that must be part of its transaction.
    pub(super) fn send_full(&mut self, client: &mut impl GenericClient) -> Result<(), TrackError> {
        if self.rows.bytes.len() >= BLOCK {
            let rows = std::iter::once(Block::Rows(std::mem::take(&mut self.rows.bytes)));
            self.taken += send(&self.dial, client, &self.target, rows, true)?;
        }
        Ok(())
    }

    fn pass_on(&mut self) -> Result<(), TrackError> {
        let mut block = Block::Rows(std::mem::replace(&mut self.rows.bytes, Vec::with_capacity(BLOCK + (4 << 10))));
        for _ in 0..self.lines.len() {
            self.turn = (self.turn + 1) % self.lines.len();
            match self.lines[self.turn].sender.try_send(block) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => block = back,
                Err(TrySendError::Disconnected(_)) => return Err(self.broken()),
            }
        }
        if self.lines.len() < self.most_lines {
            self.lines.push(Line::open(&self.dial, &self.target));
            self.turn = self.lines.len() - 1;
        }
        if self.lines[self.turn].sender.send(block).is_err() {
            return Err(self.broken());
        }
        Ok(())
    }

    /// A line has ended before its end: why.
    fn broken(&mut self) -> TrackError {
        let line = self.lines.swap_remove(self.turn);
        self.turn = 0;
        drop(line.sender);
        match join(line.thread) {
            Err(why) => why,
            Ok(_) => self.dial.because(DOING, "the connection ended".to_owned(), "see the server's log"),
        }
    }

    /// Sends what is left, over `client` if that is all; and sees that the server has taken every row.
    pub(super) fn finish(mut self, client: &mut impl GenericClient) -> Result<u64, TrackError> {
        if self.sent == self.taken {
            return Ok(self.sent);
        }
        let mut taken = self.taken;
        if self.lines.is_empty() {
            taken += send(&self.dial, client, &self.target, std::iter::once(Block::Rows(self.rows.bytes)), true)?;
        } else {
            self.pass_on()?;
            for line in &self.lines {
                // One that has gone says why when it is joined.
                if line.sender.send(Block::End).is_err() {
                    break;
                }
            }
            for line in self.lines {
                drop(line.sender);
                taken += join(line.thread)?;
            }
        }
        if taken == self.sent {
            return Ok(taken);
        }
        let why = format!("of {} rows it took {taken}", self.sent);
        Err(self.dial.because(DOING, why, "see the server's log"))
    }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Line {
    fn open(dial: &Dial, target: &str) -> Self {
        let (sender, blocks) = sync_channel(WAITING);
        let (dial, target) = (dial.clone(), target.to_owned());
        let thread = thread::spawn(move || {
            let mut client = dial.open()?;
            send(&dial, &mut client, &target, blocks.into_iter(), false)
        });
        Self { sender, thread }
    }
}

/// Sends blocks by one `COPY`: how many rows the server took. Without an end nothing of it stays.
fn send(
    dial: &Dial,
    client: &mut impl GenericClient,
    target: &str,
    blocks: impl Iterator<Item = Block>,
    is_whole: bool,
) -> Result<u64, TrackError> {
    use std::io::Write;
    let copy = client.copy_in(&format!("copy {target} from stdin (format binary)"));
    let mut copy = copy.map_err(|why| dial.failed(DOING, &why))?;
    let lost = |why: std::io::Error| dial.lost(DOING, &why);
    copy.write_all(HEADER).map_err(lost)?;
    let mut is_ended = is_whole;
    for block in blocks {
        match block {
            Block::Rows(rows) => copy.write_all(&rows).and_then(|()| copy.flush()).map_err(lost)?,
            Block::End => is_ended = true,
        }
        if is_ended && !is_whole {
            break;
        }
    }
    if !is_ended {
        return Err(TrackError::Interrupted);
    }
    copy.write_all(TRAILER).map_err(lost)?;
    copy.finish().map_err(|why| dial.failed(DOING, &why))
}
