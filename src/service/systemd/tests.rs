//! The unit and the plans, without a systemd.

use super::super::request::Folder;
use super::*;

/// A folder that needs quoting, a vault, another state folder, two folders of which one has
/// no marker.
fn odd() -> Request {
    Request {
        program: "/opt/keep watch/$bin".into(),
        config: "/home/anna/50% office.toml".into(),
        is_usual_config: false,
        state_dir: "/data/keepwatch/state".into(),
        log_dir: "/var/log/keepwatch".into(),
        names_folders: false,
        folders: vec![
            Folder {
                path: "/srv/my \"office\"".into(),
                has_marker: true,
            },
            Folder {
                path: "/srv/plain".into(),
                has_marker: false,
            },
        ],
        vault: Some("/mnt/disk/vault".into()),
        credentials: None,
        shutdown_timeout_ms: 90_500,
        ..Request::packaged()
    }
}

fn lines_of<'a>(unit: &'a str, setting: &str) -> Vec<&'a str> {
    let begin = format!("{setting}=");
    let lines = unit.lines();
    lines
        .filter_map(|line| line.strip_prefix(begin.as_str()))
        .collect()
}

/// The packages install this file; what it says is decided here.
#[test]
fn the_packaged_unit_is_what_is_rendered() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/linux/keepwatch.service");
    let rendered = unit(&Request::packaged());
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == rendered,
        "packaging/linux/keepwatch.service is to be:\n{rendered}"
    );
}

