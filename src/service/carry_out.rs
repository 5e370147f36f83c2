//! Does the steps of a plan. What is done already is left alone, so that a plan can be carried
//! out again at any time, also after one that broke off.

use super::external;
use super::step::{Call, Owner, Step};
use super::windows;
use crate::files::{Identity, MARKER_FILE_NAME, Marker, create_marker, give_marker, read_marker};
use crate::os;
use crate::os::WindowsService;
use crate::types::{Fatal, Fault, chain};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The numbers of an account and of its group.
type Ids = (u32, u32);

/// The steps that are still to be done, by what can be seen now.
///
/// # Errors
/// An account cannot be asked for.
pub async fn pending(steps: &[Step]) -> Result<Vec<Step>, Fatal> {
    let mut pending = Vec::new();
    // A Windows service is registered last, and what stands before it goes with it.
    let mut is_changed = is_register_pending(steps);
    for step in steps {
        if is_done(step, is_changed).await? {
            continue;
        }
        is_changed |= is_change(step);
        pending.push(step.clone());
    }
    Ok(pending)
}

fn is_change(step: &Step) -> bool {
    matches!(
        step,
        Step::Write { .. } | Step::Remove { .. } | Step::Unregister { .. }
    )
}

fn is_register_pending(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Register { service } => !is_registered(service),
        _ => false,
    })
}

fn is_registered(service: &WindowsService) -> bool {
    let found = os::find_service(&service.name).ok().flatten();
    windows::is_same(service, found.as_ref())
}

/// Do the steps that [`pending`] has given. What could not be done and need not keep the
/// service from running is given to `warn`; `password` is that of the account of a Windows
/// service, which Windows keeps.
///
/// # Errors
/// A step failed; those before it are done.
pub async fn carry_out(
    steps: &[Step],
    password: Option<&str>,
    mut warn: impl FnMut(String),
) -> Result<(), Fatal> {
    for step in steps {
        match step {
            Step::MakeAccount { call, .. } => drop(external::run(call).await?),
            Step::Run { call, may_fail, .. } => match external::run(call).await {
                Err(fatal) if !may_fail => return Err(fatal),
                _ => {}
            },
            Step::MakeFolder {
                path, mode, owner, ..
            } => make_folder(path, *mode, owner.as_ref()).await?,
            Step::Give { path, mode, owner } => {
                let ids = ids(owner).await?;
                give(path, *mode, ids).map_err(|error| failed("give away", path, &error))?;
            }
            Step::MakeMarker { folder, owner } => {
                let ids = ids(owner).await?;
                if let Err(fault) = make_marker(folder, ids) {
                    warn(format!(
                        "{fault}\n  what to do: the folder is backed up all the same, and scanned often; give this command again when that is put right"
                    ));
                }
            }
            Step::Write {
                path,
                content,
                mode,
            } => write(path, content, *mode).map_err(|error| failed("write", path, &error))?,
            Step::Register { service } => os::register_service(service, password)
                .map_err(|error| refused("register", &service.name, &error))?,
            Step::Unregister { name } => {
                os::remove_service(name).map_err(|error| refused("remove", name, &error))?;
            }
            Step::Remove { path } => {
                fs::remove_file(path).map_err(|error| failed("remove", path, &error))?;
            }
        }
    }
    Ok(())
}

/// What the service manager of Windows says.
pub(super) fn refused(operation: &str, name: &str, error: &io::Error) -> Fatal {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "give the same command in a terminal that was opened with \"Run as administrator\""
        }
        _ => "look at the service in `services.msc`, and give the same command again",
    };
    Fatal::new(
        format!("{operation} the service {name}"),
        chain(error),
        hint,
    )
}

fn failed(operation: &str, path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("{operation} {}", path.display()),
        chain(error),
        "put that right (rights, a full or read-only disk) and give the same command again",
    )
}

