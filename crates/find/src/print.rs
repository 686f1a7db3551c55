//! A query as arguments again.
//!
//! They need not be those that it was read from, but they mean the same: parsed again they give the same tree.

use crate::expr::{
    Access, Action, Bits, Exec, Expr, Form, IgnoreCase, Links, Output, Place, Query, Reference, Span, Stamp, Switch,
    Test, TypeLetter, What,
};
use crate::mode::Mode;
use crate::number::{Amount, Count, Size};

type Words = Vec<Vec<u8>>;

impl Query {
    /// The arguments that say this, without the program's name.
    pub fn to_arguments(&self) -> Vec<Vec<u8>> {
        let mut words = Words::new();
        match self.links {
            Links::Never => {}
            Links::Roots => word(&mut words, "-H"),
            Links::Always => word(&mut words, "-L"),
        }
        words.extend(self.roots.iter().cloned());
        if let Some(expr) = &self.expr {
            expr.write(&mut words);
        }
        words
    }
}

fn word(words: &mut Words, text: impl AsRef<[u8]>) {
    words.push(text.as_ref().to_vec());
}

fn pair(words: &mut Words, name: &str, argument: impl AsRef<[u8]>) {
    word(words, name);
    word(words, argument);
}

impl Expr {
    /// How tightly it binds.
    fn rank(&self) -> u8 {
        match self {
            Self::List(_) => 0,
            Self::Or(_) => 1,
            Self::And(_) => 2,
            _ => 3,
        }
    }

    fn write(&self, words: &mut Words) {
        match self {
            Self::And(parts) => self.join(parts, "-a", words),
            Self::Or(parts) => self.join(parts, "-o", words),
            Self::List(parts) => self.join(parts, ",", words),
            Self::Not(inner) => {
                word(words, "!");
                inner.write_below(3, words);
            }
            Self::Switch(switch) => switch.write(words),
            Self::Test(test) => test.write(words),
            Self::Action(action) => action.write(words),
        }
    }

    fn join(&self, parts: &[Self], operator: &str, words: &mut Words) {
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                word(words, operator);
            }
            part.write_below(self.rank() + 1, words);
        }
    }

    fn write_below(&self, rank: u8, words: &mut Words) {
        if self.rank() >= rank {
            return self.write(words);
        }
        word(words, "(");
        self.write(words);
        word(words, ")");
    }
}

impl Switch {
    fn write(&self, words: &mut Words) {
        match self {
            Self::MaxDepth(n) => pair(words, "-maxdepth", n.to_string()),
            Self::MinDepth(n) => pair(words, "-mindepth", n.to_string()),
            Self::OneFileSystem => word(words, "-xdev"),
            Self::Depth => word(words, "-depth"),
            Self::DayStart => word(words, "-daystart"),
            Self::Follow => word(words, "-follow"),
            Self::RegexType(dialect) => pair(words, "-regextype", dialect.name()),
            Self::Files0From(file) => pair(words, "-files0-from", file),
            Self::NoLeaf => word(words, "-noleaf"),
            Self::IgnoreReaddirRace(true) => word(words, "-ignore_readdir_race"),
            Self::IgnoreReaddirRace(false) => word(words, "-noignore_readdir_race"),
            Self::Warn(true) => word(words, "-warn"),
            Self::Warn(false) => word(words, "-nowarn"),
            Self::Threads(n) => pair(words, "-threads", n.to_string()),
            Self::Snapshots => word(words, "-snapshots"),
            Self::Sorted => word(words, "-s"),
            Self::ExecParallel(n) => pair(words, "-exec-parallel", n.to_string()),
        }
    }
}

