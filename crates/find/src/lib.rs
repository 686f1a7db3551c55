//! The language of `find`: what its arguments mean.
//!
//! Administrators' scripts speak it, so it is GNU find's, with its rules for what comes first, what is implied and what is an
//! error. Arguments are bytes, and stay so.
//!
//! * [`expr`]: what was said, as a tree; it can be printed as arguments again, and parsed to the same tree;
//! * [`parse`]: arguments to that tree, or find's own message about what is wrong with them. Nothing outside is asked: whether
//!   a user or a file of that name exists is for later;
//! * [`glob`]: patterns of names (`fnmatch`);
//! * [`regex`]: the dialects of regular expressions;
//! * [`mode`]: permissions as `chmod` writes them;
//! * [`number`]: `+N`, `-N`, `N`, sizes and times.
//! * [`check`]: a test made ready, and asked of an entry.
//! * [`format`](mod@format): what `-printf` makes of an entry;
//! * [`program`]: a query made ready: names looked up, dates and expressions read;
//! * [`plan`]: in which order to ask, and what must be known for it;
//! * [`run`](mod@run): a program run over trees, by way of `finder` (the visitor), `act` (what is done with an entry), `command` (`-exec`) and
//!   `streams` (where results go).
//!
//! Rejected: a parser generator. The language is a list of words with a fixed number of arguments each, and its messages
//! name the word.

mod act;
pub mod check;
mod command;
mod entry;
pub mod expr;
mod finder;
pub mod format;
pub mod glob;
mod json;
mod ls;
pub mod mode;
pub mod number;
pub mod parse;
pub mod plan;
mod print;
pub mod program;
pub mod regex;
pub mod roots;
pub mod run;
mod shown;
mod sorted;
mod streams;
