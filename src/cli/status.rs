//! `keepwatch status`: how things stand, from the running daemon.

mod print;
mod verdict;

use super::args::CommonArgs;
use super::exit_code::{COMPLETE, FAILED, PARTIAL};
use super::paint::Tone;
use super::{link, service as of_service, setup, show, trial};
use crate::config::Needs;
use crate::control::{Asked, Kept, Line, ask_status};
use crate::index::Index;
use crate::os::shell_word;
use crate::types::{Fatal, command};
use jiff::tz::TimeZone;
use print::{last_known, print};
use std::path::{Path, PathBuf};
use verdict::{NOT_RUNNING, UNKNOWN, WELL, overall, verdict};

/// Ask and show. It ends within [`crate::control::STATUS_WAIT`], whatever the daemon does.
pub(super) async fn run(common: &CommonArgs) -> Result<u8, Fatal> {
    let config = service(common)?;
    let asked = ask_status(&config.state_dir, || may_run(&config.state_dir)).await?;
    let status = match &asked {
        Asked::Answered(line) => match &**line {
            Line::Status(status) => status,
            _ => return silence(common, &config, &asked).await,
        },
        _ => return silence(common, &config, &asked).await,
    };
    let overall = overall(status);
    if common.json {
        let mut answer = serde_json::json!(status);
        answer["overall"] = overall.into();
        show::json(&answer)?;
    } else {
        let tone = match overall {
            WELL => Tone::Good,
            UNKNOWN => Tone::Look,
            _ => Tone::Bad,
        };
        println!("{}", tone.paint(&verdict(status)));
        print(status, &config.zone);
    }
    Ok(match overall {
        WELL => COMPLETE,
        _ => PARTIAL,
    })
}

/// What is asked.
struct Service {
    state_dir: PathBuf,
    log_dir: PathBuf,
    zone: TimeZone,
    /// Its configuration; a trial has none.
    file: Option<PathBuf>,
}

/// The service of the configuration; where there is none, this account's trial.
fn service(common: &CommonArgs) -> Result<Service, Fatal> {
    if let Err(none) = setup::located(common) {
        let Some((state_dir, log_dir)) = trial::of_this_account() else {
            return Err(none);
        };
        return Ok(Service {
            state_dir,
            log_dir,
            zone: TimeZone::system(),
            file: None,
        });
    }
    let config = setup::config(common, Needs::Nothing)?;
    Ok(Service {
        state_dir: config.state_dir,
        log_dir: config.log.dir,
        zone: config.schedule.time_zone,
        file: config.file,
    })
}

/// How it is started; as a service where `install` says how.
fn start_it(by_hand: &str, install: Option<&str>) -> String {
    match install {
        Some(install) => format!("start it (as a service: {install}; by hand: {by_hand})"),
        None => format!("start it: {by_hand}"),
    }
}

/// No daemon runs: says what that means and what to do. `install` makes of a command line for
/// the configuration the one that installs a service, where it can be one.
fn not_running(service: &Service, install: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Some(file) = &service.file else {
        return vec![
            "The trial is NOT running: nothing is backed up right now.".to_owned(),
            format!("  what to do: start it: {}", command::bare("try")),
        ];
    };
    let by_hand = command::service(Some(&shell_word(&file.display().to_string())));
    let start = start_it(&by_hand, install(&by_hand).as_deref());
    match service.state_dir.is_dir() {
        true => vec![
            "Keepwatch is NOT running: nothing is backed up right now.".to_owned(),
            format!("  what to do: {start}"),
        ],
        // It never ran with that folder: perhaps it runs with another account's.
        false => vec![
            format!(
                "Keepwatch is NOT running, as far as this account can see: there is no state folder {}.",
                service.state_dir.display()
            ),
            format!(
                "  what to do: if it runs as another account, ask as that one (sudo -u ACCOUNT, and this command); else {start}"
            ),
        ],
    }
}

/// Somebody may run there though nobody listens.
fn may_run(state_dir: &Path) -> bool {
    !state_dir.exists() || Index::is_in_use(&state_dir.join("index"))
}

