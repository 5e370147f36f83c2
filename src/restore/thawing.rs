//! Versions in cold storage: asked for, and waited for when told to.
//!
//! Whoever runs the same command again goes on from where it was: what is
//! thawed by then is fetched, what is not yet is asked for again, which is no
//! harm and costs nothing twice.

use super::object;
use super::request::Pass;
use super::run::Run;
use super::shop::{Outcome, Shop};
use super::tally::Event;
use crate::history::Chosen;
use crate::retry::Patience;
use crate::s3::Asked;
use crate::types::{Class, Cold, Fatal, Fault, MetaRefused, Speed, Thaw};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Objects that a run waits for; at 300 bytes each, some 6 MB. The rest are
/// thawed as well, and fetched when the command is run again.
const WAITED_FOR_MAX: usize = 20_000;

/// How often it is looked. Thawing takes hours, save for the fastest kind.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);
const LOOK_EVERY_EXPEDITED: Duration = Duration::from_secs(60);

/// The slowest kind takes 48 hours; by then and half a day more it has failed.
const WAIT_MAX: Duration = Duration::from_secs(60 * 3600);

/// Objects that are looked at together. When none of them is there yet the next
/// look is the next time: asking all of them would cost more than the thawing.
const LOOKED_AT: usize = 16;

/// After a failure: if it is that the object is cold, have it thawed when told to.
/// Nothing is thawed, or called cold, that is another program's: a small object may
/// be fetched before anybody has asked what it is.
pub(crate) async fn if_cold(shop: &Shop, chosen: &Chosen, fault: Fault) -> Result<Outcome, Fault> {
    if !fault.is_cold() {
        return Err(fault);
    }
    if is_foreign(shop, chosen).await? {
        return Ok(Outcome::Foreign);
    }
    let Some(thaw) = shop.options.thaw else {
        return Err(fault);
    };
    let class = Cold::of_class(&chosen.storage_class);
    let speed = match class {
        Some(class) if class.takes(thaw.speed).is_none() => Speed::Standard,
        _ => thaw.speed,
    };
    // Without a class of its own it is one of Intelligent-Tiering's archives.
    let ask = |speed| {
        let thaw = Thaw { speed, ..thaw };
        let keeps_copy = class.is_some();
        shop.store
            .thaw(shop.at(chosen), &chosen.version_id, thaw, keeps_copy)
    };
    let mut speed = speed;
    let asked = match ask(speed).await {
        // Its deep archive has no such speed, and which archive it is shows only now.
        Err(fault)
            if class.is_none() && fault.class == Class::Refused && speed != Speed::Standard =>
        {
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

/// Cold objects are described like any other.
async fn is_foreign(shop: &Shop, chosen: &Chosen) -> Result<bool, Fault> {
    let (mut stop, mut patience) = (shop.stop.clone(), Patience::default());
    let head = loop {
        match object::head(shop, chosen).await {
            Err(fault) if patience.again(&fault, &mut stop).await => {}
            done => break done?,
        }
    };
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

/// What is waited for.
#[derive(Default)]
pub(crate) struct Waiting(VecDeque<(Chosen, Fault)>);

impl Run {
    /// An object that is being thawed: waited for, or named.
    pub(crate) fn put_by(&mut self, chosen: Chosen, fault: Fault) {
        if self.shop.options.wait && self.waiting.0.len() < WAITED_FOR_MAX {
            self.waiting.0.push_back((chosen, fault));
        } else {
            self.shop.tally.failed(fault);
        }
    }

    /// Fetch what is thawed, until nothing is waited for or it is long enough.
    pub(crate) async fn wait_for_thawing(&mut self, pass: Pass) -> Result<(), Fatal> {
        let expedited = self.shop.options.thaw.map(|thaw| thaw.speed) == Some(Speed::Expedited);
        let every = match expedited {
            true => LOOK_EVERY_EXPEDITED,
            false => LOOK_EVERY,
        };
        let began = Instant::now();
        while !self.waiting.0.is_empty() && began.elapsed() < WAIT_MAX {
            self.shop.tally.tell(Event::Thawing {
                objects: self.waiting.0.len() as u64,
                waited: began.elapsed(),
            });
            tokio::time::sleep(every).await;
            self.look_again(pass).await?;
        }
        for (_, fault) in std::mem::take(&mut self.waiting).0 {
            self.shop.tally.failed(fault);
        }
        Ok(())
    }

    /// From the longest waiting on, as long as some of them are there.
    async fn look_again(&mut self, pass: Pass) -> Result<(), Fatal> {
        let mut left = self.waiting.0.len();
        while left > 0 {
            let now = left.min(LOOKED_AT);
            left -= now;
            let before = self.waiting.0.len();
            for (chosen, _) in self.waiting.0.drain(..now).collect::<Vec<_>>() {
                self.hand_out(chosen, pass).await?;
            }
            self.finish().await?;
            if self.waiting.0.len() == before {
                break;
            }
        }
        Ok(())
    }
}
