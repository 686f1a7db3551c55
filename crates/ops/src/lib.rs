//! Changes to trees of files that other people use meanwhile.
//!
//! This is the room that writes outside its own outputs, and much of what it does is done as root. So one rule holds for all of it:
//! **decide from what a descriptor says, act on that descriptor, look again, and have written down before what is about to be
//! changed.** A change is a value before it is an act: it can be shown, kept in a file, applied, journalled and undone.
//!
//! * [`copy`]: trees, as they are;
//! * [`repair`]: the permissions of shared folders.

pub mod copy;
pub mod repair;
mod shown;

pub use shown::path_text;
