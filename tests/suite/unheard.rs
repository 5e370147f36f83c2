//! It must not stop, or stand still, without anybody hearing of it: folders that
//! are away, a daemon that does not answer, places that were removed or belong to
//! others, results that cannot be printed, and what commands say of a place that is new.

mod asking;
mod folders;
// A signal that Unix alone has.
#[cfg(unix)]
mod hang_up;
mod looking;
mod places;
mod printing;
// Folders of other accounts.
#[cfg(unix)]
mod strangers;

use crate::harness::{finish, program};
use std::path::Path;
use std::process::Output;

fn keepwatch(config: &Path, arguments: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    finish(program().args(["--config", config]).args(arguments))
}

/// What the program has said, on both of its outputs.
fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What stands in the log files.
fn logged(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts.collect()
}
