//! A drive that hangs, for real: a FUSE file system whose server never answers.
//!
//! It is mounted over a folder; everything that touches the folder then waits
//! until it is unmounted, as on a network drive whose server is gone.

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

const NEEDS: &str =
    "the tests of a drive that hangs need /dev/fuse and the right to mount (run them as root)";

pub struct DeadDrive {
    at: PathBuf,
    /// While this is open and unread, requests wait.
    server: Option<File>,
}

impl DeadDrive {
    /// From now on everything below `folder` hangs. Where this account may not
    /// mount, the test fails and says so: it must not pass by being skipped.
    pub fn over(folder: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let server = device.unwrap_or_else(|error| panic!("{NEEDS}: /dev/fuse: {error}"));
        let options = CString::new(format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            server.as_raw_fd()
        ))
        .unwrap();
        mount(
            "dead",
            folder,
            "fuse",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap_or_else(|error| panic!("{NEEDS}: mount: {error}"));
        Self {
            at: folder.to_owned(),
            server: Some(server),
        }
    }

    /// The drive is back: what waits fails, and the folder is as it was.
    pub fn comes_back(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            // Unmounted first, so that nobody who asks again finds it dead.
            let unmounted = unmount(&self.at, UnmountFlags::DETACH);
            drop(server);
            unmounted.unwrap();
        }
    }
}

impl Drop for DeadDrive {
    fn drop(&mut self) {
        self.end();
    }
}
