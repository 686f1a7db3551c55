//! The pwalk command.

fn main() {}
