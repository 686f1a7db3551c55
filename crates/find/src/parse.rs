//! Arguments to a [`Query`].
//!
//! The grammar, as find has it, from loose to tight: `,`, then `-o`, then `-a` or nothing between, then `!`, then parentheses
//! and words. First come `-H`, `-L` and `-P`, then the starting points, up to the first argument that looks like a part of an
//! expression.

mod error;
mod words;

pub use error::{Error, Warning};

use crate::expr::{Expr, Links, Query};

/// How deep parentheses and negations may nest: the tree is gone through by recursion.
const DEEPEST: usize = 1_000;

/// What the arguments mean (without the program's name), and what is to be said about them all the same.
///
/// # Errors
/// Find's own message about the first argument that is wrong.
pub fn parse<A: AsRef<[u8]>>(arguments: &[A]) -> Result<(Query, Vec<Warning>), Error> {
    let arguments: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
    let mut links = Links::Never;
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match *argument {
            b"-P" => links = Links::Never,
            b"-H" => links = Links::Roots,
            b"-L" => links = Links::Always,
            // How hard to optimize: always as hard as we can.
            b"-O0" | b"-O1" | b"-O2" | b"-O3" => {}
            b"--" => {
                at += 1;
                break;
            }
            _ => break,
        }
        at += 1;
    }
    let first = at;
    while arguments.get(at).is_some_and(|argument| !looks_like_expression(argument, true)) {
        at += 1;
    }
    let roots = arguments[first..at].iter().map(|root| root.to_vec()).collect();
    let mut parser = Parser { arguments: &arguments, at, warnings: Vec::new(), depth: 0 };
    let expr = if at < arguments.len() { Some(parser.whole()?) } else { None };
    Ok((Query { links, roots, expr }, parser.warnings))
}

/// Whether an argument is a part of the expression, and no starting point. `leading`: nothing of an expression was before it.
pub fn looks_like_expression(argument: &[u8], leading: bool) -> bool {
    match argument {
        [b'-', _, ..] | b"(" | b"!" => true,
        b")" | b"," => !leading,
        _ => false,
    }
}

struct Parser<'a> {
    arguments: &'a [&'a [u8]],
    at: usize,
    warnings: Vec<Warning>,
    depth: usize,
}

/// The operators between two expressions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binary {
    List,
    Or,
    And,
}

impl Binary {
    fn of(argument: &[u8]) -> Option<Self> {
        match argument {
            b"," => Some(Self::List),
            b"-o" | b"-or" => Some(Self::Or),
            b"-a" | b"-and" => Some(Self::And),
            _ => None,
        }
    }

    fn tighter(self) -> Option<Self> {
        match self {
            Self::List => Some(Self::Or),
            Self::Or => Some(Self::And),
            Self::And => None,
        }
    }

    fn join(self, mut parts: Vec<Expr>) -> Expr {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match (self, part) {
                (Self::List, Expr::List(inner)) | (Self::Or, Expr::Or(inner)) | (Self::And, Expr::And(inner)) => {
                    flat.extend(inner);
                }
                (_, part) => flat.push(part),
            }
        }
        match self {
            Self::List => Expr::List(flat),
            Self::Or => Expr::Or(flat),
            Self::And => Expr::And(flat),
        }
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.arguments.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let argument = self.peek()?;
        self.at += 1;
        Some(argument)
    }

    fn whole(&mut self) -> Result<Expr, Error> {
        let expr = self.joined(Binary::List, None)?;
        match self.peek() {
            None => Ok(expr),
            // Anything else would have been taken as one more member.
            Some(_) => Err(Error::TooManyClosed),
        }
    }

    /// Expressions with this operator between them, or one alone. `after`: the operator that stands before.
    fn joined(&mut self, operator: Binary, after: Option<&[u8]>) -> Result<Expr, Error> {
        let mut parts = vec![self.operand(operator, after)?];
        while let Some(argument) = self.peek() {
            let explicit = Binary::of(argument) == Some(operator);
            let implied = operator == Binary::And && Binary::of(argument).is_none() && argument != b")";
            if !explicit && !implied {
                break;
            }
            if explicit {
                self.at += 1;
            }
            parts.push(self.operand(operator, explicit.then_some(argument).or(after))?);
        }
        Ok(operator.join(parts))
    }

    fn operand(&mut self, operator: Binary, after: Option<&[u8]>) -> Result<Expr, Error> {
        match operator.tighter() {
            Some(tighter) => self.joined(tighter, after),
            None => self.unary(after),
        }
    }

    fn unary(&mut self, after: Option<&[u8]>) -> Result<Expr, Error> {
        let Some(argument) = self.next() else {
            return Err(after.map_or(Error::NotClosed, |operator| Error::NothingAfter(operator.to_vec())));
        };
        if Binary::of(argument).is_some() {
            return Err(Error::NothingBefore(argument.to_vec()));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::TooDeep(DEEPEST));
        }
        let expr = match argument {
            b"!" | b"-not" => Expr::Not(Box::new(self.unary(Some(argument))?)),
            b"(" => self.parenthesis()?,
            b")" => {
                return Err(after.map_or(Error::TooManyClosed, |operator| Error::NothingInside(operator.to_vec())));
            }
            word => self.word(word)?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn parenthesis(&mut self) -> Result<Expr, Error> {
        if self.peek() == Some(b")") {
            return Err(Error::EmptyParentheses);
        }
        let expr = self.joined(Binary::List, None)?;
        match self.next() {
            Some(b")") => Ok(expr),
            _ => Err(Error::NotClosed),
        }
    }
}
