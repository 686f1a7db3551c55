//! Tests made ready: names of users are numbers, files are their times, ages are points in time.
//!
//! A check is asked of a [`Subject`]. What the directory says of an entry (its name and its type) is known for nothing; its
//! metadata costs a system call, and a few questions cost another one, asked through [`Ask`]. [`Cost`] tells which is which:
//! what is cheap is asked first where the order does not matter, and an entry whose name and type leave nothing open is
//! never looked at.
//!
//! # Times
//!
//! The rules are GNU find's, to the second. An age counts from the moment at which find was started, under `-daystart` from
//! the end of today. `-mtime N` means a span of 24 hours that ends N days before that moment, its end belonging to it and its
//! beginning not; `-N` begins a second earlier than `N` does.

use pwalk_fs::{Errno, Kind, Meta, Time};

use crate::expr::{Access, Bits, IgnoreCase, Span, Stamp, TypeLetter, What};
use crate::glob::Glob;
use crate::mode::Mode;
use crate::number::{Amount, Compare, Count, Size};
use crate::regex::PathRegex;

/// An entry as far as it is known.
pub struct Subject<'a> {
    /// Its path, as it is printed.
    pub path: &'a [u8],
    /// The last component of the path.
    pub name: &'a [u8],
    /// Its type; where links are followed, the type of what a link leads to.
    pub kind: Kind,
    /// Its metadata, if they were read.
    pub meta: Option<&'a Meta>,
    /// For further questions.
    pub ask: &'a dyn Ask,
}

/// Questions that cost a system call of their own.
pub trait Ask {
    /// What a symbolic link says.
    ///
    /// # Errors
    /// What the kernel says.
    fn link(&self) -> Result<Vec<u8>, Errno>;

    /// The type on the other side: of what a link leads to, or under `-L` of the link itself.
    ///
    /// # Errors
    /// What the kernel says.
    fn other_kind(&self) -> Result<Kind, Errno>;

    /// Whether a directory has no entries.
    ///
    /// # Errors
    /// What the kernel says.
    fn is_empty_dir(&self) -> Result<bool, Errno>;

    /// Whether the user may do that.
    fn may(&self, access: Access) -> bool;

    /// Whether a number has a user's name.
    fn has_user(&self, uid: u32) -> bool;

    /// Whether a number has a group's name.
    fn has_group(&self, gid: u32) -> bool;

    /// The type of the file system that an entry is on.
    fn fs_type(&self, meta: &Meta) -> Vec<u8>;
}

/// What a check has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Nothing.
    Nothing,
    /// The name.
    Name,
    /// The type.
    Kind,
    /// The metadata.
    Meta,
    /// A call of its own.
    Call,
}

/// What name and type say about a check that costs a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// The answer.
    Answer(bool),
    /// The metadata are enough, and needed.
    Meta,
    /// It will have to be asked.
    Call,
}

/// A test, ready to be asked.
#[derive(Clone, Debug)]
pub enum Check {
    /// Always this.
    Constant(bool),
    /// A pattern.
    Pattern(What, Glob),
    /// A regular expression on the path.
    Regex(PathRegex),
    /// One of these types.
    Type(Vec<TypeLetter>),
    /// One of these types on the other side of a link.
    XType(Vec<TypeLetter>),
    /// The size.
    Size(Size),
    /// A file of no bytes, or a directory of no entries.
    Empty,
    /// A time.
    Time(Stamp, Window),
    /// Seconds from the last change to the last access.
    Used(Amount),
    /// Permissions.
    Perm(Bits, Mode),
    /// The owner.
    User(u32),
    /// The group.
    Group(u32),
    /// A number, compared.
    Uid(Count),
    /// A number, compared.
    Gid(Count),
    /// The owner has no name.
    NoUser,
    /// The group has no name.
    NoGroup,
    /// The number of links.
    Links(Count),
    /// The inode number.
    Inode(Count),
    /// Device and inode.
    SameFile((u64, u64)),
    /// The type of the file system.
    FsType(Vec<u8>),
    /// What the user may do.
    Access(Access),
}

