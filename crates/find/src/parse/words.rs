//! The words of the language, and what each takes.

use super::{Error, Parser, Warning};
use crate::expr::{
    Access, Action, Bits, Exec, Expr, Form, IgnoreCase, Output, Place, Reference, RegexType, Span, Stamp, Switch, Test,
    TypeLetter, What,
};
use crate::format::Format;
use crate::mode::Mode;
use crate::number::{Amount, Count, Size, digits_only};

impl<'a> Parser<'a> {
    /// A word and its arguments.
    pub(super) fn word(&mut self, name: &'a [u8]) -> Result<Expr, Error> {
        if !super::looks_like_expression(name, false) {
            return Err(Error::LatePath(name.to_vec()));
        }
        let Ok(text) = std::str::from_utf8(name) else { return Err(Error::Unknown(name.to_vec())) };
        if let Some(switch) = self.switch(text)? {
            return Ok(Expr::Switch(switch));
        }
        if let Some(test) = self.test(text)? {
            return Ok(Expr::Test(test));
        }
        match self.action(text)? {
            Some(action) => Ok(Expr::Action(action)),
            None => Err(Error::Unknown(name.to_vec())),
        }
    }

    /// The argument of a word.
    fn argument(&mut self, name: &str) -> Result<&'a [u8], Error> {
        let argument = self.next().ok_or_else(|| Error::Missing(name.into()))?;
        if argument.contains(&0) { Err(Error::Nul(argument.to_vec())) } else { Ok(argument) }
    }

    fn positive(&mut self, name: &str) -> Result<u64, Error> {
        let argument = self.argument(name)?;
        digits_only(argument).ok_or_else(|| Error::NotPositive { argument: argument.to_vec(), name: name.into() })
    }

    /// An argument that `read` understands.
    fn read<T>(&mut self, name: &str, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Error> {
        let argument = self.argument(name)?;
        read(argument).ok_or_else(|| Error::Invalid { argument: argument.to_vec(), name: name.into() })
    }

    fn switch(&mut self, name: &str) -> Result<Option<Switch>, Error> {
        Ok(Some(match name {
            "-maxdepth" => Switch::MaxDepth(self.positive(name)?),
            "-mindepth" => Switch::MinDepth(self.positive(name)?),
            "-xdev" | "-mount" => Switch::OneFileSystem,
            "-depth" => Switch::Depth,
            "-d" => {
                self.warnings.push(Warning::DIsDepth);
                Switch::Depth
            }
            "-daystart" => Switch::DayStart,
            "-follow" => Switch::Follow,
            "-regextype" => {
                let argument = self.argument(name)?;
                let known = RegexType::ALL.iter().find(|(known, _)| known.as_bytes() == argument);
                Switch::RegexType(known.ok_or_else(|| Error::BadRegexType(argument.to_vec()))?.1)
            }
            "-files0-from" => Switch::Files0From(self.argument(name)?.to_vec()),
            "-noleaf" => Switch::NoLeaf,
            "-h" | "-help" | "--help" => return Err(Error::Help),
            "-version" | "--version" => return Err(Error::Version),
            "-ignore_readdir_race" => Switch::IgnoreReaddirRace(true),
            "-noignore_readdir_race" => Switch::IgnoreReaddirRace(false),
            "-warn" => Switch::Warn(true),
            "-nowarn" => Switch::Warn(false),
            "-threads" => Switch::Threads(self.positive(name)?),
            "-snapshots" => Switch::Snapshots,
            "-s" => Switch::Sorted,
            "-exec-parallel" => Switch::ExecParallel(self.positive(name)?),
            _ => return Ok(None),
        }))
    }

    fn test(&mut self, name: &str) -> Result<Option<Test>, Error> {
        Ok(Some(match name {
            "-true" => Test::True,
            "-false" => Test::False,
            "-name" => self.pattern(name, What::Name, IgnoreCase::No)?,
            "-iname" => self.pattern(name, What::Name, IgnoreCase::Yes)?,
            "-path" | "-wholename" => self.pattern(name, What::Path, IgnoreCase::No)?,
            "-ipath" | "-iwholename" => self.pattern(name, What::Path, IgnoreCase::Yes)?,
            "-lname" => self.pattern(name, What::Link, IgnoreCase::No)?,
            "-ilname" => self.pattern(name, What::Link, IgnoreCase::Yes)?,
            "-regex" => Test::Regex(self.argument(name)?.to_vec(), IgnoreCase::No),
            "-iregex" => Test::Regex(self.argument(name)?.to_vec(), IgnoreCase::Yes),
            "-type" => Test::Type(self.types(name)?),
            "-xtype" => Test::XType(self.types(name)?),
            "-size" => self.size(name)?,
            "-empty" => Test::Empty,
            "-used" => Test::Used(self.read(name, Amount::parse)?),
            "-perm" => self.perm(name)?,
            "-user" => Test::User(self.argument(name)?.to_vec()),
            "-group" => Test::Group(self.argument(name)?.to_vec()),
            "-uid" => Test::Uid(self.read(name, Count::parse)?),
            "-gid" => Test::Gid(self.read(name, Count::parse)?),
            "-nouser" => Test::NoUser,
            "-nogroup" => Test::NoGroup,
            "-links" => Test::Links(self.read(name, Count::parse)?),
            "-inum" => Test::Inode(self.read(name, Count::parse)?),
            "-samefile" => Test::SameFile(self.argument(name)?.to_vec()),
            "-fstype" => Test::FsType(self.argument(name)?.to_vec()),
            "-readable" => Test::Access(Access::Read),
            "-writable" => Test::Access(Access::Write),
            "-executable" => Test::Access(Access::Execute),
            "-newer" | "-anewer" | "-cnewer" => {
                let stamp = match name {
                    "-newer" => Stamp::M,
                    "-anewer" => Stamp::A,
                    _ => Stamp::C,
                };
                Test::Newer(stamp, Reference::File(Stamp::M, self.argument(name)?.to_vec()))
            }
            _ if name.len() == "-newerXY".len() && name.starts_with("-newer") => self.newer(name)?,
            _ => match age(name) {
                Some((stamp, span)) => Test::Age(stamp, span, self.read(name, Amount::parse)?),
                None => return Ok(None),
            },
        }))
    }

    fn pattern(&mut self, name: &str, what: What, ignore: IgnoreCase) -> Result<Test, Error> {
        let pattern = self.argument(name)?;
        if what == What::Name && pattern.contains(&b'/') && pattern != b"/" {
            self.warnings.push(Warning::SlashInName(name.into()));
        }
        if what == What::Path && pattern.len() > 1 && pattern.ends_with(b"/") {
            self.warnings.push(Warning::EndsInSlash { name: name.into(), argument: pattern.to_vec() });
        }
        Ok(Test::Pattern(what, pattern.to_vec(), ignore))
    }

    fn types(&mut self, name: &str) -> Result<Vec<TypeLetter>, Error> {
        let argument = self.argument(name)?;
        let mut types = Vec::new();
        let mut rest = argument;
        while let [letter, tail @ ..] = rest {
            let known = TypeLetter::ALL.iter().find(|(known, _)| known == letter).map(|(_, kind)| *kind);
            let kind = known.ok_or_else(|| Error::UnknownType { name: name.into(), letter: *letter })?;
            if types.contains(&kind) {
                return Err(Error::DuplicateType { name: name.into(), letter: *letter });
            }
            types.push(kind);
            rest = match tail {
                [] => tail,
                b"," => return Err(Error::LastTypeMissing(name.into())),
                [b',', tail @ ..] => tail,
                _ => return Err(Error::TypesNotSeparated(name.into())),
            };
        }
        if types.is_empty() {
            return Err(Error::Invalid { argument: argument.to_vec(), name: name.into() });
        }
        Ok(types)
    }

    fn size(&mut self, name: &str) -> Result<Test, Error> {
        let argument = self.argument(name)?;
        if let Some(size) = Size::parse(argument) {
            return Ok(Test::Size(size));
        }
        Err(match argument.last() {
            Some(last) if !last.is_ascii_digit() && !b"bcwkMG".contains(last) => Error::BadSizeUnit(*last),
            _ => Error::BadSize(argument.to_vec()),
        })
    }

    fn perm(&mut self, name: &str) -> Result<Test, Error> {
        let argument = self.argument(name)?;
        let (bits, text) = match argument {
            [b'-', rest @ ..] => (Bits::All, rest),
            [b'/', rest @ ..] => (Bits::Any, rest),
            _ => (Bits::Exact, argument),
        };
        if let [b'+', b'0'..=b'9', ..] = text {
            // What it meant once is written with a slash now.
            return Err(Error::BadMode(argument.to_vec()));
        }
        let mode = Mode::parse(text).ok_or_else(|| Error::BadMode(argument.to_vec()))?;
        Ok(Test::Perm(bits, mode))
    }

    /// `-newerXY`
    fn newer(&mut self, name: &str) -> Result<Test, Error> {
        let stamp = |letter| Stamp::ALL.iter().find(|(known, _)| *known == letter).map(|(_, stamp)| *stamp);
        let bad = || Error::BadNewer(name.into());
        let [x, y] = name.as_bytes()["-newer".len()..] else { return Err(bad()) };
        let own = stamp(x).ok_or_else(bad)?;
        if y == b't' {
            return Ok(Test::Newer(own, Reference::Date(self.argument(name)?.to_vec())));
        }
        let other = stamp(y).ok_or_else(bad)?;
        Ok(Test::Newer(own, Reference::File(other, self.argument(name)?.to_vec())))
    }

    fn action(&mut self, name: &str) -> Result<Option<Action>, Error> {
        let (form, to_file) = match name {
            "-print" => (Form::Print, false),
            "-print0" => (Form::Print0, false),
            "-ls" => (Form::Ls, false),
            "-json" => (Form::Json, false),
            "-printf" => (Form::Printf(Vec::new()), false),
            "-fprint" => (Form::Print, true),
            "-fprint0" => (Form::Print0, true),
            "-fls" => (Form::Ls, true),
            "-fjson" => (Form::Json, true),
            "-fprintf" => (Form::Printf(Vec::new()), true),
            "-exec" => return self.exec(name, Place::Here, false).map(Some),
            "-execdir" => return self.exec(name, Place::Directory, false).map(Some),
            "-ok" => return self.exec(name, Place::Here, true).map(Some),
            "-okdir" => return self.exec(name, Place::Directory, true).map(Some),
            "-delete" => return Ok(Some(Action::Delete)),
            "-prune" => return Ok(Some(Action::Prune)),
            "-quit" => return Ok(Some(Action::Quit)),
            _ => return Ok(None),
        };
        let output = if to_file { Output::File(self.argument(name)?.to_vec()) } else { Output::Standard };
        let form = match form {
            Form::Printf(_) => Form::Printf(self.format(name)?),
            other => other,
        };
        Ok(Some(Action::Tell(form, output)))
    }

    fn format(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let format = self.argument(name)?;
        Format::parse(format)?;
        Ok(format.to_vec())
    }

    fn exec(&mut self, name: &str, place: Place, ask: bool) -> Result<Action, Error> {
        let begin = self.at;
        let mut braces: Vec<&[u8]> = Vec::new();
        let mut after_braces = false;
        let many = loop {
            let argument = self.argument(name)?;
            match argument {
                b";" => break false,
                b"+" if after_braces && !ask => break true,
                _ => {}
            }
            after_braces = argument.windows(2).any(|pair| pair == b"{}");
            if after_braces {
                braces.push(argument);
            }
        };
        let command: Vec<Vec<u8>> = self.arguments[begin..self.at - 1].iter().map(|word| word.to_vec()).collect();
        if command.is_empty() {
            return Err(Error::Invalid { argument: self.arguments[begin].to_vec(), name: name.into() });
        }
        if many && braces.len() > 1 {
            return Err(Error::TwoBraces(name.into()));
        }
        if many && let Some(argument) = braces.first().filter(|argument| **argument != b"{}") {
            return Err(Error::BracesNotAlone { name: name.into(), argument: argument.to_vec() });
        }
        Ok(Action::Exec(Exec { place, ask, many, command }))
    }
}

/// `-amin`, `-ctime` and their like.
fn age(name: &str) -> Option<(Stamp, Span)> {
    let (letter, unit) = name.strip_prefix('-')?.split_at_checked(1)?;
    let stamp = match letter {
        "a" => Stamp::A,
        "c" => Stamp::C,
        "m" => Stamp::M,
        _ => return None,
    };
    match unit {
        "time" => Some((stamp, Span::Days)),
        "min" => Some((stamp, Span::Minutes)),
        _ => None,
    }
}
