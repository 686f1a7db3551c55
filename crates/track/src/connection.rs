//! Where the PostgreSQL server is and who asks: what `libpq` would make of the same words, without a database library.
//!
//! `--database` is a URL (`postgresql://user:password@host:port/database?sslmode=require`) or `key=value` words; where it is given, the section
//! `[postgresql]` of the configuration is not looked at, so that its password never goes to another server. What the one that is used does not
//! say comes from `PGHOST`, `PGPORT`, `PGDATABASE`, `PGUSER`, `PGPASSWORD`, `PGSSLMODE`, `PGCONNECT_TIMEOUT`, `PGAPPNAME`, and then from what `libpq`
//! takes: the socket of this machine, port 5432, the name of the user, and the database of that name. A password that is still
//! missing is looked for in the password file (`pgpass.rs`), for each server by itself.

mod conninfo;
mod pgpass;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::Password;

/// Whether the connection is encrypted, and what is checked: the words of `libpq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are PostgreSQL's")]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(crate) const NAMES: &str = "disable, allow, prefer, require, verify-ca or verify-full";
}

impl FromStr for SslMode {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "disable" => Ok(Self::Disable),
            "allow" => Ok(Self::Allow),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(Self::NAMES),
        }
    }
}

/// `[postgresql]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresSection {
    /// A name or an address, or the directory of a socket; several with commas.
    pub host: Option<String>,
    /// 1 to 65535.
    pub port: Option<u16>,
    /// The database's name.
    pub database: Option<String>,
    /// The user's name.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// Whether it is encrypted.
    pub sslmode: Option<SslMode>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address; of IPv6 without brackets.
    Tcp(String),
    /// The directory in which its socket `.s.PGSQL.<port>` is.
    Unix(PathBuf),
}

/// A server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub host: Host,
    /// Its port, also of a socket.
    pub port: u16,
    /// The password for it, where one is known.
    pub password: Option<Password>,
}

/// All that a connection needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Servers, at least one, to be tried in this order.
    pub endpoints: Vec<Endpoint>,
    /// The database's name.
    pub database: String,
    /// The user's name.
    pub user: String,
    /// Whether it is encrypted.
    pub sslmode: SslMode,
    /// How long to wait for each server; none is for ever.
    pub connect_timeout: Option<Duration>,
    /// What the server shows in its lists.
    pub application_name: String,
    /// Settings of the session, as `-c name=value`.
    pub options: Option<String>,
    /// What the user should know: a password file that others can read.
    pub warnings: Vec<String>,
}

/// For messages: without passwords.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} as {} at ", self.database, self.user)?;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            match &endpoint.host {
                Host::Tcp(host) => write!(f, "{comma}{host}:{}", endpoint.port)?,
                Host::Unix(dir) => write!(f, "{comma}{}/.s.PGSQL.{}", dir.display(), endpoint.port)?,
            }
        }
        Ok(())
    }
}

/// Why there is nothing to connect to. No message shows what could be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConnection(pub(crate) String);

/// The words of `libpq` that mean something here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Words {
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    user: Option<String>,
    password: Option<Password>,
    passfile: Option<PathBuf>,
    sslmode: Option<String>,
    connect_timeout: Option<String>,
    application_name: Option<String>,
    options: Option<String>,
}

/// What surrounds the process; in tests, something else.
struct World<'a> {
    variables: &'a dyn Fn(&str) -> Option<OsString>,
    user: &'a dyn Fn() -> Option<String>,
    /// Where a server of this machine may have its socket.
    sockets: &'a [&'a str],
}

/// Where servers have their sockets: Debian's and Red Hat's, and PostgreSQL's own.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

impl Connection {
    /// What to connect to: `url` is what `--database` says, `section` what the configuration says.
    ///
    /// # Errors
    /// What is neither a URL nor words, parameters that mean nothing here, and values that are not allowed.
    pub fn resolve(url: Option<&str>, section: Option<&PostgresSection>) -> Result<Self, BadConnection> {
        let user = || pwalk_fs::Accounts::default().user(rustix::process::geteuid().as_raw());
        let world = World { variables: &|name| std::env::var_os(name), user: &user, sockets: &SOCKETS };
        Self::of(url, section, &world)
    }

    /// Whether a text is meant for [`Self::resolve`] and not a directory: a URL, or words with a sign between.
    pub fn is_database(text: &str) -> bool {
        conninfo::is_url(text) || (text.contains('=') && conninfo::parse(text).is_ok())
    }

