//! The process dies at every single step of every operation; what is found
//! afterwards is the old state or the new one, whole, with all history.

use super::complete::Named;
use super::disk::Disk;
use super::disk_faults::Cut;
use super::inner::{Bucket, Inner, Versioning};
use super::layout::HIDDEN;
use super::list::{Item, Query};
use super::multipart::Upload;
use super::precondition::Precondition;
use super::record::{Object, Sums, Version};
use super::stage::{Stager, Wanted};
use s3s::S3Result;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

pub(super) const BUCKET: &str = "office";

/// A disk that does not wait for the platter.
fn lazy(cut: &Cut) -> Disk {
    Disk {
        cut: cut.clone(),
        is_lazy: true,
        ..Disk::default()
    }
}

/// A vault that does not wait for the platter.
pub(super) fn open(folder: &Path) -> (Arc<Inner>, Cut) {
    let cut = Cut::default();
    let disk = lazy(&cut);
    (Inner::open(folder, disk).unwrap(), cut)
}

pub(super) fn stage(vault: &Arc<Inner>, content: &[u8]) -> S3Result<super::stage::Staged> {
    let mut stager = Stager::new(vault, &Wanted::default())?;
    stager.write(content)?;
    Ok(stager.finish()?.0)
}

pub(super) fn put(vault: &Arc<Inner>, key: &str, content: &str) -> S3Result<Version> {
    let staged = stage(vault, content.as_bytes())?;
    let object = Object {
        etag: staged.md5.clone(),
        ..Object::default()
    };
    vault.put(BUCKET, key, staged, object, &Precondition::default())
}

pub(super) fn get(vault: &Inner, key: &str, id: Option<&str>) -> S3Result<String> {
    let (_, _, mut file) = vault.open_version(BUCKET, key, id)?;
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    Ok(text)
}

pub(super) fn set(vault: &Inner, versioning: Versioning) {
    vault
        .write_bucket(
            BUCKET,
            &Bucket {
                created_ms: 0,
                versioning,
            },
        )
        .unwrap();
}

/// Every version of every key, newest first: its content, or `None` for a marker.
pub(super) type History = Vec<(String, Option<String>)>;

pub(super) fn history(vault: &Inner) -> History {
    let query = Query {
        max: 1000,
        ..Query::default()
    };
    let page = vault.list_versions(BUCKET, &query).unwrap();
    let mut latest = Vec::new();
    let items = page.items.into_iter().map(|item| match item {
        Item::Prefix(prefix) => panic!("no delimiter was given, but {prefix}"),
        Item::Entry(listed) => {
            assert_eq!(listed.is_latest, !latest.contains(&listed.key));
            latest.push(listed.key.clone());
            let content = listed
                .version
                .object
                .as_ref()
                .map(|_| get(vault, &listed.key, Some(&listed.version.id)).unwrap());
            (listed.key, content)
        }
    });
    items.collect()
}

