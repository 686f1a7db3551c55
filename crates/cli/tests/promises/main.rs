//! The promises of the command line, one file each, against real trees, real faults and other programs.
//!
//! One binary holds them all: linking a dozen would cost more than running them. The readers run in the Python named by
//! `PWALK_TEST_PYTHON`, which `cargo xtask test` sets up; without it the tests fail.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod bench;
mod classic;
mod common;
mod copy;
mod csv;
mod diff;
mod docs;
mod extremes;
mod failure;
mod find;
mod forest;
mod interrupt;
mod ledger;
mod options;
mod output;
mod parquet;
mod pfind;
mod recipes;
mod repair;
mod track;
mod unread;
mod walk;
