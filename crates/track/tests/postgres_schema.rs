//! The schema of the PostgreSQL catalog holds every name and depth, and creating it again changes nothing.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::fmt::Write;

use pwalk_testkit::Postgres;
use pwalk_testkit::postgres::QUICK;

const SCHEMA: &str =
    concat!(include_str!("../src/catalog/postgres/schema.sql"), include_str!("../src/catalog/postgres/views.sql"));

/// A server whose database `catalog` has the schema.
fn catalog() -> Postgres {
    let server = Postgres::start_with(QUICK);
    server.database("catalog");
    create(&server);
    server
}

fn create(server: &Postgres) {
    server.psql("catalog", &format!("begin; {SCHEMA}; commit"));
}

fn ask(server: &Postgres, sql: &str) -> String {
    server.psql("catalog", &format!("set jit = off; {sql}"))
}

/// SQL for a root with directories `dirs` and files `files`, each in a directory by number. Directory 1 is the root.
fn tree(path: &str, dirs: &[(u32, u32, &[u8])], files: &[(u32, &[u8])]) -> String {
    let mut sql = format!(
        "insert into filesystem.roots (path, shown, last_run, dir_id) values ('{path}', '{path}', 1, 1);
         insert into filesystem.directories values (1, 1, null, 0, '', null, '{path}', true, '1');
         select filesystem.begin_run(1, true, '{{}}');"
    );
    for (id, parent, name) in dirs {
        let shown = shown(name);
        write!(
            sql,
            "insert into filesystem.directories select {id}, 1, {parent}, depth + 1, '\\x{0}', {shown}, null,
                 exact and {shown} is null, lineage || '{id}' from filesystem.directories where dir_id = {parent};",
            hex(name)
        )
        .unwrap();
        entry(&mut sql, 'd', *parent, name, &id.to_string());
    }
    files.iter().for_each(|(parent, name)| entry(&mut sql, 'f', *parent, name, "null"));
    entry(&mut sql, 'd', 1, b"", "1");
    sql
}

fn entry(sql: &mut String, kind: char, dir: u32, name: &[u8], child: &str) {
    write!(
        sql,
        "insert into filesystem.recent (root_id, dir_id, name, shown, kind, child_id, inode, device, size, mtime_ns,
             ctime_ns, uid, gid, changed_in, mode, racy)
         values (1, {dir}, '\\x{}', {}, '{kind}', {child}, 1, 1, 1, 1500000000123456789, 1, 0, 0, 1, 0, false);",
        hex(name),
        shown(name)
    )
    .unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(name: &[u8]) -> &'static str {
    if std::str::from_utf8(name).is_ok() { "null" } else { "'?'" }
}

#[test]
fn creating_it_again_keeps_everything() {
    let server = catalog();
    ask(&server, &tree("/r", &[(2, 1, b"d")], &[(2, b"f")]));
    let all = "select file_path, file_type, file_mtime at time zone 'UTC', mtime_ns from filesystem.files order by 1";
    let before = ask(&server, all);
    assert_eq!(before.lines().last(), Some("/r/d/f|file|2017-07-14 02:40:00.123456|1500000000123456789"));
    create(&server);
    assert_eq!(ask(&server, all), before);
    assert_eq!(ask(&server, "select version from filesystem.schema_version"), "1");
}

