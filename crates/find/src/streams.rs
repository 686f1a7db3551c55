//! Where results go: standard output and files, written by many workers in whole records.
//!
//! Each worker collects records in a buffer for each stream and writes it in one piece under the stream's lock, so lines never
//! mix and workers seldom meet. A terminal gets what there is after every batch; a pipe whenever a buffer is full or has
//! waited for a while, so that rare matches are seen before the walk is over.
//!
//! Files are made before anything is walked, as `find` does it, and two names for one file are one stream.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::expr::Output;
use crate::program::Deed;
use crate::shown::{Shown, plain};

/// Records are written when they take so many bytes.
const BLOCK: usize = 64 << 10;
/// Or when the first of them is so old.
const PATIENCE: Duration = Duration::from_millis(200);

/// All streams of a run.
pub(crate) struct Streams {
    streams: Vec<Stream>,
    /// For each action the place of its stream.
    of_action: Vec<usize>,
    broken: AtomicBool,
}

struct Stream {
    name: Vec<u8>,
    terminal: bool,
    sink: Mutex<Sink>,
}

struct Sink {
    to: Box<dyn Write + Send>,
    error: Option<io::Error>,
}

/// An output that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("'{}': {error}", Shown(.name))]
pub struct OutputError {
    name: Vec<u8>,
    error: io::Error,
}

impl Streams {
    /// Opens what the actions write to.
    pub(crate) fn open(actions: &[Deed], standard: Box<dyn Write + Send>, terminal: bool) -> Result<Self, OutputError> {
        let mut streams = vec![Stream::new(b"standard output", terminal, standard)];
        let mut files: Vec<((u64, u64), usize)> = Vec::new();
        let mut of_action = Vec::with_capacity(actions.len());
        for action in actions {
            let name = match action {
                Deed::Tell(_, Output::File(name)) if name != b"/dev/stdout" => name,
                _ => {
                    of_action.push(0);
                    continue;
                }
            };
            let failed = |error: io::Error| OutputError { name: name.clone(), error: plain(error) };
            let (id, terminal, sink): (_, _, Box<dyn Write + Send>) = if name == b"/dev/stderr" {
                ((0, 0), io::stderr().is_terminal(), Box::new(io::stderr()))
            } else {
                let file = File::create(std::ffi::OsStr::from_bytes(name)).map_err(failed)?;
                let meta = file.metadata().map_err(failed)?;
                ((meta.dev(), meta.ino()), file.is_terminal(), Box::new(file))
            };
            let known = files.iter().find(|(known, _)| *known == id).map(|(_, place)| *place);
            of_action.push(known.unwrap_or(streams.len()));
            if known.is_none() {
                files.push((id, streams.len()));
                streams.push(Stream::new(name, terminal, sink));
            }
        }
        Ok(Self { streams, of_action, broken: AtomicBool::new(false) })
    }

    /// Whether the stream of an action is a terminal.
    pub(crate) fn is_terminal(&self, action: usize) -> bool {
        self.streams[self.of_action[action]].terminal
    }

    /// Whether something cannot be written any more: there is no use in going on.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// What could not be written, with the name of the stream.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (&[u8], io::Error)> {
        self.streams.iter().filter_map(|stream| {
            let mut sink = stream.sink.lock().unwrap_or_else(PoisonError::into_inner);
            Some((stream.name.as_slice(), plain(sink.error.take()?)))
        })
    }

    fn write(&self, stream: usize, records: &mut Vec<u8>) {
        if records.is_empty() {
            return;
        }
        let mut sink = self.streams[stream].sink.lock().unwrap_or_else(PoisonError::into_inner);
        if sink.error.is_none() {
            let written = sink.to.write_all(records).and_then(|()| sink.to.flush());
            sink.error = written.err();
            if sink.error.is_some() {
                self.broken.store(true, Relaxed);
            }
        }
        records.clear();
    }
}

impl Stream {
    fn new(name: &[u8], terminal: bool, to: Box<dyn Write + Send>) -> Self {
        Self { name: name.to_vec(), terminal, sink: Mutex::new(Sink { to, error: None }) }
    }
}

/// The records of one worker that are not written yet.
pub(crate) struct Records {
    buffers: Vec<Vec<u8>>,
    /// Since when there are any.
    since: Option<Instant>,
}

impl Records {
    pub(crate) fn new(streams: &Streams) -> Self {
        Self { buffers: streams.streams.iter().map(|_| Vec::new()).collect(), since: None }
    }

    /// Adds a record to the stream of an action.
    pub(crate) fn add(&mut self, streams: &Streams, action: usize, record: impl FnOnce(&mut Vec<u8>)) {
        let place = streams.of_action[action];
        let buffer = &mut self.buffers[place];
        record(buffer);
        if buffer.len() >= BLOCK {
            streams.write(place, buffer);
        }
    }

    /// At the end of a batch: writes what should not wait.
    pub(crate) fn settle(&mut self, streams: &Streams) {
        if self.buffers.iter().all(Vec::is_empty) {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            self.flush(streams);
        } else {
            for (place, buffer) in self.buffers.iter_mut().enumerate() {
                if streams.streams[place].terminal {
                    streams.write(place, buffer);
                }
            }
        }
    }

    /// Writes everything: before a command runs, and at the end.
    pub(crate) fn flush(&mut self, streams: &Streams) {
        for (place, buffer) in self.buffers.iter_mut().enumerate() {
            streams.write(place, buffer);
        }
        self.since = None;
    }
}