impl Test {
    fn write(&self, words: &mut Words) {
        match self {
            Self::True => word(words, "-true"),
            Self::False => word(words, "-false"),
            Self::Pattern(what, pattern, ignore) => {
                let name = match what {
                    What::Name => "name",
                    What::Path => "path",
                    What::Link => "lname",
                };
                pair(words, &cased(name, *ignore), pattern);
            }
            Self::Regex(pattern, ignore) => pair(words, &cased("regex", *ignore), pattern),
            Self::Type(letters) => pair(words, "-type", list(letters)),
            Self::XType(letters) => pair(words, "-xtype", list(letters)),
            Self::Size(Size { count, unit }) => pair(words, "-size", format!("{}{}", text(*count), unit.letter())),
            Self::Empty => word(words, "-empty"),
            Self::Age(stamp, span, amount) => {
                let unit = match span {
                    Span::Days => "time",
                    Span::Minutes => "min",
                };
                pair(words, &format!("-{}{unit}", stamp.letter()), spell(*amount));
            }
            Self::Used(amount) => pair(words, "-used", spell(*amount)),
            Self::Newer(stamp, Reference::File(other, file)) => {
                pair(words, &newer(*stamp, other.letter()), file);
            }
            Self::Newer(stamp, Reference::Date(date)) => pair(words, &newer(*stamp, 't'), date),
            Self::Perm(bits, mode) => pair(words, "-perm", perm(*bits, *mode)),
            Self::User(name) => pair(words, "-user", name),
            Self::Group(name) => pair(words, "-group", name),
            Self::Uid(count) => pair(words, "-uid", text(*count)),
            Self::Gid(count) => pair(words, "-gid", text(*count)),
            Self::NoUser => word(words, "-nouser"),
            Self::NoGroup => word(words, "-nogroup"),
            Self::Links(count) => pair(words, "-links", text(*count)),
            Self::Inode(count) => pair(words, "-inum", text(*count)),
            Self::SameFile(file) => pair(words, "-samefile", file),
            Self::FsType(name) => pair(words, "-fstype", name),
            Self::Access(Access::Read) => word(words, "-readable"),
            Self::Access(Access::Write) => word(words, "-writable"),
            Self::Access(Access::Execute) => word(words, "-executable"),
        }
    }
}

impl Action {
    fn write(&self, words: &mut Words) {
        match self {
            Self::Tell(form, output) => tell(form, output, words),
            Self::Exec(exec) => exec.write(words),
            Self::Delete => word(words, "-delete"),
            Self::Prune => word(words, "-prune"),
            Self::Quit => word(words, "-quit"),
        }
    }
}

fn tell(form: &Form, output: &Output, words: &mut Words) {
    let name = match form {
        Form::Print => "print",
        Form::Print0 => "print0",
        Form::Ls => "ls",
        Form::Printf(_) => "printf",
        Form::Json => "json",
    };
    match output {
        Output::Standard => word(words, format!("-{name}")),
        Output::File(file) => pair(words, &format!("-f{name}"), file),
    }
    if let Form::Printf(format) = form {
        word(words, format);
    }
}

impl Exec {
    fn write(&self, words: &mut Words) {
        let name = match (self.ask, self.place) {
            (false, Place::Here) => "-exec",
            (false, Place::Directory) => "-execdir",
            (true, Place::Here) => "-ok",
            (true, Place::Directory) => "-okdir",
        };
        word(words, name);
        words.extend(self.command.iter().cloned());
        word(words, if self.many { "+" } else { ";" });
    }
}

fn cased(name: &str, ignore: IgnoreCase) -> String {
    match ignore {
        IgnoreCase::No => format!("-{name}"),
        IgnoreCase::Yes => format!("-i{name}"),
    }
}

fn list(letters: &[TypeLetter]) -> Vec<u8> {
    let letter = |wanted| TypeLetter::ALL.iter().find(|(_, own)| own == wanted).map_or(b'f', |(letter, _)| *letter);
    letters.iter().map(letter).collect::<Vec<_>>().chunks(1).collect::<Vec<_>>().join(&b","[..])
}

fn text(count: Count) -> String {
    format!("{}{}", count.compare.sign(), count.bound)
}

fn spell(amount: Amount) -> String {
    format!("{}{}", amount.compare.sign(), amount.bound)
}

fn newer(stamp: Stamp, reference: char) -> String {
    format!("-newer{}{reference}", stamp.letter())
}

/// An octal mode where one is enough. Only `X` can make two of it.
fn perm(bits: Bits, mode: Mode) -> String {
    let sign = match bits {
        Bits::Exact => "",
        Bits::All => "-",
        Bits::Any => "/",
    };
    if mode.file == mode.directory {
        return format!("{sign}{:o}", mode.file);
    }
    // Nobody named: everything in the number, then the x that only directories get, by whose it is.
    let mut text = format!("{sign}={:o}", mode.file);
    for (who, bit) in [('u', 0o100), ('g', 0o010), ('o', 0o001)] {
        if mode.directory & !mode.file & bit != 0 {
            text.push_str(&format!(",{who}+X"));
        }
    }
    text
}