#[test]
fn a_subtree_is_that_of_the_directory_and_not_of_one_with_a_similar_name() {
    let server = catalog();
    let odd: &[u8] = b"q\"u'o\\t\ne\xff";
    let long = [b'n'; 255];
    let dirs: &[(u32, u32, &[u8])] =
        &[(2, 1, b"a-b"), (3, 1, b"ab"), (4, 1, b"v1.2"), (5, 1, "日本".as_bytes()), (6, 1, odd), (12, 2, &long)];
    let files: Vec<(u32, &[u8])> = dirs.iter().map(|(id, _, _)| (*id, b"f".as_slice())).collect();
    ask(&server, &tree("/r", dirs, &files));
    let count =
        |path: &[u8]| ask(&server, &format!("select count(*) from filesystem.subtree('\\x{}'::bytea)", hex(path)));
    assert_eq!(count(b"/r"), "13", "the root, 6 directories and 6 files");
    assert_eq!(count(b"/r/a-b"), "4", "two directories and two files");
    for name in [b"ab", "v1.2".as_bytes(), "日本".as_bytes(), odd] {
        assert_eq!(count(&[b"/r/", name].concat()), "2", "{name:?}");
        assert_eq!(count(&[b"/r/", name, b"/f"].concat()), "1", "{name:?}");
    }
    for path in [b"/r/a".as_slice(), b"/rr", b"/", b"/r/ab/g", b"/r/a_b"] {
        assert_eq!(count(path), "0", "{path:?}");
    }
    let exact = "select encode(path_bytes, 'hex') from filesystem.files where path_bytes is not null order by 1";
    let path = hex(&[b"/r/", odd].concat());
    assert_eq!(ask(&server, exact), format!("{path}\n{path}{}", hex(b"/f")));
    assert_eq!(ask(&server, "select file_path from filesystem.files where dir_id = 5"), "/r/日本/f");
}

#[test]
fn a_subtree_2000_levels_deep_is_found() {
    let server = catalog();
    ask(&server, &tree("/r", &[], &[]));
    // Numbers of 19 digits, the longest there are. Paths are stored up to the length that the schema says.
    ask(
        &server,
        "with recursive d as (
             select 9000000000000000000 as id, 1::bigint as parent, 1 as depth, '1.9000000000000000000' as lineage,
                    '/r/nnnnnn1' as path
             union all
             select id + 1, id, depth + 1, lineage || '.' || (id + 1)::text, path || '/nnnnnn' || (depth + 1)
               from d where depth < 2000)
         insert into filesystem.directories
         select id, 1, parent, depth, convert_to('nnnnnn' || depth, 'UTF8'), null,
                case when octet_length(path) <= 16384 then path end, true, lineage::ltree from d;
         insert into filesystem.recent (root_id, dir_id, name, kind, child_id, inode, device, size, mtime_ns, ctime_ns,
             uid, gid, changed_in, mode, racy)
         select 1, parent_id, name, 'd', dir_id, 1, 1, 1, 1, 1, 0, 0, 1, 0, false
           from filesystem.directories where parent_id is not null",
    );
    let deepest = ask(&server, "select filesystem.path_text(9000000000000001999)");
    let expected: String = (1..=2000).map(|depth| format!("/nnnnnn{depth}")).collect();
    assert_eq!(deepest, format!("/r{expected}"));
    let below = |level: u64| {
        let directory = 9_000_000_000_000_000_000 + level - 1;
        let path = format!("filesystem.path_bytes({directory})");
        ask(&server, &format!("select count(*), max(octet_length(file_path)) from filesystem.subtree({path})"))
    };
    for level in [1, 63, 64, 65, 2000] {
        assert_eq!(below(level), format!("{}|{}", 2001 - level, deepest.len()), "level {level}");
    }
}

#[test]
fn folding_changes_nothing_that_is_seen() {
    let server = catalog();
    ask(&server, "select filesystem.prepare_load(1, 2)");
    ask(&server, &tree("/r", &[(2, 1, b"d")], &[(2, b"f"), (2, b"g")]));
    ask(&server, "select filesystem.publish_load(1)");
    let all = "select * from filesystem.current_entries order by dir_id, name";
    let before = ask(&server, all);
    assert_eq!(ask(&server, "select filesystem.fold(1)"), "4");
    assert_eq!(ask(&server, all), before);
    // One changed, one gone, one new: over what is in `entries` now.
    let amend = "insert into filesystem.recent select e.*, false from filesystem.entries e where name <> 'g';
         update filesystem.recent set size = 7 where name = 'f'; update filesystem.recent set name = 'h' where name = '';
         insert into filesystem.recent select e.*, true from filesystem.entries e where name = 'g'";
    ask(&server, amend);
    let before = ask(&server, all);
    assert_eq!(before.lines().count(), 4, "{before}");
    ask(&server, "select filesystem.fold(1)");
    assert_eq!(ask(&server, all), before);
    assert_eq!(ask(&server, "select count(*) from filesystem.recent"), "0");
}
