//! [`Platter`]s as real folders, mounted through FUSE, whose power can be cut
//! at any operation that writes.
//!
//! From the cut on every call fails, as on a disk that was pulled out; the
//! call that met it may have happened or not. One mount holds any number of
//! disks, each a folder: mounting is slow, and a number is never used twice,
//! so that the kernel may remember what it has seen.

mod serve;

use super::platter::{Body, Fate, Node, Platter, ROOT};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileType, INodeNo, MountOption, RenameFlags,
    Request,
};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

/// What the disk says of its blocks.
const BLOCK_BYTES: u32 = 4096;

struct State {
    platter: Platter,
    /// Writing operations so far.
    operations: u64,
    /// The operation that meets the cut.
    cut_at: u64,
    is_dead: bool,
}

/// Inodes are numbered in each disk; above these bits stands the disk.
const DISK_SHIFT: u32 = 40;

/// The mounted folder itself, which holds the disks.
const HOST: u64 = 1;

/// The power switch of a disk.
#[derive(Clone)]
pub struct Power {
    state: Arc<Mutex<State>>,
    /// From 1, in the order they were put in.
    disk: u64,
}

/// All disks that are in.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<Vec<Option<Power>>>>);

impl Host {
    fn disk(&self, disk: u64) -> Result<Power, Errno> {
        let disks = self.0.lock().unwrap();
        let at = usize::try_from(disk).unwrap().checked_sub(1);
        let found = at.and_then(|at| disks.get(at).cloned().flatten());
        found.ok_or(Errno::EIO)
    }

    /// The disk that an inode is on, and its number there.
    fn on(&self, ino: INodeNo) -> Result<(Power, u64), Errno> {
        if ino.0 == HOST {
            return Err(Errno::EPERM);
        }
        let disk = self.disk(ino.0 >> DISK_SHIFT)?;
        Ok((disk, ino.0 & ((1 << DISK_SHIFT) - 1)))
    }

    /// Do something on the disk that an inode is on.
    fn with<T>(
        &self,
        ino: INodeNo,
        act: impl FnOnce(&mut State, u64) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let (power, number) = self.on(ino)?;
        let mut state = power.lock();
        act(&mut state, number)
    }

    /// The same, and the attributes of the inode that it names.
    fn attr_with(
        &self,
        ino: INodeNo,
        act: impl FnOnce(&mut State, u64) -> Result<u64, Errno>,
    ) -> Result<FileAttr, Errno> {
        let (power, number) = self.on(ino)?;
        let mut state = power.lock();
        let made = act(&mut state, number)?;
        state.attributes(power.disk, made)
    }

    fn lookup(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        if parent.0 != HOST {
            return self.attr_with(parent, |state, folder| state.find(folder, name));
        }
        let disk = name.to_str().and_then(|name| name.parse().ok());
        let power = self.disk(disk.ok_or(Errno::ENOENT)?)?;
        let state = power.lock();
        state.attributes(power.disk, ROOT)
    }
}

