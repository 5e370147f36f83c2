//! The unit: what systemd is to run, and what that may do.

use super::super::request::{Account, Level, OWN_ACCOUNT, Request};
use crate::files::MARKER_FILE_NAME;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// systemd ends a service that has not said for so long that it is well. Twice as long as a
/// loop may stand still ([`crate::watchdog::STUCK_AFTER`]).
const WATCHDOG_S: u64 = 120;

/// How long a start may take: an index or a vault that is opened after a power cut is looked
/// through, which takes minutes at most.
const START_MAX_S: u64 = 900;

/// Between two tries. Not longer each time: what a start waits for (a disk, a network) should
/// be noticed soon, and a try costs next to nothing; messages about it come once a day.
const RESTART_S: u64 = 30;

/// A path or word as a unit takes it: quoted, with nothing in it that systemd replaces.
fn word(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut is_plain = !text.is_empty();
    for c in text.chars() {
        is_plain &= c.is_alphanumeric() || "-_./:=,@+".contains(c);
        match c {
            '\\' => escaped.push_str(r"\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str(r"\n"),
            '%' => escaped.push_str("%%"),
            c => escaped.push(c),
        }
    }
    match is_plain {
        true => escaped,
        false => format!("\"{escaped}\""),
    }
}

/// The same in a command line, where `$` is replaced as well.
fn argument(path: &Path) -> String {
    word(&path.display().to_string()).replace('$', "$$")
}

/// The name below `base` of a folder that systemd makes there itself.
fn made_by_systemd<'a>(folder: &'a Path, base: &str) -> Option<&'a str> {
    let name = folder.strip_prefix(base).ok()?.to_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

/// The unit.
pub fn unit(request: &Request) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_unit(&mut text, request);
    text
}

fn write_unit(text: &mut String, request: &Request) -> std::fmt::Result {
    writeln!(
        text,
        "# Made by `keepwatch service install` from {}.\n\
         # After a change of folders or places there give that command again; it writes this file\n\
         # anew. Settings of your own belong into a file beside it: `systemctl edit keepwatch`.\n\
         [Unit]\n\
         Description=Keepwatch, continuous backup\n\
         Documentation=man:keepwatch(1)\n\
         # It ends before the network does. It does not wait for it to come (network-online.target),\n\
         # and not for the disks of the folders longer than they take (RequiresMountsFor=): what\n\
         # is away must not keep the rest from being backed up.\n\
         After=network.target local-fs.target remote-fs.target\n\
         # Never give up.\n\
         StartLimitIntervalSec=0\n",
        request.config.display()
    )?;
    write_start(text, request)?;
    write_life(text, request)?;
    let target = match request.level {
        Level::System => {
            write_account(text, request)?;
            write_places(text, request)?;
            write_sandbox(text, request)?;
            "multi-user.target"
        }
        Level::User => "default.target",
    };
    writeln!(text, "\n[Install]\nWantedBy={target}")
}

/// What is run.
fn write_start(text: &mut String, request: &Request) -> std::fmt::Result {
    let [flag, config] = request.arguments();
    let (program, flag, config) = (argument(&request.program), flag.display(), argument(config));
    writeln!(
        text,
        "[Service]\n\
         Type=notify\n\
         NotifyAccess=main\n\
         ExecStart={program} {flag} {config}"
    )?;
    for (name, value) in request.variables() {
        let variable = format!("{name}={}", value.display());
        writeln!(text, "Environment={}", word(&variable))?;
    }
    if request.level == Level::System && request.is_usual_config {
        let file = request.config.with_file_name("environment");
        writeln!(
            text,
            "# For proxies and certificates: HTTPS_PROXY=..., AWS_CA_BUNDLE=...; root alone reads it.\n\
             EnvironmentFile={}",
            word(&format!("-{}", file.display()))
        )?;
    }
    Ok(())
}

