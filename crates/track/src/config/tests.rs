//! Promises about settings: every key works or is named, INI is TOML, and no password is shown.

use std::fs::{self, Permissions};

use super::*;

const TOML: &str = r#"
copy_strategy = "auto"
[general]
threads = 8
catalog = "~/catalog"
[crawler]
data_root = "/data"
fingerprint = "new"
hash = "xxh3"
hash_threads = 4
max_bytes_per_sec = "100M"
one_file_system = true
exclude = ["*.o", ".git/"]
[metadata]
Project = "Climate"
year = 2025
[postgresql]
host = "db"
port = 5433
database = "files"
user = "crawler"
password = 'p#a;s%s\n'
sslmode = "require"
[logging]
log_root = "/var/log/pwalk"
log_level = "debug"
"#;

const INI: &str = r"
# The classic file.
[GENERAL]
threads: 8
catalog = ~/catalog
[crawler]
data_root = /data
Fingerprint = NEW
hash = xxh3
hash_threads = 4
max_bytes_per_sec = 100M
one_file_system = yes
exclude =
    *.o
    .git/
[metadata]
Project = Climate
year = 2025
[postgresql]
host = db
port = 5433
database = files
user = crawler
password = p#a;s%s\n
sslmode = require
[logging]
log_root = /var/log/pwalk
log_level = DEBUG
";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn find(&self, file: Option<&Path>, variables: &[(&str, &str)]) -> Result<TrackConfig, BadConfig> {
        let of =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        let home = self.0.path().join("home").into_os_string();
        TrackConfig::find(file, &|name| of(name).or((name == "HOME").then(|| home.clone())), &self.0.path().join("etc"))
    }

    fn of(&self, name: &str, text: &str) -> Result<TrackConfig, String> {
        let path = self.write(name, text);
        self.find(Some(&path), &[]).map_err(|why| why.to_string())
    }
}

