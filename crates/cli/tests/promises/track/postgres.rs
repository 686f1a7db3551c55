//! What is to be so of a catalog in PostgreSQL alone: crashes of the server, what is said of one that is not there, and what its users see.

use std::path::Path;

use pwalk_testkit::postgres::QUICK;
use pwalk_testkit::{Postgres, Random, TempTree, is_root};
use rustix::process::Signal;

use super::Kept;
use super::kill::fifty_kills;
use crate::common::{Running, find, json_lines, oracle, run};
use crate::diff::model::{changes, look};
use crate::diff::random::assert_same;
use crate::diff::told;
use crate::forest::Forest;

/// How many rows are staged for runs that are over.
fn staged(server: &Postgres, database: &str) -> String {
    server.psql(
        database,
        "select (select count(*) from filesystem.staging_files) + (select count(*) from filesystem.staging_changes)
              + (select count(*) from filesystem.staging_directories)",
    )
}

#[test]
fn fifty_kills_of_the_client_lose_nothing_and_double_nothing() {
    let place = TempTree::new();
    let server = Postgres::start_with(QUICK);
    let kept = Kept::postgres(&server, "catalog");
    fifty_kills(&place, &kept);
    assert_eq!(staged(&server, "catalog"), "0");
    // The first run of a root too, which is loaded in another way.
    let mut random = Random::new(5);
    let mut window = std::time::Duration::from_millis(500);
    for at in 0..12 {
        let root = place.subdir(&format!("other {at}"));
        Forest::new(&root, at).changes(200);
        let mut running = Running::start(kept.command("scan").arg("-q").arg(&root));
        std::thread::sleep(window.mul_f64(random.below(1000) as f64 / 1000.0));
        running.signal(Signal::KILL);
        if running.output().status.code().is_some() {
            window = window.mul_f64(0.7);
        }
        kept.run("scan", ["-q".as_ref(), root.as_os_str()]).expect(0);
        assert!(
            kept.sizes(&root, None).into_keys().collect::<std::collections::BTreeSet<_>>()
                == find(&root, &["-mindepth", "1"])
        );
    }
}

#[test]
fn fifty_crashes_of_the_server_lose_nothing_and_double_nothing() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    // As it comes: what it says is on the disk is there after a crash. But for how it makes sure of that when it starts: file by file took three
    // seconds each time.
    let mut server = Postgres::start_with(&[("recovery_init_sync_method", "syncfs")]);
    let kept = Kept::postgres(&server, "catalog");
    let (mut forest, mut random) = (Forest::new(&root, 17), Random::new(18));
    forest.changes(100);
    let mut before = std::collections::BTreeMap::new();
    let mut window = std::time::Duration::from_millis(600);
    let (mut crashed, mut rounds) = (0, 0);
    while crashed < 50 {
        rounds += 1;
        assert!(rounds < 300, "only {crashed} scans were there when the server crashed");
        let after = look(&root);
        let runs = json_lines(kept.run("runs", ["--json"]).expect(0).text()).len();
        let scan = ["-q", "--accept-mass-delete", "--fingerprint", "new"];
        let running = Running::start(kept.command("scan").args(scan).arg(&root));
        std::thread::sleep(window.mul_f64(random.below(1000) as f64 / 1000.0));
        server.kill();
        // The client waits for a server that comes back, if it must know what became of a run.
        server.restart();
        let output = running.output();
        let was_there = !output.status.success();
        crashed += u32::from(was_there);
        window = window.mul_f64(if was_there { 1.05 } else { 0.85 });
        if was_there {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.code() == Some(3) && said.contains("cannot "), "{said}");
        }
        let now = json_lines(kept.run("runs", ["--json"]).expect(0).text()).len();
        assert!(now == runs || now == runs + 1, "{now} runs, {runs} before");
        if now == runs {
            assert!(was_there, "a run that was said to be done is lost");
            kept.run("scan", scan.iter().map(|a| a.as_ref()).chain([root.as_os_str()])).expect(0);
        }
        let ran =
            if runs == 0 { kept.run("changes", ["--since", "0", "--json"]) } else { kept.run("changes", ["--json"]) };
        assert_same(&told(&ran.expect(0)), &changes(&before, &after), 17, rounds);
        if rounds % 10 == 1 {
            assert_eq!(kept.sizes(&root, None).len(), after.len() - 1);
        }
        before = after;
        forest.changes(40);
    }
    assert_eq!(staged(&server, "catalog"), "0");
}

