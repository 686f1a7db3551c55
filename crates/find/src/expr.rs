//! What was said: options, starting points, and a tree of tests and actions.
//!
//! Arguments stand in it as they were read, not as they were written: a size is a number and a unit. Names of users, files
//! and dates are bytes, because what they mean is for whoever carries the query out.

pub use pwalk_fs::May as Access;

use crate::mode::Mode;
use crate::number::{Amount, Count, Size};

/// A whole command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Which links are followed.
    pub links: Links,
    /// Where to start; none means the current directory.
    pub roots: Vec<Vec<u8>>,
    /// What to do with each entry; none means to print it.
    pub expr: Option<Expr>,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// `-P`: none.
    #[default]
    Never,
    /// `-H`: those on the command line.
    Roots,
    /// `-L`: all.
    Always,
}

/// A tree of tests and actions. `And`, `Or` and `List` have at least two members, and none of their own kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// One after the other, up to the first that is false.
    And(Vec<Expr>),
    /// One after the other, up to the first that is true.
    Or(Vec<Expr>),
    /// All, one after the other; the last decides.
    List(Vec<Expr>),
    /// The contrary.
    Not(Box<Expr>),
    /// An option, which is true.
    Switch(Switch),
    /// A question.
    Test(Test),
    /// Something to do.
    Action(Action),
}

/// An option that stands in the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `-maxdepth N`
    MaxDepth(u64),
    /// `-mindepth N`
    MinDepth(u64),
    /// `-xdev`, `-mount`
    OneFileSystem,
    /// `-depth`, `-d`
    Depth,
    /// `-daystart`: later times count from the end of today.
    DayStart,
    /// `-follow`: as `-L`, for later tests too.
    Follow,
    /// `-regextype TYPE`, for later tests.
    RegexType(RegexType),
    /// `-files0-from FILE`
    Files0From(Vec<u8>),
    /// `-noleaf`, which has nothing to do here.
    NoLeaf,
    /// `-ignore_readdir_race` and its contrary.
    IgnoreReaddirRace(bool),
    /// `-warn` and `-nowarn`
    Warn(bool),
    /// `-threads N`: workers.
    Threads(u64),
    /// `-snapshots`: snapshot directories too.
    Snapshots,
    /// `-s`: sorted by path.
    Sorted,
    /// `-exec-parallel N`: commands at once.
    ExecParallel(u64),
}

/// The dialects of regular expressions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegexType {
    /// `findutils-default`, which is `emacs`, but its `.` matches a line feed too.
    FindutilsDefault,
    /// `ed`
    Ed,
    /// `emacs`: what holds unless another is named.
    #[default]
    Emacs,
    /// `gnu-awk`
    GnuAwk,
    /// `grep`
    Grep,
    /// `posix-awk`
    PosixAwk,
    /// `awk`
    Awk,
    /// `posix-basic`
    PosixBasic,
    /// `posix-egrep`
    PosixEgrep,
    /// `egrep`
    Egrep,
    /// `posix-extended`
    PosixExtended,
    /// `posix-minimal-basic`
    PosixMinimalBasic,
    /// `sed`
    Sed,
}