#[test]
fn ini_and_toml_say_the_same() {
    let place = Place::new();
    let expected = TrackConfig {
        threads: Some(8),
        catalog: Some(place.0.path().join("home/catalog")),
        data_root: Some("/data".into()),
        fingerprint: Some(FingerprintMode::New),
        hash: Some(Hash::Xxh3),
        hash_threads: Some(4),
        max_bytes_per_sec: Some(100 << 20),
        one_file_system: Some(true),
        exclude: vec!["*.o".to_owned(), ".git/".to_owned()],
        metadata: [("Project", "Climate"), ("year", "2025")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        postgresql: Some(PostgresSection {
            host: Some("db".to_owned()),
            port: Some(5433),
            database: Some("files".to_owned()),
            user: Some("crawler".to_owned()),
            password: Some(Password::new(r"p#a;s%s\n")),
            sslmode: Some(SslMode::Require),
        }),
        log_root: Some("/var/log/pwalk".into()),
        log_level: Some(LogLevel::Debug),
        warnings: Vec::new(),
        path: None,
    };
    for (name, text) in [("a.toml", TOML), ("a.ini", INI), ("a.conf", INI), ("b.conf", TOML)] {
        let found = place.of(name, text).unwrap();
        let path = Some(place.0.path().join(name));
        assert_eq!(found, TrackConfig { path, ..expected.clone() }, "{name}");
        assert!(!format!("{found:?}").contains("p#a"));
    }
}

#[test]
fn keys_that_mean_nothing_are_named() {
    let place = Place::new();
    let ini = "top = 1\n[crawler]\nfoo = 1\ndata_root = /data\n[other]\nx = 1\n[general]\nThread = 2\n";
    let toml = "top = 1\ncopy_max_workers = 3\n[crawler]\nfoo = [1]\ndata_root = '/data'\n[other]\nx = 1\n[general]\nThread = 2\n";
    for (name, text) in [("a.ini", ini), ("a.toml", toml)] {
        let found = place.of(name, text).unwrap();
        let path = place.0.path().join(name);
        let expected = ["[crawler] foo", "[general] Thread", "[other] x", "top"];
        assert_eq!(
            found.warnings,
            expected.map(|key| format!("unknown key {key} in {}: it is ignored", path.display()))
        );
        assert_eq!(found.data_root, Some("/data".into()));
    }
}

#[test]
fn bad_values_are_named_with_what_is_allowed_and_never_shown() {
    let place = Place::new();
    for (section, key, value, allowed) in [
        ("general", "threads", "0", "a number from 1 to 4096, or auto"),
        ("general", "catalog", "here", "an absolute path, or one that begins with ~/"),
        ("crawler", "data_root", "", "an absolute path, or one that begins with ~/"),
        ("crawler", "fingerprint", "some", "none, new, all or sample"),
        ("crawler", "hash", "md5", "blake3 or xxh3"),
        ("crawler", "hash_threads", "1025", "a number from 1 to 1024"),
        ("crawler", "max_bytes_per_sec", "0", "a number of bytes, at least 1, as 500000, 800K, 100M or 1GiB"),
        ("crawler", "one_file_system", "maybe", "true or false"),
        ("postgresql", "port", "70000", "a number from 1 to 65535"),
        ("postgresql", "sslmode", "secret", "disable, allow, prefer, require, verify-ca or verify-full"),
        ("logging", "log_level", "loud", "error, warning, info or debug"),
    ] {
        for (name, text) in [
            ("a.ini", format!("[{section}]\n{key} = {value}\n")),
            ("a.toml", format!("[{section}]\n{key} = \"{value}\"\n")),
            ("b.toml", format!("[{section}]\n{key} = {{ x = 1 }}\n")),
        ] {
            let path = place.0.path().join(name);
            let expected = format!("{}: [{section}] {key} must be {allowed}", path.display());
            assert_eq!(place.of(name, &text).unwrap_err(), expected);
        }
    }
    for (name, text) in [
        ("a.toml", "[postgresql]\npassword = [\"secret\"]\n"),
        ("a.toml", "[postgresql]\npassword = secret\n"),
        ("a.toml", "[postgresql]\npassword = \"secret\n"),
        ("a.toml", "postgresql = \"secret\"\n"),
        ("a.ini", "[postgresql]\nsecret\n"),
        ("a.conf", "[postgresql]\npassword = \"secret\"\nsecret\n"),
        ("a.yaml", "postgresql:\n  password: [secret\n"),
    ] {
        let why = place.of(name, text).unwrap_err();
        assert!(why.starts_with(&place.0.path().join(name).display().to_string()), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
    let missing = place.0.path().join("missing.toml");
    assert!(
        place.find(Some(&missing), &[]).unwrap_err().to_string().contains("missing.toml: cannot read the settings")
    );
}

#[test]
fn one_file_is_read_the_nearest() {
    let place = Place::new();
    assert_eq!(place.find(None, &[]).unwrap(), TrackConfig::default());
    let base = place.0.path().to_owned();
    let named = place.write("named.toml", "[general]\nthreads = 1");
    let variable = base.join("variable.ini").display().to_string();
    let xdg = base.join("xdg").display().to_string();
    // From the last place to the first: each new one wins over those before it.
    for (threads, name) in (9..).zip([
        "etc/pwalk/track.ini",
        "etc/pwalk/track.toml",
        "home/.config/pwalk/config.yml",
        "home/.config/pwalk/config.toml",
        "home/.config/pwalk/track.ini",
        "home/.config/pwalk/track.toml",
    ]) {
        let text = match name {
            "home/.config/pwalk/config.yml" => format!("general:\n  threads: {threads}\n"),
            _ => format!("[general]\nthreads = {threads}\n"),
        };
        let path = place.write(name, &text);
        let found = place.find(None, &[("PWALK_CONFIG", "")]).unwrap();
        assert_eq!((found.threads, found.path), (Some(threads), Some(path)));
    }
    place.write("xdg/pwalk/track.toml", "[general]\nthreads = 3");
    assert_eq!(place.find(None, &[("XDG_CONFIG_HOME", &xdg)]).unwrap().threads, Some(3));
    place.write("variable.ini", "[general]\nthreads = 2");
    let variables = [("XDG_CONFIG_HOME", &xdg[..]), ("PWALK_CONFIG", &variable[..])];
    assert_eq!(place.find(None, &variables).unwrap().threads, Some(2));
    assert_eq!(place.find(Some(&named), &variables).unwrap().threads, Some(1));
}

#[test]
fn passwords_in_the_open_and_percent_signs_are_warned_of() {
    let place = Place::new();
    let path = place.write("a.ini", "[postgresql]\npassword = 50%%\n");
    let found = place.find(Some(&path), &[]).unwrap();
    assert_eq!(found.postgresql.unwrap().password, Some(Password::new("50%%")));
    assert!(found.warnings.len() == 1 && found.warnings[0].contains("% is %"), "{:?}", found.warnings);
    for (mode, text, count) in [(0o640, "[postgresql]\npassword = a", 1), (0o644, "[postgresql]\nhost = a", 0)] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let warnings = place.find(Some(&path), &[]).unwrap().warnings;
        assert_eq!(warnings.iter().filter(|warning| warning.contains("chmod 600")).count(), count, "{warnings:?}");
        assert_eq!(warnings.len(), count);
    }
}