    fn of(url: Option<&str>, section: Option<&PostgresSection>, world: &World<'_>) -> Result<Self, BadConnection> {
        let mut words = match (url, section) {
            (Some(url), _) => conninfo::parse(url)?,
            (None, Some(section)) => Words::of(section),
            (None, None) => Words::default(),
        };
        let sslmode = match (url, section) {
            (None, Some(section)) => section.sslmode,
            _ => None,
        };
        words.fill(world);
        let number = |what: &str, text: &str, allowed: &str| BadConnection(format!("{what} {text:?} is not {allowed}"));
        let user = words.user.or_else(world.user);
        let user = user.ok_or_else(|| BadConnection("this user has no name: say user or set PGUSER".to_owned()))?;
        let database = words.database.unwrap_or_else(|| user.clone());
        let sslmode = match (sslmode, &words.sslmode) {
            (Some(mode), _) => mode,
            (None, Some(name)) => name.parse().map_err(|allowed| number("sslmode", name, allowed))?,
            (None, None) => SslMode::default(),
        };
        let seconds = words
            .connect_timeout
            .as_deref()
            .map(|text| text.trim().parse::<i32>().map_err(|_| number("connect_timeout", text, "a number of seconds")));
        // Of libpq: zero and less is for ever.
        let seconds =
            seconds.transpose()?.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let ports: Vec<u16> = match words.port.as_deref() {
            None | Some("") => vec![5432],
            Some(all) => all.split(',').map(port).collect::<Result<_, _>>()?,
        };
        let hosts: Vec<Option<Host>> = match &words.host {
            None => vec![None],
            Some(all) => all.split(',').map(host).collect(),
        };
        if ports.len() > 1 && ports.len() != hosts.len() {
            let (ports, hosts) = (ports.len(), hosts.len());
            return Err(BadConnection(format!(
                "there are {ports} ports and {hosts} hosts; give one port, or one for each"
            )));
        }
        let mut warnings = Vec::new();
        let passes = match &words.password {
            Some(_) => Vec::new(),
            None => pgpass::read(words.passfile, world.variables, &mut warnings),
        };
        let endpoints = hosts.into_iter().zip(ports.iter().copied().cycle()).map(|(host, port)| {
            let host = host.unwrap_or_else(|| Host::Unix(socket(world.sockets, port)));
            let name = match &host {
                Host::Tcp(host) => host.clone(),
                Host::Unix(dir) if world.sockets.iter().any(|known| dir == Path::new(known)) => "localhost".to_owned(),
                Host::Unix(dir) => dir.display().to_string(),
            };
            let found = || pgpass::find(&passes, [&name, &port.to_string(), &database, &user]);
            let password = words.password.clone().or_else(found);
            Endpoint { host, port, password }
        });
        Ok(Self {
            endpoints: endpoints.collect(),
            sslmode,
            connect_timeout: seconds.map(Duration::from_secs),
            application_name: words.application_name.unwrap_or_else(|| "pwalk".to_owned()),
            options: words.options,
            warnings,
            database,
            user,
        })
    }
}

impl Words {
    fn of(section: &PostgresSection) -> Self {
        Self {
            host: section.host.clone(),
            port: section.port.map(|port| port.to_string()),
            database: section.database.clone(),
            user: section.user.clone(),
            password: section.password.clone(),
            ..Self::default()
        }
    }

    fn fill(&mut self, world: &World<'_>) {
        let set = |name| (world.variables)(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        let fill = |word: &mut Option<String>, name| {
            if word.as_ref().is_none_or(String::is_empty) {
                *word = set(name);
            }
        };
        fill(&mut self.host, "PGHOST");
        fill(&mut self.port, "PGPORT");
        fill(&mut self.database, "PGDATABASE");
        fill(&mut self.user, "PGUSER");
        fill(&mut self.sslmode, "PGSSLMODE");
        fill(&mut self.connect_timeout, "PGCONNECT_TIMEOUT");
        fill(&mut self.application_name, "PGAPPNAME");
        fill(&mut self.options, "PGOPTIONS");
        if self.password.as_ref().is_none_or(|secret| secret.reveal().is_empty()) {
            self.password = set("PGPASSWORD").map(Password::new);
        }
    }
}

fn port(text: &str) -> Result<u16, BadConnection> {
    if text.is_empty() {
        return Ok(5432);
    }
    let number = text.trim().parse().ok().filter(|port| *port > 0);
    number.ok_or_else(|| BadConnection(format!("port {text:?} is not a number from 1 to 65535")))
}

fn host(text: &str) -> Option<Host> {
    match text.trim() {
        "" => None,
        dir if dir.starts_with('/') => Some(Host::Unix(PathBuf::from(dir))),
        name => Some(Host::Tcp(name.to_owned())),
    }
}

/// The directory of a socket that is there, else the first.
fn socket(places: &[&str], port: u16) -> PathBuf {
    let name = format!(".s.PGSQL.{port}");
    let found = places.iter().find(|place| Path::new(place).join(&name).exists());
    PathBuf::from(found.or(places.first()).copied().unwrap_or("/tmp"))
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
