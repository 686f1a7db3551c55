//! `-regex`: the dialects of regular expressions that find knows, as expressions of the `regex` library.
//!
//! find asks whether an expression matches a whole path. Which of several ways it would match first does not matter then, so a
//! library that takes linear time whatever the expression is can answer for all dialects, once it is told what is an operator.
//! What is one differs by dialect (`regex/dialect.rs`).
//!
//! Back-references cannot be answered in linear time. An expression with one is given to a library that tries one way after the
//! other (`fancy-regex`), up to a limit; beyond it the question is answered by an error instead of not at all.

mod bounds;
mod dialect;
mod list;

use bounds::Bounds;
use dialect::{Dialect, Start};
use pwalk_fs::Errno;

use crate::expr::{IgnoreCase, RegexType};

/// An expression, ready to be compared with paths.
#[derive(Clone, Debug)]
pub struct PathRegex(Matcher);

#[derive(Clone, Debug)]
enum Matcher {
    Linear(regex::bytes::Regex),
    Backtracking(fancy_regex::Regex),
}

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum RegexError {
    #[error("Unmatched ( or \\(")]
    OpenGroup,
    #[error("Unmatched ) or \\)")]
    ClosedGroup,
    #[error("Invalid preceding regular expression")]
    NothingToRepeat,
    #[error("Unmatched [, [^, [:, [., or [=")]
    OpenList,
    #[error("Invalid range end")]
    BadRange,
    #[error("Invalid character class name")]
    BadClass,
    #[error("Invalid content of \\{{\\}}")]
    BadInterval,
    #[error("Unmatched \\{{")]
    OpenInterval,
    #[error("Trailing backslash")]
    TrailingBackslash,
    #[error("Invalid back reference")]
    BadBackReference,
    #[error("Regular expression too big")]
    TooBig,
    #[error("an expression with back-references (\\1 to \\9) must be text")]
    NotText,
}

impl PathRegex {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in the C library's words.
    pub fn new(pattern: &[u8], kind: RegexType, ignore_case: IgnoreCase) -> Result<Self, RegexError> {
        let dialect = Dialect::of(kind);
        let begin = Translation {
            dialect,
            rest: pattern,
            ignore_case: ignore_case == IgnoreCase::Yes,
            depth: 0,
            closed: 0,
            refers: false,
            sealed: false,
        };
        let mut translation = Translation { ..begin };
        let mut text = translation.alternatives()?;
        if !translation.rest.is_empty() {
            return Err(RegexError::ClosedGroup);
        }
        if translation.refers {
            translation = Translation { sealed: true, ..begin };
            text = translation.alternatives()?;
        }
        let flags = match (dialect.dot_newline, ignore_case) {
            (true, IgnoreCase::No) => "(?s)",
            (true, IgnoreCase::Yes) => "(?si)",
            (false, IgnoreCase::No) => "",
            (false, IgnoreCase::Yes) => "(?i)",
        };
        let whole = format!("{flags}\\A(?:{text})\\z");
        if translation.refers && std::str::from_utf8(pattern).is_err() {
            return Err(RegexError::NotText);
        }
        let matcher = if translation.refers {
            fancy_regex::Regex::new(&whole).map(Matcher::Backtracking).ok()
        } else {
            regex::bytes::Regex::new(&whole).map(Matcher::Linear).ok()
        };
        matcher.map(Self).ok_or(RegexError::TooBig)
    }

    /// Whether the whole of a path matches.
    ///
    /// # Errors
    /// `E2BIG` where back-references leave too many ways to try.
    pub fn matches(&self, path: &[u8]) -> Result<bool, Errno> {
        match &self.0 {
            Matcher::Linear(regex) => Ok(regex.is_match(path)),
            Matcher::Backtracking(regex) => {
                // That library reads text. No path holds a NUL, so it can stand for each byte that is no character; nothing
                // in the expression matches one.
                let mut text = String::with_capacity(path.len());
                for chunk in path.utf8_chunks() {
                    text.push_str(chunk.valid());
                    text.extend(chunk.invalid().iter().map(|_| '\0'));
                }
                regex.is_match(&text).map_err(|_| Errno::TOOBIG)
            }
        }
    }
}