async fn is_done(step: &Step, is_changed: bool) -> Result<bool, Fatal> {
    Ok(match step {
        Step::MakeAccount { name, .. } => account(name).await?.is_some(),
        Step::MakeFolder {
            path,
            mode,
            owner,
            only_new,
        } => path.is_dir() && (*only_new || is_as(path, *mode, owner.as_ref()).await?),
        Step::Give { path, mode, owner } => {
            !path.exists() || is_as(path, *mode, Some(owner)).await?
        }
        Step::MakeMarker { folder, owner } => {
            let marker = folder.join(MARKER_FILE_NAME);
            match read_marker(folder) {
                Ok(Marker::Present(_)) => is_as(&marker, 0o600, Some(owner)).await?,
                Ok(Marker::Absent) => false,
                // Not ours, or not to be seen: the service says what that means.
                Ok(Marker::Foreign) | Err(_) => true,
            }
        }
        Step::Write {
            path,
            content,
            mode,
        } => {
            let is_same = fs::read_to_string(path).is_ok_and(|text| text == *content);
            is_same && is_as(path, *mode, None).await?
        }
        Step::Register { service } => is_registered(service),
        Step::Unregister { name } => matches!(os::find_service(name), Ok(None)),
        Step::Remove { path } => path.symlink_metadata().is_err(),
        Step::Run { after_change, .. } => *after_change && !is_changed,
    })
}

/// It has these rights; where files have no such rights, always.
async fn is_as(path: &Path, mode: u32, owner: Option<&Owner>) -> Result<bool, Fatal> {
    if !os::HAS_MODES {
        return Ok(true);
    }
    let Ok(seen) = os::fingerprint_at(path) else {
        return Ok(false);
    };
    if seen.mode != mode {
        return Ok(false);
    }
    let Some(owner) = owner else {
        return Ok(true);
    };
    let (user, group) = (account(&owner.user).await?, account(&owner.group).await?);
    Ok(match (user, group) {
        (Some((user, _)), Some((_, group))) => seen.owner == Some((user, group)),
        // It is made by an earlier step.
        _ => false,
    })
}

/// An account's numbers; `None` where there is no such account.
async fn account(name: &str) -> Result<Option<Ids>, Fatal> {
    let mut numbers = [0; 2];
    for (number, flag) in numbers.iter_mut().zip(["-u", "-g"]) {
        let said = external::ask(&Call::new("id", [flag, name])).await?;
        match said.out.trim().parse() {
            Ok(id) if said.code == Some(0) => *number = id,
            _ => return Ok(None),
        }
    }
    Ok(Some((numbers[0], numbers[1])))
}

async fn ids(owner: &Owner) -> Result<Ids, Fatal> {
    let no_account = |name: &str| {
        Fatal::usage(
            format!("have the service run as {name}"),
            "there is no such account",
            "name one that is there after --account, or leave it out: the service gets one of its own",
        )
    };
    let (user, _) = account(&owner.user)
        .await?
        .ok_or_else(|| no_account(&owner.user))?;
    let (_, group) = account(&owner.group)
        .await?
        .ok_or_else(|| no_account(&owner.group))?;
    Ok((user, group))
}

async fn make_folder(path: &Path, mode: u32, owner: Option<&Owner>) -> Result<(), Fatal> {
    let was_there = path.is_dir();
    if !was_there {
        let make = || {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            os::create_private_dir_all(path)
        };
        make().map_err(|error| failed("make the folder", path, &error))?;
    }
    let Some(owner) = owner else { return Ok(()) };
    let ids = ids(owner).await?;
    if was_there {
        // What Keepwatch has made as another account would be out of its reach.
        let whose = format!("{}:{}", owner.user, owner.group);
        let path = path.display().to_string();
        external::run(&Call::new("chown", ["-R", "-h", &whose, &path])).await?;
    }
    give(path, mode, ids).map_err(|error| failed("give away", path, &error))
}

/// Blocks for a moment.
fn give(path: &Path, mode: u32, ids: Ids) -> io::Result<()> {
    let file = File::open(path)?;
    os::set_owner(&file, ids)?;
    os::set_mode(&file, mode)
}

fn make_marker(folder: &Path, ids: Ids) -> Result<(), Fault> {
    let marker = match read_marker(folder)? {
        Marker::Absent => create_marker(folder, &Identity::random())?,
        there => there,
    };
    let Marker::Present(_) = marker else {
        return Ok(());
    };
    give_marker(folder, ids)
}

/// Whole or not at all.
fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let mut file = File::create(&beside)?;
    file.write_all(content.as_bytes())?;
    os::set_mode(&file, mode)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)
}
