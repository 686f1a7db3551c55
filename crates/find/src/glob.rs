//! Patterns of names, as `fnmatch` reads them: `*`, `?`, `[a-z]`, `[!x]`, `[[:alpha:]]`, and `\` before any of them.
//!
//! Names are bytes. They are compared character by character, and if that fails byte by byte: so does the C library since
//! 2.34, where `??` matches `é` too. A byte that belongs to no character stands for itself. Neither a slash nor a leading dot
//! is special: find says so.
//!
//! Rejected: globset and its like, whose patterns mean something else (`{a,b}`, `**`, no classes).

/// A pattern, ready to be compared with names.
#[derive(Clone, Debug)]
pub struct Glob {
    characters: Vec<Part>,
    bytes: Vec<Part>,
    ends: Ends,
    ignore_case: bool,
}

/// What stands literally at both ends of a pattern. Most names are ruled out by it, and most patterns are nothing more.
#[derive(Clone, Debug)]
struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
    between: Between,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// The pattern is one literal, which is `first`.
    Nothing,
    /// One `*`.
    Any,
    /// Something that must be looked at.
    More,
}

impl Ends {
    fn of(parts: &[Part]) -> Self {
        let literal = |part: &Part| match part {
            Part::Unit(Unit::Byte(byte)) => Some(*byte),
            Part::Unit(Unit::Char(c)) => u8::try_from(u32::from(*c)).ok(),
            _ => None,
        };
        let first: Vec<u8> = parts.iter().map_while(literal).collect();
        let rest = &parts[first.len()..];
        let mut last: Vec<u8> = rest.iter().rev().map_while(literal).collect();
        last.reverse();
        let between = match &rest[..rest.len() - last.len()] {
            [] => Between::Nothing,
            [Part::Any] => Between::Any,
            _ => Between::More,
        };
        Self { first, last, between }
    }

    /// Whether a name can match; none if it has to be looked at.
    fn allow(&self, name: &[u8], ignore_case: bool) -> Option<bool> {
        if ignore_case && !(self.first.is_ascii() && self.last.is_ascii() && name.is_ascii()) {
            return None;
        }
        let same = |a: &[u8], b: &[u8]| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
        let (first, last) = (self.first.len(), self.last.len());
        let fits = name.len() >= first + last
            && same(&name[..first], &self.first)
            && same(&name[name.len() - last..], &self.last);
        match self.between {
            Between::Nothing => Some(fits && name.len() == first),
            Between::Any => Some(fits),
            Between::More => {
                if fits {
                    None
                } else {
                    Some(false)
                }
            }
        }
    }
}

/// How text falls into units.
type Take = fn(&[u8]) -> Option<(Unit, &[u8])>;

#[derive(Clone, Debug)]
enum Part {
    /// `*`
    Any,
    /// `?`
    One,
    /// This one.
    Unit(Unit),
    /// `[…]`
    Bracket { negated: bool, items: Vec<Item> },
    /// Nothing matches: the pattern ends in the middle of an escape.
    Never,
}

#[derive(Clone, Debug)]
enum Item {
    Range(Unit, Unit),
    Class(fn(char) -> bool),
}

/// A character, or a byte that is none. All characters come before all bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    fn lower(self) -> Self {
        match self {
            Self::Char(c) => {
                let mut lower = c.to_lowercase();
                match (lower.next(), lower.next()) {
                    (Some(one), None) => Self::Char(one),
                    _ => self,
                }
            }
            Self::Byte(_) => self,
        }
    }
}

/// Takes the first byte off.
fn take_byte(bytes: &[u8]) -> Option<(Unit, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((if first.is_ascii() { Unit::Char(char::from(*first)) } else { Unit::Byte(*first) }, rest))
}

/// Takes the first character off, or a byte that is none.
fn take_char(bytes: &[u8]) -> Option<(Unit, &[u8])> {
    if bytes.first()?.is_ascii() {
        return take_byte(bytes);
    }
    for len in 2..=4.min(bytes.len()) {
        if let Ok(text) = std::str::from_utf8(&bytes[..len])
            && let Some(c) = text.chars().next()
        {
            return Some((Unit::Char(c), &bytes[len..]));
        }
    }
    take_byte(bytes)
}

impl Glob {
    /// Reads a pattern. There are no bad ones: what makes no sense stands for itself.
    pub fn new(pattern: &[u8], ignore_case: bool) -> Self {
        let bytes = parts(pattern, take_byte);
        Self { characters: parts(pattern, take_char), ends: Ends::of(&bytes), bytes, ignore_case }
    }

