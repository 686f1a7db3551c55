//! Promise: asking in another order, and looking at an entry only where that is needed, changes nothing.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::cell::Cell;

use proptest::prelude::*;
use pwalk_find::check::{Ask, Check, Subject};
use pwalk_find::expr::{Access, IgnoreCase, What};
use pwalk_find::number::{Count, Size};
use pwalk_find::plan::{Act, Doer, Node, Outlook};
use pwalk_fs::{Errno, Kind, Meta};

/// Answers that are always the same, and counted.
#[derive(Default)]
struct Answers(Cell<u32>);

impl Ask for Answers {
    fn link(&self) -> Result<Vec<u8>, Errno> {
        self.0.set(self.0.get() + 1);
        Ok(b"b".to_vec())
    }
    fn other_kind(&self) -> Result<Kind, Errno> {
        Ok(Kind::File)
    }
    fn is_empty_dir(&self) -> Result<bool, Errno> {
        self.0.set(self.0.get() + 1);
        Ok(true)
    }
    fn may(&self, access: Access) -> bool {
        self.0.set(self.0.get() + 1);
        access == Access::Read
    }
    fn has_user(&self, uid: u32) -> bool {
        uid == 0
    }
    fn has_group(&self, gid: u32) -> bool {
        gid == 0
    }
    fn fs_type(&self, _: &Meta) -> Vec<u8> {
        b"ext4".to_vec()
    }
}

/// What was done. Actions with an even number are true.
#[derive(Default, PartialEq, Debug)]
struct Trace(Vec<usize>);

impl Doer for Trace {
    fn act(&mut self, number: usize) -> bool {
        self.0.push(number);
        number.is_multiple_of(2)
    }
    fn failed(&mut self, errno: Errno) {
        panic!("{errno}");
    }
}

fn is_settled(node: &Node, subject: &Subject<'_>) -> bool {
    node.outlook(subject) != Outlook::Open
}

fn node() -> impl Strategy<Value = Node> {
    let check = prop_oneof![
        any::<bool>().prop_map(Check::Constant),
        prop::sample::select(vec!["a", "b*", "*"]).prop_map(|pattern| Check::pattern(
            What::Name,
            pattern.as_bytes(),
            IgnoreCase::No
        )),
        Just(Check::pattern(What::Link, b"b", IgnoreCase::No)),
        prop::sample::select(vec!["0", "1k", "+1"]).prop_map(|size| Check::Size(Size::parse(size.as_bytes()).unwrap())),
        prop::sample::select(vec!["1", "+1"]).prop_map(|count| Check::Links(Count::parse(count.as_bytes()).unwrap())),
        Just(Check::Empty),
        prop::sample::select(vec![Access::Read, Access::Write]).prop_map(Check::Access),
    ];
    let act = (0_usize..6, any::<bool>())
        .prop_map(|(number, uses_meta)| Node::Act(Act { number, uses_meta, is_true: number.is_multiple_of(2) }));
    prop_oneof![4 => check.prop_map(Node::Check), 1 => act].prop_recursive(5, 30, 5, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            several.clone().prop_map(Node::And),
            several.clone().prop_map(Node::Or),
            several.prop_map(Node::List),
            inner.prop_map(|inner| Node::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_answers_and_actions(
        node in node(),
        name in prop::sample::select(vec!["a", "b", "bc"]),
        kind in prop::sample::select(vec![Kind::File, Kind::Dir, Kind::Symlink]),
        size in prop::sample::select(vec![0_u64, 1, 2_000]),
        nlink in 1_u32..3,
    ) {
        let meta = Meta { size, nlink, ..Meta::default() };
        let answers = Answers::default();
        let with = Subject { path: name.as_bytes(), name: name.as_bytes(), kind, meta: Some(&meta), ask: &answers };
        let without = Subject { meta: None, ..with };
        let run = |node: &Node, subject: &Subject<'_>| {
            let mut trace = Trace::default();
            (node.run(subject, &mut trace), trace)
        };
        let expected = run(&node, &with);
        let arranged = node.clone().arranged();
        answers.0.set(0);
        prop_assert_eq!(&run(&arranged, &with), &expected);
        let asked = answers.0.replace(0);
        if is_settled(&arranged, &without) {
            prop_assert_eq!(&run(&arranged, &without), &expected);
            prop_assert!(answers.0.get() <= asked, "what is settled asks no more");
            let acts = arranged.outlook(&without) == Outlook::Settled;
            prop_assert!(acts || expected.1 == Trace::default(), "what leaves nothing to do does nothing");
        }
        prop_assert!(!is_settled(&node, &without) || is_settled(&arranged, &without), "arranging settles more");
    }
}

#[test]
fn the_name_can_answer_for_the_size() {
    let size = Node::Check(Check::Size(Size::parse(b"+1").unwrap()));
    let name = Node::Check(Check::pattern(What::Name, b"*.bam", IgnoreCase::No));
    let answers = Answers::default();
    let subject = Subject { path: b"x/a.txt", name: b"a.txt", kind: Kind::File, meta: None, ask: &answers };
    let print = Node::Act(Act { number: 0, uses_meta: false, is_true: true });
    assert!(is_settled(&Node::And(vec![size.clone(), name.clone()]), &subject));
    // What stands behind an action stays there.
    assert!(!is_settled(&Node::And(vec![size, print, name]).arranged(), &subject));
}
