//! What is an operator in which dialect: the C library's `RE_SYNTAX_…` in words.

use super::Token;
use crate::expr::RegexType;

/// How an operator is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// As it is.
    Plain,
    /// Behind a backslash.
    Escaped,
    /// It is none.
    Absent,
}

/// What an operator at the start of an alternative is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// A mistake.
    Invalid,
    /// Nothing.
    Skipped,
    /// Itself.
    Literal,
}

#[derive(Clone, Copy)]
pub(super) struct Dialect {
    groups: Spelling,
    or: Spelling,
    plus: Spelling,
    braces: Spelling,
    references: bool,
    /// `\w`, `\b`, `\<` and their like.
    gnu: bool,
    /// A line feed divides alternatives.
    newline_or: bool,
    start: Start,
    /// What is repeated cannot be repeated again by `*` or a brace, and a brace with nothing before it is a mistake.
    pub(super) repeats_once: bool,
    /// `[:alpha:]` in lists.
    pub(super) classes: bool,
    /// A backslash in a list takes the meaning from what follows.
    pub(super) escapes_in_lists: bool,
    pub(super) dot_newline: bool,
    pub(super) anchors_anywhere: bool,
    pub(super) lone_close_is_literal: bool,
    pub(super) bad_interval_is_literal: bool,
}

impl Dialect {
    const EMACS: Self = Self {
        groups: Spelling::Escaped,
        or: Spelling::Escaped,
        plus: Spelling::Plain,
        braces: Spelling::Absent,
        references: true,
        gnu: true,
        newline_or: false,
        start: Start::Literal,
        repeats_once: false,
        classes: false,
        escapes_in_lists: false,
        dot_newline: false,
        anchors_anywhere: false,
        lone_close_is_literal: false,
        bad_interval_is_literal: false,
    };
    const BASIC: Self = Self {
        plus: Spelling::Escaped,
        braces: Spelling::Escaped,
        repeats_once: true,
        classes: true,
        dot_newline: true,
        ..Self::EMACS
    };
    const EXTENDED: Self = Self {
        groups: Spelling::Plain,
        or: Spelling::Plain,
        plus: Spelling::Plain,
        braces: Spelling::Plain,
        start: Start::Invalid,
        repeats_once: false,
        anchors_anywhere: true,
        lone_close_is_literal: true,
        ..Self::BASIC
    };

    pub(super) fn of(kind: RegexType) -> Self {
        match kind {
            RegexType::FindutilsDefault => Self { dot_newline: true, ..Self::EMACS },
            RegexType::Emacs => Self::EMACS,
            RegexType::Ed | RegexType::Sed | RegexType::PosixBasic => Self::BASIC,
            RegexType::Grep => Self { newline_or: true, repeats_once: false, ..Self::BASIC },
            RegexType::PosixMinimalBasic => {
                Self { or: Spelling::Absent, plus: Spelling::Absent, repeats_once: false, ..Self::BASIC }
            }
            RegexType::PosixExtended => Self::EXTENDED,
            RegexType::Egrep | RegexType::PosixEgrep => {
                Self { newline_or: true, start: Start::Skipped, bad_interval_is_literal: true, ..Self::EXTENDED }
            }
            RegexType::GnuAwk => {
                Self { start: Start::Literal, escapes_in_lists: true, bad_interval_is_literal: true, ..Self::EXTENDED }
            }
            RegexType::PosixAwk => {
                Self { gnu: false, escapes_in_lists: true, bad_interval_is_literal: true, ..Self::EXTENDED }
            }
            RegexType::Awk => Self {
                braces: Spelling::Absent,
                references: false,
                gnu: false,
                start: Start::Literal,
                escapes_in_lists: true,
                ..Self::EXTENDED
            },
        }
    }

    /// What a byte means as it stands, if it is no literal.
    pub(super) fn plain(self, byte: u8) -> Option<Token> {
        match byte {
            b'*' => Some(Token::Star),
            b'.' => Some(Token::Dot),
            b'[' => Some(Token::List),
            b'^' => Some(Token::Hat),
            b'$' => Some(Token::Dollar),
            b'\n' if self.newline_or => Some(Token::Or),
            _ => self.operator(byte, Spelling::Plain),
        }
    }

    /// What a byte means behind a backslash.
    pub(super) fn escaped(self, byte: u8) -> Option<Token> {
        match byte {
            b'1'..=b'9' if self.references => Some(Token::Reference(byte - b'0')),
            b'w' if self.gnu => Some(Token::Escape("[\\pL\\pN_]")),
            b'W' if self.gnu => Some(Token::Escape("[^\\pL\\pN_]")),
            b's' if self.gnu => Some(Token::Escape("\\s")),
            b'S' if self.gnu => Some(Token::Escape("\\S")),
            b'b' if self.gnu => Some(Token::Anchor("\\b")),
            b'B' if self.gnu => Some(Token::Anchor("\\B")),
            b'<' if self.gnu => Some(Token::Anchor("\\b{start}")),
            b'>' if self.gnu => Some(Token::Anchor("\\b{end}")),
            b'`' if self.gnu => Some(Token::Anchor("\\A")),
            b'\'' if self.gnu => Some(Token::Anchor("\\z")),
            _ => self.operator(byte, Spelling::Escaped),
        }
    }

    fn operator(self, byte: u8, spelling: Spelling) -> Option<Token> {
        let (own, token) = match byte {
            b'(' => (self.groups, Token::Open),
            b')' => (self.groups, Token::Close),
            b'|' => (self.or, Token::Or),
            b'+' => (self.plus, Token::Plus),
            b'?' => (self.plus, Token::Question),
            b'{' => (self.braces, Token::Brace),
            _ => return None,
        };
        (own == spelling).then_some(token)
    }

    /// What becomes of an operator with nothing before it.
    pub(super) fn operator_at_start(self, token: Token) -> Start {
        if token == Token::Brace && self.repeats_once { Start::Invalid } else { self.start }
    }
}
