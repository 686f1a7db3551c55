//! `-printf`: formats, and what they make of an entry.
//!
//! A format is read once into pieces. As in GNU find most numbers are formatted as text: a precision cuts them off, and only
//! `%d` and `%m` know `0`, `+` and `#`. Times are local, their names English.

mod shapes;
mod time;

pub use shapes::{base, symbolic};
pub(crate) use time::{short_time, stamp};

use pwalk_fs::Meta;

use crate::check::stamp_of;
use crate::expr::Stamp;
use crate::shown::masked;
use shapes::{below_root, directory, sparseness};

/// A format, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Field(Field, Layout),
    /// `\c`: no further.
    End,
}

/// Flags, width and precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layout {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Path,
    BelowRoot,
    Root,
    Base,
    Directory,
    Link,
    Depth,
    Blocks,
    Kibis,
    Device,
    FsType,
    Group,
    Gid,
    User,
    Uid,
    Inode,
    Links,
    Mode,
    Symbolic,
    Size,
    Sparseness,
    Type,
    OtherType,
    /// A time as `ctime` writes it.
    Time(Stamp),
    /// A time, or a part of it.
    Part(Stamp, u8),
}

const FIELDS: &[(u8, Field)] = &[
    (b'p', Field::Path),
    (b'P', Field::BelowRoot),
    (b'H', Field::Root),
    (b'f', Field::Base),
    (b'h', Field::Directory),
    (b'l', Field::Link),
    (b'd', Field::Depth),
    (b'b', Field::Blocks),
    (b'k', Field::Kibis),
    (b'D', Field::Device),
    (b'F', Field::FsType),
    (b'g', Field::Group),
    (b'G', Field::Gid),
    (b'u', Field::User),
    (b'U', Field::Uid),
    (b'i', Field::Inode),
    (b'n', Field::Links),
    (b'm', Field::Mode),
    (b'M', Field::Symbolic),
    (b's', Field::Size),
    (b'S', Field::Sparseness),
    (b'y', Field::Type),
    (b'Y', Field::OtherType),
    (b'a', Field::Time(Stamp::A)),
    (b'c', Field::Time(Stamp::C)),
    (b't', Field::Time(Stamp::M)),
];

/// What a format can say of an entry, besides what its metadata say.
pub trait Tell {
    /// What a symbolic link says; empty for anything else.
    fn link(&self) -> Vec<u8>;

    /// `%Y`: the letter of the type on the other side of a link, `N` for nothing, `L` for a loop, `?` for an error.
    fn other_letter(&self) -> u8;

    /// A user's name.
    fn user(&self, uid: u32) -> Option<String>;

    /// A group's name.
    fn group(&self, gid: u32) -> Option<String>;

    /// The type of a file system.
    fn fs_type(&self, meta: &Meta) -> Vec<u8>;
}

/// An entry to be told.
pub struct Told<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// The starting point that it is below, as it was given.
    pub root: &'a [u8],
    /// How far below: 0 for the starting point itself.
    pub depth: u32,
    /// Its metadata; any will do for a format that [does not use them](Format::uses_meta).
    pub meta: &'a Meta,
    /// Whether it is told to a terminal: then a question mark stands for what could move its cursor.
    pub terminal: bool,
    /// The rest.
    pub tell: &'a dyn Tell,
}

/// A mistake in a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Nothing behind the last `%`.
    #[error("error: % at end of format string")]
    Ends,
    /// A character that may mean something one day.
    #[error("error: the format directive `%{0}' is reserved for future use")]
    Reserved(char),
}

impl Format {
    /// Reads a format, and says what in it means nothing and is printed as it stands.
    ///
    /// # Errors
    /// A `%` at the end, and what find has reserved.
    pub fn parse(format: &[u8]) -> Result<(Self, Vec<String>), FormatError> {
        let (mut pieces, mut warnings) = (Vec::new(), Vec::new());
        let mut text = Vec::new();
        let mut rest = format;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                b'\\' => rest = escape(rest, &mut text, &mut pieces, &mut warnings),
                b'%' => rest = directive(rest, &mut text, &mut pieces, &mut warnings)?,
                other => text.push(*other),
            }
        }
        flush(&mut text, &mut pieces);
        Ok((Self { pieces }, warnings))
    }

    /// Whether more than the path is needed.
    pub fn uses_meta(&self) -> bool {
        use Field::{Base, BelowRoot, Depth, Directory, Path, Root};
        let is_of_path = |field: &Field| matches!(field, Path | BelowRoot | Root | Base | Directory | Depth);
        self.pieces.iter().any(|piece| matches!(piece, Piece::Field(field, _) if !is_of_path(field)))
    }

    /// Appends what it makes of an entry.
    pub fn render(&self, told: &Told<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field(field, layout) => field.render(told, *layout, out),
                Piece::End => break,
            }
        }
    }
}