/// When a time must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    /// Before this.
    Before(Time),
    /// After this.
    After(Time),
    /// After the first, and not after the second.
    Within(Time, Time),
}

const DAY: i64 = 86_400;
const MINUTE: i64 = 60;

impl Window {
    /// What `-mtime` and `-mmin` mean. `day`: the moment that days count from: 24 hours before the start, or today's midnight.
    pub fn of_age(span: Span, amount: Amount, day: Time) -> Self {
        let (unit, origin) = match span {
            Span::Days => (DAY, day),
            Span::Minutes => (MINUTE, Time { sec: day.sec.saturating_add(DAY), ..day }),
        };
        let then = before(origin, amount.bound, unit);
        let later = |seconds| Time { sec: then.sec.saturating_add(seconds), ..then };
        match (amount.compare, span) {
            (Compare::More, _) => Self::Before(then),
            (Compare::Less, Span::Days) => Self::After(later(DAY - 1)),
            (Compare::Less, Span::Minutes) => Self::After(then),
            (Compare::Equal, _) => Self::Within(then, later(unit)),
        }
    }

    /// Whether a time lies in it.
    pub fn holds(self, time: Time) -> bool {
        match self {
            Self::Before(end) => time < end,
            Self::After(begin) => time > begin,
            Self::Within(begin, end) => time > begin && time <= end,
        }
    }
}

/// So many units before a moment.
fn before(origin: Time, amount: f64, unit: i64) -> Time {
    const NANOS: i128 = 1_000_000_000;
    #[expect(clippy::cast_precision_loss, reason = "a unit is at most a day of seconds")]
    let seconds = amount * unit as f64;
    #[expect(clippy::cast_possible_truncation, reason = "beyond the range it saturates, and nothing is that old")]
    let (whole, fraction) = (seconds.floor() as i64, ((seconds - seconds.floor()) * 1e9) as i128);
    let nanos = i128::from(origin.sec) * NANOS + i128::from(origin.nsec) - (i128::from(whole) * NANOS + fraction);
    let sec = i64::try_from(nanos.div_euclid(NANOS)).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX });
    Time { sec, nsec: u32::try_from(nanos.rem_euclid(NANOS)).unwrap_or(0) }
}

impl Check {
    /// What it has to know.
    pub fn cost(&self) -> Cost {
        match self {
            Self::Constant(_) => Cost::Nothing,
            Self::Pattern(What::Name | What::Path, _) | Self::Regex(_) => Cost::Name,
            Self::Type(_) => Cost::Kind,
            Self::Pattern(What::Link, _) | Self::XType(_) | Self::Empty | Self::Access(_) => Cost::Call,
            _ => Cost::Meta,
        }
    }

    /// What name and type say about it, for a check that costs a [call](Cost::Call).
    pub fn foresee(&self, subject: &Subject<'_>) -> Foreseen {
        match (self, subject.kind) {
            (Self::Pattern(..), Kind::Symlink) | (Self::XType(_) | Self::Access(_), _) | (Self::Empty, Kind::Dir) => {
                Foreseen::Call
            }
            (Self::Empty, Kind::File) => Foreseen::Meta,
            // No link says anything, and nothing else can be empty.
            _ => Foreseen::Answer(false),
        }
    }

