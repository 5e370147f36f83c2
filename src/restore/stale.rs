//! What stands in the target beside a file that comes back, and belongs to what the
//! file was before.
//!
//! The journal of today's database would be played back over the one that is restored
//! (`types::companion`). Invariants: it is given another name, never removed, right
//! before the file gets its new content; what comes back itself is left to its own
//! turn.

use super::request::Pass;
use super::shop::Shop;
use crate::history::{Chosen, Name, belonging, current_of};
use crate::os::blocking::blocking_on;
use crate::types::{Bond, Class, Fault, Kind, RelKey, RelPath, companion, kept_name};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Per file that comes back what is to get another name.
#[derive(Debug, Default)]
pub(crate) struct Stale(Mutex<HashMap<RelPath, Vec<RelPath>>>);

impl Stale {
    fn put(&self, main: RelPath, companions: Vec<RelPath>) {
        let mut all = self.0.lock();
        all.insert(main, companions);
    }

    fn take(&self, main: &RelPath) -> Vec<RelPath> {
        let mut all = self.0.lock();
        all.remove(main).unwrap_or_default()
    }
}

/// See what stands beside the file that is about to be brought, and does not come back
/// itself.
pub(crate) async fn look(shop: &Arc<Shop>, chosen: &Chosen, pass: Pass) -> Result<(), Fault> {
    let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
        return Ok(());
    };
    if shop.is_fresh || pass != Pass::Files || key.is_folder() {
        return Ok(());
    }
    let main = key.path();
    let there = {
        let (shop, main) = (shop.clone(), main.clone());
        blocking(&main.clone(), move || there(&shop, &main)).await?
    };
    let mut stop = shop.stop.clone();
    let mut stale = Vec::new();
    for path in there {
        let key = RelKey::of_file(&path);
        let (store, origin, at_ms) = (&shop.store, &shop.origin, shop.at_ms);
        let comes = match current_of(store, origin, &key, at_ms, &mut stop).await? {
            None => false,
            Some(current) => belonging(store, origin, current, at_ms, &mut stop)
                .await?
                .chosen
                .is_some(),
        };
        if !comes {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        shop.stale.put(main, stale);
    }
    Ok(())
}

fn there(shop: &Shop, main: &RelPath) -> Result<Vec<RelPath>, Fault> {
    let mut there = Vec::new();
    for (path, bond) in companion::companions_of(main) {
        if bond == Bond::Lock {
            continue;
        }
        let found = match shop.target.existing(&path) {
            // The disk cannot hold such a name, so nothing has it.
            Err(fault) if fault.class == Class::Unstorable => None,
            found => found?,
        };
        if found.is_some_and(|found| found.kind == Kind::File) {
            there.push(path);
        }
    }
    Ok(there)
}

/// The file is the one that was asked for, also where nothing had to be written.
pub(crate) async fn finish(shop: &Arc<Shop>, chosen: &Chosen) -> Result<(), Fault> {
    let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
        return Ok(());
    };
    let (main, desk) = (key.path(), shop.clone());
    if !shop.options.overwrite {
        // What was left as it is keeps what belongs to it.
        shop.stale.take(&main);
        return Ok(());
    }
    blocking(&key.path(), move || set_aside(&desk, &main)).await
}

/// Right before the file gets its content: give what belongs to the old one another
/// name. Blocks.
pub(crate) fn set_aside(shop: &Shop, main: &RelPath) -> Result<(), Fault> {
    let stale = shop.stale.take(main);
    if stale.is_empty() || (!shop.options.overwrite && shop.target.existing(main)?.is_some()) {
        return Ok(());
    }
    stale.iter().try_for_each(|path| move_away(shop, path))
}

fn move_away(shop: &Shop, path: &RelPath) -> Result<(), Fault> {
    let label = match &shop.options.in_place {
        Some(now) => now.strftime("before restore %Y-%m-%d %H-%M").to_string(),
        None => "before restore".to_owned(),
    };
    for number in 1..=kept_name::NUMBERS_MAX {
        let Some(beside) = kept_name::beside(path, &label, number) else {
            break;
        };
        if shop.target.move_beside(path, &beside)? {
            shop.tally
                .note(|all| all.kept_beside.push(beside.to_string()));
            return Ok(());
        }
    }
    Err(Fault::new(
        Class::Local,
        "give another name to",
        path.to_string(),
        "it belongs to what the file beside it was before, and no free name was found",
    )
    .hint("move it away and run the restore again"))
}

async fn blocking<T: Send + 'static>(
    path: &RelPath,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("restore", path.to_string(), work).await
}
