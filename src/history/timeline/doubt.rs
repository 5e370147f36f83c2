//! Keys whose times are in doubt: a manifest settles them, or they are named.

use super::chosen::{Chosen, Name};
use crate::history::version_selector::TimesInDoubt;
use crate::history::witness::{Testimony, Witness};
use crate::retry::Stop;
use crate::s3::{ListedVersion, Store};
use crate::types::{Class, Fault, Origin, WallMs, command};
use std::pin::Pin;

/// Times that are named where they contradict each other.
const DOUBTFUL_SHOWN_MAX: usize = 4;

/// Asks a manifest about the versions in doubt. What it does not settle is a fault.
pub(crate) async fn settle(
    store: &Store,
    origin: &Origin,
    at_ms: WallMs,
    name: &Name,
    doubt: TimesInDoubt,
    witness: &mut Witness,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let Some(newest) = doubt.versions.first() else {
        return Ok(None);
    };
    let chosen = Chosen::of(newest.clone(), name.clone());
    let testimony = match name {
        Name::Path(key) => {
            // Rare, and deep: without a box each future that lists would hold it.
            let asked: Pin<Box<dyn Future<Output = Testimony> + Send + '_>> =
                Box::pin(witness.testimony(store, origin, at_ms, key, &doubt, stop));
            asked.await
        }
        // A manifest has them elsewhere, or not at all.
        Name::Older(_) | Name::Shortened | Name::Foreign(_) => Testimony::Unknown,
    };
    match testimony {
        Testimony::Version(version) => Ok(Some(Chosen::of(version, name.clone()))),
        Testimony::Gone => Ok(None),
        Testimony::Unknown => Err(doubtful(&chosen, &doubt.versions)),
    }
}

/// The list's times cannot all be right, and the answer depends on which are.
fn doubtful(chosen: &Chosen, versions: &[ListedVersion]) -> Fault {
    let times: Vec<String> = versions
        .iter()
        .take(DOUBTFUL_SHOWN_MAX)
        .map(|version| {
            let at = version.modified_ms.timestamp().unwrap_or_default();
            let what = if version.is_marker {
                "a deletion"
            } else {
                "a version"
            };
            format!("{what} with the time {at}")
        })
        .collect();
    Fault::new(
        Class::Damaged,
        "tell what the file was at that moment:",
        chosen.subject(),
        format!(
            "the bucket has {}, which contradicts the order in which they were written or has not come yet: a clock was wrong then, or this computer's is wrong now",
            times.join(", ")
        ),
    )
    .hint(format!(
        "see that this computer's clock is right; `{}` lists what there is: give an --at before or after the times in doubt, or fetch the version with an S3 tool (docs/FORMAT.md)",
        command::on_copies("versions FILE")
    ))
}
