//! The classic pwalk CSV, byte for byte.
//!
//! The format is older than this program and has readers that nobody can count, so its rules are not ours to
//! improve (the program is John F. Dey's `pwalk`):
//!
//! * the path in double quotes, `"` doubled, bytes below 0x20 left out (a newline would make another line); the
//!   extension the same; no other quoting, and no conversion: a name that is not UTF-8 stays so;
//! * the mode as seven octal digits in quotes, times as whole seconds, `st_dev` as glibc's number;
//! * `-1` and `0` for the count and sum of what is no directory.
//!
//! Numbers are formatted by hand into one buffer. What is equal from line to line is kept ready: the middle of the
//! line up to the name for a run of one directory, and the text of owner, group, device, blocks, links, mode and time of
//! change, which seldom differ from one entry to the next.

use std::sync::{Arc, Mutex, PoisonError};

use itoa::Buffer;
use pwalk_fs::Meta;

use crate::compress::Compressor;
use crate::metadata::{gzip_trailer, zstd_trailer};
use crate::record::{extension, prefix_into, split_root};
use crate::{Compression, DirColumns, Encoder, Error, Format, Metadata, Oddities, Output, Parent, Written};

/// The header line.
pub const HEADER: &str = "inode,parent-inode,directory-depth,\"filename\",\"fileExtension\",UID,GID,st_size,st_dev,\
    st_blocks,st_nlink,\"st_mode\",st_atime,st_mtime,st_ctime,pw_fcount,pw_dirsum\n";

/// Text that is compressed and written at once.
const BLOCK: usize = 1 << 20;

/// Whether the header line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It is.
    #[default]
    Written,
    /// It is not, as the classic program has it.
    Omitted,
}

/// How CSV is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// How the text is compressed.
    pub compression: Compression,
    /// Whether there is a header line.
    pub header: Header,
}

/// A CSV file being written.
pub struct Csv {
    compression: Compression,
    output: SharedOutput,
}

/// `None` once the file is finished.
type SharedOutput = Arc<Mutex<Option<Output>>>;

impl Csv {
    /// Starts the file with its header.
    pub fn new(mut output: Output, options: CsvOptions) -> Result<Self, Error> {
        let compression = options.compression;
        if options.header == Header::Written {
            let failed = |e| Error::io("start", output.path(), e);
            let (mut compressor, mut out) = (compression.line_compressor().map_err(failed)?, Vec::new());
            let block = compressor.block(HEADER.as_bytes(), &mut out).map_err(failed)?;
            output.append(block)?;
        }
        Ok(Self { compression, output: Arc::new(Mutex::new(Some(output))) })
    }
}

impl Format for Csv {
    fn encoder(&self) -> Result<Box<dyn Encoder>, Error> {
        let compressor =
            self.compression.line_compressor().map_err(|e| Error::io("compress", "the CSV text".as_ref(), e))?;
        Ok(Box::new(CsvEncoder {
            lines: Lines::new(),
            compressor,
            compressed: Vec::new(),
            output: Arc::clone(&self.output),
        }))
    }

    fn finish(&self, metadata: &Metadata, before: &mut dyn FnMut() -> Result<(), Error>) -> Result<Written, Error> {
        let Some(mut output) = self.output.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(Error::because("finish", "the CSV output".as_ref(), "it is finished already"));
        };
        let json = || metadata.to_json().map_err(|e| Error::json("write the metadata of", output.path(), e));
        let trailer = match self.compression {
            Compression::None => Vec::new(),
            Compression::Zstd(_) => zstd_trailer(&json()?),
            Compression::Gzip(_) => gzip_trailer(&json()?),
        };
        output.append(&trailer)?;
        output.commit_after(before)
    }
}

struct CsvEncoder {
    lines: Lines,
    compressor: Compressor,
    compressed: Vec<u8>,
    output: SharedOutput,
}

impl Encoder for CsvEncoder {
    fn begin(&mut self, parent: &Parent<'_>) {
        self.lines.begin(parent);
    }

    fn row(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Oddities {
        self.lines.row(name, meta, dir)
    }

    fn is_full(&self) -> bool {
        self.lines.text.len() >= BLOCK
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.lines.text.is_empty() {
            return Ok(());
        }
        let block = self.compressor.block(&self.lines.text, &mut self.compressed);
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(output) = output.as_mut() else {
            return Err(Error::because("write", "the CSV output".as_ref(), "it is finished already"));
        };
        output.append(block.map_err(|e| Error::io("compress", output.path(), e))?)?;
        self.lines.text.clear();
        Ok(())
    }
}

/// The text of a block, and what the next line can reuse.
struct Lines {
    text: Vec<u8>,
    /// The path of the directory with its slash, before it is escaped.
    prefix: Vec<u8>,
    /// `,parent-inode,depth,"` and the escaped path of the directory up to the name.
    middle: Vec<u8>,
    /// The directory's path has bytes that are left out.
    middle_unprintable: bool,
    /// The run is one of roots, whose names are paths.
    roots: bool,
    digits: Buffer,
    owner: (u32, u32),
    /// `",uid,gid,` of `owner`, after the extension.
    owner_text: Piece,
    inode: Inode,
    /// `dev,blocks,nlink,"mode",` of `inode`, after the size.
    inode_text: Piece,
    /// The last time of change, whose text is `ctime_text`: what was made together has the same.
    ctime: i64,
    ctime_text: Piece,
}

/// What most neighbours have in common.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Inode {
    dev: u64,
    blocks: u64,
    nlink: u32,
    mode: u32,
}