pub(super) fn files_beneath(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files_beneath(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// The plain tree shows the newest versions and nothing else; no body is left over.
fn check_files(vault: &Inner, root: &Path, history: &History, when: &str) {
    let mut newest: History = Vec::new();
    for (key, content) in history {
        if !newest.iter().any(|(known, _)| known == key) {
            newest.push((key.clone(), content.clone()));
        }
    }
    // Of two names that cannot live side by side, one is hidden; so is a name
    // that no disk can carry.
    let is_hidden = |key: &str| {
        vault.layout.plain(BUCKET, key).is_none()
            || newest.iter().any(|(other, content)| {
                content.is_some()
                    && (other.starts_with(&format!("{key}/"))
                        || key.starts_with(&format!("{other}/")))
            })
    };
    let mut plain = 0;
    for (key, content) in &newest {
        let path = root.join(BUCKET).join(key);
        let shown = std::fs::read_to_string(&path).ok();
        match content {
            Some(content) if is_hidden(key) && shown.is_none() => assert!(!content.is_empty()),
            content => {
                let shown = shown.filter(|_| vault.layout.plain(BUCKET, key).is_some());
                assert_eq!(&shown, content, "{when}: {key}");
                plain += usize::from(shown.is_some());
            }
        }
    }
    assert_eq!(files_beneath(&root.join(BUCKET)).len(), plain, "{when}");
    let bodies = history
        .iter()
        .filter(|(_, content)| content.is_some())
        .count();
    let hidden = files_beneath(&vault.layout.bucket(BUCKET).join("bodies")).len();
    assert_eq!(hidden, bodies - plain, "{when}: bodies left over or lost");
    assert_eq!(files_beneath(&vault.layout.tmp()).len(), 0, "{when}: tmp");
}

pub(super) type Operation = fn(&Arc<Inner>) -> S3Result<()>;

/// How often recovery dies before it is let through.
const RECOVERY_DEATHS: i64 = 6;

/// Let `operation` die after each number of steps, beginning from `prelude`.
fn die_everywhere(name: &str, versioning: Versioning, prelude: Operation, operation: Operation) {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let (vault, _) = open(folder.path());
        vault.ensure_bucket(BUCKET).unwrap();
        set(&vault, versioning);
        prelude(&vault).unwrap();
        let before = history(&vault);
        operation(&vault).unwrap();
        (before, history(&vault))
    };
    assert_ne!(whole.0, whole.1, "{name} changes nothing");
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (vault, cut) = open(folder.path());
        vault.ensure_bucket(BUCKET).unwrap();
        set(&vault, versioning);
        prelude(&vault).unwrap();
        cut.after(steps);
        let done = operation(&vault);
        let was_cut = cut.step().is_err();
        // Readers of this process still see one state or the other.
        let when = format!("{name}, cut after {steps}");
        let seen = history(&vault);
        assert!(seen == whole.0 || seen == whole.1, "{when}: {seen:?}");
        drop(vault);
        // Recovery dies too, again and again, each time a step later.
        for recovery_steps in 0..RECOVERY_DEATHS {
            let cut = Cut::default();
            cut.after(recovery_steps);
            let _ = Inner::open(folder.path(), lazy(&cut));
        }
        let (vault, _) = open(folder.path());
        let found = history(&vault);
        assert!(found == whole.0 || found == whole.1, "{when}: {found:?}");
        if done.is_ok() {
            assert_eq!(found, whole.1, "{when}: it was acknowledged");
        }
        check_files(&vault, folder.path(), &found, &when);
        // Life goes on.
        put(&vault, "k", "later").unwrap();
        assert_eq!(get(&vault, "k", None).unwrap(), "later", "{when}");
        check_files(&vault, folder.path(), &history(&vault), &when);
        if !was_cut {
            assert!(steps > 3, "{name} has too few steps to mean anything");
            return;
        }
    }
}

pub(super) fn two(vault: &Arc<Inner>) -> S3Result<()> {
    put(vault, "k", "one")?;
    put(vault, "k", "two!")?;
    Ok(())
}

fn newest_id(vault: &Inner, key: &str) -> String {
    vault.newest(BUCKET, key).unwrap().unwrap().id
}

#[test]
fn a_put_is_whole_or_not_at_all() {
    die_everywhere(
        "first put",
        Versioning::Enabled,
        |_| Ok(()),
        |v| put(v, "k", "new").map(drop),
    );
    die_everywhere("put on top", Versioning::Enabled, two, |v| {
        put(v, "k", "new").map(drop)
    });
    die_everywhere("put in a folder", Versioning::Enabled, two, |v| {
        put(v, "deep/er/File", "new").map(drop)
    });
    die_everywhere(
        "put on a marker",
        Versioning::Enabled,
        |v| two(v).and_then(|()| v.delete(BUCKET, "k", &Precondition::default()).map(drop)),
        |v| put(v, "k", "new").map(drop),
    );
    die_everywhere("put below a file's name", Versioning::Enabled, two, |v| {
        put(v, "k/below", "new").map(drop)
    });
    die_everywhere(
        "put of a name the disk has no place for",
        Versioning::Enabled,
        |_| Ok(()),
        |v| put(v, "../out//", "new").map(drop),
    );
}

#[test]
fn a_put_without_versioning_replaces_whole_or_not_at_all() {
    for versioning in [Versioning::Never, Versioning::Suspended] {
        die_everywhere("put", versioning, two, |v| put(v, "k", "new").map(drop));
    }
    die_everywhere(
        "put after suspending",
        Versioning::Enabled,
        |v| {
            two(v)?;
            set(v, Versioning::Suspended);
            put(v, "k", "null one").map(drop)
        },
        |v| put(v, "k", "null two").map(drop),
    );
}

#[test]
fn a_delete_is_whole_or_not_at_all() {
    let delete: Operation = |v| v.delete(BUCKET, "k", &Precondition::default()).map(drop);
    for versioning in [
        Versioning::Enabled,
        Versioning::Never,
        Versioning::Suspended,
    ] {
        die_everywhere("delete", versioning, two, delete);
    }
    die_everywhere(
        "delete in a folder",
        Versioning::Enabled,
        |v| put(v, "deep/er/k", "x").map(drop),
        |v| {
            v.delete(BUCKET, "deep/er/k", &Precondition::default())
                .map(drop)
        },
    );
}

