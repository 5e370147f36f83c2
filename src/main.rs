//! The `keepwatch` program: parse, call, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(keepwatch::cli::main(std::env::args_os()))
}
