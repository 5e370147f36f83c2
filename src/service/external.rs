//! Other programs: systemctl, useradd, launchctl, schtasks.

use super::step::Call;
use crate::types::{Fatal, chain, clean};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long such a program may take. They answer at once, but for one that stops the service,
/// which takes `shutdown_timeout` (half a minute by default) and half a minute more.
const PROGRAM_MAX: Duration = Duration::from_secs(150);

/// So much of what it complained of is told.
const COMPLAINT_CHARS_MAX: usize = 400;

/// What a program has said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) complaint: String,
}

/// Run it to its end, whatever that is.
///
/// # Errors
/// It is not there, or takes too long.
pub(super) async fn ask(call: &Call) -> Result<Said, Fatal> {
    let failed =
        |cause: String, hint: &str| Fatal::new(format!("run `{}`", call.line()), cause, hint);
    let mut command = Command::new(call.program);
    command
        .args(&call.arguments)
        // Its words and times are read.
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(PROGRAM_MAX, command.output()).await {
        Ok(output) => output.map_err(|error| {
            let hint = "it belongs to the system: check that it is installed and in the PATH";
            failed(chain(&error), hint)
        })?,
        Err(_) => {
            return Err(failed(
                format!(
                    "it did not end within {} s and was ended",
                    PROGRAM_MAX.as_secs()
                ),
                "run it by hand to see what it waits for, then try again",
            ));
        }
    };
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Run it, and have it succeed.
///
/// # Errors
/// It is not there, takes too long or fails.
pub(super) async fn run(call: &Call) -> Result<String, Fatal> {
    let said = ask(call).await?;
    if said.code == Some(0) {
        return Ok(said.out);
    }
    let complaint = match said.complaint.trim() {
        "" => said.out.trim(),
        complaint => complaint,
    };
    let complaint: String = clean(complaint).chars().take(COMPLAINT_CHARS_MAX).collect();
    let how = said.code.map_or_else(
        || "a signal ended it".to_owned(),
        |code| format!("it failed with code {code}"),
    );
    let cause = match complaint.is_empty() {
        true => how,
        false => format!("{how}: {complaint}"),
    };
    Err(Fatal::new(
        format!("run `{}`", call.line()),
        cause,
        "run it by hand to see more; what was done before it stays, and the same command may be given again",
    ))
}
