//! How a path's turn begins: disk, index and, of a small file, its content, all looked
//! at by one thread, since each change of thread costs more than the reading.

use super::executor::Executor;
use crate::backup::item::Item;
use crate::backup::plan::Facts;
use crate::backup::read::{Early, Slot, read_early};
use crate::backup::snapshot::{PathSnapshot, snapshot};
use crate::files::Pulse;
use crate::types::{Fault, Fingerprint, Kind, Record};

/// What is known of a path when its turn begins.
pub(crate) struct Beginning {
    pub(crate) snapshot: PathSnapshot,
    /// The file or link, if it is stored by itself. The facts have its record.
    pub(crate) alone: Option<Alone>,
}

/// A file or link that is stored by itself.
pub(crate) struct Alone {
    /// What is known of it, with what was asked by now.
    pub(crate) facts: Facts<'static>,
    /// Its content, if it was read by now.
    pub(crate) early: Option<Early>,
}

impl Alone {
    /// Nothing was asked yet; `record` is what the index says of it.
    pub(crate) fn unasked(seen: Fingerprint, record: Option<Record>) -> Self {
        let facts = Facts {
            disk: Some(seen),
            record,
            ..Facts::default()
        };
        Self { facts, early: None }
    }
}

/// Look at the path.
pub(crate) async fn begin(executor: &Executor, item: &Item) -> Result<Beginning, Fault> {
    let (index, budget) = (executor.index.clone(), executor.budget.clone());
    let (clock, own) = (executor.clock.clone(), item.clone());
    let (pulse, slot) = (Pulse::default(), Slot::new());
    let (beat, filled) = (pulse.clone(), slot.clone());
    let look = move || {
        let mut snapshot = snapshot(&index, &own.source, &own.path, &beat)?;
        beat.beat();
        let mut alone = alone(&mut snapshot);
        let taken = alone.as_mut().and_then(|alone| {
            let (facts, now_ms) = (&mut alone.facts, clock.now_ms());
            read_early(&own, facts, now_ms, &budget, &filled, &beat)
        });
        Ok((snapshot, alone, taken))
    };
    let looked = item.source.watchdog.run(&pulse, look).await;
    let memory = slot.leave();
    let (snapshot, mut alone, taken) = looked?;
    if let Some(alone) = &mut alone {
        let early = memory.zip(taken);
        alone.early = early.map(|(memory, taken)| Early { memory, taken });
    }
    Ok(Beginning { snapshot, alone })
}

/// The file or link, if it is stored by itself: what belongs together is read together.
fn alone(snapshot: &mut PathSnapshot) -> Option<Alone> {
    let seen = snapshot.disk?;
    let is_alone = match seen.kind {
        Kind::File => snapshot.companions.is_empty(),
        Kind::Symlink => true,
        Kind::Folder | Kind::Special => false,
    };
    is_alone.then(|| Alone::unasked(seen, snapshot.file.take()))
}
