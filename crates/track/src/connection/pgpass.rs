//! The password file of `libpq`: `~/.pgpass`, or what `passfile` or `PGPASSFILE` name.
//!
//! Lines are `host:port:database:user:password`; the first whose first four fields fit is taken. A field `*` fits all; `\:` and `\\` mean `:` and `\`.
//! As for `libpq`, a file that others than its owner may use is not read at all, and who has it is told.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::Password;

/// Fields, the last one the password; none stands for what fits all.
pub(super) type Line = Vec<Option<String>>;

pub(super) fn read(
    named: Option<PathBuf>,
    variables: &dyn Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<String>,
) -> Vec<Line> {
    let set = |name| variables(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let place = named.or_else(|| set("PGPASSFILE")).or_else(|| set("HOME").map(|home| home.join(".pgpass")));
    let Some(path) = place.filter(|path| path.exists()) else { return Vec::new() };
    // Not opened before it is known to be a file: a fifo would be waited for.
    let is_file = path.metadata().is_ok_and(|meta| meta.is_file());
    let mut text = Vec::new();
    let opened = if is_file { File::open(&path) } else { Err(std::io::Error::other("it is no file")) };
    let read = opened.and_then(|mut file| file.read_to_end(&mut text).and_then(|_| file.metadata()));
    let path = path.display();
    match read {
        Err(why) => warnings.push(format!("the password file {path} is ignored: {why}")),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            let why = "others than its owner may use it";
            warnings.push(format!("the password file {path} is ignored: {why}; chmod 600 {path}"));
        }
        Ok(_) => return text.split(|byte| *byte == b'\n').filter_map(line).collect(),
    }
    Vec::new()
}

/// The password of the first line that fits host, port, database and user.
pub(super) fn find(lines: &[Line], wanted: [&str; 4]) -> Option<Password> {
    let fits = |line: &&Line| line.iter().zip(wanted).all(|(field, wanted)| field.as_ref().is_none_or(|f| f == wanted));
    let password = lines.iter().find(fits)?.get(4)?;
    // A password that is one star.
    Some(Password::new(password.clone().unwrap_or_else(|| "*".to_owned()))).filter(|secret| !secret.reveal().is_empty())
}

fn line(bytes: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\r');
    if text.starts_with('#') {
        return None;
    }
    let (mut fields, mut field, mut is_plain) = (Vec::new(), String::new(), true);
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => {
                is_plain = false;
                field.push(chars.next().unwrap_or('\\'));
            }
            ':' => {
                fields.push((field != "*" || !is_plain).then(|| std::mem::take(&mut field)));
                field.clear();
                is_plain = true;
            }
            other => field.push(other),
        }
    }
    fields.push((field != "*" || !is_plain).then_some(field));
    (fields.len() >= 5).then_some(fields)
}
