//! The service on a real systemd: installed, started, killed, stuck, stopped, removed.

mod lab;

use crate::needs::Need;
use lab::Lab;

const CONFIG: &str = "\
[vault]
path = \"/srv/backup/vault\"
[[source]]
name = \"office\"
path = \"/srv/office\"
bucket = \"office-1\"
";

/// Shorter times than the service has, so that a test need not wait for minutes.
const QUICK: &str = "[Service]\nWatchdogSec=3\nRestartSec=1\n";

/// Installed, and with quick times.
fn installed() -> Option<Lab> {
    if !Need::Systemd.is_met() {
        return None;
    }
    let lab = Lab::boot(CONFIG);
    lab.well("service install --yes");
    lab.shell("mkdir /etc/systemd/system/keepwatch.service.d");
    lab.write("/etc/systemd/system/keepwatch.service.d/quick.conf", QUICK);
    lab.shell("systemctl daemon-reload");
    Some(lab)
}

/// Save a file that only root may read, and find it in the bucket.
fn save_and_find(lab: &Lab, name: &str) {
    lab.shell(&format!(
        "echo {name} > /srv/office/{name} && chmod 600 /srv/office/{name}"
    ));
    lab.until("the file is in the bucket", |lab| {
        let (_, listed) = lab.keepwatch(&format!("versions {name} --json"));
        listed.contains("version_id")
    });
    lab.well(&format!("restore {name} --to /root/back"));
    assert_eq!(
        lab.shell(&format!("cat /root/back/{name}")),
        format!("{name}\n")
    );
}