#[test]
fn removing_a_version_is_whole_or_not_at_all() {
    let newest: Operation = |v| v.remove_version(BUCKET, "k", &newest_id(v, "k")).map(drop);
    die_everywhere("remove the newest", Versioning::Enabled, two, newest);
    die_everywhere(
        "remove the only one",
        Versioning::Enabled,
        |v| put(v, "k", "x").map(drop),
        newest,
    );
    die_everywhere(
        "remove a marker",
        Versioning::Enabled,
        |v| two(v).and_then(|()| v.delete(BUCKET, "k", &Precondition::default()).map(drop)),
        newest,
    );
    die_everywhere("remove the oldest", Versioning::Enabled, two, |v| {
        let all = v.list_versions(
            BUCKET,
            &Query {
                max: 10,
                ..Query::default()
            },
        )?;
        match all.items.last() {
            Some(Item::Entry(oldest)) => {
                v.remove_version(BUCKET, "k", &oldest.version.id).map(drop)
            }
            other => panic!("{other:?}"),
        }
    });
}

/// Nothing but their times tells such bodies apart.
#[test]
fn removing_and_replacing_equal_bodies_is_whole_or_not_at_all() {
    let twins: Operation = |v| {
        for _ in 0..3 {
            put(v, "k", "same")?;
        }
        Ok(())
    };
    die_everywhere("put it again", Versioning::Enabled, twins, |v| {
        put(v, "k", "same").map(drop)
    });
    let removals: [(&str, Operation); 3] = [
        ("remove the newest twin", |v| remove_nth(v, 0)),
        ("remove the middle twin", |v| remove_nth(v, 1)),
        ("remove the oldest twin", |v| remove_nth(v, 2)),
    ];
    for (name, operation) in removals {
        die_everywhere(name, Versioning::Enabled, twins, operation);
    }
    die_everywhere(
        "replace the null twin",
        Versioning::Enabled,
        |v| {
            put(v, "k", "same")?;
            set(v, Versioning::Suspended);
            put(v, "k", "same")?;
            v.delete(BUCKET, "k", &Precondition::default()).map(drop)
        },
        |v| put(v, "k", "same").map(drop),
    );
}

/// Remove the version with so many newer ones.
fn remove_nth(vault: &Inner, newer: usize) -> S3Result<()> {
    let query = Query {
        max: 10,
        ..Query::default()
    };
    match vault.list_versions(BUCKET, &query)?.items.get(newer) {
        Some(Item::Entry(of)) => vault.remove_version(BUCKET, "k", &of.version.id).map(drop),
        other => panic!("{other:?}"),
    }
}

/// The one upload under way, or a new one.
pub(super) fn upload(vault: &Inner) -> S3Result<Upload> {
    if let Some(upload) = vault.uploads(BUCKET)?.pop() {
        return Ok(upload);
    }
    let mut upload = Upload {
        id: String::new(),
        key: "k".to_owned(),
        initiated_ms: 0,
        headers: Default::default(),
        metadata: Default::default(),
        checksum: None,
        is_full_checksum: false,
    };
    upload.id = vault.begin_upload(BUCKET, &upload)?;
    Ok(upload)
}

#[test]
fn completing_an_upload_is_whole_or_not_at_all() {
    die_everywhere(
        "complete",
        Versioning::Enabled,
        |v| {
            two(v)?;
            let upload = upload(v)?;
            let staged = stage(v, b"the part")?;
            v.put_part(BUCKET, &upload, 1, staged, Sums::default())
                .map(drop)
        },
        |v| {
            let upload = upload(v)?;
            let parts = v.parts(BUCKET, &upload.id)?;
            let named: Vec<Named> = parts
                .values()
                .map(|part| Named {
                    number: part.number,
                    etag: part.md5.clone(),
                    sums: Sums::default(),
                })
                .collect();
            v.complete_upload(
                BUCKET,
                &upload,
                &named,
                &Wanted::default(),
                &Precondition::default(),
            )
            .map(drop)
        },
    );
}

#[test]
fn making_a_vault_can_be_cut_anywhere() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let cut = Cut::default();
        cut.after(steps);
        let disk = lazy(&cut);
        let made = Inner::open(folder.path(), disk).and_then(|v| v.ensure_bucket(BUCKET));
        let (vault, _) = open(folder.path());
        vault.ensure_bucket(BUCKET).unwrap();
        put(&vault, "k", "x").unwrap();
        assert_eq!(get(&vault, "k", None).unwrap(), "x", "cut after {steps}");
        assert!(folder.path().join(HIDDEN).join("README.txt").exists());
        if made.is_ok() {
            return;
        }
    }
}
