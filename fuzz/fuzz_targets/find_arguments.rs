//! Arguments of find, whatever they are: no panic, and what is understood means the same once it is printed and read again.
//!
//! `cargo +nightly fuzz run find_arguments`. Each argument ends with a NUL, as a program gets it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pwalk_find::parse::parse;

fuzz_target!(|bytes: &[u8]| {
    let arguments: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let Ok((query, _)) = parse(&arguments) else { return };
    let printed = query.to_arguments();
    let again = parse(&printed).map(|(query, _)| query);
    assert_eq!(again.as_ref(), Ok(&query), "{printed:?}");
});