    /// Whether the whole of `name` is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        if let Some(answer) = self.ends.allow(name, self.ignore_case) {
            return answer;
        }
        self.fits(&self.characters, name, take_char) || (!name.is_ascii() && self.fits(&self.bytes, name, take_byte))
    }

    fn fits(&self, parts: &[Part], name: &[u8], take: Take) -> bool {
        // Where the last `*` stood, and what of the name it has not swallowed: only the last can ever need to swallow more.
        let mut star: Option<(usize, &[u8])> = None;
        let (mut at, mut rest) = (0, name);
        loop {
            match (parts.get(at), take(rest)) {
                (Some(Part::Any), _) => {
                    at += 1;
                    star = Some((at, rest));
                    continue;
                }
                (Some(part), Some((unit, tail))) if self.is(part, unit) => {
                    at += 1;
                    rest = tail;
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, left)) = star else { return false };
            let Some((_, tail)) = take(left) else { return false };
            star = Some((after, tail));
            (at, rest) = (after, tail);
        }
    }

    fn is(&self, part: &Part, unit: Unit) -> bool {
        match part {
            Part::Any | Part::Never => false,
            Part::One => true,
            Part::Unit(own) if self.ignore_case => own.lower() == unit.lower(),
            Part::Unit(own) => *own == unit,
            Part::Bracket { negated, items } => items.iter().any(|item| item.has(unit, self.ignore_case)) != *negated,
        }
    }
}

impl Item {
    fn has(&self, unit: Unit, ignore_case: bool) -> bool {
        match (self, unit) {
            (Self::Range(from, to), _) if ignore_case => (from.lower()..=to.lower()).contains(&unit.lower()),
            (Self::Range(from, to), _) => (*from..=*to).contains(&unit),
            // As the name has it, even where capitals do not matter: that is how the C library does it.
            (Self::Class(is_in), Unit::Char(c)) => is_in(c),
            (Self::Class(_), Unit::Byte(_)) => false,
        }
    }
}

fn parts(pattern: &[u8], take: Take) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((unit, tail)) = take(rest) {
        rest = tail;
        parts.push(match unit {
            Unit::Char('*') if matches!(parts.last(), Some(Part::Any)) => continue,
            Unit::Char('*') => Part::Any,
            Unit::Char('?') => Part::One,
            Unit::Char('\\') => match take(rest) {
                Some((escaped, tail)) => {
                    rest = tail;
                    Part::Unit(escaped)
                }
                None => Part::Never,
            },
            Unit::Char('[') => match bracket(rest, take) {
                Some((part, tail)) => {
                    rest = tail;
                    part
                }
                None => Part::Unit(unit),
            },
            other => Part::Unit(other),
        });
    }
    parts
}

/// What stands behind a `[`, and what behind its `]`; none if there is no such.
fn bracket(text: &[u8], take: Take) -> Option<(Part, &[u8])> {
    let (negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut items = Vec::new();
    loop {
        // Right behind the bracket a `]` stands for itself.
        if let [b']', tail @ ..] = rest
            && !items.is_empty()
        {
            return Some((Part::Bracket { negated, items }, tail));
        }
        if let [b'[', b':', tail @ ..] = rest
            && let Some(end) = tail.windows(2).position(|pair| pair == b":]")
            && let Some(class) = class(&tail[..end])
        {
            items.push(Item::Class(class));
            rest = &tail[end + 2..];
            continue;
        }
        let (from, tail) = member(rest, take)?;
        rest = tail;
        let mut to = from;
        if let [b'-', tail @ ..] = rest
            && tail.first().is_some_and(|next| *next != b']')
        {
            (to, rest) = member(tail, take)?;
        }
        items.push(Item::Range(from, to));
    }
}

/// One end of a range.
fn member(text: &[u8], take: Take) -> Option<(Unit, &[u8])> {
    match take(text)? {
        (Unit::Char('\\'), rest) => take(rest),
        other => Some(other),
    }
}

fn class(name: &[u8]) -> Option<fn(char) -> bool> {
    Some(match name {
        b"alpha" => char::is_alphabetic,
        b"digit" => |c| c.is_ascii_digit(),
        b"alnum" => |c| c.is_alphabetic() || c.is_ascii_digit(),
        b"upper" => char::is_uppercase,
        b"lower" => char::is_lowercase,
        b"space" => char::is_whitespace,
        b"blank" => |c| matches!(c, ' ' | '\t'),
        b"cntrl" => char::is_control,
        b"xdigit" => |c| c.is_ascii_hexdigit(),
        b"punct" => |c| {
            c.is_ascii_punctuation() || (!c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control())
        },
        b"print" => |c| !c.is_control(),
        b"graph" => |c| !c.is_control() && !c.is_whitespace(),
        _ => return None,
    })
}
