//! Restores a companion file (`types::companion`) in the state that matches its main file.
//!
//! A database and its journal are two objects, stored one after the other. At a given moment
//! the bucket may have one of them from before it and the other from after it. Each journal
//! records the content of its database at the time it was read. Invariants: such a journal
//! comes back beside exactly that content, or not at all; of those that match, the newest is
//! taken, and none from after the moment; a journal that was left out or exchanged is named.
//! A file that records no such content is a file of its own.

use super::current::current_of;
use super::head::{head, with_head};
use super::pages::Pages;
use crate::history::timeline::chosen::{Chosen, Name};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Bond, Class, Fault, ObjectMeta, Origin, RelKey, RelPath, WallMs, companion};

/// Older versions of a journal that are asked which content they go with, each by a
/// request. The journal of a database that is checkpointed less often is left out, and
/// that is reported.
const ASKED_MAX: usize = 200;

/// What comes back of a companion.
#[derive(Debug)]
pub(crate) struct Belonging {
    /// The version that goes with the file; `None` when none does.
    pub(crate) chosen: Option<Chosen>,
    /// What to report about it.
    pub(crate) remark: Option<Fault>,
}

impl Belonging {
    fn itself(chosen: Chosen) -> Self {
        Self {
            chosen: Some(chosen),
            remark: None,
        }
    }
}

/// The main file of this path, if its name says that it is a companion.
pub(crate) fn main_of(name: &Name) -> Option<RelPath> {
    let Name::Path(key) = name else {
        return None;
    };
    if key.is_folder() {
        return None;
    }
    let (main, bond) = companion::main_of(&key.path())?;
    (bond != Bond::Lock).then_some(main)
}

/// The version of a companion that goes with its main file at the moment. `chosen` is the
/// companion's own version at the moment.
///
/// # Errors
/// The bucket does not answer, or there are too many versions.
pub(crate) async fn belonging(
    store: &Store,
    origin: &Origin,
    chosen: Chosen,
    at_ms: Option<WallMs>,
    stop: &mut Stop,
) -> Result<Belonging, Fault> {
    let Some(main) = main_of(&chosen.name) else {
        return Ok(Belonging::itself(chosen));
    };
    let own = meta_of(store, origin, &chosen, stop).await?;
    if own.as_ref().is_none_or(|own| own.beside.is_none()) {
        return Ok(Belonging::itself(chosen));
    }
    let key = RelKey::of_file(&main);
    let Some(of_main) = current_of(store, origin, &key, at_ms, stop).await? else {
        return Ok(left_out(
            &chosen,
            &main,
            "which is not there at that moment",
        ));
    };
    let Some(of_main) = meta_of(store, origin, &of_main, stop).await? else {
        // Another program's: nobody knows what it goes with.
        return Ok(Belonging::itself(chosen));
    };
    if own.is_some_and(|own| own.belongs_to(&of_main) == Some(true)) {
        return Ok(Belonging::itself(chosen));
    }
    match older(store, origin, &chosen, &of_main, stop).await? {
        Some(older) => {
            let remark = remark(
                &chosen,
                format!(
                    "the moment has it with another state of {main}: the version that goes with this one is taken"
                ),
            );
            Ok(Belonging {
                chosen: Some(older),
                remark: Some(remark),
            })
        }
        None => Ok(left_out(&chosen, &main, "as it is at that moment")),
    }
}

fn left_out(chosen: &Chosen, main: &RelPath, how: &str) -> Belonging {
    let cause = format!("it does not belong to {main} {how}: it is left out");
    Belonging {
        chosen: None,
        remark: Some(remark(chosen, cause)),
    }
}

fn remark(chosen: &Chosen, cause: String) -> Fault {
    Fault::new(Class::Changed, "join", chosen.subject(), cause)
        .hint("nothing needs to be done: the file is as the program had it, without what it did not belong to")
}

/// The object's metadata; `None` when it is not ours.
async fn meta_of(
    store: &Store,
    origin: &Origin,
    chosen: &Chosen,
    stop: &mut Stop,
) -> Result<Option<ObjectMeta>, Fault> {
    let head = head(store, origin, chosen, stop).await?;
    Ok(head.and_then(|head| head.meta.ok()))
}

/// The newest version before `chosen` that goes with the file. A deletion ends the search:
/// after it the file had no companion.
async fn older(
    store: &Store,
    origin: &Origin,
    chosen: &Chosen,
    main: &ObjectMeta,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let mut pages = Pages::new(store, &origin.bucket, vec![chosen.key.clone()]);
    let (mut is_older, mut asked) = (false, 0);
    while let Some(page) = pages.next(stop).await? {
        for version in page {
            if version.key != chosen.key {
                return Ok(None);
            }
            if !is_older {
                is_older = version.version_id == chosen.version_id;
                continue;
            }
            if version.is_marker {
                return Ok(None);
            }
            if asked == ASKED_MAX {
                return Err(too_many(chosen));
            }
            asked += 1;
            let looked = with_head(store, origin, version, stop.clone()).await;
            let (version, head) = looked.map_err(|fault| fault.about(chosen.subject()))?;
            let belongs = head
                .and_then(|head| head.meta.ok())
                .and_then(|meta| meta.belongs_to(main));
            if belongs == Some(true) {
                return Ok(Some(Chosen::of(version, chosen.name.clone())));
            }
        }
    }
    Ok(None)
}

fn too_many(chosen: &Chosen) -> Fault {
    Fault::new(
        Class::Damaged,
        "restore",
        chosen.subject(),
        format!("none of its {ASKED_MAX} versions before that moment goes with the file that it belongs to"),
    )
    .hint("give another --at, and look at what comes back before you use it")
}
