//! A query made ready to run: users are numbers, files are their times, expressions are compiled.
//!
//! Whatever can be wrong with a query is found here or by the parser, before anything is walked. Words that change what later
//! words mean (`-daystart`, `-regextype`) have their effect here.

use std::ffi::CString;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Zoned;
use jiff::tz::TimeZone;
use nix::unistd::{Group, User};
use pwalk_fs::{Errno, Links as FollowOne, Time, stat_path};

use crate::check::{Check, Window, stamp_of};
use crate::expr::{Action, Exec, Expr, Form, Links, Output, Query, Reference, RegexType, Switch, Test};
use crate::format::{Format, FormatError, stamp};
use crate::number::digits_only;
use crate::plan::{Act, Node};
use crate::regex::{PathRegex, RegexError};
use crate::shown::{Shown, said};

/// What to do, ready to be done.
#[derive(Clone, Debug)]
pub struct Program {
    /// How to walk.
    pub settings: Settings,
    /// What to ask and to do of each entry.
    pub node: Node,
    /// What its actions are, by their numbers.
    pub actions: Vec<Deed>,
    /// Whether a question is about the whole path.
    pub uses_path: bool,
    /// The moment that ages count from.
    pub start: Time,
    /// What is to be said beforehand.
    pub warnings: Vec<String>,
}

/// How to walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which links are followed.
    pub links: Links,
    /// No deeper than this below a starting point.
    pub max_depth: Option<u64>,
    /// Nothing is asked of what is less deep.
    pub min_depth: u64,
    /// Other file systems are not entered.
    pub one_file_system: bool,
    /// What is in a directory comes before it.
    pub depth_first: bool,
    /// What vanishes while it is looked at is no error.
    pub ignore_vanished: bool,
    /// Snapshot directories are entered.
    pub snapshots: bool,
    /// Sorted by path.
    pub sorted: bool,
    /// Workers; none for as many as pay.
    pub threads: Option<u64>,
    /// Commands at once.
    pub exec_parallel: Option<u64>,
    /// A file with starting points, each ended by a NUL.
    pub files0_from: Option<Vec<u8>>,
    /// Whether warnings are wanted; none: on a terminal.
    pub warn: Option<bool>,
}

/// An action made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Says something.
    Tell(Telling, Output),
    /// Runs a command.
    Exec(Exec),
    /// Removes the entry.
    Delete,
    /// Keeps out of a directory.
    Prune,
    /// Ends everything.
    Quit,
}

/// How something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The path and a line feed.
    Print,
    /// The path and a NUL.
    Print0,
    /// As `ls -dils`.
    Ls,
    /// By a format.
    Printf(Format),
    /// An object a line.
    Json,
}

/// What is wrong with a query whose words are right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum ProgramError {
    #[error("'{}' is not the name of a known user", Shown(.0))]
    NoUser(Vec<u8>),
    #[error("'{}' is not the name of an existing group", Shown(.0))]
    NoGroup(Vec<u8>),
    #[error("cannot look up '{}': {errno}", Shown(name))]
    Lookup { name: Vec<u8>, errno: Errno },
    #[error("'{}': {}", Shown(path), said(*.errno))]
    Reference { path: Vec<u8>, errno: Errno },
    #[error("This system does not provide a way to find the birth time of '{}'.", Shown(.0))]
    NoBirth(Vec<u8>),
    #[error("I cannot figure out how to interpret '{}' as a date or time", Shown(.0))]
    Date(Vec<u8>),
    #[error("failed to compile regular expression '{}': {error}", Shown(pattern))]
    Regex { pattern: Vec<u8>, error: RegexError },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(
        "The -delete action automatically turns on -depth, but -prune does nothing when -depth is in effect.  If you want to carry \
         on anyway, just explicitly use the -depth option."
    )]
    DeleteAndPrune,
}

