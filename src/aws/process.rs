//! `credential_process`: another program that prints keys, run with a limit.
//!
//! The SDK would wait for it for ever, and leave it behind with each try.

use super::explained::{Explained, hide_keys};
use crate::os;
use crate::types::{Class, clean};
use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;

/// How long the program may take. Such tools take a second or two; a request waits
/// for the keys within its own time-out of 20 seconds or more, and the program must
/// be named before that is over.
pub(super) const PROCESS_MAX: Duration = Duration::from_secs(15);

/// A key, a secret and a token are 2 KB.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// So much of what it complained of is told.
const COMPLAINT_CHARS_MAX: usize = 300;

/// A program that prints keys.
#[derive(Debug, Clone)]
pub(super) struct CredentialProcess {
    /// The line in the profile; its arguments may be secret.
    pub(super) line: String,
    /// The setting of the profile that it follows from.
    pub(super) setting: &'static str,
    pub(super) profile: String,
    pub(super) time_max: Duration,
}

/// Ended with whatever it has started when it is dropped before it is done: nobody
/// waits for it any more.
struct Guard {
    child: Child,
    id: Option<u32>,
    is_done: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        if let Some(id) = self.id {
            os::end_group(id);
        }
        // Ended already, or by the line above.
        let _ = self.child.start_kill();
    }
}

impl CredentialProcess {
    /// Run it and read its keys.
    pub(super) async fn run(&self) -> Result<Credentials, Explained> {
        let child = os::shell_command(&self.line)
            .spawn()
            .map_err(|error| self.failed(format!("cannot be started: {error}")))?;
        let mut guard = Guard {
            id: child.id(),
            child,
            is_done: false,
        };
        let ended = tokio::time::timeout(self.time_max, output(&mut guard.child)).await;
        guard.is_done = ended.is_ok();
        let (status, out, complaint) = match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => return Err(self.failed(format!("cannot be read from: {error}"))),
            Err(_) => {
                drop(guard);
                return Err(self.failed(format!(
                    "did not end within {} s and was killed",
                    self.time_max.as_secs()
                )));
            }
        };
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint);
            let complaint: String = clean(&hide_keys(complaint.trim()))
                .chars()
                .take(COMPLAINT_CHARS_MAX)
                .collect();
            let said = match complaint.is_empty() {
                true => "said nothing".to_owned(),
                false => format!("said: {complaint}"),
            };
            return Err(self.failed(format!("failed ({status}) and {said}")));
        }
        keys_of(&out).map_err(|wrong| self.failed(format!("printed no keys: {wrong}")))
    }

    fn failed(&self, what: String) -> Explained {
        // What follows the program's name may be a secret.
        let program = self.line.split_whitespace().next().unwrap_or_default();
        Explained::new(
            Class::Credentials,
            format!(
                "the program `{program}` of {} in the profile `{}` {what}",
                self.setting, self.profile
            ),
            hint(self.setting),
        )
    }
}

fn hint(setting: &str) -> &'static str {
    match setting {
        "login_session" => {
            "sign in again with `aws login`, as the account that runs Keepwatch. Such a session ends within hours: a service needs an access key or a role"
        }
        _ => {
            "run it by hand as the account that runs Keepwatch: it must print the keys as JSON, by itself and at once, without asking anybody"
        }
    }
}

type Ended = (std::process::ExitStatus, Vec<u8>, Vec<u8>);

/// Both outputs, as far as they are read, and how it ended.
async fn output(child: &mut Child) -> std::io::Result<Ended> {
    let (out, complaint) = (child.stdout.take(), child.stderr.take());
    let (status, out, complaint) = tokio::join!(child.wait(), read(out), read(complaint));
    Ok((status?, out?, complaint?))
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from)
            .take(OUTPUT_BYTES_MAX)
            .read_to_end(&mut bytes)
            .await?;
        // The rest is let go: who writes more must not wait for a reader for ever.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// The keys in what such a program prints: AWS's own JSON, names in any case.