/// How deep groups may nest.
const DEEPEST: usize = 200;

struct Translation<'p> {
    dialect: Dialect,
    rest: &'p [u8],
    ignore_case: bool,
    depth: usize,
    /// Groups that are closed: what a back-reference may refer to.
    closed: usize,
    /// Whether there is a back-reference.
    refers: bool,
    /// Whether a NUL must not be matched.
    sealed: bool,
}

/// What stands next in the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Or,
    Star,
    Plus,
    Question,
    Brace,
    Dot,
    List,
    Hat,
    Dollar,
    /// An escape that stands for characters, in the library's words.
    Escape(&'static str),
    /// An escape that stands for a place between them.
    Anchor(&'static str),
    Reference(u8),
    /// A character of the expression, one to four bytes long.
    Literal,
}

/// What was read.
enum Atom {
    /// Something that may be repeated.
    Thing(String),
    /// A place, which cannot.
    Anchor(String),
    /// Nothing.
    Passed,
}

impl Translation<'_> {
    /// The next token, and how many bytes of the expression it takes.
    fn peek(&self) -> Result<Option<(Token, usize)>, RegexError> {
        let Some(first) = self.rest.first() else { return Ok(None) };
        if *first == b'\\' {
            let second = *self.rest.get(1).ok_or(RegexError::TrailingBackslash)?;
            let token = self.dialect.escaped(second).unwrap_or(Token::Literal);
            // A literal behind a backslash is the character without it.
            return Ok(Some((token, if token == Token::Literal { 1 } else { 2 })));
        }
        Ok(Some((self.dialect.plain(*first).unwrap_or(Token::Literal), 1)))
    }

    fn skip(&mut self, len: usize) {
        self.rest = &self.rest[len..];
    }

    fn alternatives(&mut self) -> Result<String, RegexError> {
        let mut text = self.branch()?;
        while let Some((Token::Or, len)) = self.peek()? {
            self.skip(len);
            text.push('|');
            text.push_str(&self.branch()?);
        }
        Ok(text)
    }

    fn branch(&mut self) -> Result<String, RegexError> {
        let mut text = String::new();
        let (mut is_start, mut hat_is_anchor) = (true, true);
        while let Some((token, len)) = self.peek()? {
            match token {
                Token::Or => break,
                Token::Close if self.depth > 0 => break,
                Token::Close if !self.dialect.lone_close_is_literal => return Err(RegexError::ClosedGroup),
                _ => {}
            }
            match self.atom(token, len, is_start, hat_is_anchor)? {
                Atom::Passed => {}
                // Behind an anchor an operator has as little to repeat as at the start.
                Atom::Anchor(anchor) => {
                    text.push_str(&anchor);
                    (is_start, hat_is_anchor) = (true, token == Token::Hat);
                }
                Atom::Thing(thing) => {
                    text.push_str(&self.repeated(thing)?);
                    (is_start, hat_is_anchor) = (false, false);
                }
            }
        }
        Ok(text)
    }

    fn atom(&mut self, token: Token, len: usize, is_start: bool, hat_is_anchor: bool) -> Result<Atom, RegexError> {
        Ok(Atom::Thing(match token {
            Token::Open => {
                self.skip(len);
                self.group()?
            }
            Token::Dot => {
                self.skip(len);
                self.sealed(".")
            }
            Token::List => {
                self.skip(len);
                let list = list::translate(&mut self.rest, self.dialect, self.ignore_case)?;
                self.sealed(&list)
            }
            Token::Escape(text) => {
                self.skip(len);
                self.sealed(text)
            }
            Token::Anchor(text) => {
                self.skip(len);
                return Ok(Atom::Anchor(text.to_owned()));
            }
            Token::Reference(number) => {
                if usize::from(number) > self.closed {
                    return Err(RegexError::BadBackReference);
                }
                self.skip(len);
                self.refers = true;
                format!("(?:\\{number})")
            }
            Token::Hat if hat_is_anchor || self.dialect.anchors_anywhere => {
                self.skip(len);
                return Ok(Atom::Anchor("(?m:^)".to_owned()));
            }
            Token::Dollar if self.dialect.anchors_anywhere || self.is_end(len)? => {
                self.skip(len);
                return Ok(Atom::Anchor("(?m:$)".to_owned()));
            }
            Token::Star | Token::Plus | Token::Question | Token::Brace if is_start => {
                match self.dialect.operator_at_start(token) {
                    Start::Invalid => return Err(RegexError::NothingToRepeat),
                    Start::Skipped => {
                        self.skip(len);
                        return Ok(Atom::Passed);
                    }
                    Start::Literal => self.literal(len)?,
                }
            }
            _ => self.literal(len)?,
        }))
    }

    /// What matches anything, or anything but this, without NULs if they must not be matched.
    fn sealed(&self, text: &str) -> String {
        match text {
            _ if !self.sealed => text.to_owned(),
            "." if self.dialect.dot_newline => "[^\\x{0}]".to_owned(),
            "." => "[^\\x{0}\\n]".to_owned(),
            "\\S" => "[^\\x{0}\\s]".to_owned(),
            _ => text.strip_prefix("[^").map_or(text.to_owned(), |rest| format!("[^\\x{{0}}{rest}")),
        }
    }

    /// Whether an alternative ends behind so many bytes.
    fn is_end(&self, len: usize) -> Result<bool, RegexError> {
        let after = Translation { rest: &self.rest[len..], ..*self };
        Ok(match after.peek()? {
            None | Some((Token::Or, _)) => true,
            Some((Token::Close, _)) => self.depth > 0,
            Some(_) => false,
        })
    }

    fn group(&mut self) -> Result<String, RegexError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(RegexError::TooBig);
        }
        let inner = self.alternatives()?;
        let Some((Token::Close, len)) = self.peek()? else { return Err(RegexError::OpenGroup) };
        self.skip(len);
        self.depth -= 1;
        self.closed += 1;
        Ok(format!("({inner})"))
    }

    /// A character that stands for itself; `len`: what of the expression stands before it, or is it.
    fn literal(&mut self, len: usize) -> Result<String, RegexError> {
        if self.rest[0] == b'\\' && len <= 2 {
            self.skip(1);
        }
        let (text, len) = list::character(self.rest).ok_or(RegexError::TrailingBackslash)?;
        self.skip(len);
        Ok(text)
    }

    /// What follows an atom: any number of operators.
    fn repeated(&mut self, mut atom: String) -> Result<String, RegexError> {
        let mut is_repeated = false;
        while let Some((token, len)) = self.peek()? {
            if is_repeated && self.dialect.repeats_once && matches!(token, Token::Star | Token::Brace) {
                return Err(RegexError::NothingToRepeat);
            }
            let operator = match token {
                Token::Star => "*".to_owned(),
                Token::Plus => "+".to_owned(),
                Token::Question => "?".to_owned(),
                Token::Brace => match self.interval(len)? {
                    Some(interval) => interval,
                    None => break,
                },
                _ => break,
            };
            if token != Token::Brace {
                self.skip(len);
            }
            atom = format!("(?:{atom}){operator}");
            is_repeated = true;
        }
        Ok(atom)
    }

    /// `{n}`, `{n,}`, `{,m}`, `{n,m}`; none if it stands for itself.
    fn interval(&mut self, len: usize) -> Result<Option<String>, RegexError> {
        let close: &[u8] = if len == 2 { b"\\}" } else { b"}" };
        let body = &self.rest[len..];
        let end = body.windows(close.len()).position(|window| window == close);
        match end.map(|end| (Bounds::parse(&body[..end]), end)) {
            Some((Bounds::From(from, to), end)) => {
                self.skip(len + end + close.len());
                let to = to.map_or(String::new(), |to| to.to_string());
                Ok(Some(format!("{{{from},{to}}}")))
            }
            Some((Bounds::Wrong, _)) => Err(RegexError::BadInterval),
            Some((Bounds::None, _)) | None if self.dialect.bad_interval_is_literal => Ok(None),
            Some((Bounds::None, _)) => Err(RegexError::BadInterval),
            None => Err(RegexError::OpenInterval),
        }
    }
}