/// Makes a query ready. `now`: the moment that ages count from.
///
/// # Errors
/// The first word whose argument means nothing here.
pub fn compile(query: &Query, now: SystemTime) -> Result<Program, ProgramError> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time { sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nsec: since.subsec_nanos() };
    let mut compiler = Compiler {
        settings: Settings { links: query.links, ..Settings::default() },
        actions: Vec::new(),
        warnings: Vec::new(),
        now,
        day: Time { sec: now.sec - 86_400, ..now },
        dialect: RegexType::default(),
        deletes: false,
        prunes: false,
        says_depth: false,
    };
    let node = query.expr.as_ref().map(|expr| compiler.expr(expr)).transpose()?;
    if compiler.deletes && compiler.prunes && !compiler.says_depth {
        return Err(ProgramError::DeleteAndPrune);
    }
    let is_silent = |deed: &Deed| matches!(deed, Deed::Prune | Deed::Quit);
    let node = match node {
        Some(node) if !compiler.actions.iter().all(is_silent) => node,
        node => {
            // As if `-print` stood behind the whole.
            let print = compiler.act(Deed::Tell(Telling::Print, Output::Standard));
            node.map_or(print.clone(), |node| Node::And(vec![node, print]))
        }
    };
    let Compiler { settings, actions, warnings, .. } = compiler;
    let uses_path = node.uses_path();
    Ok(Program { settings, node: node.arranged(), actions, uses_path, start: now, warnings })
}

struct Compiler {
    settings: Settings,
    actions: Vec<Deed>,
    warnings: Vec<String>,
    now: Time,
    /// What days count from.
    day: Time,
    dialect: RegexType,
    deletes: bool,
    prunes: bool,
    says_depth: bool,
}

impl Compiler {
    fn expr(&mut self, expr: &Expr) -> Result<Node, ProgramError> {
        Ok(match expr {
            Expr::And(parts) => Node::And(self.exprs(parts)?),
            Expr::Or(parts) => Node::Or(self.exprs(parts)?),
            Expr::List(parts) => Node::List(self.exprs(parts)?),
            Expr::Not(inner) => Node::Not(Box::new(self.expr(inner)?)),
            Expr::Switch(switch) => {
                self.switch(switch);
                Node::Check(Check::Constant(true))
            }
            Expr::Test(test) => Node::Check(self.test(test)?),
            Expr::Action(action) => self.action(action)?,
        })
    }

    fn exprs(&mut self, parts: &[Expr]) -> Result<Vec<Node>, ProgramError> {
        parts.iter().map(|part| self.expr(part)).collect()
    }

    fn switch(&mut self, switch: &Switch) {
        let settings = &mut self.settings;
        match switch {
            Switch::MaxDepth(n) => settings.max_depth = Some(*n),
            Switch::MinDepth(n) => settings.min_depth = *n,
            Switch::OneFileSystem => settings.one_file_system = true,
            Switch::Depth => {
                settings.depth_first = true;
                self.says_depth = true;
            }
            Switch::DayStart => self.day = midnight(self.now),
            Switch::Follow => settings.links = Links::Always,
            Switch::RegexType(dialect) => self.dialect = *dialect,
            Switch::Files0From(file) => settings.files0_from = Some(file.clone()),
            // No directory's link count is relied on in any case.
            Switch::NoLeaf => {}
            Switch::IgnoreReaddirRace(wanted) => settings.ignore_vanished = *wanted,
            Switch::Warn(wanted) => settings.warn = Some(*wanted),
            Switch::Threads(n) => settings.threads = Some(*n),
            Switch::Snapshots => settings.snapshots = true,
            Switch::Sorted => settings.sorted = true,
            Switch::ExecParallel(n) => settings.exec_parallel = Some(*n),
        }
    }