/// No daemon has answered: says what that means, and how things stood last.
async fn silence(common: &CommonArgs, config: &Service, asked: &Asked) -> Result<u8, Fatal> {
    let kept = Kept::read(&config.state_dir);
    let is_in_use = *asked != Asked::Nobody || Index::is_in_use(&config.state_dir.join("index"));
    if common.json {
        let overall = if is_in_use { UNKNOWN } else { NOT_RUNNING };
        let mut answer = serde_json::json!({ "running": is_in_use, "overall": overall });
        if is_in_use {
            answer["answers"] = false.into();
        }
        if let Some(kept) = kept {
            answer["last_known"] = serde_json::json!(kept);
        }
        show::json(&answer)?;
        return Ok(FAILED);
    }
    match asked {
        Asked::Nobody if is_in_use => {
            println!(
                "Keepwatch is at work but cannot be asked: it is starting or stopping, or a command (a comparison, a digest, a verification) works in its place."
            );
            println!("  what to do: ask again in a minute; if it stays so, look into its log");
        }
        Asked::Nobody => {
            let install = |program: &str| of_service::install_command(common, program);
            for (number, line) in not_running(config, install).iter().enumerate() {
                match number {
                    0 => println!("{}", Tone::Bad.paint(line)),
                    _ => println!("{line}"),
                }
            }
            let hint = config.file.is_some().then(of_service::hint);
            if let Some(hint) = async { hint?.await }.await {
                println!("{hint}");
            }
        }
        Asked::Silent(waited) => {
            println!(
                "Keepwatch is running but does NOT answer (for {} s): whether anything is backed up right now is not known.",
                waited.as_secs()
            );
            println!(
                "  what to do: look into its log in {}; if it was stopped by hand, let it go on; else start it again",
                link::path(&config.log_dir)
            );
        }
        Asked::Answered(_) => {
            return Err(Fatal::new(
                "show the state",
                "the running Keepwatch gave another answer",
                "restart it: it is of another version",
            ));
        }
    }
    if let Some(kept) = kept {
        last_known(&kept, &config.zone);
    }
    Ok(FAILED)
}

#[cfg(test)]
mod tests {
    use super::print::{mail, proof};
    use super::verdict::{ATTENTION, is_mail_well};
    use super::*;
    use crate::control::Status;
    use crate::os;
    use crate::status::{ScanDone, WatchProof};
    use crate::types::WallMs;
    use crate::types::{Class, Fault, Rates};

    #[test]
    fn mail_that_is_refused_is_told_as_refused_and_is_not_well() {
        let fault = |class| Fault::new(class, "publish the message", "arn:t", "the server says no");
        let status = |outbox, trouble: Option<Class>| Status {
            version: String::new(),
            pid: 1,
            started_ms: WallMs(0),
            place: String::new(),
            rates: Rates::default(),
            traffic: Default::default(),
            outbox,
            mail_trouble: trouble.map(|class| (crate::types::WallMs(0), fault(class))),
            drill: None,
            sources: Vec::new(),
        };
        for (outbox, trouble, is_well, said) in [
            (0, None, true, ""),
            // On its way.
            (1, None, true, "1 message not sent yet"),
            (0, Some(Class::Transient), true, "NO MAIL GOES OUT"),
            (
                2,
                Some(Class::Transient),
                false,
                "(2 messages not sent yet): arn:t",
            ),
            (0, Some(Class::NotFound), false, "the server says no"),
            (3, Some(Class::Denied), false, "the server says no"),
        ] {
            let status = status(outbox, trouble);
            assert_eq!(is_mail_well(&status), is_well, "{outbox} {trouble:?}");
            // What is well is not named in the verdict.
            let verdict = verdict(&status);
            assert_eq!(
                verdict.ends_with("see below for the mail."),
                !is_well,
                "{verdict}"
            );
            let told = mail(&status, &TimeZone::UTC).join("");
            assert!(told.contains(said), "{told}");
            assert!(!told.contains("cannot be reached"), "{told}");
        }
    }

    #[test]
    fn the_watch_is_told_with_its_age_and_its_renewals() {
        let never = WatchProof::default();
        assert!(proof(&never, &TimeZone::UTC, WallMs(5)).is_empty());
        let proven = WatchProof {
            proven_ms: Some(WallMs(1_700_000_000_000)),
            rebuilt: 2,
            rebuilt_ms: Some(WallMs(1_700_000_000_000)),
            rebuilt_why: "odd".into(),
        };
        let lines = proof(&proven, &TimeZone::UTC, WallMs(1_700_000_040_000));
        assert!(lines[0].starts_with("watch proven 40 s"), "{lines:?}");
        assert!(lines[1].contains("2 times since the start"), "{lines:?}");
        assert!(lines[1].ends_with(": odd"), "{lines:?}");
    }