    /// The answer, or none if it takes the metadata, which were not read.
    ///
    /// # Errors
    /// What the kernel says to a question.
    pub fn ask(&self, subject: &Subject<'_>) -> Result<Option<bool>, Errno> {
        let of_meta = |answer: &dyn Fn(&Meta) -> bool| subject.meta.map(answer);
        Ok(match self {
            Self::Constant(answer) => Some(*answer),
            Self::Pattern(What::Name, glob) => Some(glob.matches(subject.name)),
            Self::Pattern(What::Path, glob) => Some(glob.matches(subject.path)),
            Self::Pattern(What::Link, glob) => {
                Some(subject.kind == Kind::Symlink && glob.matches(&subject.ask.link()?))
            }
            Self::Regex(regex) => Some(regex.matches(subject.path)?),
            Self::Type(letters) => is_one(letters, subject.kind),
            Self::XType(letters) => is_one(letters, subject.ask.other_kind()?),
            Self::Empty => match subject.kind {
                Kind::Dir => Some(subject.ask.is_empty_dir()?),
                Kind::File => of_meta(&|meta| meta.size == 0),
                _ => Some(false),
            },
            Self::Size(size) => of_meta(&|meta| size.holds(meta.size)),
            Self::Time(stamp, window) => of_meta(&|meta| stamp_of(meta, *stamp).is_some_and(|time| window.holds(time))),
            Self::Used(amount) => of_meta(&|meta| was_used(meta, *amount)),
            Self::Perm(bits, mode) => of_meta(&|meta| {
                let (wanted, has) = (mode.of(meta.kind().is_dir()), meta.mode & 0o7777);
                match bits {
                    Bits::Exact => has == wanted,
                    Bits::All => has & wanted == wanted,
                    Bits::Any => wanted == 0 || has & wanted != 0,
                }
            }),
            Self::User(uid) => of_meta(&|meta| meta.uid == *uid),
            Self::Group(gid) => of_meta(&|meta| meta.gid == *gid),
            Self::Uid(count) => of_meta(&|meta| count.holds(meta.uid.into())),
            Self::Gid(count) => of_meta(&|meta| count.holds(meta.gid.into())),
            Self::NoUser => of_meta(&|meta| !subject.ask.has_user(meta.uid)),
            Self::NoGroup => of_meta(&|meta| !subject.ask.has_group(meta.gid)),
            Self::Links(count) => of_meta(&|meta| count.holds(meta.nlink.into())),
            Self::Inode(count) => of_meta(&|meta| count.holds(meta.ino)),
            Self::SameFile(id) => of_meta(&|meta| meta.id() == *id),
            Self::FsType(name) => of_meta(&|meta| subject.ask.fs_type(meta) == *name),
            Self::Access(access) => Some(subject.ask.may(*access)),
        })
    }

    /// A pattern made ready.
    pub fn pattern(what: What, pattern: &[u8], ignore: IgnoreCase) -> Self {
        Self::Pattern(what, Glob::new(pattern, ignore == IgnoreCase::Yes))
    }
}

fn is_one(letters: &[TypeLetter], kind: Kind) -> Option<bool> {
    let letter = match kind {
        Kind::Block => TypeLetter::Block,
        Kind::Char => TypeLetter::Char,
        Kind::Dir => TypeLetter::Dir,
        Kind::Fifo => TypeLetter::Fifo,
        Kind::File => TypeLetter::File,
        Kind::Symlink => TypeLetter::Symlink,
        Kind::Socket => TypeLetter::Socket,
        Kind::Unknown => return Some(false),
    };
    Some(letters.contains(&letter))
}

/// One of its times; none where the file system keeps no births.
pub fn stamp_of(meta: &Meta, stamp: Stamp) -> Option<Time> {
    match stamp {
        Stamp::A => Some(meta.atime),
        Stamp::B => meta.btime,
        Stamp::C => Some(meta.ctime),
        Stamp::M => Some(meta.mtime),
    }
}

/// Days from the last change of the inode to the last access, the first one being the first: an access before it is no use.
fn was_used(meta: &Meta, amount: Amount) -> bool {
    let nanos = |time: Time| i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    let used = nanos(meta.atime) - nanos(meta.ctime);
    #[expect(clippy::cast_precision_loss, reason = "days")]
    let days = used as f64 / 86_400e9;
    used >= 0
        && match amount.compare {
            Compare::More => days > amount.bound,
            Compare::Less => days < amount.bound,
            Compare::Equal => days >= amount.bound - 1.0 && days < amount.bound,
        }
}
