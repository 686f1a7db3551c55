//! Compression by block: every block is a complete zstd frame or gzip member.
//!
//! Both formats allow any number of them in one file (RFC 8878 3.1, RFC 1952 2.2), and the readers that matter
//! take them as one text. So a worker can compress the block that it filled, and nobody needs an
//! order or a thread of its own. What is lost is the history between blocks.

use std::io;
use std::path::Path;

use flate2::{Compress, FlushCompress, Status};
use zstd::bulk::Compressor as Zstd;
use zstd::zstd_safe::{CParameter, compress_bound};

/// zstd level unless the user says otherwise.
pub const DEFAULT_ZSTD_LEVEL: i32 = 1;
/// gzip level unless the user says otherwise.
pub const DEFAULT_GZIP_LEVEL: u32 = 1;

/// What makes level 1 better for lines. A line is most like the one before it, so the nearest place that looks alike is
/// the best, and a table of hashes that forgets soon finds that one: 9 % smaller and 17 % faster than with zstd's own
/// numbers (`examples/encode.rs`). The pages of Parquet want zstd's.
const NEAR: [CParameter; 2] = [CParameter::HashLog(10), CParameter::WindowLog(18)];

/// How text is compressed, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// zstd frames. Level -7 to 22.
    Zstd(i32),
    /// gzip members. Level 0 to 9.
    Gzip(u32),
}

impl Compression {
    /// What a file's name asks for: `.zst` or `.gz`, capital or not, else nothing.
    pub fn from_name(path: &Path) -> Self {
        match path.extension().map(|e| e.as_encoded_bytes().to_ascii_lowercase()).as_deref() {
            Some(b"zst" | b"zstd") => Self::Zstd(DEFAULT_ZSTD_LEVEL),
            Some(b"gz") => Self::Gzip(DEFAULT_GZIP_LEVEL),
            _ => Self::None,
        }
    }

    /// The same kind at another level; `None` if it does not have that level.
    #[must_use]
    pub fn with_level(self, level: i32) -> Option<Self> {
        match self {
            Self::None => None,
            Self::Zstd(_) => (-7..=22).contains(&level).then_some(Self::Zstd(level)),
            Self::Gzip(_) => u32::try_from(level).ok().filter(|l| *l <= 9).map(Self::Gzip),
        }
    }

    /// For text whose lines are like the ones before.
    pub(crate) fn line_compressor(self) -> io::Result<Compressor> {
        let mut compressor = self.compressor()?;
        if let (Self::Zstd(DEFAULT_ZSTD_LEVEL), Compressor::Zstd(zstd)) = (self, &mut compressor) {
            for parameter in NEAR {
                zstd.set_parameter(parameter)?;
            }
        }
        Ok(compressor)
    }

    pub(crate) fn compressor(self) -> io::Result<Compressor> {
        Ok(match self {
            Self::None => Compressor::None,
            Self::Zstd(level) => {
                let mut zstd = Zstd::new(level)?;
                zstd.set_parameter(CParameter::ChecksumFlag(true))?;
                Compressor::Zstd(zstd)
            }
            Self::Gzip(level) => {
                let level = flate2::Compression::new(level);
                Compressor::Gzip(Box::new(Compress::new_gzip(level, GZIP_WINDOW_BITS)))
            }
        })
    }
}

/// The largest window: 32 KiB.
const GZIP_WINDOW_BITS: u8 = 15;

/// A compressor and its memory, used for block after block.
pub(crate) enum Compressor {
    None,
    Zstd(Zstd<'static>),
    Gzip(Box<Compress>),
}

impl Compressor {
    /// The block as it goes to the file; `out` lends its memory.
    pub(crate) fn block<'a>(&mut self, text: &'a [u8], out: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        out.clear();
        match self {
            Self::None => return Ok(text),
            Self::Zstd(zstd) => {
                out.reserve(compress_bound(text.len()));
                zstd.compress_to_buffer(text, out)?;
            }
            Self::Gzip(gzip) => gzip_member(gzip, text, out)?,
        }
        Ok(out)
    }
}

fn gzip_member(gzip: &mut Compress, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    gzip.reset();
    out.reserve(text.len() + text.len() / 1000 + 128);
    loop {
        let done = usize::try_from(gzip.total_in()).unwrap_or(text.len());
        if gzip.compress_vec(&text[done..], out, FlushCompress::Finish)? == Status::StreamEnd {
            return Ok(());
        }
        out.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_name_chooses() {
        let of = |name: &str| Compression::from_name(Path::new(name));
        assert_eq!(of("a.csv.zst"), Compression::Zstd(DEFAULT_ZSTD_LEVEL));
        assert_eq!(of("a.csv.gz"), Compression::Gzip(DEFAULT_GZIP_LEVEL));
        assert_eq!(of("A.CSV.GZ"), Compression::Gzip(DEFAULT_GZIP_LEVEL));
        assert_eq!(of("a.csv"), Compression::None);
        assert_eq!(of("-"), Compression::None);
        assert_eq!(of("a.zst").with_level(19), Some(Compression::Zstd(19)));
        assert_eq!(of("a.gz").with_level(10), None);
        assert_eq!(of("a.csv").with_level(1), None);
    }

    #[test]
    fn blocks_are_one_text() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for kind in [Compression::None, Compression::Zstd(1), Compression::Gzip(1), Compression::Gzip(0)] {
            let (mut compressor, mut file, mut out) = (kind.line_compressor().unwrap(), Vec::new(), Vec::new());
            for block in text.chunks(70_001) {
                file.extend_from_slice(compressor.block(block, &mut out).unwrap());
            }
            let mut back = Vec::new();
            match kind {
                Compression::None => back = file,
                Compression::Zstd(_) => back = zstd::decode_all(&*file).unwrap(),
                Compression::Gzip(_) => {
                    flate2::read::MultiGzDecoder::new(&*file).read_to_end(&mut back).unwrap();
                }
            }
            assert!(back == text, "{kind:?}");
        }
    }
}