impl Lines {
    fn new() -> Self {
        let mut lines = Self {
            text: Vec::new(),
            prefix: Vec::new(),
            middle: Vec::new(),
            middle_unprintable: false,
            roots: false,
            digits: Buffer::new(),
            owner: (0, 0),
            owner_text: Piece::default(),
            inode: Inode::default(),
            inode_text: Piece::default(),
            ctime: 0,
            ctime_text: Piece::default(),
        };
        lines.set_owner((0, 0));
        lines.set_inode(Inode::default());
        lines.set_ctime(0);
        lines
    }

    fn begin(&mut self, parent: &Parent<'_>) {
        self.prefix.clear();
        if let Some(path) = parent.path {
            prefix_into(&mut self.prefix, path);
        }
        self.roots = parent.path.is_none();
        self.middle.clear();
        self.middle.push(b',');
        self.middle.extend_from_slice(self.digits.format(parent.ino).as_bytes());
        self.middle.push(b',');
        self.middle.extend_from_slice(self.digits.format(parent.depth).as_bytes());
        self.middle.extend_from_slice(b",\"");
        self.middle_unprintable = push_escaped(&mut self.middle, &self.prefix) == Printable::No;
    }

    fn row(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Oddities {
        if self.text.capacity() == 0 {
            self.text.reserve(BLOCK + BLOCK / 8);
        }
        self.number(meta.ino);
        self.text.extend_from_slice(&self.middle);
        let printable = push_escaped(&mut self.text, name);
        self.text.extend_from_slice(b"\",\"");
        if dir.is_none() && !meta.kind().is_dir() {
            let name = if self.roots { split_root(name).1 } else { name };
            // Part of the name, so whatever is left out here was noticed there.
            push_escaped(&mut self.text, extension(name));
        }
        if self.owner != (meta.uid, meta.gid) {
            self.set_owner((meta.uid, meta.gid));
        }
        self.owner_text.append_to(&mut self.text);
        self.number(meta.size);
        self.text.push(b',');
        let inode = Inode { dev: meta.dev, blocks: meta.blocks, nlink: meta.nlink, mode: meta.mode };
        if self.inode != inode {
            self.set_inode(inode);
        }
        self.inode_text.append_to(&mut self.text);
        let at = self.text.len();
        self.number(meta.atime.sec);
        self.text.push(b',');
        if meta.mtime.sec == meta.atime.sec {
            // Copied files often have both alike.
            self.text.extend_from_within(at..);
        } else {
            self.number(meta.mtime.sec);
            self.text.push(b',');
        }
        if self.ctime != meta.ctime.sec {
            self.set_ctime(meta.ctime.sec);
        }
        self.ctime_text.append_to(&mut self.text);
        match dir {
            None => self.text.extend_from_slice(b",-1,0\n"),
            Some(dir) => {
                self.text.push(b',');
                self.number(dir.fcount);
                self.text.push(b',');
                self.number(dir.dirsum);
                self.text.push(b'\n');
            }
        }
        Oddities { unprintable: self.middle_unprintable || printable == Printable::No, unrepresentable: false }
    }

    #[inline]
    fn number(&mut self, n: impl itoa::Integer) {
        self.text.extend_from_slice(self.digits.format(n).as_bytes());
    }

    fn set_inode(&mut self, inode: Inode) {
        self.inode = inode;
        self.inode_text.len = 0;
        for n in [inode.dev, inode.blocks, u64::from(inode.nlink)] {
            self.inode_text.push(self.digits.format(n).as_bytes());
            self.inode_text.push(b",");
        }
        self.inode_text.push(&mode_text(inode.mode));
    }

    fn set_owner(&mut self, owner: (u32, u32)) {
        self.owner = owner;
        self.owner_text.len = 0;
        self.owner_text.push(b"\",");
        for id in [owner.0, owner.1] {
            self.owner_text.push(self.digits.format(id).as_bytes());
            self.owner_text.push(b",");
        }
    }

    fn set_ctime(&mut self, ctime: i64) {
        self.ctime = ctime;
        self.ctime_text.len = 0;
        self.ctime_text.push(self.digits.format(ctime).as_bytes());
    }
}

/// Some text of a line, in room of a known size: so that it is copied by a few instructions and not by a call.
struct Piece {
    room: [u8; Self::ROOM],
    len: usize,
}

impl Piece {
    /// Three numbers of at most 20 digits with commas, and a mode, are 73 bytes.
    const ROOM: usize = 80;

    fn push(&mut self, text: &[u8]) {
        self.room[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    #[inline]
    fn append_to(&self, text: &mut Vec<u8>) {
        let end = text.len() + self.len;
        text.extend_from_slice(&self.room);
        text.truncate(end);
    }
}

impl Default for Piece {
    fn default() -> Self {
        Self { room: [0; Self::ROOM], len: 0 }
    }
}

/// `"%07o",`: `st_mode` has 16 bits, which are six octal digits.
fn mode_text(mode: u32) -> [u8; 10] {
    let mut text = *b"\"0000000\",";
    for (place, digit) in text[1..8].iter_mut().rev().enumerate() {
        *digit = b"01234567"[(mode >> (3 * place)) as usize & 7];
    }
    text
}

/// Whether all bytes could be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Printable {
    Yes,
    No,
}

/// Appends what goes between double quotes.
#[inline]
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) -> Printable {
    // No early exit, so that the compiler looks at sixteen bytes at once; almost every name passes.
    let special = bytes.iter().fold(false, |found, &b| found | (b < 0x20) | (b == b'"'));
    if !special {
        out.extend_from_slice(bytes);
        return Printable::Yes;
    }
    let mut printable = Printable::Yes;
    for &b in bytes {
        match b {
            b'"' => out.extend_from_slice(b"\"\""),
            0..0x20 => printable = Printable::No,
            _ => out.push(b),
        }
    }
    printable
}
