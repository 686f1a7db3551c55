//! Paths in messages and in JSON.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Bytes that no terminal and no log takes amiss: control characters and what is not UTF-8 are escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' { out.extend(c.escape_default()) } else { out.push(c) }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

/// A path as text, and its bytes in base64 where the text is not all of it.
#[expect(clippy::disallowed_methods, reason = "the bytes stand beside the text")]
pub fn path_text(path: &[u8]) -> (Cow<'_, str>, Option<String>) {
    match String::from_utf8_lossy(path) {
        Cow::Borrowed(text) => (Cow::Borrowed(text), None),
        lossy @ Cow::Owned(_) => (lossy, Some(BASE64.encode(path))),
    }
}

/// The bytes of such a path.
pub(crate) fn path_bytes(text: &str, bytes: Option<&str>) -> Result<Vec<u8>, &'static str> {
    match bytes {
        None => Ok(text.as_bytes().to_vec()),
        Some(bytes) => BASE64.decode(bytes).map_err(|_| "path_bytes is not base64"),
    }
}
