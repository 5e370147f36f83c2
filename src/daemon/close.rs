//! Closes everything that is open.

use super::components::Components;
use super::open;
use crate::os;
use crate::os::blocking::blocking;
use crate::pacing::keep_costs;
use crate::types::{Fatal, Fault};
use std::sync::Arc;

/// Write the index to disk. `clean` when no upload was cut off.
pub(crate) async fn close(components: &Components, clean: bool) -> Result<(), Fatal> {
    let (sources, index) = (Arc::clone(&components.sources), components.index.clone());
    let costs = blocking(move || {
        let mut sources = sources.iter();
        sources.try_for_each(|source| keep_costs(&index, source.id, &source.pacing))
    });
    if let Err(fault) = costs.await {
        tracing::warn!("{fault}");
    }
    let ended = blocking(|| {
        os::end_shadow_copies();
        Ok(())
    });
    if let Err(fault) = ended.await {
        tracing::warn!("{fault}");
    }
    let late = components.late_checks();
    let kept = blocking(move || late.keep()).await;
    let index = components.index.clone();
    let flush = async || Ok(blocking(move || index.flush()).await?);
    end_with(
        clean,
        kept,
        async || open::note_clean_stop(&components.index).await,
        flush,
    )
    .await
}

/// The index is written to disk, whatever became of the note of late requests. Without
/// the note they are owed as after a kill: everything is compared.
pub(crate) async fn end_with(
    clean: bool,
    kept: Result<(), Fault>,
    note_clean_stop: impl AsyncFnOnce() -> Result<(), Fatal>,
    flush: impl AsyncFnOnce() -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    if let Err(fault) = &kept {
        tracing::warn!("{fault}");
    }
    match clean && kept.is_ok() {
        // This writes the index to disk as well.
        true => note_clean_stop().await,
        false => flush().await,
    }
}

#[cfg(test)]
mod tests {
    use super::end_with;
    use crate::types::{Class, Fault};

    /// Named after the bug: the note could not be written, and the index was not
    /// brought to disk.
    #[tokio::test]
    async fn a_note_that_cannot_be_kept_stops_no_index_from_getting_to_disk() {
        let broken = || Err(Fault::new(Class::Local, "remember", "a note", "no room"));
        for (clean, kept, want) in [
            (true, Ok(()), "noted"),
            (false, Ok(()), "flushed"),
            (true, broken(), "flushed"),
            (false, broken(), "flushed"),
        ] {
            let done = std::cell::RefCell::new(Vec::new());
            let tell = async |what: &'static str| {
                done.borrow_mut().push(what);
                Ok(())
            };
            let (note, flush) = (async || tell("noted").await, async || tell("flushed").await);
            end_with(clean, kept, note, flush).await.unwrap();
            assert_eq!(done.into_inner(), [want], "{clean}");
        }
    }
}
