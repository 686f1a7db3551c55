//! What sort of thing a directory entry is.

use rustix::fs::FileType;

/// The type of a file, as `d_type` or `st_mode` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A UNIX-domain socket.
    Socket,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// Not known yet (`DT_UNKNOWN`: some file systems never say), or a type this program has no name for.
    Unknown,
}

impl Kind {
    /// The word used in outputs: `file`, `dir`, `symlink`, `fifo`, `socket`, `char`, `block`, `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Char => "char",
            Self::Block => "block",
            Self::Unknown => "unknown",
        }
    }

    /// The letter that GNU find's `%y` has for it: `f`, `d`, `l`, `p`, `s`, `c`, `b`, `U`.
    pub const fn letter(self) -> u8 {
        match self {
            Self::File => b'f',
            Self::Dir => b'd',
            Self::Symlink => b'l',
            Self::Fifo => b'p',
            Self::Socket => b's',
            Self::Char => b'c',
            Self::Block => b'b',
            Self::Unknown => b'U',
        }
    }

    /// The type that the format bits of `st_mode` say.
    pub fn from_mode(mode: u32) -> Self {
        FileType::from_raw_mode(mode).into()
    }

    /// Whether this is a directory.
    pub fn is_dir(self) -> bool {
        self == Self::Dir
    }
}

impl From<FileType> for Kind {
    fn from(t: FileType) -> Self {
        match t {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::Char,
            FileType::BlockDevice => Self::Block,
            FileType::Unknown => Self::Unknown,
        }
    }
}
