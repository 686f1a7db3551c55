//! In which order to ask: a tree of checks and actions, arranged so that little has to be known.
//!
//! Two things save system calls. Among tests that stand beside each other the cheap ones come first, because asking has no
//! effect; an action never changes its place, and nothing passes an action. And before an entry is looked at, the tree is gone
//! through with what the directory says of it ([`Node::outlook`]): only where that leaves something open are the metadata read.

use pwalk_fs::Errno;

use crate::check::{Check, Cost, Foreseen, Subject};
use crate::expr::What;

/// A tree of checks and actions.
#[derive(Clone, Debug)]
pub enum Node {
    /// Up to the first that is false.
    And(Vec<Node>),
    /// Up to the first that is true.
    Or(Vec<Node>),
    /// All; the last decides.
    List(Vec<Node>),
    /// The contrary.
    Not(Box<Node>),
    /// A question.
    Check(Check),
    /// Something to do, by its number.
    Act(Act),
}

/// An action, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its number.
    pub number: usize,
    /// Whether it uses the metadata.
    pub uses_meta: bool,
    /// Whether it is true whatever happens.
    pub is_true: bool,
}

/// What an expression does besides being true or false.
pub trait Doer {
    /// Does it, and says whether it is true.
    fn act(&mut self, number: usize) -> bool;

    /// A question could not be answered; it counts as no.
    fn failed(&mut self, errno: Errno);
}

/// What can be foreseen of an entry by its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// No is the answer, or yes, and nothing is done in either case.
    Nothing,
    /// Something is done or asked, and no metadata are needed for it.
    Settled,
    /// It depends on the metadata.
    Open,
}

/// What can be said before the metadata are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Answer(bool),
    /// Something that is done, or asked, will tell, without them.
    Either,
    /// It depends on them.
    Open,
}

impl Node {
    /// Puts cheap questions before dear ones, where that changes nothing.
    #[must_use]
    pub fn arranged(self) -> Self {
        match self {
            Self::And(parts) => Self::And(arrange(parts)),
            Self::Or(parts) => Self::Or(arrange(parts)),
            // All of them are gone through in any case.
            Self::List(parts) => Self::List(parts.into_iter().map(Self::arranged).collect()),
            Self::Not(inner) => Self::Not(Box::new(inner.arranged())),
            Self::Check(_) | Self::Act(_) => self,
        }
    }

