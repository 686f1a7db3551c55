//! What can be wrong with arguments, in find's own words.

use crate::format::FormatError;
use crate::shown::Shown;

/// Why arguments mean nothing. Each message is find's, and names the argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum Error {
    /// `-help`: nothing is wrong, and nothing is to be found.
    #[error("help was asked for")]
    Help,
    /// `-version`, likewise.
    #[error("the version was asked for")]
    Version,
    #[error("unknown predicate `{}'", Shown(.0))]
    Unknown(Vec<u8>),
    #[error("paths must precede expression: `{}'", Shown(.0))]
    LatePath(Vec<u8>),
    #[error("missing argument to `{}'", Shown(.0))]
    Missing(Vec<u8>),
    #[error("invalid argument `{}' to `{}'", Shown(.argument), Shown(.name))]
    Invalid { argument: Vec<u8>, name: Vec<u8> },
    #[error("Expected a positive decimal integer argument to {}, but got '{}'", Shown(.name), Shown(.argument))]
    NotPositive { argument: Vec<u8>, name: Vec<u8> },
    #[error("Unknown argument to {}: {}", Shown(.name), char::from(*.letter))]
    UnknownType { name: Vec<u8>, letter: u8 },
    #[error("Duplicate file type '{}' in the argument list to {}.", char::from(*.letter), Shown(.name))]
    DuplicateType { name: Vec<u8>, letter: u8 },
    #[error("Last file type in list argument to {} is missing, i.e., list is ending on: ','", Shown(.0))]
    LastTypeMissing(Vec<u8>),
    #[error("Must separate multiple arguments to {} using: ','", Shown(.0))]
    TypesNotSeparated(Vec<u8>),
    #[error("invalid -size type `{}'", char::from(*.0))]
    BadSizeUnit(u8),
    #[error("Invalid argument `{}' to -size", Shown(.0))]
    BadSize(Vec<u8>),
    #[error("invalid mode '{}'", Shown(.0))]
    BadMode(Vec<u8>),
    #[error("invalid predicate `{}'", Shown(.0))]
    BadNewer(Vec<u8>),
    #[error("Unknown regular expression type '{}'; valid types are {}.", Shown(.0), regex_types())]
    BadRegexType(Vec<u8>),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("Only one instance of {{}} is supported with {} ... +", Shown(.0))]
    TwoBraces(Vec<u8>),
    #[error("In '{} ... {{}} +' the '{{}}' must appear by itself, but you specified '{}'", Shown(.name), Shown(.argument))]
    BracesNotAlone { name: Vec<u8>, argument: Vec<u8> },
    #[error("invalid expression; you have used a binary operator '{}' with nothing before it.", Shown(.0))]
    NothingBefore(Vec<u8>),
    #[error("expected an expression after '{}'", Shown(.0))]
    NothingAfter(Vec<u8>),
    #[error("expected an expression between '{}' and ')'", Shown(.0))]
    NothingInside(Vec<u8>),
    #[error("invalid expression; empty parentheses are not allowed.")]
    EmptyParentheses,
    #[error("invalid expression; I was expecting to find a ')' somewhere but did not see one.")]
    NotClosed,
    #[error("you have too many ')'")]
    TooManyClosed,
    #[error("the expression nests deeper than {0} levels")]
    TooDeep(usize),
    #[error("an argument cannot hold a NUL: `{}'", Shown(.0))]
    Nul(Vec<u8>),
}

fn regex_types() -> String {
    let quoted = crate::expr::RegexType::ALL.map(|(name, _)| format!("'{name}'"));
    quoted.join(", ")
}

/// What is said about arguments that mean something, but perhaps not what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum Warning {
    #[error("the -d option is deprecated; please use -depth instead, because the latter is a POSIX-compliant feature.")]
    DIsDepth,
    #[error("{} {} will not match anything because it ends with /.", Shown(.name), Shown(.argument))]
    EndsInSlash { name: Vec<u8>, argument: Vec<u8> },
    #[error("'{}' matches against basenames only, but the given pattern contains a directory separator ('/'), thus the expression will evaluate to false all the time.  Did you mean '-wholename'?", Shown(.0))]
    SlashInName(Vec<u8>),
}
