//! launchd: the job's property list, what installs and removes it, and how the job is.

mod read;

use super::plan::Plan;
use super::request::{Account, Level, NAME, Request};
use super::state::ServiceState;
use super::step::{Call, Owner, Step};
use crate::os;
use crate::types::text::xml;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Between two starts of a job that fails, seconds.
const THROTTLE_S: u64 = 30;

/// The file that the job is written to.
fn file(level: Level) -> PathBuf {
    let name = format!("{NAME}.plist");
    match level {
        Level::System => PathBuf::from("/Library/LaunchDaemons").join(name),
        Level::User => os::home_dir()
            .unwrap_or_default()
            .join("Library/LaunchAgents")
            .join(name),
    }
}

/// The domain that the job is in.
fn domain(level: Level) -> String {
    match level {
        Level::System => "system".to_owned(),
        Level::User => format!("gui/{}", os::account()),
    }
}

fn job(level: Level) -> String {
    format!("{}/{NAME}", domain(level))
}

/// The job.
pub(super) fn plist(request: &Request) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_plist(&mut text, request);
    text
}

fn write_plist(text: &mut String, request: &Request) -> std::fmt::Result {
    let string =
        |value: &dyn std::fmt::Display| format!("<string>{}</string>", xml(&value.to_string()));
    let [flag, config] = request.arguments();
    writeln!(
        text,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>{}
  <key>ProgramArguments</key>
  <array>
    {}
    {}
    {}
  </array>"#,
        string(&NAME),
        string(&request.program.display()),
        string(&flag.display()),
        string(&config.display()),
    )?;
    if let Account::Named(name) = &request.account {
        writeln!(text, "  <key>UserName</key>{}", string(name))?;
    }
    let variables = request.variables();
    if !variables.is_empty() {
        writeln!(text, "  <key>EnvironmentVariables</key>\n  <dict>")?;
        for (name, value) in variables {
            writeln!(text, "    <key>{name}</key>{}", string(&value.display()))?;
        }
        writeln!(text, "  </dict>")?;
    }
    let output = request.log_dir.join("launchd.log");
    writeln!(
        text,
        "  <key>RunAtLoad</key><true/>\n  \
         <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n  \
         <key>ThrottleInterval</key><integer>{THROTTLE_S}</integer>\n  \
         <key>ExitTimeOut</key><integer>{}</integer>\n  \
         <key>ProcessType</key><string>Background</string>\n  \
         <key>Umask</key><integer>{}</integer>\n  \
         <key>StandardErrorPath</key>{}\n\
         </dict>\n\
         </plist>",
        request.stop_max_s(),
        0o077,
        string(&output.display()),
    )
}

/// What installs it.
pub(super) fn install(request: &Request, now: &ServiceState) -> Plan {
    let owner = request.account_name().map(|name| Owner {
        user: name.to_owned(),
        group: name.to_owned(),
    });
    let folders = [&request.state_dir, &request.log_dir];
    let mut steps: Vec<Step> = folders
        .into_iter()
        .map(|path| Step::MakeFolder {
            path: path.clone(),
            mode: 0o700,
            owner: owner.clone(),
            only_new: owner.is_none(),
        })
        .collect();
    let path = file(request.level);
    steps.push(Step::Write {
        path: path.clone(),
        content: plist(request),
        mode: 0o644,
    });
    let (domain, job) = (domain(request.level), job(request.level));
    let run = |words: &[&str], what, after_change, may_fail| Step::Run {
        call: Call::new("launchctl", words.iter().copied()),
        what,
        after_change,
        may_fail,
    };
    let is_loaded = now.is_installed;
    if is_loaded {
        steps.push(run(
            &["bootout", &job],
            "have launchd forget the old one",
            true,
            true,
        ));
    }
    steps.push(run(
        &["enable", &job],
        "have it start by itself",
        is_loaded,
        false,
    ));
    let file = path.display().to_string();
    steps.push(run(
        &["bootstrap", &domain, &file],
        "have launchd read it, which starts it",
        is_loaded,
        false,
    ));
    Plan {
        steps,
        notes: vec![full_disk_access(request)],
    }
}

/// macOS lets no program read Documents, Desktop, mail or other disks unasked.
fn full_disk_access(request: &Request) -> String {
    format!(
        "macOS lets no program read Documents, Desktop or other disks unasked: add {} under System Settings, Privacy & Security, Full Disk Access, and start the service anew. Until then those files are named as unreadable by `status`, and the log says whether the service has that access.",
        request.program.display()
    )
}

/// What removes it.
pub(super) fn uninstall(level: Level, now: &ServiceState) -> Plan {
    let mut steps = Vec::new();
    if now.is_installed {
        steps.push(Step::Run {
            call: Call::new("launchctl", ["bootout".to_owned(), job(level)]),
            what: "stop it, and have launchd forget it",
            after_change: false,
            // Known by its file alone.
            may_fail: true,
        });
    }
    steps.push(Step::Remove { path: file(level) });
    Plan {
        steps,
        notes: Vec::new(),
    }
}

/// Has it start.
pub(super) fn start(level: Level) -> Call {
    let file = file(level).display().to_string();
    Call::new("launchctl", ["bootstrap".to_owned(), domain(level), file])
}

/// Has it stop: a job that is only ended is started again.
pub(super) fn stop(level: Level) -> Call {
    Call::new("launchctl", ["bootout".to_owned(), job(level)])
}

/// Asks how it is. Every account may.
pub(super) fn ask(level: Level) -> Call {
    Call::new("launchctl", ["print".to_owned(), job(level)])
}

/// Asks which jobs of the domain may not start. Every account may.
pub(super) fn ask_disabled(level: Level) -> Call {
    Call::new("launchctl", ["print-disabled".to_owned(), domain(level)])
}

/// How it is, from what `launchctl print` says, which fails where the job is not loaded, and
/// from the jobs that may not start.
pub(super) fn parse(level: Level, code: Option<i32>, out: &str, disabled: &str) -> ServiceState {
    let file = file(level);
    let is_there = file.is_file();
    let definition = is_there.then(|| file.display().to_string());
    read::read(level, code, out, disabled, definition)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_written_as_launchd_reads_it() {
        let request = Request {
            account: Account::Highest,
            config: "/Library/Application Support/Keepwatch/a&b.toml".into(),
            ..Request::packaged()
        };
        let text = plist(&request);
        for part in [
            "<string>/Library/Application Support/Keepwatch/a&amp;b.toml</string>",
            "<key>AWS_SHARED_CREDENTIALS_FILE</key><string>/etc/keepwatch/credentials</string>",
            "<key>SuccessfulExit</key><false/>",
            "<key>ThrottleInterval</key><integer>30</integer>",
            "<key>ExitTimeOut</key><integer>60</integer>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("UserName"), "{text}");
        let open = text.matches("<dict>").count();
        assert_eq!(open, text.matches("</dict>").count());
    }

    #[test]
    fn an_installation_says_what_full_disk_access_is_for() {
        let plan = install(&Request::packaged(), &ServiceState::default());
        assert!(
            plan.notes[0].contains("Full Disk Access"),
            "{:?}",
            plan.notes
        );
        let told: Vec<String> = plan.steps.iter().map(Step::describe).collect();
        assert!(
            told.join("\n").contains("launchctl bootstrap system"),
            "{told:?}"
        );
    }
}
