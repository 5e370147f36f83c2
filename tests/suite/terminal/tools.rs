//! Programs that these tests call: installed where they are missing and this is root.

use crate::harness::finish_within;
use crate::needs::Need;
use std::process::{Command, Output};
use std::time::Duration;

/// Packages may have to come over a slow line.
const INSTALL_MAX: Duration = Duration::from_secs(5 * 60);

const INSTALL: &str = r#"
exec 8>"${TMPDIR:-/tmp}/keepwatch-tests-apt.lock"
flock 8
type -P zsh >/dev/null && type -P fish >/dev/null && type -P groff >/dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends zsh fish groff-base
"#;

/// Whether the shells are there, once they were installed where that is to be had.
pub fn are_there() -> bool {
    if !Need::Shells.is_met() {
        return false;
    }
    let mut install = Command::new("bash");
    install
        .args(["-euc", INSTALL])
        .stdin(std::process::Stdio::null());
    let output = finish_within(INSTALL_MAX, &mut install);
    assert!(output.status.success(), "{}", said(&output));
    true
}

/// All that a program printed.
pub fn said(output: &Output) -> String {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}