    fn is_pure(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) | Self::List(parts) => parts.iter().all(Self::is_pure),
            Self::Not(inner) => inner.is_pure(),
            Self::Check(_) => true,
            Self::Act(_) => false,
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Self::And(parts) | Self::Or(parts) | Self::List(parts) => {
                parts.iter().map(Self::cost).max().unwrap_or(Cost::Nothing)
            }
            Self::Not(inner) => inner.cost(),
            Self::Check(check) => check.cost(),
            Self::Act(_) => Cost::Nothing,
        }
    }

    fn any(&self, holds: &impl Fn(&Self) -> bool) -> bool {
        let inside = match self {
            Self::And(parts) | Self::Or(parts) | Self::List(parts) => parts.iter().any(|part| part.any(holds)),
            Self::Not(inner) => inner.any(holds),
            Self::Check(_) | Self::Act(_) => false,
        };
        inside || holds(self)
    }

    /// Whether metadata may be needed for any entry at all.
    pub fn uses_meta(&self) -> bool {
        self.any(&|node| match node {
            Self::Check(check) => check.cost() >= Cost::Meta,
            Self::Act(act) => act.uses_meta,
            _ => false,
        })
    }

    /// Whether a question is about the whole path.
    pub fn uses_path(&self) -> bool {
        self.any(&|node| matches!(node, Self::Check(Check::Pattern(What::Path, _) | Check::Regex(_))))
    }

    /// What name and type leave to do.
    pub fn outlook(&self, subject: &Subject<'_>) -> Outlook {
        let mut acts = false;
        match self.known(subject, &mut acts) {
            Known::Open => Outlook::Open,
            _ if acts => Outlook::Settled,
            _ => Outlook::Nothing,
        }
    }

    /// What is known of the answer. `acts`: set if something would be done, or asked, on the way.
    fn known(&self, subject: &Subject<'_>, acts: &mut bool) -> Known {
        match self {
            Self::And(parts) => first(parts, subject, false, acts),
            Self::Or(parts) => first(parts, subject, true, acts),
            Self::List(parts) => {
                let mut last = Known::Answer(true);
                for part in parts {
                    last = part.known(subject, acts);
                    if last == Known::Open {
                        break;
                    }
                }
                last
            }
            Self::Not(inner) => match inner.known(subject, acts) {
                Known::Answer(answer) => Known::Answer(!answer),
                unknown => unknown,
            },
            // A call of its own is made once, when it is this check's turn.
            Self::Check(check) if check.cost() == Cost::Call => match check.foresee(subject) {
                Foreseen::Answer(answer) => Known::Answer(answer),
                Foreseen::Meta => Known::Open,
                Foreseen::Call => {
                    *acts = true;
                    Known::Either
                }
            },
            Self::Check(check) if check.cost() >= Cost::Meta => Known::Open,
            Self::Check(check) => match check.ask(subject) {
                Ok(Some(answer)) => Known::Answer(answer),
                Ok(None) | Err(_) => Known::Open,
            },
            Self::Act(Act { uses_meta: true, .. }) => Known::Open,
            Self::Act(Act { is_true, .. }) => {
                *acts = true;
                if *is_true { Known::Answer(true) } else { Known::Either }
            }
        }
    }

    /// Goes through it: asks what must be known, does what is to be done, and says whether it is true. Without metadata only
    /// for a subject for which nothing is [open](Self::outlook).
    pub fn run(&self, subject: &Subject<'_>, doer: &mut impl Doer) -> bool {
        // Where the metadata were left out, what is known is all that is needed, and nothing else is asked.
        if subject.meta.is_none()
            && self.is_pure()
            && let Known::Answer(answer) = self.known(subject, &mut false)
        {
            return answer;
        }
        match self {
            Self::And(parts) => !decided(parts, subject, doer, false),
            Self::Or(parts) => decided(parts, subject, doer, true),
            Self::List(parts) => parts.iter().fold(true, |_, part| part.run(subject, doer)),
            Self::Not(inner) => !inner.run(subject, doer),
            Self::Check(check) => check.ask(subject).map_or_else(
                |errno| {
                    doer.failed(errno);
                    false
                },
                |answer| answer.unwrap_or(false),
            ),
            Self::Act(act) => doer.act(act.number),
        }
    }
}

/// Runs them up to the first that has this answer, and says whether there was one.
fn decided(parts: &[Node], subject: &Subject<'_>, doer: &mut impl Doer, decisive: bool) -> bool {
    parts.chunk_by(|a, b| a.is_pure() && b.is_pure()).any(|stretch| {
        if subject.meta.is_none()
            && stretch[0].is_pure()
            && let Known::Answer(answer) = first(stretch, subject, decisive, &mut false)
        {
            return answer == decisive;
        }
        stretch.iter().any(|part| part.run(subject, doer) == decisive)
    })
}

/// The decisive answer if one has it, else the contrary. Questions that stand beside each other may answer for one another: if
/// any of them is decisive, it does not matter what the open ones before it would say.
fn first(parts: &[Node], subject: &Subject<'_>, decisive: bool, acts: &mut bool) -> Known {
    let (mut is_open, mut is_either) = (false, false);
    for part in parts {
        if is_open && !part.is_pure() {
            break;
        }
        match part.known(subject, acts) {
            Known::Answer(answer) if answer == decisive => return Known::Answer(decisive),
            Known::Answer(_) => {}
            Known::Either => is_either = true,
            Known::Open if part.is_pure() => is_open = true,
            Known::Open => return Known::Open,
        }
    }
    match (is_open, is_either) {
        (true, _) => Known::Open,
        (_, true) => Known::Either,
        _ => Known::Answer(!decisive),
    }
}

/// Sorts each stretch of questions by cost, those that cost the same in their own order.
fn arrange(parts: Vec<Node>) -> Vec<Node> {
    let mut parts: Vec<Node> = parts.into_iter().map(Node::arranged).collect();
    for stretch in parts.chunk_by_mut(|a, b| a.is_pure() && b.is_pure()) {
        stretch.sort_by_key(Node::cost);
    }
    parts
}