fn flush(text: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text)));
    }
}

/// What follows a backslash; returns the rest.
fn escape<'f>(rest: &'f [u8], text: &mut Vec<u8>, pieces: &mut Vec<Piece>, warnings: &mut Vec<String>) -> &'f [u8] {
    let Some((letter, tail)) = rest.split_first() else {
        warnings.push("escape `\\' followed by nothing at all".to_owned());
        text.push(b'\\');
        return rest;
    };
    if matches!(letter, b'0'..=b'7') {
        let digits = rest.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
        let value = rest[..digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
        text.push(value.to_le_bytes()[0]);
        return &rest[digits..];
    }
    const NAMED: &[(u8, u8)] =
        &[(b'a', 7), (b'b', 8), (b'f', 12), (b'n', 10), (b'r', 13), (b't', 9), (b'v', 11), (b'\\', b'\\')];
    if let Some((_, byte)) = NAMED.iter().find(|(name, _)| name == letter) {
        text.push(*byte);
    } else if *letter == b'c' {
        flush(text, pieces);
        pieces.push(Piece::End);
    } else {
        warnings.push(format!("unrecognized escape `\\{}'", letter.escape_ascii()));
        text.extend_from_slice(&[b'\\', *letter]);
    }
    tail
}

/// What follows a percent sign; returns the rest.
fn directive<'f>(
    rest: &'f [u8],
    text: &mut Vec<u8>,
    pieces: &mut Vec<Piece>,
    warnings: &mut Vec<String>,
) -> Result<&'f [u8], FormatError> {
    let (layout, len) = Layout::parse(rest);
    let Some((letter, mut tail)) = rest[len..].split_first() else { return Err(FormatError::Ends) };
    let field = match letter {
        b'%' if len == 0 => {
            text.push(b'%');
            return Ok(tail);
        }
        b'(' | b'{' | b'[' => return Err(FormatError::Reserved(char::from(*letter))),
        b'A' | b'B' | b'C' | b'T' => {
            let stamp = match letter {
                b'A' => Stamp::A,
                b'B' => Stamp::B,
                b'C' => Stamp::C,
                _ => Stamp::M,
            };
            let Some((part, after)) = tail.split_first() else { return Err(FormatError::Ends) };
            tail = after;
            Some(Field::Part(stamp, *part))
        }
        _ => FIELDS.iter().find(|(known, _)| known == letter).map(|(_, field)| *field),
    };
    match field {
        Some(field) => {
            flush(text, pieces);
            pieces.push(Piece::Field(field, layout));
        }
        // A width for a percent sign: as GNU find writes it, which leaves the second sign out.
        None if *letter == b'%' => {
            text.push(b'%');
            text.extend_from_slice(&rest[..len]);
        }
        None => {
            warnings.push(format!("unrecognized format directive `%{}'", letter.escape_ascii()));
            text.push(b'%');
            text.extend_from_slice(&rest[..=len]);
        }
    }
    Ok(tail)
}

impl Layout {
    /// Flags, width and precision, and how many bytes they take.
    fn parse(text: &[u8]) -> (Self, usize) {
        let mut layout = Self::default();
        let mut at = 0;
        while let Some(flag) = text.get(at) {
            match flag {
                b'-' => layout.left = true,
                b'0' => layout.zero = true,
                b'+' => layout.plus = true,
                b' ' => layout.space = true,
                b'#' => layout.alternate = true,
                _ => break,
            }
            at += 1;
        }
        let number = |at: &mut usize| {
            let digits = text[*at..].iter().take_while(|b| b.is_ascii_digit());
            // As far as a screen is wide, and then some.
            let (value, len) = digits.fold((0_usize, 0), |(value, len), digit| {
                ((value * 10 + usize::from(digit - b'0')).min(1 << 20), len + 1)
            });
            *at += len;
            value
        };
        layout.width = number(&mut at);
        if text.get(at) == Some(&b'.') {
            at += 1;
            layout.precision = Some(number(&mut at));
        }
        (layout, at)
    }

