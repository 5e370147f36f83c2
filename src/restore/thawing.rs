//! Has versions in cold storage thawed.
//!
//! Running the same command again continues the restore: versions that are thawed by
//! then are fetched, and the others are requested again, which does no harm and costs
//! nothing twice.

use super::context::RestoreContext;
use super::faults::gone;
use super::outcome::Outcome;
use crate::history::{Chosen, head};
use crate::s3::Asked;
use crate::types::{Class, Cold, Fault, MetaRefused, Speed, Thaw};

/// Handle a failure: if the object is cold, have it thawed when told to. Another
/// program's object is neither thawed nor called cold; a small one may have been
/// fetched before its metadata was known.
pub(crate) async fn if_cold(
    ctx: &RestoreContext,
    chosen: &Chosen,
    fault: Fault,
) -> Result<Outcome, Fault> {
    if !fault.is_cold() {
        return Err(fault);
    }
    if is_foreign(ctx, chosen).await? {
        return Ok(Outcome::Foreign);
    }
    let Some(thaw) = ctx.options.thaw else {
        return Err(fault);
    };
    let class = Cold::of_class(&chosen.storage_class);
    // Without a class of its own it is one of Intelligent-Tiering's archives.
    let ask = |speed| {
        let thaw = Thaw { speed, ..thaw };
        let keeps_copy = class.is_some();
        ctx.store
            .thaw(ctx.at(chosen), chosen.version_id.as_ref(), thaw, keeps_copy)
    };
    let mut speed = speed_of(class, thaw.speed);
    let asked = match ask(speed).await {
        // Its deep archive has no such speed, and which archive it is shows only now.
        Err(fault) if may_take_standard(class, speed, &fault) => {
            tracing::info!(
                "{} cannot be thawed at the speed {}: the normal one is asked for",
                chosen.subject(),
                speed.name()
            );
            speed = Speed::Standard;
            ask(speed).await
        }
        asked => asked,
    };
    match asked? {
        Asked::UnderWay | Asked::Ready => Ok(Outcome::Thawing(still_cold(chosen, class, speed))),
    }
}

/// The speed that is asked for: what a class does not have is done at the normal one.
fn speed_of(class: Option<Cold>, wanted: Speed) -> Speed {
    match class {
        Some(class) if class.takes(wanted).is_none() => Speed::Standard,
        _ => wanted,
    }
}

/// An archive without a class of its own refused the speed, and may take another.
fn may_take_standard(class: Option<Cold>, asked: Speed, fault: &Fault) -> bool {
    class.is_none() && fault.class == Class::Refused && asked != Speed::Standard
}

/// Cold objects are described like any other.
async fn is_foreign(ctx: &RestoreContext, chosen: &Chosen) -> Result<bool, Fault> {
    let mut stop = ctx.stop.clone();
    let head = head(&ctx.store, &ctx.origin, chosen, &mut stop).await?;
    let head = head.ok_or_else(|| gone(chosen))?;
    Ok(matches!(head.meta, Err(MetaRefused::Foreign)))
}

fn still_cold(chosen: &Chosen, class: Option<Cold>, speed: Speed) -> Fault {
    let takes = class.and_then(|class| class.takes(speed));
    Fault::new(
        Class::Refused,
        "restore",
        chosen.subject(),
        "it is in cold storage and is being thawed",
    )
    .hint(format!(
        "run the same command again in {}: it goes on from here",
        takes.unwrap_or("3 to 12 hours")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_that_an_archive_lacks_becomes_the_normal_one() {
        for (class, wanted, want) in [
            (Some(Cold::Glacier), Speed::Expedited, Speed::Expedited),
            (Some(Cold::DeepArchive), Speed::Expedited, Speed::Standard),
            (Some(Cold::DeepArchive), Speed::Bulk, Speed::Bulk),
            (None, Speed::Expedited, Speed::Expedited),
        ] {
            assert_eq!(speed_of(class, wanted), want, "{class:?} {wanted:?}");
        }
        let refused = Fault::new(Class::Refused, "restore", "a", "no such speed");
        let denied = Fault::new(Class::Denied, "restore", "a", "no");
        for (class, asked, fault, want) in [
            (None, Speed::Expedited, &refused, true),
            (None, Speed::Standard, &refused, false),
            (None, Speed::Expedited, &denied, false),
            (Some(Cold::Glacier), Speed::Expedited, &refused, false),
        ] {
            assert_eq!(
                may_take_standard(class, asked, fault),
                want,
                "{class:?} {asked:?}"
            );
        }
    }
}