    fn test(&self, test: &Test) -> Result<Check, ProgramError> {
        Ok(match test {
            Test::True => Check::Constant(true),
            Test::False => Check::Constant(false),
            Test::Pattern(what, pattern, ignore) => Check::pattern(*what, pattern, *ignore),
            Test::Regex(pattern, ignore) => Check::Regex(
                PathRegex::new(pattern, self.dialect, *ignore)
                    .map_err(|error| ProgramError::Regex { pattern: pattern.clone(), error })?,
            ),
            Test::Type(letters) => Check::Type(letters.clone()),
            Test::XType(letters) => Check::XType(letters.clone()),
            Test::Size(size) => Check::Size(*size),
            Test::Empty => Check::Empty,
            Test::Age(stamp, span, amount) => Check::Time(*stamp, Window::of_age(*span, *amount, self.day)),
            Test::Used(amount) => Check::Used(*amount),
            Test::Newer(stamp, reference) => Check::Time(*stamp, Window::After(self.reference(reference)?)),
            Test::Perm(bits, mode) => Check::Perm(*bits, *mode),
            Test::User(name) => Check::User(user(name)?),
            Test::Group(name) => Check::Group(group(name)?),
            Test::Uid(count) => Check::Uid(*count),
            Test::Gid(count) => Check::Gid(*count),
            Test::NoUser => Check::NoUser,
            Test::NoGroup => Check::NoGroup,
            Test::Links(count) => Check::Links(*count),
            Test::Inode(count) => Check::Inode(*count),
            Test::SameFile(path) => Check::SameFile(self.stat(path)?.id()),
            Test::FsType(name) => Check::FsType(name.clone()),
            Test::Access(access) => Check::Access(*access),
        })
    }

    /// The metadata of a file that the command line names: of what a link leads to, if links there are followed.
    fn stat(&self, path: &[u8]) -> Result<pwalk_fs::Meta, ProgramError> {
        let failed = |errno| ProgramError::Reference { path: path.to_vec(), errno };
        let name = CString::new(path).map_err(|_| failed(Errno::NOENT))?;
        if self.settings.links != Links::Never {
            match stat_path(&name, FollowOne::Follow) {
                // One that leads nowhere is meant itself.
                Err(Errno::NOENT) => {}
                other => return other.map_err(failed),
            }
        }
        stat_path(&name, FollowOne::NoFollow).map_err(failed)
    }

    fn reference(&self, reference: &Reference) -> Result<Time, ProgramError> {
        match reference {
            Reference::File(stamp, path) => {
                let meta = self.stat(path)?;
                stamp_of(&meta, *stamp).ok_or_else(|| ProgramError::NoBirth(path.clone()))
            }
            Reference::Date(date) => read_date(date, self.now).ok_or_else(|| ProgramError::Date(date.clone())),
        }
    }

    fn action(&mut self, action: &Action) -> Result<Node, ProgramError> {
        let deed = match action {
            Action::Tell(form, output) => Deed::Tell(self.telling(form)?, output.clone()),
            Action::Exec(exec) => Deed::Exec(exec.clone()),
            Action::Delete => {
                self.deletes = true;
                self.settings.depth_first = true;
                Deed::Delete
            }
            Action::Prune => {
                self.prunes = true;
                Deed::Prune
            }
            Action::Quit => Deed::Quit,
        };
        Ok(self.act(deed))
    }

    fn telling(&mut self, form: &Form) -> Result<Telling, ProgramError> {
        Ok(match form {
            Form::Print => Telling::Print,
            Form::Print0 => Telling::Print0,
            Form::Ls => Telling::Ls,
            Form::Json => Telling::Json,
            Form::Printf(format) => {
                let (format, warnings) = Format::parse(format)?;
                self.warnings.extend(warnings);
                Telling::Printf(format)
            }
        })
    }

    fn act(&mut self, deed: Deed) -> Node {
        let (uses_meta, is_true) = match &deed {
            Deed::Tell(Telling::Print | Telling::Print0, _) | Deed::Prune | Deed::Quit => (false, true),
            Deed::Tell(Telling::Printf(format), _) => (format.uses_meta(), true),
            Deed::Tell(Telling::Ls | Telling::Json, _) => (true, true),
            // With `+` the command runs later, and what it says is not waited for.
            Deed::Exec(exec) => (false, exec.many),
            Deed::Delete => (false, false),
        };
        self.actions.push(deed);
        Node::Act(Act { number: self.actions.len() - 1, uses_meta, is_true })
    }
}

