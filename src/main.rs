//! The `wecrelay` binary: arguments, logger, run, exit code.
#![allow(missing_docs)]
fn main() {}