#[test]
fn what_is_wrong_with_a_database_is_said_and_passwords_are_not() {
    let server = Postgres::start_with(QUICK);
    let place = TempTree::new();
    let says = |url: &str, words: &[&str]| {
        let ran = Kept::in_database(url).run("runs", [""; 0]).expect(3);
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
        let ran = Kept::in_database(url).run("scan", [place.path()]).expect(3);
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
    };
    let empty = server.database("empty");
    says(&empty, &["there is no catalog in database empty", "pwalk track init"]);
    says(&server.url_of("none").replace("postgres@", "postgres:hush@"), &["\"none\" does not exist"]);
    says("postgresql://u:hush@127.0.0.1:1/d", &["cannot connect", "database d as u at 127.0.0.1:1", "refused"]);
    // A server without TLS is used unless TLS was asked for.
    let tcp = server.tcp_url_of("empty");
    for mode in ["disable", "allow", "prefer"] {
        says(&format!("{tcp}?sslmode={mode}"), &["there is no catalog"]);
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        says(&format!("{tcp}?sslmode={mode}"), &["cannot connect", "TLS"]);
    }
    // Twice does no harm, and two at once neither.
    let kept = Kept::in_database(&empty);
    let both = [0, 1].map(|_| Running::start(&mut kept.command("init")));
    for running in both {
        assert!(running.output().status.success());
    }
    kept.scan(place.path());
    kept.run("init", [""; 0]).expect(0);
    assert_eq!(json_lines(kept.run("runs", ["--json"]).expect(0).text()).len(), 1);
    server.psql("empty", "insert into filesystem.schema_version (version) values (1000)");
    says(&empty, &["newer pwalk (version 1000)"]);
    kept.run("init", [""; 0]).expect(3);
}

/// A certificate for `localhost` and the authority that signed it, which the server may read: their directory.
fn certificates() -> TempTree {
    const SCRIPT: &str = "
        cd \"$0\"
        make() { name=$1; shift; openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $name.key \
            -subj /CN=$name \"$@\"; }
        make ca -x509 -days 2 -out ca.crt
        make localhost -addext subjectAltName=DNS:localhost -out server.csr
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out server.crt
        chmod 600 localhost.key";
    let place = TempTree::below(Path::new("/tmp"));
    oracle("sh", ["-e".as_ref(), "-c".as_ref(), SCRIPT.as_ref(), place.path().as_os_str()]);
    if is_root() {
        oracle("chown", ["-R".as_ref(), "65534".as_ref(), place.path().as_os_str()]);
    }
    place
}

#[test]
fn certificates_are_checked_as_sslmode_says() {
    let place = certificates();
    let file = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("server.crt"), file("localhost.key"));
    let files = [("ssl", "on"), ("ssl_cert_file", certificate.as_str()), ("ssl_key_file", key.as_str())];
    let server = Postgres::start_with(&[QUICK, &files].concat());
    server.database("catalog");
    let init = |host: &str, mode: &str, root: Option<&str>| {
        let url = format!("postgresql://postgres@{host}:{}/catalog?sslmode={mode}", server.port());
        let mut command = Kept::in_database(&url).command("init");
        command.env("HOME", place.path());
        root.map(|root| command.env("PGSSLROOTCERT", file(root)));
        run(&mut command)
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        init("127.0.0.1", mode, None).expect(0);
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        init("localhost", mode, Some("ca.crt")).expect(0);
    }
    // A name that is not the certificate's, and an authority that is not known.
    init("127.0.0.1", "verify-ca", Some("ca.crt")).expect(0);
    for (mode, root) in [("verify-full", Some("ca.crt")), ("verify-ca", None), ("require", Some("server.crt"))] {
        let ran = init("127.0.0.1", mode, root).expect(3);
        assert!(ran.stderr.contains("certificate"), "{mode}: {}", ran.stderr);
    }
}