/// The beginning of today, here.
fn midnight(now: Time) -> Time {
    let start = zoned(now).and_then(|now| now.start_of_day().ok());
    start.map_or(Time { nsec: 0, sec: now.sec - now.sec.rem_euclid(86_400) }, |start| Time {
        sec: start.timestamp().as_second(),
        nsec: 0,
    })
}

fn zoned(time: Time) -> Option<Zoned> {
    Some(stamp(time)?.to_zoned(TimeZone::system()))
}

/// A date as people write it: `2026-11-21`, `yesterday`, `2 hours ago`, `@1580702706`.
fn read_date(date: &[u8], now: Time) -> Option<Time> {
    let text = std::str::from_utf8(date).ok()?;
    if text.trim().is_empty() {
        // As `date -d ''`.
        return Some(midnight(now));
    }
    let read = parse_datetime::parse_datetime_at_date(zoned(now)?, text).ok()?;
    let nsec = u32::try_from(read.subsec_nanosecond()).ok()?;
    Some(Time { sec: read.unix_epoch_second(), nsec })
}

fn user(name: &[u8]) -> Result<u32, ProgramError> {
    account(name, |text| Ok(User::from_name(text)?.map(|user| user.uid.as_raw())))?
        .ok_or_else(|| ProgramError::NoUser(name.to_vec()))
}

fn group(name: &[u8]) -> Result<u32, ProgramError> {
    account(name, |text| Ok(Group::from_name(text)?.map(|group| group.gid.as_raw())))?
        .ok_or_else(|| ProgramError::NoGroup(name.to_vec()))
}

/// The number of an account: what `look` finds, else the name itself if it is a number.
fn account(name: &[u8], look: impl Fn(&str) -> nix::Result<Option<u32>>) -> Result<Option<u32>, ProgramError> {
    let Ok(text) = std::str::from_utf8(name) else { return Ok(None) };
    let found = look(text)
        .map_err(|errno| ProgramError::Lookup { name: name.to_vec(), errno: Errno::from_raw_os_error(errno as i32) })?;
    Ok(found.or_else(|| digits_only(name).and_then(|number| u32::try_from(number).ok())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn compiled(line: &str) -> Result<Program, ProgramError> {
        let words: Vec<&str> = line.split(' ').collect();
        compile(&parse(&words).unwrap().0, SystemTime::now())
    }

    #[test]
    fn print_is_implied_unless_something_is_said() {
        let count = |line: &str| compiled(line).unwrap().actions.len();
        assert_eq!((count("-name x"), count("-name x -prune"), count("-quit"), count(". ")), (1, 2, 2, 1));
        assert_eq!(
            (count("-name x -print"), count("-delete"), count("-exec a ;"), count("-printf x -o -prune")),
            (1, 1, 1, 2)
        );
    }

    #[test]
    fn what_does_not_exist_is_told() {
        let told = |line: &str| compiled(line).unwrap_err().to_string();
        assert_eq!(told("-user no-such-user"), "'no-such-user' is not the name of a known user");
        assert_eq!(told("-group no-such"), "'no-such' is not the name of an existing group");
        assert_eq!(told("-newer /no/such"), "'/no/such': No such file or directory");
        assert_eq!(told("-newermt foo"), "I cannot figure out how to interpret 'foo' as a date or time");
        assert_eq!(told("-regex a\\("), "failed to compile regular expression 'a\\(': Unmatched ( or \\(");
        assert!(
            told("-prune -o -delete").starts_with("The -delete action") && compiled("-depth -prune -o -delete").is_ok()
        );
        assert!(compiled("-user 12345 -group 0 -newermt 2020-01-01 -newerat yesterday -samefile /").is_ok());
    }
}
