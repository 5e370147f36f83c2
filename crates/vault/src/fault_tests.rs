//! A disk that fails while it is synced: what can still be read, what is refused.

use super::crash_tests::{BUCKET, Operation, get, history, open, put, two, upload};
use super::disk::Disk;
use super::disk_faults::SyncFault;
use super::failure;
use super::inner::Inner;
use super::layout::HIDDEN;
use super::precondition::Precondition;
use std::io;

fn faulty() -> (Disk, SyncFault) {
    let fault = SyncFault::default();
    let disk = Disk {
        sync_dir_fails: fault.clone(),
        ..Disk::default()
    };
    (disk, fault)
}

/// What a medium that cannot be written says: EIO where that has a number of
/// its own, and the kinds that every system has.
const REFUSALS: [fn() -> io::Error; 4] = [
    || io::ErrorKind::ReadOnlyFilesystem.into(),
    || io::ErrorKind::StorageFull.into(),
    || io::ErrorKind::StaleNetworkFileHandle.into(),
    #[cfg(unix)]
    || io::Error::from_raw_os_error(5),
    #[cfg(windows)]
    || io::Error::from_raw_os_error(1117),
];

#[test]
fn a_vault_whose_disk_fails_to_sync_is_read_and_changed_again_when_it_is_well() {
    for refusal in REFUSALS {
        let name = refusal().to_string();
        let folder = tempfile::tempdir().unwrap();
        let (vault, _) = open(folder.path());
        vault.ensure_bucket(BUCKET).unwrap();
        put(&vault, "f", "one").unwrap();
        drop(vault);

        let (disk, fault) = faulty();
        fault.set(Some(refusal));
        let vault = Inner::open(folder.path(), disk).unwrap();
        assert!(vault.unsettled().is_some(), "{name}");
        assert_eq!(get(&vault, "f", None).unwrap(), "one", "{name}");
        let said = put(&vault, "f", "two").unwrap_err();
        assert!(failure::is_for_want_of_writing(&said), "{name}: {said}");
        // Who is going to write must not go by what may be lost with the power.
        vault.ensure_bucket(BUCKET).unwrap_err();
        assert_eq!(get(&vault, "f", None).unwrap(), "one", "{name}");

        fault.set(None);
        put(&vault, "f", "two").unwrap();
        assert_eq!(vault.unsettled(), None, "{name}");
        vault.ensure_bucket(BUCKET).unwrap();
        assert_eq!(get(&vault, "f", None).unwrap(), "two", "{name}");
    }
}

#[test]
fn a_vault_that_cannot_be_recovered_for_another_reason_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let (disk, fault) = faulty();
    fault.set(Some(|| io::Error::other("not a failing disk")));
    Inner::open(folder.path(), disk).unwrap_err();
}

#[test]
fn a_folder_whose_parent_was_not_synced_is_made_and_synced_again() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, fault) = faulty();
    let made = folder.path().join("a");
    fault.set(Some(REFUSALS[0]));
    disk.make_dirs(&made).unwrap_err();
    assert!(!made.exists(), "the next call would take it for synced");
    fault.set(None);
    disk.make_dirs(&made).unwrap();
    assert_eq!(fault.asked(), [folder.path()]);
    assert!(made.is_dir());
}

#[test]
fn a_mount_that_cannot_sync_folders_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, fault) = faulty();
    let cannot: &[fn() -> io::Error] = &[
        || io::ErrorKind::InvalidInput.into(),
        || io::ErrorKind::Unsupported.into(),
        || io::ErrorKind::PermissionDenied.into(),
        // EBADF.
        #[cfg(unix)]
        || io::Error::from_raw_os_error(9),
    ];
    for error in cannot {
        fault.set(Some(*error));
        disk.sync_dir(folder.path()).unwrap();
    }
    for error in REFUSALS {
        fault.set(Some(error));
        disk.sync_dir(folder.path()).unwrap_err();
    }
}

/// Named after the bug: a request that was under way when the vault's disk went away
/// began a new vault where it had been mounted, and a deletion was acknowledged there.
#[test]
fn a_disk_that_goes_away_under_a_request_leaves_no_new_vault_behind() {
    let operations: [(&str, Operation); 5] = [
        ("put", |v| put(v, "k", "new").map(drop)),
        ("put in a folder", |v| put(v, "deep/er/k", "new").map(drop)),
        ("delete", |v| {
            v.delete(BUCKET, "k", &Precondition::default()).map(drop)
        }),
        ("begin an upload", |v| upload(v).map(drop)),
        ("make a bucket", |v| v.ensure_bucket("another").map(drop)),
    ];
    for (name, operation) in operations {
        for is_mount_point in [false, true] {
            for steps in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let (place, away) = (folder.path().join("v"), folder.path().join("away"));
                let (vault, cut) = open(&place);
                vault.ensure_bucket(BUCKET).unwrap();
                two(&vault).unwrap();
                let before = history(&vault);
                let (from, to) = (place.clone(), away.clone());
                cut.happens(steps, move || {
                    std::fs::rename(&from, &to).unwrap();
                    if is_mount_point {
                        std::fs::create_dir(&from).unwrap();
                    }
                });
                let done = operation(&vault);
                if !cut.has_happened() {
                    assert!(steps > 2, "{name} has too few steps to mean anything");
                    break;
                }
                let when = format!("{name}, gone after {steps} steps");
                assert_eq!(place.exists(), is_mount_point, "{when}");
                assert!(!place.join(HIDDEN).exists(), "{when}");
                drop(vault);
                // What was acknowledged is there when the disk is back.
                let (vault, _) = open(&away);
                let found = history(&vault);
                let is_change = found != before
                    || !vault.uploads(BUCKET).unwrap().is_empty()
                    || vault.find_bucket("another").unwrap().is_some();
                assert!(done.is_err() || is_change, "{when}: acknowledged");
            }
        }
    }
}

/// Named after the bug: of keys of one folder that were deleted at once, one was told
/// as "its file could not be put in its plain place".
#[test]
fn a_folder_that_another_deletion_took_away_needs_no_sync() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, fault) = faulty();
    disk.sync_dir_if_there(folder.path()).unwrap();
    fault.set(Some(REFUSALS[0]));
    disk.sync_dir_if_there(folder.path()).unwrap_err();
    fault.set(None);
    let gone = folder.path().join("gone");
    disk.sync_dir_if_there(&gone).unwrap();
    disk.sync_dir(&gone).unwrap_err();
}
