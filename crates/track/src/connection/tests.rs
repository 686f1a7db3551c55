//! Promises about connections: what `libpq` would make of the same words.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn of(url: Option<&str>, section: Option<&PostgresSection>, set: &[(&str, &str)]) -> Result<Connection, BadConnection> {
    let variables = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
    let world = World { variables: &variables, user: &|| Some("me".to_owned()), sockets: &["/no/run", "/no/tmp"] };
    Connection::of(url, section, &world)
}

fn tcp(host: &str, port: u16) -> (Host, u16) {
    (Host::Tcp(host.to_owned()), port)
}

fn unix(dir: &str, port: u16) -> (Host, u16) {
    (Host::Unix(dir.into()), port)
}

fn places(found: &Connection) -> Vec<(Host, u16)> {
    found.endpoints.iter().map(|endpoint| (endpoint.host.clone(), endpoint.port)).collect()
}

fn secret(found: &Connection) -> Option<&str> {
    found.endpoints[0].password.as_ref().map(Password::reveal)
}

#[test]
fn strings_are_libpqs() {
    for (text, endpoints, database, user, password) in [
        ("postgresql://", vec![unix("/no/run", 5432)], "me", "me", None),
        ("postgres://localhost", vec![tcp("localhost", 5432)], "me", "me", None),
        ("postgresql://localhost:5433/db", vec![tcp("localhost", 5433)], "db", "me", None),
        ("postgresql://u:p%40%2F:%25@h/d%20b", vec![tcp("h", 5432)], "d b", "u", Some("p@/:%")),
        ("postgresql://u@h?dbname=x&password=p", vec![tcp("h", 5432)], "x", "u", Some("p")),
        ("postgresql://h1:1,h2:2,h3/db", vec![tcp("h1", 1), tcp("h2", 2), tcp("h3", 5432)], "db", "me", None),
        ("postgresql://[2001:db8::1]:6/db", vec![tcp("2001:db8::1", 6)], "db", "me", None),
        ("postgresql://%2Frun%2Fpg:7/db", vec![unix("/run/pg", 7)], "db", "me", None),
        ("postgresql:///db?host=/run/pg&port=8", vec![unix("/run/pg", 8)], "db", "me", None),
        ("host=h port=1 dbname = d user='a b' password='x\\'y\\\\z'", vec![tcp("h", 1)], "d", "a b", Some("x'y\\z")),
        ("host=a,b port=9 password=x\\ y", vec![tcp("a", 9), tcp("b", 9)], "me", "me", Some("x y")),
        ("dbname=''", vec![unix("/no/run", 5432)], "me", "me", None),
    ] {
        let found = of(Some(text), None, &[]).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(places(&found), endpoints, "{text}");
        assert_eq!((&found.database[..], &found.user[..], secret(&found)), (database, user, password), "{text}");
        assert!(Connection::is_database(text));
    }
    let found = of(Some("postgresql://h?sslmode=verify-full&connect_timeout=5&options=-c%20a%3Db"), None, &[]).unwrap();
    assert_eq!((found.sslmode, found.connect_timeout), (SslMode::VerifyFull, Some(Duration::from_secs(5))));
    assert_eq!((found.options.as_deref(), &found.application_name[..]), (Some("-c a=b"), "pwalk"));
    assert!(["/some/dir", "dir", "~/a=b/c", "http://x"].iter().all(|text| !Connection::is_database(text)));
}

#[test]
fn bad_strings_are_refused_without_being_shown() {
    for text in [
        "postgresql://u:secret%4@h",
        "postgresql://u:secret@[h",
        "postgresql://u:secret@[h]x",
        "postgresql://u:secret@h:x",
        "postgresql://u:secret@h:0",
        "postgresql://u:secret@h:70000",
        "postgresql://u:secret@h?sslmode=on",
        "postgresql://u:secret@h?sslrootcert=/secret",
        "postgresql://u:secret@h?secret",
        "postgresql://u:secret@h?connect_timeout=soon",
        "host=h,i,j port=1,2 password=secret",
        "password='secret",
        "password=secret words",
        "secret",
        "=secret",
    ] {
        let why = of(Some(text), None, &[]).unwrap_err().to_string();
        assert!(!why.contains("secret"), "{text}: {why}");
    }
}

