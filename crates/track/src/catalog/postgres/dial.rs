//! Connecting to the server.
//!
//! The servers that the user named are tried in their order, each in the ways that `sslmode` allows, as `libpq` does. The first that answers and
//! lets us in is used for the whole run; more connections to it are made where several are quicker than one.

use postgres::config::SslMode as Encryption;
use postgres::error::{DbError, SqlState};
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::connection::{Connection, Endpoint, Host, SslMode};
use crate::error::TrackError;

/// What every session begins with. A limit that an administrator set for people's queries would end a first load half-way. The last one has the
/// server end, within a second, what a killed client had begun; before version 14 there is no such setting.
const SESSION: &str = "set jit = off; set client_min_messages = warning; set statement_timeout = 0;
    set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
    do $$ begin if current_setting('server_version_num')::int >= 140000 then
        set client_connection_check_interval = '1s'; end if; end $$";

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    /// Encrypted, with so much of the server's certificate checked.
    Tls(tls::Check),
}

/// Who makes connections.
#[derive(Clone)]
pub(super) struct Dial {
    connection: Connection,
}

impl Dial {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone() }
    }

    /// Which database, without a password.
    pub(super) fn server(&self) -> String {
        self.connection.to_string()
    }

    /// What cannot be done, and what the server said of it.
    pub(super) fn failed(&self, doing: &'static str, why: &postgres::Error) -> TrackError {
        let advice = match why.as_db_error() {
            Some(error) if *error.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                "let the owner of the schema grant what is missing"
            }
            Some(_) => "see the server's log",
            None => "nothing was recorded; see whether the server still runs, and try again",
        };
        self.because(doing, explain(why), advice)
    }

    pub(super) fn because(&self, doing: &'static str, why: String, advice: &'static str) -> TrackError {
        TrackError::Database { doing, server: self.server(), why, advice }
    }

    /// A new connection.
    pub(super) fn open(&self) -> Result<Client, TrackError> {
        let mut reasons = Vec::new();
        for endpoint in &self.connection.endpoints {
            match self.try_endpoint(endpoint) {
                Ok(mut client) => {
                    let set = client.batch_execute(SESSION);
                    set.map_err(|why| self.failed("prepare the connection", &why))?;
                    return Ok(client);
                }
                Err(why) => reasons.push(why),
            }
        }
        reasons.dedup();
        let advice = "check --database and whether the server runs and lets you in";
        Err(self.because("connect to the database", reasons.join("; "), advice))
    }

    fn try_endpoint(&self, endpoint: &Endpoint) -> Result<Client, String> {
        let mut last = String::new();
        for way in ways(self.connection.sslmode, &endpoint.host) {
            match self.connect(endpoint, way) {
                Ok(client) => return Ok(client),
                // Only a server that does not like the way may like another.
                Err(Refused { why, is_final: true }) => return Err(why),
                Err(Refused { why, .. }) => last = why,
            }
        }
        Err(last)
    }

    fn connect(&self, endpoint: &Endpoint, way: Way) -> Result<Client, Refused> {
        let mut config = Config::new();
        match &endpoint.host {
            Host::Tcp(host) => config.host(host),
            Host::Unix(dir) => config.host_path(dir),
        };
        config.port(endpoint.port).user(&self.connection.user).dbname(&self.connection.database);
        config.application_name(&self.connection.application_name);
        if let Some(password) = &endpoint.password {
            config.password(password.reveal());
        }
        if let Some(options) = &self.connection.options {
            config.options(options);
        }
        if let Some(timeout) = self.connection.connect_timeout {
            config.connect_timeout(timeout);
        }
        let connected = match way {
            Way::Plain => config.ssl_mode(Encryption::Disable).connect(NoTls),
            Way::Tls(check) => {
                let tls = tls::client(check).map_err(|why| Refused { why, is_final: true })?;
                config.ssl_mode(Encryption::Require).connect(MakeRustlsConnect::new(tls))
            }
        };
        connected.map_err(|why| {
            let code = why.as_db_error().map(DbError::code);
            let is_final = code.is_some_and(|code| *code != SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
            Refused { why: explain(&why), is_final }
        })
    }
}

/// Why there is no connection.
struct Refused {
    why: String,
    /// Another way would not help.
    is_final: bool,
}

/// In which ways a server is tried. Through a socket of this machine nothing is encrypted, whatever was asked for, as with `libpq`.
fn ways(mode: SslMode, host: &Host) -> Vec<Way> {
    if matches!(host, Host::Unix(_)) {
        return vec![Way::Plain];
    }
    let any = Way::Tls(tls::Check::Nothing);
    match mode {
        SslMode::Disable => vec![Way::Plain],
        SslMode::Allow => vec![Way::Plain, any],
        SslMode::Prefer => vec![any, Way::Plain],
        // Who has put a root certificate there wants it to be used.
        SslMode::Require if tls::root_file().is_some() => vec![Way::Tls(tls::Check::Chain)],
        SslMode::Require => vec![any],
        SslMode::VerifyCa => vec![Way::Tls(tls::Check::Chain)],
        SslMode::VerifyFull => vec![Way::Tls(tls::Check::ChainAndName)],
    }
}

/// What an error says: the server's words with its hint, or what happened with its causes.
pub(super) fn explain(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let mut words = error.message().to_owned();
        for more in [error.detail(), error.hint()].into_iter().flatten() {
            words.push_str(": ");
            words.push_str(more);
        }
        return words;
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(of) = cause {
        let more = of.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = of.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libpq_would_try_is_tried() {
        let (any, plain) = (Way::Tls(tls::Check::Nothing), Way::Plain);
        let tcp = Host::Tcp("db".to_owned());
        assert_eq!(ways(SslMode::Disable, &tcp), [plain]);
        assert_eq!(ways(SslMode::Allow, &tcp), [plain, any]);
        assert_eq!(ways(SslMode::Prefer, &tcp), [any, plain]);
        assert_eq!(ways(SslMode::VerifyCa, &tcp), [Way::Tls(tls::Check::Chain)]);
        assert_eq!(ways(SslMode::VerifyFull, &tcp), [Way::Tls(tls::Check::ChainAndName)]);
        assert_eq!(ways(SslMode::VerifyFull, &Host::Unix("/tmp".into())), [plain]);
    }
}
