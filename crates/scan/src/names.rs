//! Bytes shown as text.
//!
//! The one place of this crate where a name may lose bytes, on its way to a reader that wants UTF-8. Whoever
//! calls this also keeps the bytes themselves beside the text where the two differ.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A name as text.
pub(crate) struct Text<'a> {
    /// Each maximal invalid sequence is one U+FFFD, as WHATWG and the standard library have it.
    pub(crate) text: Cow<'a, str>,
    /// Whether nothing was replaced.
    pub(crate) exact: bool,
}

/// A path as text, and the bytes as base64 where the text is not all of them.
pub fn path_text(path: &[u8]) -> (Cow<'_, str>, Option<String>) {
    let Text { text, exact } = text(path);
    (text, (!exact).then(|| BASE64.encode(path)))
}

/// `bytes` as text.
pub(crate) fn text(bytes: &[u8]) -> Text<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Text { text: Cow::Borrowed(text), exact: true },
        Err(_) => {
            let mut text = Vec::with_capacity(bytes.len() + 16);
            push_text(&mut text, bytes);
            // `push_text` writes UTF-8 only, so this cannot fail.
            Text { text: Cow::Owned(String::from_utf8(text).unwrap_or_default()), exact: false }
        }
    }
}

/// Appends `bytes` as UTF-8 and says whether they were already.
pub(crate) fn push_text(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    // The usual name is short ASCII: one pass without branches beats the validator's start-up.
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
        out.extend_from_slice(bytes);
        return true;
    }
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_marked() {
        let t = text(b"a\xffb\xe2\x82");
        assert_eq!((&*t.text, t.exact), ("a\u{fffd}b\u{fffd}", false));
        let t = text("grün".as_bytes());
        assert_eq!((&*t.text, t.exact), ("grün", true));
    }
}