#[test]
fn a_place_is_written_as_systemd_reads_it() {
    let unit = unit(&odd());
    assert_eq!(
        lines_of(&unit, "ExecStart"),
        [r#""/opt/keep watch/$$bin" --config "/home/anna/50%% office.toml""#]
    );
    assert_eq!(
        lines_of(&unit, "ReadWritePaths"),
        [
            "-/data/keepwatch/state",
            "-/mnt/disk/vault",
            r#""-/srv/my \"office\"/.keepwatch-source""#,
        ]
    );
    assert_eq!(lines_of(&unit, "LogsDirectory"), ["keepwatch"]);
    assert_eq!(
        lines_of(&unit, "Environment"),
        [
            "KEEPWATCH_STATE__DIR=/data/keepwatch/state",
            "KEEPWATCH_LOG__DIR=/var/log/keepwatch",
        ]
    );
    // What it may take, and what is done beside it.
    assert_eq!(lines_of(&unit, "TimeoutStopSec"), ["121"]);
}

#[test]
fn each_account_gets_the_rights_that_it_needs_and_no_more() {
    let of = |account| {
        unit(&Request {
            account,
            ..Request::packaged()
        })
    };
    let own = of(Account::Own);
    assert_eq!(lines_of(&own, "User"), ["keepwatch"]);
    assert_eq!(
        lines_of(&own, "AmbientCapabilities"),
        ["CAP_DAC_READ_SEARCH"]
    );
    let named = of(Account::Named("anna".to_owned()));
    assert_eq!(lines_of(&named, "User"), ["anna"]);
    assert_eq!(lines_of(&named, "CapabilityBoundingSet"), [""]);
    let root = of(Account::Highest);
    assert!(lines_of(&root, "User").is_empty());
    let user = unit(&Request {
        level: Level::User,
        account: Account::Caller,
        ..Request::packaged()
    });
    for setting in ["User", "ProtectSystem", "AmbientCapabilities"] {
        assert!(lines_of(&user, setting).is_empty(), "{setting}");
    }
    assert_eq!(lines_of(&user, "WantedBy"), ["default.target"]);
}

/// Named after the danger: a private /tmp hides what is to be backed up.
#[test]
fn a_folder_below_tmp_is_not_hidden() {
    let mut request = Request::packaged();
    assert_eq!(lines_of(&unit(&request), "PrivateTmp"), ["yes"]);
    request.folders.push(Folder {
        path: "/var/tmp/office".into(),
        has_marker: false,
    });
    assert_eq!(lines_of(&unit(&request), "PrivateTmp"), ["no"]);
}

/// Named after the danger: a unit is readable for everybody, and so is a command line.
#[test]
fn keys_are_named_by_their_file_alone() {
    let unit = unit(&Request::packaged());
    assert_eq!(
        lines_of(&unit, "Environment"),
        ["AWS_SHARED_CREDENTIALS_FILE=/etc/keepwatch/credentials"]
    );
    assert!(
        !unit.contains("SECRET") && !unit.contains("ACCESS_KEY"),
        "{unit}"
    );
}

#[test]
fn the_state_of_a_service_is_read() {
    let running = parse(
        Level::System,
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
         MainPID=42\nUser=keepwatch\nResult=success\nExecMainCode=0\nExecMainStatus=0\n\
         ExecMainStartTimestamp=Mon 2026-11-30 15:43:52 UTC\nExecMainExitTimestamp=\n\
         NRestarts=2\nStatusText=backing up 1 folder to AWS = all\n\
         FragmentPath=/etc/systemd/system/keepwatch.service\n",
    );
    assert!(running.is_installed && running.starts_at_boot);
    assert_eq!((running.running, running.pid), (Running::Yes, Some(42)));
    assert_eq!(running.restarts, Some(2));
    assert_eq!(running.started_ms, Some(1_796_053_432_000));
    assert_eq!(running.last_exit, None);
    assert_eq!(
        running.says.as_deref(),
        Some("backing up 1 folder to AWS = all")
    );

    let stuck = parse(
        Level::System,
        "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=disabled\n\
         MainPID=0\nUser=\nResult=watchdog\nExecMainCode=2\nExecMainStatus=9\n\
         ExecMainExitTimestamp=Mon 2026-11-30 15:43:52 UTC\n",
    );
    assert_eq!(stuck.running, Running::WaitsToRestart);
    assert!(!stuck.starts_at_boot);
    assert_eq!(stuck.account.as_deref(), Some("root"));
    let exit = stuck.last_exit.unwrap();
    assert_eq!(
        (exit.code, exit.signal, exit.was_stuck),
        (None, Some(9), true)
    );

    let failed = parse(
        Level::System,
        "LoadState=loaded\nActiveState=failed\nSubState=failed\nExecMainCode=1\nExecMainStatus=2\n\
         ExecMainExitTimestamp=Mon 2026-11-30 15:43:52 UTC\n",
    );
    assert_eq!(failed.running, Running::No);
    assert_eq!(failed.last_exit.unwrap().code, Some(2));

    let none = parse(
        Level::System,
        "LoadState=not-found\nActiveState=inactive\nSubState=dead\n",
    );
    assert_eq!(none, ServiceState::default());
}

#[test]
fn the_end_before_this_run_is_read_from_the_journal() {
    let killed =
        r#"{"EXIT_CODE":"killed","EXIT_STATUS":"9","__REALTIME_TIMESTAMP":"1796054843056091"}"#;
    let exit = parse_failure(killed).unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    let failed =
        r#"{"EXIT_CODE":"exited","EXIT_STATUS":"1","__REALTIME_TIMESTAMP":"1796054843056091"}"#;
    assert_eq!(parse_failure(failed).unwrap().code, Some(1));
    let stuck = format!("{killed}\n{}\n", r#"{"UNIT_RESULT":"watchdog"}"#);
    assert!(parse_failure(&stuck).unwrap().was_stuck);
    // Nobody has failed, or this account may not know.
    assert_eq!(parse_failure(""), None);
}

#[test]
fn an_installation_makes_only_what_is_missing_and_starts_anew_only_what_runs() {
    let says = |now: &ServiceState| -> Vec<String> {
        let plan = install(&odd(), now);
        plan.steps.iter().map(Step::describe).collect()
    };
    let first = says(&ServiceState::default());
    for part in [
        "make the account keepwatch",
        "/srv/my \"office\"/.keepwatch-source",
        "write /etc/systemd/system/keepwatch.service",
        "systemctl daemon-reload",
        "systemctl enable keepwatch.service",
    ] {
        assert!(
            first.iter().any(|step| step.contains(part)),
            "{part}: {first:?}"
        );
    }
    assert!(
        !first
            .iter()
            .any(|step| step.contains("restart") || step.contains("plain"))
    );
    // Another's configuration stays as it is: the account may read everything.
    assert!(
        !first.iter().any(|step| step.contains("office.toml")),
        "{first:?}"
    );
    let running = ServiceState {
        is_installed: true,
        starts_at_boot: true,
        running: Running::Yes,
        ..ServiceState::default()
    };
    let again = says(&running);
    assert!(
        again.iter().any(|step| step.contains("try-restart")),
        "{again:?}"
    );
    assert!(
        !again.iter().any(|step| step.contains("enable")),
        "{again:?}"
    );
}

#[test]
fn a_removal_leaves_all_data_and_what_a_package_brought() {
    let now = ServiceState {
        is_installed: true,
        definition: Some("/usr/lib/systemd/system/keepwatch.service".to_owned()),
        ..ServiceState::default()
    };
    let plan = uninstall(Level::System, &now);
    let removed: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Remove { .. }))
        .collect();
    let [Step::Remove { path }] = removed[..] else {
        panic!("{removed:?}");
    };
    assert_eq!(path, Path::new("/etc/systemd/system/keepwatch.service"));
    assert!(
        plan.notes[0].contains("belongs to a package"),
        "{:?}",
        plan.notes
    );
}