///
/// # Errors
/// What is missing; never the text itself.
fn keys_of(printed: &[u8]) -> Result<Credentials, String> {
    let value: Value = serde_json::from_slice(printed).map_err(|_| "it is not JSON".to_owned())?;
    let object = value.as_object().ok_or("it is no JSON object")?;
    let get = |name: &str| {
        let mut fields = object.iter();
        let found = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    };
    let text = |name: &str| get(name).and_then(Value::as_str).map(str::to_owned);
    let wanted = |name: &str| text(name).ok_or(format!("{name} is missing"));
    if get("Version").and_then(Value::as_i64) != Some(1) {
        return Err("Version is not 1".to_owned());
    }
    let ends = match text("Expiration") {
        None => None,
        Some(text) => {
            let at: Timestamp = text
                .parse()
                .map_err(|_| "Expiration is no time like 2026-11-29T12:00:00Z".to_owned())?;
            let since_ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
            Some(SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms))
        }
    };
    Ok(Credentials::new(
        wanted("AccessKeyId")?,
        wanted("SecretAccessKey")?,
        text("SessionToken"),
        ends,
        "CredentialProcess",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn process(line: &str) -> CredentialProcess {
        CredentialProcess {
            line: line.to_owned(),
            setting: "credential_process",
            profile: "office".to_owned(),
            time_max: PROCESS_MAX,
        }
    }

    #[test]
    fn keys_are_read_and_what_is_missing_is_named() {
        let whole = br#"{"Version":1,"accesskeyid":"a","SecretAccessKey":"b","SessionToken":"c","Expiration":"2026-11-29T12:00:00+01:00"}"#;
        let keys = keys_of(whole).unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("a", "b"));
        assert_eq!(keys.session_token(), Some("c"));
        assert!(keys.expiry().is_some());
        for (printed, wrong) in [
            (&b""[..], "not JSON"),
            (b"[]", "object"),
            (b"{}", "Version"),
            (br#"{"Version":1}"#, "AccessKeyId"),
            (br#"{"Version":1,"AccessKeyId":"a"}"#, "SecretAccessKey"),
            (
                br#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"}"#,
                "Expiration",
            ),
        ] {
            let said = keys_of(printed).unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
    }

    /// A file appears at `path`; panics when none does.
    #[cfg(unix)]
    async fn content_of(path: &std::path::Path) -> String {
        for _ in 0..1_500 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} was not written", path.display());
    }

    /// The process is no more (a zombie is none).
    #[cfg(target_os = "linux")]
    async fn is_gone(id: &str) -> bool {
        for _ in 0..1_500 {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
            if stat.map_or(true, |stat| stat.contains(") Z ")) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_all_it_started_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let ids = folder.path().join("ids");
        // The grandchild holds the output open after its parent has gone.
        for end in ["wait", "exit 0"] {
            let line = format!(
                "sleep 600 --token=geheim 2>/dev/null || sleep 600 & echo $! > {} ; {end}",
                ids.display()
            );
            let hanging = CredentialProcess {
                time_max: Duration::from_millis(700),
                ..process(&line)
            };
            let explained = hanging.run().await.unwrap_err();
            assert_eq!(explained.class, Class::Credentials);
            assert!(explained.cause.contains("`sleep`"), "{explained}");
            assert!(explained.cause.contains("`office`"), "{explained}");
            assert!(explained.cause.contains("was killed"), "{explained}");
            assert!(!explained.cause.contains("geheim"), "{explained}");
            let id = content_of(&ids).await;
            assert!(is_gone(&id).await, "{end}: {id} is left behind");
            std::fs::remove_file(&ids).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nobody_waits_any_more_and_the_program_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let ids = folder.path().join("ids");
        let hanging = process(&format!("echo $$ > {}; sleep 600", ids.display()));
        let running = tokio::spawn(async move { hanging.run().await.map(|_| ()) });
        let id = content_of(&ids).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert!(is_gone(&id).await, "{id} is left behind");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_fails_or_babbles_is_named() {
        for (line, said) in [
            ("false", "said nothing"),
            (
                "echo 'no AKIAIOSFODNN7EXAMPLE here' >&2; exit 3",
                "said: no (hidden) here",
            ),
            ("echo hello", "not JSON"),
            ("yes | head -c 3000000", "not JSON"),
            ("/nowhere/tool --secret=geheim", "`/nowhere/tool`"),
        ] {
            let explained = process(line).run().await.unwrap_err();
            assert!(explained.cause.contains(said), "{explained}");
            assert!(!explained.cause.contains("geheim"), "{explained}");
        }
        let line = r#"echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}'"#;
        assert_eq!(process(line).run().await.unwrap().access_key_id(), "a");
    }
}
