//! What the kernel asks of the mounted disks, answered one call at a time.

use super::super::platter::Body;
use super::{BLOCK_BYTES, DISK_SHIFT, HOST, Host, State, host_attributes};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Nothing changes but through the mount, so the kernel may remember.
const REMEMBER: Duration = Duration::from_secs(60);

/// What the disk says of its size: enough.
const BLOCKS: u64 = 1 << 24;

fn time(value: TimeOrNow) -> SystemTime {
    match value {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

fn entry(made: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match made {
        Ok(attr) => reply.entry(&REMEMBER, &attr, Generation(0)),
        Err(e) => reply.error(e),
    }
}

fn attr(found: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attr) => reply.attr(&REMEMBER, &attr),
        Err(e) => reply.error(e),
    }
}

fn data(read: Result<Vec<u8>, Errno>, reply: ReplyData) {
    match read {
        Ok(bytes) => reply.data(&bytes),
        Err(e) => reply.error(e),
    }
}

fn answer(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(e),
    }
}

impl Filesystem for Host {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(Self::lookup(self, parent, name), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        if ino.0 == HOST {
            return reply.attr(&REMEMBER, &host_attributes());
        }
        attr(self.attr_with(ino, |_, number| Ok(number)), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.attr_with(ino, |state, number| {
            state.writing(|disk| {
                if let Some(size) = size {
                    disk.set_length(number, usize::try_from(size).unwrap());
                }
                if let Some(its) = disk.attributes_mut(number) {
                    its.mode = mode.unwrap_or(its.mode);
                    its.owner = (uid.unwrap_or(its.owner.0), gid.unwrap_or(its.owner.1));
                    its.accessed = atime.map_or(its.accessed, time);
                    its.modified = mtime.map_or(its.modified, time);
                    its.changed = SystemTime::now();
                }
            })?;
            Ok(number)
        });
        attr(done, reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let read = self.with(ino, |state, number| match &state.node(number)?.body {
            Body::Link(target) => Ok(target.as_encoded_bytes().to_vec()),
            _ => Err(Errno::EINVAL),
        });
        data(read, reply);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        const FORMAT: u32 = 0o170_000;
        const SOCKET: u32 = 0o140_000;
        let body = match mode & FORMAT {
            SOCKET => Body::Socket,
            _ => Body::File(Vec::new()),
        };
        let make = |state: &mut State, folder| state.make(req, folder, name, body, mode);
        entry(self.attr_with(parent, make), reply);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let body = Body::Folder(BTreeMap::new());
        let make = |state: &mut State, folder| state.make(req, folder, name, body, mode);
        entry(self.attr_with(parent, make), reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let body = Body::Link(target.as_os_str().to_owned());
        let make = |state: &mut State, folder| state.make(req, folder, name, body, 0o777);
        entry(self.attr_with(parent, make), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.with(parent, |state, folder| state.remove(folder, name, false));
        answer(done, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let done = self.with(parent, |state, folder| state.remove(folder, name, true));
        answer(done, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.with(parent, |state, from| {
            if parent.0 >> DISK_SHIFT != newparent.0 >> DISK_SHIFT {
                return Err(Errno::EXDEV);
            }
            let to = newparent.0 & ((1 << DISK_SHIFT) - 1);
            state.rename((from, name), (to, newname), flags)
        });
        answer(renamed, reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.with(ino, |state, _| state.alive()) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(e) => reply.error(e),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let body = Body::File(Vec::new());
        let make = |state: &mut State, folder| state.make(req, folder, name, body, mode);
        match self.attr_with(parent, make) {
            Ok(attr) => reply.created(
                &REMEMBER,
                &attr,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(e) => reply.error(e),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.with(ino, |state, number| match &state.node(number)?.body {
            Body::File(bytes) => {
                let from = usize::try_from(offset).unwrap().min(bytes.len());
                let to = (from + size as usize).min(bytes.len());
                Ok(bytes[from..to].to_vec())
            }
            _ => Err(Errno::EINVAL),
        });
        data(read, reply);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let at = usize::try_from(offset).unwrap();
        let written = self.with(ino, |state, number| {
            state.writing(|disk| disk.write(number, at, data))
        });
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap()),
            Err(e) => reply.error(e),
        }
    }

    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        answer(self.with(ino, |state, _| state.alive()), reply);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.with(ino, State::syncing), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.with(ino, State::syncing), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        // By number, which is never used twice: names come and go meanwhile.
        let listed = self.on(ino).and_then(|(power, number)| {
            let state = power.lock();
            let Body::Folder(entries) = &state.node(number)?.body else {
                return Err(Errno::ENOTDIR);
            };
            let mut listed = Vec::new();
            for (name, number) in entries.iter().filter(|(_, number)| **number > offset) {
                let attr = state.attributes(power.disk, *number)?;
                listed.push((*number, attr.ino, attr.kind, name.clone()));
            }
            listed.sort_unstable_by_key(|(number, ..)| *number);
            Ok(listed)
        });
        match listed {
            Ok(listed) => {
                for (number, ino, kind, name) in listed {
                    // Full: the kernel asks again from here.
                    if reply.add(ino, number, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(e) => reply.error(e),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCK_BYTES,
            255,
            BLOCK_BYTES,
        );
    }
}
