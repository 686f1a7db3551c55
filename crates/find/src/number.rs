//! Numbers as find's tests write them: `+N` for more, `-N` for less, `N` for just as much.

/// How a value is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `+N`: more.
    More,
    /// `-N`: less.
    Less,
    /// `N`: just as much.
    Equal,
}

impl Compare {
    /// Takes the sign off an argument.
    fn split(text: &[u8]) -> (Self, &[u8]) {
        match text {
            [b'+', rest @ ..] => (Self::More, rest),
            [b'-', rest @ ..] => (Self::Less, rest),
            _ => (Self::Equal, text),
        }
    }

    /// The sign, as it is written.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::More => "+",
            Self::Less => "-",
            Self::Equal => "",
        }
    }

    /// Whether `value` compares so with `bound`.
    pub fn holds<T: PartialOrd>(self, value: T, bound: T) -> bool {
        match self {
            Self::More => value > bound,
            Self::Less => value < bound,
            Self::Equal => value == bound,
        }
    }
}

/// A whole number with its comparison: links, inodes, users, groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// More, less or equal.
    pub compare: Compare,
    /// Than what.
    pub bound: u64,
}

impl Count {
    /// Reads `[+-]DIGITS`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (compare, digits) = Compare::split(text);
        Some(Self { compare, bound: digits_only(digits)? })
    }

    /// Whether a value is meant.
    pub fn holds(self, value: u64) -> bool {
        self.compare.holds(value, self.bound)
    }
}

/// Decimal digits and nothing else; none if there are too many.
pub(crate) fn digits_only(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An amount of days or minutes, which may have a fraction, with its comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// More, less or equal.
    pub compare: Compare,
    /// Than what. Negative amounts lie in the future.
    pub bound: f64,
}

impl Amount {
    /// Reads `[+-]NUMBER`, where the number may have a sign of its own.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (compare, number) = Compare::split(text);
        let text = std::str::from_utf8(number).ok()?;
        // Rust also knows names for numbers that are none.
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        let bound = if plain { text.parse::<f64>().ok()? } else { return None };
        bound.is_finite().then_some(Self { compare, bound })
    }
}

/// A file's size in units, rounded up, with its comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many units.
    pub count: Count,
    /// The unit.
    pub unit: Unit,
}

/// What `-size` counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `b`, or nothing: 512 bytes.
    Block,
    /// `c`: bytes.
    Byte,
    /// `w`: 2 bytes.
    Word,
    /// `k`: KiB.
    Kibi,
    /// `M`: MiB.
    Mebi,
    /// `G`: GiB.
    Gibi,
}

impl Unit {
    const ALL: [(u8, Self, u64); 6] = [
        (b'b', Self::Block, 512),
        (b'c', Self::Byte, 1),
        (b'w', Self::Word, 2),
        (b'k', Self::Kibi, 1 << 10),
        (b'M', Self::Mebi, 1 << 20),
        (b'G', Self::Gibi, 1 << 30),
    ];

    /// How many bytes it is.
    pub fn bytes(self) -> u64 {
        Self::ALL.iter().find(|(_, unit, _)| *unit == self).map_or(1, |(_, _, bytes)| *bytes)
    }

    pub(crate) fn letter(self) -> char {
        Self::ALL.iter().find(|(_, unit, _)| *unit == self).map_or('c', |(letter, _, _)| char::from(*letter))
    }
}

impl Size {
    /// Reads `[+-]DIGITS[bcwkMG]`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (last, rest) = text.split_last()?;
        let unit = Unit::ALL.iter().find(|(letter, _, _)| letter == last).map(|(_, unit, _)| *unit);
        let (digits, unit) = unit.map_or((text, Unit::Block), |unit| (rest, unit));
        Some(Self { count: Count::parse(digits)?, unit })
    }

    /// Whether a file of so many bytes is meant. Units that have begun count whole: of 1 byte, `-size -1M` is false.
    pub fn holds(self, bytes: u64) -> bool {
        self.count.holds(bytes.div_ceil(self.unit.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        let size = |text: &str| Size::parse(text.as_bytes());
        assert!(size("1k").unwrap().holds(1) && size("1k").unwrap().holds(1024) && !size("1k").unwrap().holds(1025));
        assert!(!size("-1M").unwrap().holds(1) && size("-1M").unwrap().holds(0));
        assert!(size("+1").unwrap().holds(513) && size("2w").unwrap().holds(3));
        for bad in ["", "k", "+", "1T", "1kk", "x", "+-1", "99999999999999999999"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_may_have_two_signs_and_a_fraction() {
        let amount = |text: &str| Amount::parse(text.as_bytes()).map(|a| (a.compare, a.bound));
        assert_eq!(amount("+-1"), Some((Compare::More, -1.0)));
        assert_eq!(amount("1.5"), Some((Compare::Equal, 1.5)));
        for bad in ["", "-", "x", "1d", "inf", "nan", "1e999"] {
            assert_eq!(amount(bad), None, "{bad}");
        }
    }
}
