//! Running the lines of the documentation, as they stand there.

use crate::harness::finish_within;
use crate::harness::served::{ACCESS_KEY, SECRET_KEY};
use crate::python::clean_environment;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The blocks of a page that are marked with this language, in order.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    let mut rest = text.as_str();
    let mut found = Vec::new();
    while let Some((_, block)) = rest.split_once(&begin) {
        let (block, after) = block.split_once("```").expect("every block ends");
        found.push(block.to_owned());
        rest = after;
    }
    found
}

/// A block of lines starts the AWS CLI a dozen times, which takes seconds each on
/// a busy machine.
const LINES_MAX: Duration = Duration::from_secs(5 * 60);

/// Run lines with a shell in `folder`, as somebody who has the bucket's keys,
/// these programs' folders first in PATH, and nothing else of ours.
pub fn shell(lines: &str, folder: &Path, programs: &[PathBuf]) -> Output {
    shell_as(None, lines, folder, programs)
}

/// The same as another account, where this one may play it.
pub fn shell_as(account: Option<u32>, lines: &str, folder: &Path, programs: &[PathBuf]) -> Output {
    let mut command = Command::new("sh");
    if let Some(account) = account.filter(|_| rustix::process::geteuid().is_root()) {
        use std::os::unix::process::CommandExt as _;
        command.uid(account).gid(account);
    }
    clean_environment(&mut command);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEEPWATCH_") {
            command.env_remove(name);
        }
    }
    let system = std::env::var_os("PATH").unwrap_or_default();
    let path = programs
        .iter()
        .cloned()
        .chain(std::env::split_paths(&system));
    command
        .args(["-euc", lines])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", folder)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", folder.join("no-config"))
        .env("KEEPWATCH_STATE__DIR", folder.join("new-state"))
        .env("KEEPWATCH_LOG__DIR", folder.join("new-log"))
        .stdin(std::process::Stdio::null());
    finish_within(LINES_MAX, &mut command)
}

/// The folder of the program that is tested.
pub fn program_folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_keepwatch"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Standard output of lines that must succeed.
pub fn well(output: &Output, lines: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{lines}\n{out}{err}");
    out
}