    fn text(self, text: &[u8], out: &mut Vec<u8>) {
        let text = &text[..self.precision.unwrap_or(text.len()).min(text.len())];
        self.pad(text, out);
    }

    fn pad(self, text: &[u8], out: &mut Vec<u8>) {
        let fill = self.width.saturating_sub(text.len());
        if !self.left {
            out.resize(out.len() + fill, b' ');
        }
        out.extend_from_slice(text);
        if self.left {
            out.resize(out.len() + fill, b' ');
        }
    }

    /// As C's `%d` and `%o`: the digits of a number, and what goes before them.
    fn digits(self, sign: &str, digits: &str, out: &mut Vec<u8>) {
        let least = match self.precision {
            Some(precision) => precision,
            None if self.zero && !self.left => self.width.saturating_sub(sign.len()),
            None => 0,
        };
        self.pad(format!("{sign}{digits:0>least$}").as_bytes(), out);
    }
}

impl Field {
    fn render(self, told: &Told<'_>, layout: Layout, out: &mut Vec<u8>) {
        let meta = told.meta;
        let number = |number: u64, out: &mut Vec<u8>| layout.text(number.to_string().as_bytes(), out);
        let name = |name: &[u8]| if told.terminal { masked(name) } else { name.to_vec() };
        let named = |name: Option<String>, id: u32, out: &mut Vec<u8>| {
            layout.text(name.unwrap_or_else(|| id.to_string()).as_bytes(), out);
        };
        match self {
            Self::Path => layout.text(&name(told.path), out),
            Self::Root => layout.text(&name(told.root), out),
            Self::BelowRoot => layout.text(&name(below_root(told)), out),
            Self::Base => layout.text(&name(base(told.path)), out),
            Self::Directory => layout.text(&name(directory(told.path)), out),
            Self::Link => layout.text(&name(&told.tell.link()), out),
            Self::Depth => {
                let sign = if layout.plus {
                    "+"
                } else if layout.space {
                    " "
                } else {
                    ""
                };
                layout.digits(sign, &told.depth.to_string(), out);
            }
            Self::Mode => {
                let digits = format!("{:o}", meta.mode & 0o7777);
                let alternate = layout.alternate && !digits.starts_with('0');
                layout.digits("", &if alternate { format!("0{digits}") } else { digits }, out);
            }
            Self::Blocks => number(meta.blocks, out),
            Self::Kibis => number(meta.blocks.div_ceil(2), out),
            Self::Device => number(meta.dev, out),
            Self::FsType => layout.text(&told.tell.fs_type(meta), out),
            Self::Group => named(told.tell.group(meta.gid), meta.gid, out),
            Self::Gid => number(meta.gid.into(), out),
            Self::User => named(told.tell.user(meta.uid), meta.uid, out),
            Self::Uid => number(meta.uid.into(), out),
            Self::Inode => number(meta.ino, out),
            Self::Links => number(meta.nlink.into(), out),
            Self::Symbolic => layout.text(&symbolic(meta.mode), out),
            Self::Size => number(meta.size, out),
            Self::Sparseness => layout.pad(sparseness(meta, layout.precision).as_bytes(), out),
            Self::Type => layout.text(&[meta.kind().letter()], out),
            Self::OtherType => layout.text(&[told.tell.other_letter()], out),
            Self::Time(stamp) => self.time(told, stamp, None, layout, out),
            Self::Part(stamp, part) => self.time(told, stamp, Some(part), layout, out),
        }
    }

    fn time(self, told: &Told<'_>, stamp: Stamp, part: Option<u8>, layout: Layout, out: &mut Vec<u8>) {
        // Births are not kept everywhere; then there is nothing to say.
        let text = stamp_of(told.meta, stamp).map(|time| match part {
            None => time::as_ctime(time),
            Some(part) => time::part(time, part),
        });
        layout.text(text.unwrap_or_default().as_bytes(), out);
    }
}
