//! Promise: a difference is what changed between two looks at a tree, all of it and nothing else, and nothing is called removed that was not looked for.
//!
//! What changed is told here once more, by a naive comparison of what the kernel said before and after (`model.rs`): no marks, no sorting
//! outside memory, paths as they are.

mod honest;
pub(crate) mod model;
mod output;
pub(crate) mod random;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::common::{Ran, json_lines, pwalk, run};

/// `pwalk diff --json OPTIONS OLD NEW`.
fn diff<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    run(pwalk(["diff", "--json"]).args(arguments))
}

/// A scan of `root` in `place`.
fn scan(root: &Path, place: &Path) {
    run(pwalk(["report", "--quiet", "--include-snapshots", "-o"]).arg(place).arg(root)).expect(0);
}

/// The bytes of a path in an object.
pub(crate) fn bytes(value: &Value, name: &str) -> Option<Vec<u8>> {
    match value[format!("{name}_bytes")].as_str() {
        Some(text) => Some(BASE64.decode(text).unwrap()),
        None => value[name].as_str().map(|text| text.as_bytes().to_vec()),
    }
}

/// Changes by path: change type, old path. A path may have several.
pub(crate) type Told = BTreeMap<(Vec<u8>, String), Option<Vec<u8>>>;

pub(crate) fn told(ran: &Ran) -> Told {
    let objects = json_lines(ran.text());
    let all: Told = objects
        .iter()
        .map(|o| ((bytes(o, "path").unwrap(), o["change_type"].as_str().unwrap().to_owned()), bytes(o, "old_path")))
        .collect();
    assert_eq!(all.len(), objects.len(), "something was told twice: {}", ran.text());
    all
}
