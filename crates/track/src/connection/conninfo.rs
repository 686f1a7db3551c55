//! Connection strings of `libpq`: URLs, and words `key=value` (PostgreSQL's documentation, "Connection Strings").
//!
//! What the string names and pwalk cannot do is an error and not passed over: who asks for a certificate to be checked against a file must not
//! be connected without. No message shows what stands in the string.

use std::path::PathBuf;

use super::{BadConnection, Words};
use crate::Password;

const KNOWN: &str =
    "host, port, dbname, user, password, passfile, sslmode, connect_timeout, application_name and options";

pub(super) fn is_url(text: &str) -> bool {
    ["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme))
}

/// A connection string.
pub(super) fn parse(text: &str) -> Result<Words, BadConnection> {
    let mut words = Words::default();
    match ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => url(rest, &mut words)?,
        None => pairs(text, &mut words)?,
    }
    Ok(words)
}

fn bad<T>(why: impl Into<String>) -> Result<T, BadConnection> {
    Err(BadConnection(why.into()))
}

impl Words {
    fn set(&mut self, key: &str, value: String) -> Result<(), BadConnection> {
        let word = match key {
            "host" => &mut self.host,
            "port" => &mut self.port,
            "dbname" => &mut self.database,
            "user" => &mut self.user,
            "sslmode" => &mut self.sslmode,
            "connect_timeout" => &mut self.connect_timeout,
            "application_name" => &mut self.application_name,
            "options" => &mut self.options,
            "password" => {
                self.password = Some(Password::new(value));
                return Ok(());
            }
            "passfile" => {
                self.passfile = Some(PathBuf::from(value));
                return Ok(());
            }
            _ => return bad(format!("the database has a parameter that is not known here; known are {KNOWN}")),
        };
        *word = Some(value);
        Ok(())
    }
}

/// `user:password@host:port,host:port/database?key=value&key=value`, all of it optional.
fn url(rest: &str, words: &mut Words) -> Result<(), BadConnection> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut set = |key, value: &str| if value.is_empty() { Ok(()) } else { words.set(key, decode(value)?) };
    set("user", user)?;
    set("password", password)?;
    set("dbname", database)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(None) => return bad("the URL of the database has [ without ]"),
            Some(Some((name, port))) if port.is_empty() || port.starts_with(':') => {
                (name, port.trim_start_matches(':'))
            }
            Some(Some(_)) => return bad("the URL of the database has something between ] and the port"),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decode(name)?);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    set("port", &ports)?;
    if names.iter().any(|name| !name.is_empty()) {
        words.set("host", names.join(","))?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return bad("the URL of the database has a parameter without a value");
        };
        words.set(&decode(key)?, decode(value)?)?;
    }
    Ok(())
}

/// `%2F` and the like.
fn decode(text: &str) -> Result<String, BadConnection> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match byte.filter(|byte| *byte != 0) {
            Some(byte) => bytes.push(byte),
            None => return bad("the URL of the database has a % without two digits of a byte; a % itself is %25"),
        }
        rest = &after[2..];
    }
    String::from_utf8(bytes).or_else(|_| bad("the URL of the database is not UTF-8"))
}

/// `key=value key = 'value with blanks, \' and \\'`.
fn pairs(text: &str, words: &mut Words) -> Result<(), BadConnection> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return bad("the database is neither postgresql://… nor key=value");
        };
        let key = key.trim_end();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return bad("the database is neither postgresql://… nor key=value");
        }
        let after = after.trim_start();
        let quoted = after.strip_prefix('\'');
        let mut value = String::new();
        let mut chars = quoted.unwrap_or(after).chars();
        let mut is_closed = quoted.is_none();
        while let Some(next) = chars.next() {
            match next {
                '\\' => value.extend(chars.next()),
                '\'' if quoted.is_some() => {
                    is_closed = true;
                    break;
                }
                blank if quoted.is_none() && blank.is_whitespace() => break,
                other => value.push(other),
            }
        }
        if !is_closed {
            return bad("the database has a quote that is not closed");
        }
        words.set(key, value)?;
        rest = chars.as_str().trim_start();
    }
    Ok(())
}