fn host_attributes() -> FileAttr {
    let now = SystemTime::now();
    FileAttr {
        ino: INodeNo(HOST),
        size: 0,
        blocks: 0,
        atime: now,
        mtime: now,
        ctime: now,
        crtime: now,
        kind: FileType::Directory,
        perm: 0o755,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

impl Power {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Writing operations so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The cut comes this many writing operations from now.
    pub fn cut_after(&self, operations: u64) {
        let mut state = self.lock();
        state.cut_at = state.operations + operations;
    }

    pub fn cut_now(&self) {
        self.lock().is_dead = true;
    }

    pub fn is_cut(&self) -> bool {
        self.lock().is_dead
    }
}

impl State {
    fn alive(&self) -> Result<(), Errno> {
        if self.is_dead {
            Err(Errno::EIO)
        } else {
            Ok(())
        }
    }

    /// One operation that writes. At the cut what it writes may last all the
    /// same, but nobody is told so.
    fn writing(&mut self, change: impl FnOnce(&mut Platter)) -> Result<(), Errno> {
        self.alive()?;
        change(&mut self.platter);
        self.count()
    }

    /// One that waits for the platter: at the cut it has not happened.
    fn syncing(&mut self, number: u64) -> Result<(), Errno> {
        self.alive()?;
        self.count()?;
        self.platter.sync(number);
        Ok(())
    }

    fn count(&mut self) -> Result<(), Errno> {
        self.operations += 1;
        self.is_dead |= self.operations > self.cut_at;
        self.alive()
    }

    fn node(&self, number: u64) -> Result<&Node, Errno> {
        self.alive()?;
        self.platter.node(number).ok_or(Errno::ENOENT)
    }

    fn attributes(&self, disk: u64, number: u64) -> Result<FileAttr, Errno> {
        let node = self.node(number)?;
        let (kind, size) = match &node.body {
            Body::File(bytes) => (FileType::RegularFile, bytes.len() as u64),
            Body::Folder(entries) => (FileType::Directory, entries.len() as u64),
            Body::Link(target) => (FileType::Symlink, target.len() as u64),
            Body::Socket => (FileType::Socket, 0),
        };
        let its = node.attributes;
        Ok(FileAttr {
            ino: INodeNo(disk << DISK_SHIFT | number),
            size,
            blocks: size.div_ceil(512),
            atime: its.accessed,
            mtime: its.modified,
            ctime: its.changed,
            crtime: its.changed,
            kind,
            perm: (its.mode & 0o7777) as u16,
            nlink: 1,
            uid: its.owner.0,
            gid: its.owner.1,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        })
    }

    fn find(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.node(folder)?;
        self.platter.find(folder, name).ok_or(Errno::ENOENT)
    }

    fn make(
        &mut self,
        req: &Request,
        folder: u64,
        name: &OsStr,
        body: Body,
        mode: u32,
    ) -> Result<u64, Errno> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let owner = (req.uid(), req.gid());
        let mut made = 0;
        self.writing(|disk| made = disk.make(folder, name, body, mode, owner))?;
        Ok(made)
    }

    fn remove(&mut self, folder: u64, name: &OsStr, wants_folder: bool) -> Result<(), Errno> {
        let number = self.find(folder, name)?;
        match (&self.node(number)?.body, wants_folder) {
            (Body::Folder(entries), true) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
            (Body::Folder(_), true) => {}
            (Body::Folder(_), false) => return Err(Errno::EISDIR),
            (_, true) => return Err(Errno::ENOTDIR),
            (_, false) => {}
        }
        self.writing(|disk| disk.remove(folder, name))
    }

    fn rename(
        &mut self,
        from: (u64, &OsStr),
        to: (u64, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let number = self.find(from.0, from.1)?;
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return Err(Errno::EINVAL);
        }
        if let Ok(there) = self.find(to.0, to.1) {
            if flags.contains(RenameFlags::RENAME_NOREPLACE) {
                return Err(Errno::EEXIST);
            }
            let is_folder = matches!(self.node(number)?.body, Body::Folder(_));
            match &self.node(there)?.body {
                Body::Folder(entries) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
                Body::Folder(_) if !is_folder => return Err(Errno::EISDIR),
                _ => {}
            }
        }
        self.writing(|disk| disk.rename(from, to))
    }
}

/// Waits until the process of the mount ends, and takes the mount away by
/// force. A process that is killed while it waits for its own file system
/// would otherwise never go: it cannot answer itself any more, and keeps open
/// what would tell the kernel so. Dying, its first thread is a zombie.
const GUARD: &str = "while grep -q '^State:.[^ZX]' \"/proc/$1/status\" 2>/dev/null; do sleep 1; done; umount -f \"$2\"; umount -l \"$2\"; rmdir \"$2\"";

/// A mount that disks are put into; it goes when dropped.
pub struct Drive {
    guard: Child,
    host: Host,
    folder: tempfile::TempDir,
    session: Option<BackgroundSession>,
}

/// A disk that is in.
pub struct Disk {
    pub power: Power,
    host: Host,
    folder: PathBuf,
}

impl Drive {
    pub fn new() -> Self {
        let (host, folder) = (Host::default(), tempfile::tempdir().unwrap());
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("keepwatch-test".to_owned())];
        let session = fuser::spawn_mount(host.clone(), folder.path(), &config);
        let session = session.unwrap_or_else(|e| {
            panic!(
                "cannot mount a file system of the test's own: {e}. The tests of power loss need \
                 /dev/fuse and the right to mount: run them as root, or in \
                 `unshare --user --map-root-user --mount`, or in a container with \
                 `--device /dev/fuse --cap-add SYS_ADMIN`"
            )
        });
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard", &std::process::id().to_string()])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What kills the test must not kill its guard.
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            guard,
            host,
            folder,
            session: Some(session),
        }
    }

    /// Put a disk in.
    pub fn insert(&self, platter: Platter) -> Disk {
        let state = State {
            platter,
            operations: 0,
            cut_at: u64::MAX,
            is_dead: false,
        };
        let mut disks = self.host.0.lock().unwrap();
        let power = Power {
            state: Arc::new(Mutex::new(state)),
            disk: disks.len() as u64 + 1,
        };
        disks.push(Some(power.clone()));
        Disk {
            folder: self.folder.path().join(power.disk.to_string()),
            power,
            host: self.host.clone(),
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        // A thread of the tested program may hold a file for a moment: lazily.
        if let Err(e) = rustix::mount::unmount(self.folder.path(), flags) {
            eprintln!("cannot unmount {}: {e}", self.folder.path().display());
        }
        // It ends once the last file is closed, which this does not wait for.
        drop(self.session.take());
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Disk {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Take it out: what was seen, synced or not. Whoever still has a file
    /// open on it gets errors.
    pub fn take_out(self) -> Platter {
        let mut state = self.power.lock();
        state.is_dead = true;
        let platter = std::mem::replace(&mut state.platter, Platter::new());
        drop(state);
        platter
    }

    /// The power is gone: the disk as it is found afterwards.
    pub fn after_cut(self, fate: Fate, random: &mut fastrand::Rng) -> Platter {
        self.take_out().after_cut(fate, random)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.power.cut_now();
        let at = usize::try_from(self.power.disk).unwrap() - 1;
        self.host.0.lock().unwrap()[at] = None;
    }
}