#[test]
fn a_superuser_is_not_needed_and_what_is_missing_is_named() {
    let server = Postgres::start_with(QUICK);
    server.database("catalog");
    server.psql("catalog", "create role crawler login");
    let url = server.url_of("catalog").replace("postgres@", "crawler@");
    let kept = Kept::in_database(&url);
    let ran = kept.run("init", [""; 0]).expect(3);
    assert!(
        ran.stderr.contains("may not create the extension") && ran.stderr.contains("let an administrator"),
        "{}",
        ran.stderr
    );
    server.psql("catalog", "grant create on database catalog to crawler");
    kept.run("init", [""; 0]).expect(0);
    let place = TempTree::new();
    let root = place.subdir("tree");
    Forest::new(&root, 3).changes(30);
    kept.scan(&root);
    Forest::new(&root, 4).changes(30);
    kept.run("scan", ["--accept-mass-delete".as_ref(), root.as_os_str()]).expect(0);
}

#[test]
fn the_views_say_what_the_catalog_says() {
    let server = Postgres::start_with(QUICK);
    let kept = Kept::postgres(&server, "catalog");
    let ask = |sql: &str| server.psql("catalog", &format!("set jit = off; {sql}"));
    let place = TempTree::new();
    let root = place.subdir("tree");
    let mut forest = Forest::new(&root, 40);
    for _ in 0..5 {
        forest.changes(80);
        kept.run("scan", ["-q".as_ref(), "--accept-mass-delete".as_ref(), root.as_os_str()]).expect(0);
    }
    let all = find(&root, &[]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let exact = "encode(coalesce(path_bytes, convert_to(file_path, 'UTF8')), 'hex')";
    let seen = ask(&format!("select {exact} from filesystem.files order by 1"));
    let mut expected: Vec<String> = all.iter().map(|path| hex(path)).collect();
    expected.sort();
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    let below = ask(&format!("select count(*) from filesystem.subtree('{}')", root.to_str().unwrap()));
    assert_eq!(below, all.len().to_string());
    let told = json_lines(kept.run("changes", ["--since", "0", "--json"]).expect(0).text());
    let counted = ask("select scan_id, change_type, count(*) from filesystem.file_changes group by 1, 2 order by 1, 2");
    let mut counts = std::collections::BTreeMap::new();
    for change in &told {
        let of = (change["run"].as_u64().unwrap(), change["change_type"].as_str().unwrap().to_owned());
        *counts.entry(of).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|((run, what), count)| format!("{run}|{what}|{count}")).collect();
    assert_eq!(counted.lines().collect::<Vec<_>>(), counts);
    // Nothing changed, nothing written but the run.
    let rows = "select (select count(*) from filesystem.past), (select count(*) from filesystem.recent),
                (select count(*) from filesystem.changes), (select count(*) from filesystem.directories)";
    let before = ask(rows);
    kept.scan(&root);
    assert_eq!(ask(rows), before);
    assert_eq!(
        ask("select distinct last_seen_scan = (select max(run_id) from filesystem.scan_runs) from filesystem.files"),
        "t"
    );
    // Folding what is recent changes nothing that is seen.
    let was = kept.sizes(&root, None);
    ask("select filesystem.fold(1)");
    assert_eq!(kept.sizes(&root, None), was);
    assert!(kept.scan(&root)["changes"].as_object().unwrap().values().all(|of| of["count"] == 0));
}