#[test]
fn it_is_installed_started_stopped_and_removed_and_data_stays() {
    if !Need::Systemd.is_met() {
        return;
    }
    let lab = Lab::boot(CONFIG);
    let (code, said) = lab.keepwatch("service status");
    assert!(code == Some(1) && said.contains("NOT installed"), "{said}");

    // Nothing is done unasked.
    let plan = lab.well("service install --dry-run");
    let (code, said) = lab.keepwatch("service install </dev/null");
    assert!(code == Some(2) && said.contains("--yes"), "{said}");
    for (step, shown) in [
        ("make the account keepwatch", "id keepwatch"),
        (
            "make the folder /var/lib/keepwatch",
            "ls /var/lib/keepwatch",
        ),
        (
            "write /etc/systemd/system/keepwatch.service",
            "systemctl cat keepwatch",
        ),
        (
            "/srv/office/.keepwatch-source",
            "cat /srv/office/.keepwatch-source",
        ),
    ] {
        assert!(plan.contains(step), "{step}: {plan}");
        assert!(!lab.run(&["sh", "-c", shown]).status.success(), "{shown}");
    }

    lab.well("service install --yes");
    for (file, rights) in [
        ("/etc/keepwatch", "root keepwatch 750"),
        ("/etc/keepwatch/keepwatch.toml", "root keepwatch 640"),
        ("/var/lib/keepwatch", "keepwatch keepwatch 700"),
        ("/var/log/keepwatch", "keepwatch keepwatch 700"),
        ("/srv/backup/vault", "keepwatch keepwatch 700"),
        ("/srv/office/.keepwatch-source", "keepwatch keepwatch 600"),
        ("/etc/systemd/system/keepwatch.service", "root root 644"),
    ] {
        assert_eq!(
            lab.shell(&format!("stat -c '%U %G %a' {file}")).trim(),
            rights,
            "{file}"
        );
    }
    let again = lab.well("service install --yes");
    assert!(again.contains("nothing to do"), "{again}");
    lab.shell("systemd-analyze verify --man=no keepwatch.service");
    let security = lab.shell("systemd-analyze security keepwatch.service | tail -n 1");
    let exposure = security
        .split_whitespace()
        .find_map(|word| word.parse::<f64>().ok());
    assert!(
        exposure.is_some_and(|exposure| exposure < 2.0),
        "{security}"
    );

    let said = lab.well("status; test $? = 1");
    assert!(
        said.contains("service is installed and does NOT run"),
        "{said}"
    );
    lab.well("service start");
    assert_eq!(lab.property("ActiveState"), "active");
    assert_eq!(
        lab.property("StatusText"),
        "backing up 1 folder to /srv/backup/vault"
    );
    save_and_find(&lab, "offer");
    lab.until("the watch is proven by the marker", |lab| {
        lab.keepwatch("status").1.contains("watch proven")
    });
    let said = lab.well("service status");
    for part in [
        "The service runs",
        "starts with the computer",
        "account: keepwatch",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    lab.well("service stop");
    assert_eq!(lab.property("Result"), "success");
    let (code, said) = lab.keepwatch("service status");
    assert!(
        code == Some(1) && said.contains("stopped as it should (code 0)"),
        "{said}"
    );

    let said = lab.well("service uninstall --yes");
    for part in [
        "/etc/keepwatch/keepwatch.toml",
        "/var/lib/keepwatch",
        "/var/log/keepwatch",
    ] {
        assert!(said.contains(part), "{part} is not named: {said}");
    }
    assert_eq!(lab.property("LoadState"), "not-found");
    lab.shell("ls /etc/keepwatch/keepwatch.toml /var/lib/keepwatch/index /var/log/keepwatch/*");
    lab.shell("ls /srv/office/.keepwatch-source /srv/backup/vault && id keepwatch");
    let again = lab.well("service uninstall --yes");
    assert!(again.contains("nothing to do"), "{again}");
    let (code, said) = lab.keepwatch("service start");
    assert!(code == Some(2) && said.contains("not installed"), "{said}");
}

#[test]
fn killed_or_stuck_it_is_started_again() {
    let Some(lab) = installed() else { return };
    lab.well("service start");
    for (signal, told) in [
        ("KILL", "ended by signal 9"),
        ("STOP", "did not answer any more"),
    ] {
        let before = lab.property("MainPID");
        lab.shell(&format!("kill -{signal} {before}"));
        lab.until("another process runs", |lab| {
            let now = lab.property("MainPID");
            now != before && now != "0" && lab.property("ActiveState") == "active"
        });
        let said = lab.well("service status");
        assert!(said.contains("started again by itself"), "{said}");
        assert!(said.contains(told), "{told}: {said}");
        save_and_find(&lab, &format!("after-{signal}"));
    }
}

#[test]
fn a_newer_program_is_started_in_place_and_goes_on_with_its_state() {
    let Some(lab) = installed() else { return };
    lab.well("service start");
    save_and_find(&lab, "before");
    let before = lab.property("MainPID");
    let program = "/usr/local/bin/keepwatch";
    // As an installation does it: the running one keeps its file. Times have seconds.
    lab.shell(&format!(
        "cp {program} {program}.new && touch -d '+2 seconds' {program}.new && mv {program}.new {program}"
    ));
    let said = lab.well("service install --yes");
    assert!(said.contains("start anew"), "{said}");
    lab.until("the newer one runs", |lab| {
        let now = lab.property("MainPID");
        now != before && now != "0" && lab.property("ActiveState") == "active"
    });
    save_and_find(&lab, "after");
    let log = lab.shell("cat /var/log/keepwatch/*");
    assert_eq!(
        log.matches("stored source=office path=before").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("was cut off"), "{log}");
}

#[test]
fn what_cannot_start_says_why_and_is_tried_again_unless_the_configuration_is_wrong() {
    let Some(lab) = installed() else { return };
    lab.write(
        "/etc/keepwatch/keepwatch.toml",
        &CONFIG.replace("bucket", "bukcet"),
    );
    let (code, said) = lab.keepwatch("service start");
    assert!(code == Some(1) && said.contains("configuration"), "{said}");
    assert_eq!(lab.property("ActiveState"), "failed");
    assert_eq!(lab.property("ExecMainStatus"), "2");

    // The vault's disk is away: it may come.
    lab.write("/etc/keepwatch/keepwatch.toml", CONFIG);
    lab.shell("mv /srv/backup /srv/away");
    let (code, said) = lab.keepwatch("service start");
    assert!(
        code == Some(1) && said.contains("/srv/backup/vault"),
        "{said}"
    );
    let (_, said) = lab.keepwatch("service status");
    assert!(said.contains("started again by itself"), "{said}");
    lab.shell("mv /srv/away /srv/backup");
    lab.until("it is started by itself", |lab| {
        lab.property("ActiveState") == "active"
    });
    save_and_find(&lab, "late");
}

#[test]
fn an_account_has_a_service_of_its_own() {
    if !Need::Systemd.is_met() {
        return;
    }
    let lab = Lab::boot("");
    lab.shell("useradd --create-home anna && systemctl start user@$(id -u anna)");
    let own = "\
[vault]
path = \"/home/anna/vault\"
[[source]]
name = \"docs\"
path = \"/home/anna/docs\"
bucket = \"docs-1\"
";
    lab.write("/root/own.toml", own);
    lab.shell(
        "mkdir -p /home/anna/docs /home/anna/vault /home/anna/.config/keepwatch && \
         mv /root/own.toml /home/anna/.config/keepwatch/keepwatch.toml && \
         echo hello > /home/anna/docs/letter && chown -R anna: /home/anna",
    );
    let as_anna = |words: &str| {
        lab.run(&[
            "sh",
            "-c",
            &format!(
                "exec setpriv --reuid=anna --regid=anna --init-groups env HOME=/home/anna \
                 USER=anna XDG_RUNTIME_DIR=/run/user/$(id -u anna) keepwatch {words} 2>&1"
            ),
        ])
    };
    let said = |words: &str, code: i32| {
        let output = as_anna(words);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words}: {said}");
        said
    };
    let refused = said("service install --yes", 2);
    assert!(
        refused.contains("sudo keepwatch service install"),
        "{refused}"
    );
    assert!(refused.contains("--user"), "{refused}");
    assert!(said("service install --user --yes", 0).contains("enable-linger"));
    said("service start --user", 0);
    let status = said("service status --user", 0);
    assert!(status.contains("account: anna"), "{status}");
    lab.until("the file is in the bucket", |_| {
        let output = as_anna("versions letter --json");
        String::from_utf8_lossy(&output.stdout).contains("version_id")
    });
    // The computer's is another, and everybody may ask after it.
    assert!(said("service status", 1).contains("NOT installed"));
    said("service uninstall --user --yes", 0);
    assert!(said("service status --user", 1).contains("NOT installed"));
}
