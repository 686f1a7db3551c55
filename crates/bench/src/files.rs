//! Results in files: `bench-OPERATION-DATE.json` and the same as `.html`.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::html::html;
use crate::{Error, Results};

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The results.
    pub json: PathBuf,
    /// The page.
    pub html: PathBuf,
}

/// Makes the directory, before anything is measured in vain.
///
/// # Errors
/// It cannot be made, or nothing can be written there.
pub fn prepare_output(directory: &Path) -> Result<(), Error> {
    let failed = |why| Error::Output { path: directory.to_owned(), why };
    std::fs::create_dir_all(directory).map_err(failed)?;
    tempfile::tempfile_in(directory).map(drop).map_err(failed)
}

/// Writes both files. A file has its name when it is whole.
///
/// # Errors
/// One of them cannot be written.
pub fn write(results: &Results, directory: &Path) -> Result<Written, Error> {
    let name = format!("bench-{}-{}", results.operation.replace('_', "-"), compact(&results.date));
    let json = directory.join(format!("{name}.json"));
    let page = directory.join(format!("{name}.html"));
    let mut text =
        serde_json::to_vec_pretty(results).map_err(|why| Error::Output { path: json.clone(), why: why.into() })?;
    text.push(b'\n');
    whole(directory, &json, &text)?;
    whole(directory, &page, html(results).as_bytes())?;
    Ok(Written { json, html: page })
}

fn whole(directory: &Path, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |why| Error::Output { path: path.to_owned(), why };
    let mut file = tempfile::Builder::new()
        .prefix(".bench-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

/// `2026-11-22T03:34:40.123456789Z` as `20261122T033440.123456Z`: no character that needs quoting, and no two alike.
fn compact(date: &str) -> String {
    let (seconds, fraction) = date.trim_end_matches('Z').split_once('.').unwrap_or((date.trim_end_matches('Z'), "0"));
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    format!("{}.{digits}Z", seconds.replace(['-', ':'], ""))
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn a_date_becomes_a_name() {
        assert_eq!(compact("2026-11-22T03:34:40.123456789Z"), "20261122T033440.123456Z");
        assert_eq!(compact("2026-11-22T03:34:40.5Z"), "20261122T033440.500000Z");
        assert_eq!(compact("2026-11-22T03:34:40Z"), "20261122T033440.000000Z");
    }
}