#[test]
fn the_nearest_word_wins() {
    let section = PostgresSection {
        host: Some("config".to_owned()),
        user: Some("cu".to_owned()),
        password: Some(Password::new("hidden")),
        sslmode: Some(SslMode::Require),
        ..PostgresSection::default()
    };
    let all = [
        ("PGHOST", "env"),
        ("PGPORT", "6"),
        ("PGDATABASE", "ed"),
        ("PGUSER", "eu"),
        ("PGPASSWORD", "ep"),
        ("PGSSLMODE", "disable"),
    ];
    let url = of(Some("postgresql://uu:up@url"), Some(&section), &all).unwrap();
    assert_eq!((places(&url), &url.user[..], secret(&url)), (vec![tcp("url", 6)], "uu", Some("up")));
    assert_eq!(url.sslmode, SslMode::Disable);
    // The section's password is for the section's server.
    let url = of(Some("postgresql://url"), Some(&section), &all[..4]).unwrap();
    assert_eq!((&url.user[..], secret(&url)), ("eu", None));
    let config = of(None, Some(&section), &all).unwrap();
    assert_eq!((places(&config), &config.user[..], secret(&config)), (vec![tcp("config", 6)], "cu", Some("hidden")));
    assert_eq!((config.sslmode, &config.database[..]), (SslMode::Require, "ed"));
    let env = of(None, None, &all).unwrap();
    assert_eq!((places(&env), &env.user[..], secret(&env)), (vec![tcp("env", 6)], "eu", Some("ep")));
    let none = of(None, None, &[]).unwrap();
    assert_eq!((places(&none), &none.user[..], &none.database[..]), (vec![unix("/no/run", 5432)], "me", "me"));
    assert_eq!(none.to_string(), "database me as me at /no/run/.s.PGSQL.5432");
    let shown = format!("{config} {config:?} {section:?}");
    assert!(!shown.contains("hidden") && shown.contains("***"), "{shown}");
}

#[test]
fn the_password_file_is_the_last_to_be_asked() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(".pgpass");
    let text = "# h:*:*:*:no\nshort:1:2:3\nh:1:db:u:first\nh:1:db:u:second\nh:*:db:other:wild\n\\*:*:*:*:star\n\
                c\\:d:*:b\\\\s:*:p\\:w\\\\x:rest\nlocalhost:*:*:sock:local\n/run/pg:*:*:*:dir\n*:9:*:*:nine\nempty:*:*:*:\n";
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let home = place.path().display().to_string();
    let set = [("HOME", &home[..])];
    let password = |url: &str, set: &[(&str, &str)]| of(Some(url), None, set).map(|c| secret(&c).map(str::to_owned));
    for (url, expected) in [
        ("postgresql://u@h:1/db", Some("first")),
        ("postgresql://other@h:77/db", Some("wild")),
        ("postgresql://other@h:77/no", None),
        ("postgresql://*/db", Some("star")),
        ("host='c:d' dbname='b\\\\s'", Some("p:w\\x")),
        ("postgresql://sock@/db", Some("local")),
        ("host=/no/tmp user=sock", Some("local")),
        ("host=/run/pg", Some("dir")),
        ("postgresql://any:9/", Some("nine")),
        ("postgresql://empty/", None),
        ("postgresql://u:explicit@h:1/db", Some("explicit")),
    ] {
        assert_eq!(password(url, &set).unwrap().as_deref(), expected, "{url}");
    }
    // Each server has its own.
    let both = of(Some("postgresql://u@any:9,h:1/db"), None, &set).unwrap();
    let all: Vec<_> = both.endpoints.iter().map(|e| e.password.as_ref().map(Password::reveal)).collect();
    assert_eq!(all, [Some("nine"), Some("first")]);
    let with_env = [set[0], ("PGPASSWORD", "env")];
    assert_eq!(password("postgresql://u@h:1/db", &with_env).unwrap().as_deref(), Some("env"));

    let other = place.path().join("other");
    fs::write(&other, "*:*:*:*:from other\n").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    let named = [set[0], ("PGPASSFILE", other.to_str().unwrap())];
    assert_eq!(password("postgresql://u@h:1/db", &named).unwrap().as_deref(), Some("from other"));
    let url = format!("host=h port=1 user=u dbname=db passfile='{}'", path.display());
    assert_eq!(password(&url, &named).unwrap().as_deref(), Some("first"));

    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let found = of(Some("postgresql://u@h:1/db"), None, &set).unwrap();
    assert_eq!(secret(&found), None);
    assert!(found.warnings.len() == 1 && found.warnings[0].contains("chmod 600"), "{:?}", found.warnings);
}

#[test]
fn the_user_of_this_process_has_a_name() {
    let found = Connection::resolve(Some("postgresql://h:1/db?passfile=/no/such&user="), None).unwrap();
    assert!(!found.user.is_empty());
}
