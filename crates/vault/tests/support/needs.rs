//! What some tests need of the machine, and what happens where that is not to be had.
//!
//! `cargo test` runs for everybody: where this account may not mount, the tests that do
//! are left out, and one line says so, with the command that runs them. With
//! `TESTS_LEAVE_NOTHING_OUT=1`, as `.ci/run` sets it, they fail instead: nothing passes there
//! by being left out.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::sync::OnceLock;

/// What a test needs of the machine.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "each suite names what it needs")]
pub enum Need {
    /// The right to mount, and `/dev/fuse`.
    Mounts,
    /// User and mount namespaces of one's own: `unshare`.
    Namespaces,
    /// Ceph's programs, or root and `apt-get`, which install them.
    Ceph,
    /// Root, and a systemd to start in namespaces, or `apt-get`, which installs it.
    Systemd,
    /// Shells whose completions are tried, and what shows manual pages; or root and
    /// `apt-get`, which install them.
    Shells,
}

/// Programs that complete, and show pages.
const SHELLS: [&str; 3] = ["zsh", "fish", "groff"];

/// Ceph's programs that the tests start.
const CEPH: [&str; 4] = ["radosgw", "ceph-mon", "ceph-osd", "ceph"];

impl Need {
    /// Whether this machine has it. Where it has not, the test that asks is to return, and
    /// the first that asks has it said.
    pub fn is_met(self) -> bool {
        static MET: [OnceLock<bool>; 5] = [const { OnceLock::new() }; 5];
        *MET[self as usize].get_or_init(|| match self.try_it() {
            Ok(()) => true,
            Err(why) => {
                self.leave_out(&why);
                false
            }
        })
    }

    fn try_it(self) -> Result<(), String> {
        match self {
            Self::Mounts => try_mounting(),
            Self::Namespaces => {
                let mut unshare = Command::new("unshare");
                unshare.args(["--user", "--map-root-user", "--mount", "true"]);
                let output = unshare.output().map_err(|e| format!("unshare: {e}"))?;
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                output.status.success().then_some(()).ok_or(said)
            }
            Self::Systemd => {
                if !rustix::process::geteuid().is_root() {
                    return Err("not root".to_owned());
                }
                let folder = "/sys/fs/cgroup";
                mount_and_unmount("tmpfs")?;
                if !std::path::Path::new(folder).is_dir() {
                    return Err(format!("no {folder}"));
                }
                let is_met = is_there("systemd-nspawn") || is_there("apt-get");
                is_met.then_some(()).ok_or("no systemd-nspawn".to_owned())
            }
            Self::Ceph => there_or_installed(&CEPH),
            Self::Shells => there_or_installed(&SHELLS),
        }
    }

    fn leave_out(self, why: &str) {
        let (tests, remedy) = match self {
            Self::Mounts => (
                "drives that hang, power cuts and disks of their own",
                "as root, or: unshare --user --map-root-user --mount cargo test",
            ),
            Self::Namespaces => (
                "disks that come and go, are full or take no writing, and of too few watches",
                "as root, or allow user namespaces first (sysctl -w \
                 kernel.apparmor_restrict_unprivileged_userns=0), then: cargo test",
            ),
            Self::Ceph => (
                "Ceph RGW",
                "as root where there is apt-get, or after `apt-get install radosgw ceph-mon \
                 ceph-osd ceph-common`: cargo test",
            ),
            Self::Systemd => (
                "the service on a real systemd",
                "as root, where apt-get is or systemd-nspawn is installed: cargo test",
            ),
            Self::Shells => (
                "completions in zsh and fish, and of manual pages",
                "as root where there is apt-get, or after `apt-get install zsh fish groff-base`: \
                 cargo test",
            ),
        };
        let line = format!("LEFT OUT ({why}): the tests of {tests}. To run them: {remedy}");
        let all = std::env::var_os("TESTS_LEAVE_NOTHING_OUT").is_some();
        assert!(!all, "{line}");
        // Past what the test runner captures: it is to be seen although the test passes.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Whether programs are there, or can be installed by the tests that want them.
fn there_or_installed(programs: &[&str]) -> Result<(), String> {
    let missing = programs.iter().copied().filter(|name| !is_there(name));
    let missing: Vec<&str> = missing.collect();
    let installs = rustix::process::geteuid().is_root() && is_there("apt-get");
    (missing.is_empty() || installs)
        .then_some(())
        .ok_or_else(|| format!("no {}", missing.join(", no ")))
}

/// Whether a program is to be found.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn try_mounting() -> Result<(), String> {
    let device = File::options().read(true).write(true).open("/dev/fuse");
    device.map_err(|e| format!("/dev/fuse: {e}"))?;
    mount_and_unmount("ramfs")
}

fn mount_and_unmount(kind: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    mount(kind, folder.path(), kind, MountFlags::empty(), c"")
        .map_err(|e| format!("mounting: {e}"))?;
    unmount(folder.path(), UnmountFlags::DETACH).map_err(|e| format!("unmounting: {e}"))
}
