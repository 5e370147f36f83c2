//! Which file systems a folder and the folders below it are on.
//!
//! Linux tells (`/proc/self/mountinfo`), and Windows whether a folder is on a network drive.
//! On other systems the answer is empty, and nothing is concluded from that.

#[cfg(not(windows))]
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Mounts below one folder that are kept; an office has a handful.
#[cfg(not(windows))]
const BELOW_MAX: usize = 256;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number in the mount table.
    pub id: u64,
    /// Major and minor device number, as the table writes them.
    pub dev: String,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its kind, as the system names it: `ext4`, `nfs4`, `fuse.sshfs`.
    pub kind: String,
}

/// The file systems that concern one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// What the folder itself is on; `None` where the platform does not say.
    pub own: Option<Mount>,
    /// What is mounted below it.
    pub below: Vec<Mount>,
}

/// The file systems that `root` and what is below it are on. Blocks.
pub fn mounts_of(root: &Path) -> Mounts {
    #[cfg(windows)]
    return Mounts {
        own: network_drive(root),
        below: Vec::new(),
    };
    #[cfg(not(windows))]
    of_system(root)
}

/// The network drive that a folder is on; `None` for a disk of this computer.
#[cfg(windows)]
fn network_drive(root: &Path) -> Option<Mount> {
    use std::path::{Component, Prefix};
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let point = super::vanished::volume_of(&real)?;
    let Some(Component::Prefix(prefix)) = point.components().next() else {
        return None;
    };
    let is_of_network = match prefix.kind() {
        Prefix::UNC(..) | Prefix::VerbatimUNC(..) => true,
        Prefix::Disk(letter) | Prefix::VerbatimDisk(letter) => {
            let drive = format!(r"{}:\", char::from(letter));
            super::windows::sys::is_network_drive(drive.as_ref())
        }
        _ => false,
    };
    is_of_network.then(|| Mount {
        id: 0,
        dev: String::new(),
        point,
        // The protocol of Windows' shares, as Linux calls it.
        kind: "smb3".to_owned(),
    })
}

#[cfg(not(windows))]
fn of_system(root: &Path) -> Mounts {
    let Ok(table) = std::fs::read("/proc/self/mountinfo") else {
        return Mounts::default();
    };
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    of_table(&table, &real)
}

#[cfg(not(windows))]
fn of_table(table: &[u8], root: &Path) -> Mounts {
    let mut mounts = Mounts::default();
    for mount in table.split(|b| *b == b'\n').filter_map(parse) {
        if root.starts_with(&mount.point) {
            // Of two at one point the later one lies on top.
            let is_nearer = mounts
                .own
                .as_ref()
                .is_none_or(|own| mount.point.starts_with(&own.point));
            if is_nearer {
                mounts.own = Some(mount);
            }
        } else if mount.point.starts_with(root) && mounts.below.len() < BELOW_MAX {
            mounts.below.push(mount);
        }
    }
    mounts
}

#[cfg(not(windows))]
/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` (proc(5)).
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let id = text(fields.next()?).parse().ok()?;
    let dev = text(fields.nth(1)?);
    let point = PathBuf::from(unescape(fields.nth(1)?)?);
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?);
    Some(Mount {
        id,
        dev,
        point,
        kind,
    })
}

#[cfg(not(windows))]
/// Blanks and backslashes are written as `\` and three octal digits.
fn unescape(field: &[u8]) -> Option<OsString> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code =
            code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    super::platform::name_of_bytes(&out)
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// File systems that others can change without this computer being told.
const SHARED: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "drvfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs3",
    "nfs4",
    "ocfs2",
    "orangefs",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
];

/// Programs that show a local disk or folder through FUSE; what others are is
/// not known, and then it is safer to look.
const LOCAL_FUSE: &[&str] = &[
    "fuseblk",
    "fuse.apfs-fuse",
    "fuse.bindfs",
    "fuse.cryfs",
    "fuse.encfs",
    "fuse.exfat",
    "fuse.exfat-fuse",
    "fuse.gocryptfs",
    "fuse.lxcfs",
    "fuse.mergerfs",
    "fuse.ntfs",
    "fuse.ntfs-3g",
    "fuse.unionfs",
    "fuse.veracrypt",
];

/// True when other computers (or a program unseen by the kernel) may change
/// files on a file system of that kind without an event here.
pub fn changes_unseen(kind: &str) -> bool {
    let is_fuse = kind == "fuse" || kind.starts_with("fuse.");
    SHARED.contains(&kind) || (is_fuse && !LOCAL_FUSE.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_file_systems_that_change_unseen() {
        for (kind, want) in [
            ("ext4", false),
            ("xfs", false),
            ("btrfs", false),
            ("tmpfs", false),
            ("overlay", false),
            ("vfat", false),
            ("ntfs3", false),
            ("fuseblk", false),
            ("fuse.mergerfs", false),
            ("nfs", true),
            ("nfs4", true),
            ("cifs", true),
            ("smb3", true),
            ("fuse.sshfs", true),
            ("fuse.rclone", true),
            ("fuse.somethingnew", true),
            ("9p", true),
            ("virtiofs", true),
        ] {
            assert_eq!(changes_unseen(kind), want, "{kind}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_mount_table_is_read_with_blanks_and_layers() {
        let table = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 0:40 / /srv rw shared:5 master:1 - nfs4 nas:/srv rw\n\
            31 22 8:2 / /srv/my\\040office rw - ext4 /dev/sdb1 rw\n\
            32 31 8:3 / /srv/my\\040office rw - xfs /dev/sdc1 rw\n\
            33 32 0:41 / /srv/my\\040office/scans rw - cifs //nas/scans rw\n\
            34 22 0:42 / /srv/my\\040office2 rw - tmpfs x rw\n\
            broken line\n";
        let mounts = of_table(table, Path::new("/srv/my office"));
        let own = mounts.own.unwrap();
        assert_eq!(
            (own.id, own.kind.as_str(), own.dev.as_str()),
            (32, "xfs", "8:3")
        );
        assert_eq!(mounts.below.len(), 1);
        assert_eq!(mounts.below[0].point, Path::new("/srv/my office/scans"));
        assert_eq!(mounts.below[0].kind, "cifs");
        let inner = of_table(table, Path::new("/srv/letters"));
        assert_eq!(inner.own.unwrap().kind, "nfs4");
        assert_eq!(of_table(b"", Path::new("/srv")), Mounts::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_computer_tells_its_mounts() {
        let mounts = mounts_of(Path::new("/"));
        assert_eq!(mounts.own.unwrap().point, Path::new("/"));
        assert!(mounts.below.iter().any(|m| m.kind == "proc"), "no /proc?");
    }
}
