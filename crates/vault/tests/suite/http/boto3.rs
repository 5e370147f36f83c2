//! boto3, which shares no code with the vault.

use super::{ACCESS_KEY, SECRET_KEY, Served};
use std::path::Path;
use std::process::Command;

#[test]
fn boto3_agrees() {
    let served = Served::start();
    let python = crate::venv::made("python-boto3", &["boto3"]).unwrap_or_else(|why| {
        panic!(
            "this test needs boto3, and it cannot be installed: {why}\nInstall Python 3.10 or newer \
             with venv (Debian: apt install python3-venv) and see that pip can reach its index."
        )
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/http/boto3_checks.py");
    let run = Command::new(python)
        .arg(script)
        .env("VAULT_ENDPOINT", served.url())
        .env("VAULT_ACCESS_KEY", ACCESS_KEY)
        .env("VAULT_SECRET_KEY", SECRET_KEY)
        .env("VAULT_FOLDER", served.vault.folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\n{errors}");
    assert!(said.contains("all checks passed"), "{said}");
    println!("{said}");
}
