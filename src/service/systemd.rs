//! systemd: the unit (`unit`), how the service is (`read`), and here what installs and removes
//! it. `packaging/linux/keepwatch.service` is what `unit` makes of [`Request::packaged`].

mod call;
mod read;
mod unit;

pub(super) use call::{systemctl, unit_name};
pub(super) use read::{last_failure, parse, parse_failure, show};

use super::plan::Plan;
use super::request::{Account, Level, OWN_ACCOUNT, Request};
use super::state::{Running, ServiceState};
use super::step::{Call, Owner, Step};
use crate::os;
use std::path::{Path, PathBuf};
use unit::unit;

/// Where units of the computer's own administrator are.
const SYSTEM_UNITS: &str = "/etc/systemd/system";

/// The file that the unit is written to.
fn file(level: Level) -> PathBuf {
    let folder = match level {
        Level::System => PathBuf::from(SYSTEM_UNITS),
        Level::User => os::user_config_dir().join("systemd/user"),
    };
    folder.join(unit_name())
}

/// What installs it.
pub(super) fn install(request: &Request, now: &ServiceState) -> Plan {
    let mut steps = Vec::new();
    if request.level == Level::System {
        steps.extend(account_and_folders(request));
    }
    let path = file(request.level);
    steps.push(Step::Write {
        path: path.clone(),
        content: unit(request),
        mode: 0o644,
    });
    steps.push(reload(request.level));
    if !now.starts_at_boot {
        steps.push(run(
            systemctl(request.level, &["enable", &unit_name()]),
            match request.level {
                Level::System => "have it start with the computer",
                Level::User => "have it start when this account logs on",
            },
            false,
        ));
    }
    if now.running != Running::No {
        let is_newer = changed_after(&request.program, now.started_ms);
        steps.push(run(
            systemctl(request.level, &["try-restart", "--no-block", &unit_name()]),
            "have the running service start anew as it is now",
            !is_newer,
        ));
    }
    let mut notes = Vec::new();
    if request.level == Level::User {
        notes.push(
            "It runs while this account is logged on. To have it run from the start of the computer on: loginctl enable-linger"
                .to_owned(),
        );
    }
    Plan { steps, notes }
}

/// The program was put there after the process was started.
fn changed_after(program: &Path, started_ms: Option<i64>) -> bool {
    let changed = std::fs::metadata(program).and_then(|meta| meta.modified());
    let changed_ms = changed.ok().and_then(|at| {
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    });
    matches!((changed_ms, started_ms), (Some(changed), Some(started)) if changed > started)
}

/// Makes the service's account where there is none.
fn own_account(request: &Request) -> Step {
    let home = request.state_dir.display().to_string();
    let shell = ["/usr/sbin/nologin", "/sbin/nologin"]
        .into_iter()
        .find(|shell| Path::new(shell).exists());
    let mut arguments = vec!["--system", "--user-group", "--no-create-home"];
    arguments.extend(["--home-dir", &home]);
    arguments.extend(["--shell", shell.unwrap_or("/bin/false"), OWN_ACCOUNT]);
    Step::MakeAccount {
        name: OWN_ACCOUNT.to_owned(),
        call: Call::new("useradd", arguments),
    }
}

fn account_and_folders(request: &Request) -> Vec<Step> {
    let mut steps = Vec::new();
    if request.account == Account::Own {
        steps.push(own_account(request));
    }
    let name = request.account_name().unwrap_or("root");
    let owner = Owner::of(name);
    let make = |path: &PathBuf, only_new| Step::MakeFolder {
        path: path.clone(),
        mode: 0o700,
        owner: Some(owner.clone()),
        only_new,
    };
    steps.push(make(&request.state_dir, false));
    steps.push(make(&request.log_dir, false));
    if request.is_usual_config {
        steps.extend(own_configuration(request, name));
    }
    steps.extend(request.vault.iter().map(|vault| make(vault, true)));
    let marked = request.folders.iter().filter(|folder| folder.has_marker);
    steps.extend(marked.map(|folder| Step::MakeMarker {
        folder: folder.path.clone(),
        owner: owner.clone(),
    }));
    steps
}

/// The service reads its configuration and its keys, and only root changes them.
fn own_configuration(request: &Request, group: &str) -> Vec<Step> {
    let folder = request.config.parent().unwrap_or(Path::new("/"));
    let files = [&request.config].into_iter().chain(&request.credentials);
    let own = files.filter(|file| file.starts_with(folder));
    let rights = own.map(|file| (file.clone(), 0o640));
    let all = std::iter::once((folder.to_owned(), 0o750)).chain(rights);
    let give = |(path, mode)| Step::Give {
        path,
        mode,
        owner: Owner {
            user: "root".to_owned(),
            group: group.to_owned(),
        },
    };
    all.map(give).collect()
}

fn reload(level: Level) -> Step {
    run(
        systemctl(level, &["daemon-reload"]),
        "have systemd read it",
        true,
    )
}

fn run(call: Call, what: &'static str, after_change: bool) -> Step {
    Step::Run {
        call,
        what,
        after_change,
        may_fail: false,
    }
}

/// What removes it.
pub(super) fn uninstall(level: Level, now: &ServiceState) -> Plan {
    let mut steps = Vec::new();
    if now.is_installed {
        steps.push(run(
            systemctl(level, &["disable", "--now", &unit_name()]),
            "stop it, and have it start no more",
            false,
        ));
    }
    let path = file(level);
    steps.push(Step::Remove { path: path.clone() });
    steps.push(reload(level));
    let mut notes = Vec::new();
    let own = path.display().to_string();
    if let Some(other) = now.definition.as_ref().filter(|other| **other != own) {
        notes.push(format!(
            "{other} belongs to a package and stays; it goes when the package is removed."
        ));
    }
    Plan { steps, notes }
}

#[cfg(all(test, unix))]
mod tests;