    /// What a daemon of an earlier version may answer, too.
    fn status(sources: serde_json::Value) -> Status {
        serde_json::from_value(serde_json::json!({
            "version": "1", "pid": 1, "started_ms": 0, "place": "x", "outbox": 0,
            "sources": sources,
        }))
        .unwrap()
    }

    fn source(unprotected: u64, waiting: u64) -> serde_json::Value {
        serde_json::json!({
            "name": "office", "path": "/x", "destination": "y", "files_protected": 2,
            "bytes_protected": 5, "unverified": 0, "waiting": waiting, "unprotected": [],
            "unprotected_total": unprotected,
            "board": {
                "watching": "on", "warnings": {}, "last_scan": ScanDone::default(),
            },
        })
    }

    /// The same with another last scan.
    fn scanned(scan: Option<ScanDone>) -> serde_json::Value {
        let mut source = source(0, 0);
        source["board"]["last_scan"] = serde_json::json!(scan);
        source
    }

    /// Named after the bug: right after a start, before a file had been looked at, all
    /// was well; and so it was when the only scan had not come to its end.
    #[test]
    fn nothing_is_well_before_it_was_looked_at_and_as_long_as_it_was_only_in_part() {
        let cut = ScanDone {
            incomplete: vec!["the bucket's list broke off".to_owned()],
            ..ScanDone::default()
        };
        for (other, want) in [(None, UNKNOWN), (Some(cut), ATTENTION)] {
            let status = status(vec![source(0, 0), scanned(other)].into());
            assert_eq!(overall(&status), want);
            let words = verdict(&status);
            assert!(!words.contains("All is well"), "{words}");
        }
    }

    #[test]
    fn the_verdict_comes_first_and_is_that_of_the_json() {
        for (sources, want, words) in [
            (
                vec![source(0, 0)],
                WELL,
                "All is well: everything is protected.",
            ),
            (vec![source(0, 3)], WELL, "but 3 files not sent yet"),
            (
                vec![source(0, 0), source(1, 0)],
                ATTENTION,
                "NOT all is well: see below for office.",
            ),
        ] {
            let status = status(sources.into());
            assert_eq!(overall(&status), want);
            assert!(verdict(&status).contains(words), "{}", verdict(&status));
        }
    }

    /// Named after the bug: root was told that nothing is backed up, while the service
    /// ran under its own account.
    #[test]
    fn a_service_of_another_account_is_not_called_dead() {
        let dir = tempfile::tempdir().unwrap();
        let service = |state_dir: PathBuf, file: Option<&str>| Service {
            state_dir,
            log_dir: dir.path().join("log"),
            zone: TimeZone::UTC,
            file: file.map(PathBuf::from),
        };
        for (state_dir, file, want, not) in [
            (
                dir.path().to_owned(),
                Some("/etc/k.toml"),
                "nothing is backed up right now",
                "another account",
            ),
            (
                dir.path().join("none"),
                Some("/etc/k.toml"),
                "as far as this account can see",
                "nothing is backed up",
            ),
            (dir.path().to_owned(), None, "keepwatch try", "--config"),
        ] {
            let lines = not_running(&service(state_dir, file), |_| None).join("\n");
            assert!(lines.contains("NOT running"), "{lines}");
            assert!(lines.contains(want) && !lines.contains(not), "{lines}");
        }
    }

    /// Named after the bug: `service install` was proposed where no systemd runs, and with a
    /// configuration that only this account can use.
    #[test]
    fn a_service_is_proposed_only_where_it_can_be_installed() {
        assert_eq!(start_it("k --config f", None), "start it: k --config f");
        assert_eq!(
            start_it("k --config f", Some("k --config f service install")),
            "start it (as a service: k --config f service install; by hand: k --config f)"
        );
        for (is_fit, want) in [
            (true, os::with_rights("k service install")),
            (false, "k service install --user".to_owned()),
        ] {
            assert_eq!(of_service::install_line("k", is_fit), want);
        }
    }
}
