//! `{…}`: how often something is repeated.

/// What stands between braces.
pub(super) enum Bounds {
    From(u32, Option<u32>),
    /// Numbers, or nothing, which make no sense.
    Wrong,
    /// Something else.
    None,
}

impl Bounds {
    pub(super) fn parse(text: &[u8]) -> Self {
        let (from, to) = match text.iter().position(|b| *b == b',') {
            None => (text, None),
            Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
        };
        let is_number = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if !is_number(from) || !to.is_none_or(is_number) {
            return Self::None;
        }
        // The C library takes no more than 32,767.
        let number = |part: &[u8]| std::str::from_utf8(part).ok()?.parse::<u32>().ok().filter(|n| *n <= 0x7fff);
        match (from, to) {
            (b"", None) => Self::Wrong,
            (from, None) => number(from).map_or(Self::Wrong, |exact| Self::From(exact, Some(exact))),
            (from, Some(to)) => {
                let from = if from.is_empty() { Some(0) } else { number(from) };
                match (from, to) {
                    (Some(from), b"") => Self::From(from, None),
                    (Some(from), to) => match number(to) {
                        Some(to) if from <= to => Self::From(from, Some(to)),
                        _ => Self::Wrong,
                    },
                    (None, _) => Self::Wrong,
                }
            }
        }
    }
}
