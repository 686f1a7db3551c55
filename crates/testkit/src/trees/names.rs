//! Names that break parsers, shells, CSV writers and text encodings.
//!
//! Linux forbids two bytes in a name, `/` and NUL, and nothing else. Whoever treats a name as text loses some of
//! these: silently, which is worse than refusing.

use std::collections::BTreeSet;
use std::path::Path;

use super::at::At;

/// The names that [`names`] makes, sorted by bytes and without duplicates.
pub fn hostile_names() -> Vec<Vec<u8>> {
    let mut all: BTreeSet<Vec<u8>> = BTreeSet::new();
    for byte in (1..=255u8).filter(|b| *b != b'/') {
        all.insert(vec![b'x', byte, b'y']);
        all.insert(vec![byte]);
        all.insert(vec![byte; 3]);
    }
    // The one single-byte name that always exists. (The three bytes "..." are an ordinary name.)
    all.remove(b".".as_slice());
    let plain: &[&[u8]] = &[
        b"-rf",
        b"--",
        b"--help",
        b".hidden",
        b"..x",
        b"...",
        b". ",
        b" .",
        b"a.b.c",
        b".a.b",
        b"trailing.",
        b"trailing ",
        b" leading",
        b"no-extension",
        b"tar.gz",
        b".tar.gz",
        b"two\nlines",
        b"\n",
        b"ends\n",
        b"tab\there",
        b"return\rhere",
        b"quote\"double",
        b"\"\"",
        b"quote'single",
        b"comma,semicolon;",
        b"\"a\",\"b\"",
        b"=1+1",
        b"@SUM(A1)",
        b"back\\slash",
        b"\\n",
        b"$(reboot)",
        b"`reboot`",
        b"*",
        b"?[a-z]",
        b"{a,b}",
        b"~",
        b"#comment",
        b"!negated",
        b"name -> target",
        b"bell\x07escape\x1b[31mred",
        b"\xef\xbb\xbfbyte-order-mark",
    ];
    all.extend(plain.iter().map(|n| n.to_vec()));
    let unicode = [
        "caf\u{e9}",   // composed and
        "cafe\u{301}", // decomposed: two names, one look
        "\u{fffd}",    // the replacement character itself: lossy decoding makes others collide with it
        "a\u{fffd}b",
        "\u{202e}gpj.exe", // right-to-left override
        "\u{200b}",        // zero width
        "\u{2028}line",    // a line separator to JavaScript
        "\u{1f600}",       // four bytes
        "\u{85}",          // C1 control, two bytes
    ];
    all.extend(unicode.iter().map(|n| n.as_bytes().to_vec()));
    let invalid: &[&[u8]] = &[
        b"\xff\xfe",
        b"a\xffb",
        b"a\xfeb",           // with the above: both decode to the same lossy text
        b"\xc3",             // truncated sequence
        b"\xc0\xaf",         // overlong "/"
        b"\xed\xa0\x80",     // a surrogate
        b"\xf4\x90\x80\x80", // above U+10FFFF
        b"\x80continuation",
        b"latin1-\xe9\xe8.txt",
        b"file.\xff", // invalid bytes in the extension
    ];
    all.extend(invalid.iter().map(|n| n.to_vec()));
    all.insert(vec![b'n'; 255]);
    all.insert(vec![0xff; 255]);
    all.insert("\u{e9}".repeat(127).into_bytes());
    all.insert([vec![b'e'; 250], b".long".to_vec()].concat());
    all.into_iter().collect()
}

/// One empty file per [hostile name](hostile_names), and a directory with one file in it for a few of them (a
/// directory's name comes back as part of every path below). Returns the number of entries.
pub fn names(root: &Path) -> u64 {
    let at = At::open(root);
    let mut entries = 0;
    for name in hostile_names() {
        at.file(&name);
        entries += 1;
    }
    let directories: &[&[u8]] = &[b"-dir", b"dir\nline", b"dir\"quote", b"dir\xff", b"dir.ext", b"dir,comma", b" "];
    let inner = at.subdir("directories");
    entries += 1;
    for name in directories {
        inner.subdir(name).file(b"in\xffside");
        entries += 2;
    }
    entries
}
