//! Promise: a query printed as arguments and parsed again is the same query; and no arguments make the parser panic.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use proptest::prelude::*;
use pwalk_find::parse::parse;

type Words = Vec<Vec<u8>>;

fn fixed(words: &'static [&'static str]) -> impl Strategy<Value = Words> {
    prop::sample::select(words).prop_map(|line| line.split(' ').map(|word| word.as_bytes().to_vec()).collect())
}

/// A word of the language with its arguments.
fn primary() -> impl Strategy<Value = Words> {
    let name = prop::collection::vec(any::<u8>().prop_filter("no NUL", |b| *b != 0), 0..6);
    let named = prop::sample::select(vec![
        "-name",
        "-iname",
        "-path",
        "-ipath",
        "-lname",
        "-ilname",
        "-regex",
        "-iregex",
        "-user",
        "-group",
        "-samefile",
        "-fstype",
        "-newer",
        "-anewer",
        "-cnewer",
        "-newermt",
        "-newerBa",
        "-newerac",
        "-fprint",
        "-fprint0",
        "-fls",
        "-fjson",
        "-files0-from",
    ]);
    let count = (prop::sample::select(vec!["", "+", "-"]), any::<u64>());
    let counted = prop::sample::select(vec!["-uid", "-gid", "-links", "-inum", "-size"]);
    let amount = (prop::sample::select(vec!["", "+", "-", "+-", "--"]), 0.0..1e6_f64);
    let aged = prop::sample::select(vec!["-mtime", "-atime", "-ctime", "-mmin", "-amin", "-cmin", "-used"]);
    let mode = prop::sample::select(vec![
        "0",
        "755",
        "7777",
        "u+s",
        "a+X",
        "u+x,g+X",
        "g=u",
        "o=rwX",
        "+t",
        "u=rw,go+X",
        "=640",
        "u+X,o-x",
        "ug+X",
        "=X,u-X",
    ]);
    let command = prop::sample::select(vec!["-exec", "-execdir", "-ok", "-okdir"]);
    let safe = prop::collection::vec("[a-z]{1,3}", 1..4);
    prop_oneof![
        fixed(&[
            "-true",
            "-false",
            "-empty",
            "-nouser",
            "-nogroup",
            "-readable",
            "-writable",
            "-executable",
            "-print",
            "-print0",
            "-ls",
            "-json",
            "-delete",
            "-prune",
            "-quit",
            "-xdev",
            "-depth",
            "-daystart",
            "-follow",
            "-noleaf",
            "-snapshots",
            "-s",
            "-warn",
            "-nowarn",
            "-ignore_readdir_race",
            "-noignore_readdir_race",
            "-type f",
            "-type f,d,l",
            "-xtype b,c,p,s",
            "-maxdepth 3",
            "-mindepth 1",
            "-threads 8",
            "-exec-parallel 2",
            "-regextype sed",
            "-regextype posix-egrep",
            "-exec a {} +",
            "-execdir b c {} +",
            "-printf %p\\n",
            "-fprintf f %%%s",
            "-size 10",
            "-size +3k",
            "-size -1G",
            "-size 2w",
        ]),
        (named, name).prop_map(|(test, name)| vec![test.into(), name]),
        (counted, count).prop_map(|(test, (sign, n))| vec![test.into(), format!("{sign}{n}").into_bytes()]),
        (aged, amount).prop_map(|(test, (sign, n))| vec![test.into(), format!("{sign}{n}").into_bytes()]),
        (prop::sample::select(vec!["", "-", "/"]), mode)
            .prop_map(|(sign, mode)| vec![b"-perm".to_vec(), format!("{sign}{mode}").into_bytes()]),
        (command, safe).prop_map(|(name, words)| {
            let words = words.into_iter().map(String::into_bytes);
            std::iter::once(name.into()).chain(words).chain([b";".to_vec()]).collect()
        }),
    ]
}

/// An expression, parentheses and all.
fn expression() -> impl Strategy<Value = Words> {
    primary().prop_recursive(6, 40, 4, |inner| {
        let parenthesized = inner.clone().prop_map(|words| [vec![b"(".to_vec()], words, vec![b")".to_vec()]].concat());
        let operator = prop::sample::select(vec!["", "-a", "-and", "-o", "-or", ","]);
        prop_oneof![
            parenthesized.clone(),
            (prop::sample::select(vec!["!", "-not"]), parenthesized)
                .prop_map(|(not, words)| [vec![not.into()], words].concat()),
            (inner.clone(), operator, inner).prop_map(|(a, operator, b)| {
                let between = if operator.is_empty() { vec![] } else { vec![operator.into()] };
                [a, between, b].concat()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_and_parsed_again(
        links in prop::sample::select(vec!["", "-H", "-L", "-P"]),
        roots in prop::collection::vec("[a-z./]{1,5}", 0..3),
        words in prop::option::of(expression()),
    ) {
        let mut arguments: Words = if links.is_empty() { vec![] } else { vec![links.into()] };
        arguments.extend(roots.into_iter().map(String::into_bytes));
        arguments.extend(words.unwrap_or_default());
        let (query, _) = parse(&arguments).unwrap_or_else(|error| panic!("{error}"));
        let printed = query.to_arguments();
        let (again, _) = parse(&printed).unwrap_or_else(|error| panic!("{error}: {printed:?}"));
        prop_assert_eq!(&again, &query);
        prop_assert_eq!(again.to_arguments(), printed);
    }

    /// A bounded fuzz: pieces of the language and arbitrary bytes in any order.
    #[test]
    fn nothing_makes_it_panic(words in prop::collection::vec(
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            prop::sample::select(vec![
                "(", ")", "!", "-not", "-a", "-o", ",", "-name", "-type", "-size", "-perm", "-exec", "{}", "+", ";", "-printf", "%",
                "\\", "-newerm", "-newermt", "-mtime", "f", "f,", "+1k", "u+x", "/", "-", "--", "-H", ".", "-regextype", "-maxdepth",
            ]).prop_map(|word| word.as_bytes().to_vec()),
        ],
        0..12,
    )) {
        if let Ok((query, _)) = parse(&words) {
            let (again, _) = parse(&query.to_arguments()).unwrap();
            prop_assert_eq!(again, query);
        }
    }
}
