//! How the service is.

use serde::Serialize;

/// Whether it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// It does not.
    #[default]
    No,
    /// It is on its way up.
    Starting,
    /// It runs.
    Yes,
    /// It is on its way down.
    Stopping,
    /// It has failed, and is started again in a while.
    WaitsToRestart,
}

/// What Windows notes of a service whose process has ended without a word
/// (`ERROR_PROCESS_ABORTED`): so ends one that is worth another try, too.
const WINDOWS_ABORTED: i64 = 1067;

/// No program of ours ends with more: what is above is a code of Windows, which has not started
/// the program at all (1069: its account's password is wrong).
const OWN_CODE_MAX: i64 = 255;

/// How it ended last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastExit {
    /// Its exit code, where it had one.
    pub code: Option<i64>,
    /// The signal that ended it.
    pub signal: Option<i64>,
    /// It did not answer any more, and was ended for that.
    pub was_stuck: bool,
    /// When, as the service manager says it.
    pub at: Option<String>,
}

impl LastExit {
    /// In words.
    pub fn words(&self) -> String {
        let at = self
            .at
            .as_ref()
            .map_or_else(String::new, |at| format!("{at}: "));
        let how = match (self.was_stuck, self.signal, self.code) {
            (true, ..) => "it did not answer any more and was ended (watchdog)".to_owned(),
            (_, Some(signal), _) => format!("ended by signal {signal}"),
            (.., Some(0)) => "stopped as it should (code 0)".to_owned(),
            (.., Some(2)) => {
                "the configuration or the command line is wrong (code 2); the log says what"
                    .to_owned()
            }
            (.., Some(WINDOWS_ABORTED)) => {
                "it failed, or was ended from outside (Windows' code 1067); the log says why"
                    .to_owned()
            }
            (.., Some(130)) => "stopped before it was done (code 130)".to_owned(),
            (.., Some(code)) if code > OWN_CODE_MAX => format!(
                "Windows could not start it, or ended it (Windows' code {}); Windows' own event log (System) says why, the log of Keepwatch may not",
                windows_code(code)
            ),
            (.., Some(code)) => format!("failed (code {code}); the log says why"),
            (.., None) => "it was ended from outside".to_owned(),
        };
        format!("{at}{how}")
    }
}

/// As technicians look it up: `1069`, `0x80070002`.
fn windows_code(code: i64) -> String {
    match u16::try_from(code) {
        Ok(code) => code.to_string(),
        Err(_) => format!("{code:#x}"),
    }
}

/// How the service is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceState {
    /// It is registered.
    pub is_installed: bool,
    /// Whether it runs.
    pub running: Running,
    /// It starts with the computer, or with the account's log-on.
    pub starts_at_boot: bool,
    /// The process.
    pub pid: Option<u64>,
    /// The account that it runs as.
    pub account: Option<String>,
    /// How it ended last; of a service that runs, the time before.
    pub last_exit: Option<LastExit>,
    /// How often it was started again by itself since it was started.
    pub restarts: Option<u64>,
    /// What it says of itself.
    pub says: Option<String>,
    /// The file that says what the service is.
    pub definition: Option<String>,
    /// When the process was started, milliseconds since 1970.
    pub started_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_in_words() {
        let exit = |code, signal, was_stuck| LastExit {
            code,
            signal,
            was_stuck,
            at: Some("Mon".to_owned()),
        };
        for (exit, words) in [
            (
                exit(Some(0), None, false),
                "Mon: stopped as it should (code 0)",
            ),
            (
                exit(Some(1), None, false),
                "Mon: failed (code 1); the log says why",
            ),
            (exit(None, Some(9), false), "Mon: ended by signal 9"),
            (
                exit(None, Some(9), true),
                "Mon: it did not answer any more and was ended (watchdog)",
            ),
            (exit(None, None, false), "Mon: it was ended from outside"),
        ] {
            assert_eq!(exit.words(), words);
        }
        // The same number of Windows: the program's file is missing.
        for (code, words) in [(0x8007_0002, "code 0x80070002)"), (1069, "code 1069)")] {
            let told = exit(Some(code), None, false).words();
            assert!(
                told.contains(words) && !told.contains("configuration"),
                "{told}"
            );
        }
        assert!(exit(Some(2), None, false).words().contains("configuration"));
    }
}