impl RegexType {
    pub(crate) const ALL: [(&'static str, Self); 13] = [
        ("findutils-default", Self::FindutilsDefault),
        ("ed", Self::Ed),
        ("emacs", Self::Emacs),
        ("gnu-awk", Self::GnuAwk),
        ("grep", Self::Grep),
        ("posix-awk", Self::PosixAwk),
        ("awk", Self::Awk),
        ("posix-basic", Self::PosixBasic),
        ("posix-egrep", Self::PosixEgrep),
        ("egrep", Self::Egrep),
        ("posix-extended", Self::PosixExtended),
        ("posix-minimal-basic", Self::PosixMinimalBasic),
        ("sed", Self::Sed),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}

/// A question about an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `-true`
    True,
    /// `-false`
    False,
    /// A pattern (`-name`, `-path`, `-lname` and those that ignore case).
    Pattern(What, Vec<u8>, IgnoreCase),
    /// `-regex`, `-iregex`: on the whole path.
    Regex(Vec<u8>, IgnoreCase),
    /// `-type`: one of these.
    Type(Vec<TypeLetter>),
    /// `-xtype`: the same of what a link leads to.
    XType(Vec<TypeLetter>),
    /// `-size`
    Size(Size),
    /// `-empty`
    Empty,
    /// `-mtime` and its like.
    Age(Stamp, Span, Amount),
    /// `-used`: days from the last change to the last access.
    Used(Amount),
    /// `-newerXY`: a time of the entry is later than this.
    Newer(Stamp, Reference),
    /// `-perm`
    Perm(Bits, Mode),
    /// `-user NAME`, or a number.
    User(Vec<u8>),
    /// `-group NAME`, or a number.
    Group(Vec<u8>),
    /// `-uid`
    Uid(Count),
    /// `-gid`
    Gid(Count),
    /// `-nouser`
    NoUser,
    /// `-nogroup`
    NoGroup,
    /// `-links`
    Links(Count),
    /// `-inum`
    Inode(Count),
    /// `-samefile FILE`
    SameFile(Vec<u8>),
    /// `-fstype TYPE`
    FsType(Vec<u8>),
    /// `-readable`, `-writable`, `-executable`
    Access(Access),
}

/// What a pattern is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The last component of the path.
    Name,
    /// The path.
    Path,
    /// What a link says.
    Link,
}

/// Whether capitals matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreCase {
    /// They do.
    No,
    /// They do not.
    Yes,
}

/// The types of files, by the letters that `-type` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeLetter {
    /// `b`
    Block,
    /// `c`
    Char,
    /// `d`
    Dir,
    /// `p`
    Fifo,
    /// `f`
    File,
    /// `l`
    Symlink,
    /// `s`
    Socket,
}

impl TypeLetter {
    pub(crate) const ALL: [(u8, Self); 7] = [
        (b'b', Self::Block),
        (b'c', Self::Char),
        (b'd', Self::Dir),
        (b'p', Self::Fifo),
        (b'f', Self::File),
        (b'l', Self::Symlink),
        (b's', Self::Socket),
    ];
}

/// One of an entry's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Access.
    A,
    /// Birth.
    B,
    /// Change of the inode.
    C,
    /// Modification.
    M,
}

impl Stamp {
    pub(crate) const ALL: [(u8, Self); 4] = [(b'a', Self::A), (b'B', Self::B), (b'c', Self::C), (b'm', Self::M)];

    pub(crate) fn letter(self) -> char {
        Self::ALL.iter().find(|(_, own)| *own == self).map_or('m', |(letter, _)| char::from(*letter))
    }
}

/// What an age is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// `-mtime`: days of 24 hours, fractions dropped.
    Days,
    /// `-mmin`: minutes, begun ones counted whole.
    Minutes,
}

/// What `-newer` compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A time of this file.
    File(Stamp, Vec<u8>),
    /// `-newerXt`: this date.
    Date(Vec<u8>),
}

/// How `-perm` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// `MODE`: just these.
    Exact,
    /// `-MODE`: all of these.
    All,
    /// `/MODE`: any of these, or none are asked for.
    Any,
}

/// Something to do with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Says something of it.
    Tell(Form, Output),
    /// Runs a command.
    Exec(Exec),
    /// `-delete`
    Delete,
    /// `-prune`
    Prune,
    /// `-quit`
    Quit,
}

/// How an entry is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The path and a line feed.
    Print,
    /// The path and a NUL.
    Print0,
    /// As `ls -dils`.
    Ls,
    /// By a format.
    Printf(Vec<u8>),
    /// `-json`: an object a line.
    Json,
}

/// Where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Standard,
    /// A file, which is emptied first.
    File(Vec<u8>),
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Where it runs.
    pub place: Place,
    /// Whether the user is asked first.
    pub ask: bool,
    /// `+`: with as many entries as fit.
    pub many: bool,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where `find` was started.
    Here,
    /// In the directory that holds the entry.
    Directory,
}