/// When it counts as dead, and what is done then.
fn write_life(text: &mut String, request: &Request) -> std::fmt::Result {
    writeln!(
        text,
        "# Keepwatch says now and again that its loops turn. One that is stuck is killed, without\n\
         # a core file, which would have the keys in it.\n\
         WatchdogSec={WATCHDOG_S}\n\
         WatchdogSignal=SIGKILL\n\
         LimitCORE=0\n\
         TimeoutStartSec={START_MAX_S}\n\
         TimeoutStopSec={}\n\
         Restart=on-failure\n\
         RestartSec={RESTART_S}\n\
         # A wrong configuration does not become right by itself.\n\
         RestartPreventExitStatus=2\n\
         # Without these the office may notice the first, large upload.\n\
         Nice=10\n\
         IOSchedulingClass=idle\n\
         UMask=0077\n\
         NoNewPrivileges=yes",
        request.stop_max_s()
    )
}

fn write_account(text: &mut String, request: &Request) -> std::fmt::Result {
    match &request.account {
        Account::Own | Account::Caller => writeln!(
            text,
            "User={0}\n\
             Group={0}\n\
             # Reading every file without being root.\n\
             AmbientCapabilities=CAP_DAC_READ_SEARCH\n\
             CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
            OWN_ACCOUNT
        ),
        Account::Named(name) => writeln!(
            text,
            "User={}\n\
             # The account's own rights, and no more.\n\
             CapabilityBoundingSet=",
            word(name)
        ),
        Account::Highest => writeln!(
            text,
            "# As root: reading every file, and writing Keepwatch's own in folders of others.\n\
             CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER"
        ),
    }
}

/// What it may write to; nothing else.
fn write_places(text: &mut String, request: &Request) -> std::fmt::Result {
    writeln!(text, "ProtectSystem=strict\nProtectHome=read-only")?;
    let mut places = Vec::new();
    for (folder, base, setting) in [
        (&request.state_dir, "/var/lib", "StateDirectory"),
        (&request.log_dir, "/var/log", "LogsDirectory"),
    ] {
        match made_by_systemd(folder, base) {
            Some(name) => writeln!(text, "{setting}={name}\n{setting}Mode=0700")?,
            None => places.push(folder.clone()),
        }
    }
    places.extend(request.vault.clone());
    let marked = request.folders.iter().filter(|folder| folder.has_marker);
    places.extend(marked.map(|folder| folder.path.join(MARKER_FILE_NAME)));
    for place in places {
        // One that is away just now must not keep the service from starting.
        writeln!(
            text,
            "ReadWritePaths={}",
            word(&format!("-{}", place.display()))
        )?;
    }
    Ok(())
}

fn write_sandbox(text: &mut String, request: &Request) -> std::fmt::Result {
    let mut all = request.folders.iter().map(|folder| &folder.path);
    let own = [&request.state_dir, &request.log_dir, &request.config];
    let is_temporary = |path: &PathBuf| path.starts_with("/tmp") || path.starts_with("/var/tmp");
    let needs_tmp =
        all.any(is_temporary) || own.into_iter().chain(&request.vault).any(is_temporary);
    if needs_tmp {
        writeln!(
            text,
            "# A place of the configuration is in it.\nPrivateTmp=no"
        )?;
    } else {
        writeln!(text, "PrivateTmp=yes")?;
    }
    writeln!(
        text,
        "PrivateDevices=yes\n\
         DevicePolicy=closed\n\
         ProtectClock=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         ProtectControlGroups=yes\n\
         ProtectProc=invisible\n\
         # The network, the control socket, and netlink, which looking names up may want.\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         RemoveIPC=yes\n\
         KeyringMode=private\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallFilter=~@privileged @resources\n\
         # Refused, not killed: a program that hands keys out (credential_process) may try.\n\
         # For its sake MemoryDenyWriteExecute= is not set either.\n\
         SystemCallErrorNumber=EPERM"
    )
}
