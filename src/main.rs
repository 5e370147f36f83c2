//! The `keepwatch` program: parse, call, exit code.

fn main() {}
