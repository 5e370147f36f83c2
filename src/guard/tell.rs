//! Saying that deletions are held back: on the board, in the log, and at once
//! by message.

use super::count::lacks;
use super::policy::{Brake, Hold, Lacks, Why};
use super::report::Held;
use super::{change, now};
use crate::config::StoreConfig;
use crate::files::Pulse;
use crate::mail::{Message, Post};
use crate::os;
use crate::os::blocking::blocking;
use crate::os::shell_word;
use crate::source::{Context, commands, on_disk};
use crate::types::Fault;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Under which topics the board warns of what is held back.
const TOPICS: [&str; 5] = ["deletions", "identity", "away", "mounts", "encrypted"];

fn topic(why: &Why) -> &'static str {
    match why {
        Why::Fall => TOPICS[0],
        Why::OtherRoot => TOPICS[1],
        Why::Away => TOPICS[2],
        Why::Unmounted { .. } => TOPICS[3],
        Why::Encrypted { .. } => TOPICS[4],
    }
}

/// Put what is held back on the board, and what is new of it into the log.
pub fn show(ctx: &Context, source: usize) {
    let holds = ctx.brakes.holds(source);
    for name in TOPICS {
        let lines: Vec<String> = holds
            .iter()
            .filter(|hold| topic(&hold.why) == name)
            .map(|hold| line(ctx, source, hold))
            .collect();
        let text = (!lines.is_empty()).then(|| lines.join("; "));
        let was_there = ctx
            .board
            .source(source)
            .is_some_and(|board| board.warnings.contains_key(name));
        if ctx.board.warn(source, name, text.clone()) {
            let of = &ctx.sources[source].config.name;
            match text {
                Some(text) if !was_there => tracing::error!(source = %of, "{text}"),
                // The same with other figures.
                Some(text) => tracing::debug!(source = %of, "{text}"),
                None => tracing::info!(source = %of, "nothing is held back any more ({name})"),
            }
        }
    }
}

/// One line on what is held back.
pub fn line(ctx: &Context, source: usize, hold: &Hold) -> String {
    say(ctx, source, hold, false, |held| held.line())
}

fn say<T>(
    ctx: &Context,
    source: usize,
    hold: &Hold,
    reminder: bool,
    make: impl FnOnce(&Held<'_>) -> T,
) -> T {
    let settings = &ctx.sources[source].config;
    make(&Held {
        computer: &os::computer_name(),
        source: &settings.name,
        folder: &settings.path.display().to_string(),
        hold,
        now_ms: ctx.now_ms(),
        reminder,
        confirm: &format!("{} --reconcile --confirm-deletions", commands::program(ctx)),
        restore: &restore_command(ctx, source, hold),
        who: &commands::who(ctx),
        time_zone: &ctx.config.schedule.time_zone,
    })
}

/// The command that brings back the source as it was before the first file was
/// encrypted, marked or missed, into a new folder. Empty where that
/// moment is not known (a hold of an earlier version).
fn restore_command(ctx: &Context, source: usize, hold: &Hold) -> String {
    if hold.why == Why::Away && hold.of == 0 {
        // Nothing of it was ever stored.
        return String::new();
    }
    let before_ms = match &hold.why {
        Why::Encrypted { before_ms, .. } => before_ms,
        _ if hold.moment_ms > 0 => &hold.moment_ms,
        _ => return String::new(),
    };
    let settings = &ctx.sources[source].config;
    let zone = &ctx.config.schedule.time_zone;
    let Ok(at) = Timestamp::from_millisecond(*before_ms) else {
        return String::new();
    };
    let local = at.to_zoned_datetime(zone.clone());
    let name = format!(
        "{}-restored-{}",
        settings.name,
        local.strftime("%Y-%m-%d-%H%M%S")
    );
    let to = commands::new_folder(ctx, source, &name);
    let from = match (&ctx.config.file, &ctx.config.store) {
        (None, StoreConfig::Vault { path }) => {
            format!("--vault {}", shell_word(&path.display().to_string()))
        }
        _ => format!("--source {}", shell_word(&settings.name)),
    };
    format!(
        "{} restore {from} --at {} --to {}",
        commands::program(ctx),
        local.strftime("%Y-%m-%dT%H:%M:%S%.f%:z"),
        shell_word(&to.display().to_string())
    )
}

/// A message that is owed.
struct Owed {
    hold: Hold,
    message: Message,
    /// That it is over, rather than that it is.
    is_over: bool,
}

/// Put every alert and reminder that is owed into the outbox. That is as good as
/// sent; what cannot even be kept is tried again at the next call.
/// At the end of a run (`at_once`) nothing waits for what is still to be stored.
pub async fn tell(ctx: &Arc<Context>, post: &Post, at_once: bool) {
    let _one = ctx.brakes.telling.lock().await;
    for source in 0..ctx.sources.len() {
        match settle_moment(ctx, source, at_once).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(fault) => {
                tracing::error!("{fault}");
                return;
            }
        }
        let list = {
            let ctx = Arc::clone(ctx);
            blocking(move || Ok(owed(&ctx, source))).await
        };
        let list = match list {
            Ok(list) => list,
            Err(fault) => {
                tracing::error!("{fault}");
                return;
            }
        };
        for owed in list {
            if let Err(fault) = send(ctx, post, source, owed).await {
                tracing::error!("{fault}");
                return;
            }
        }
    }
}

/// How long an alert waits for what was saved before the files were missed to be
/// stored: what it names shall have that, too.
const SETTLING_MAX_MS: i64 = 30 * 1_000;

/// See that what an alert says is so: how many are missing, how many of them are
/// marked, and which moment has everything that was saved before. False: not yet.
async fn settle_moment(ctx: &Arc<Context>, source: usize, at_once: bool) -> Result<bool, Fault> {
    let (is_new, has_fallen, in_flight, held_at_ms) = {
        let memory = ctx.brakes.memory(source);
        let brake = &memory.saved.brake;
        let mut holds = brake.holds.iter();
        let is_new = holds.any(|hold| hold.told == 0 && hold.may_move());
        let has_fallen = brake.has_untold_fall();
        (is_new, has_fallen, memory.in_flight, memory.held_at_ms)
    };
    if in_flight > 0 && !at_once {
        return Ok(false);
    }
    if !is_new && !has_fallen {
        return Ok(true);
    }
    let all_heard = ctx.unsettled.up_to(source, held_at_ms).is_some();
    let all_stored = ctx.queue.depth(source).total() == 0 && !ctx.scans.is_looking(source);
    let waited_ms = ctx.steady_ms() - held_at_ms;
    let is_settled = at_once || !is_new || all_heard && all_stored;
    if !is_settled && waited_ms < SETTLING_MAX_MS {
        return Ok(false);
    }
    // A run that ends has just scanned.
    let lacks = match has_fallen && !at_once {
        true => count_lacks(ctx, source).await,
        false => None,
    };
    let ctx = Arc::clone(ctx);
    blocking(move || {
        let now = now(&ctx);
        change(&ctx, source, |memory| {
            let brake = &mut memory.saved.brake;
            brake.settle_moments(now.server_ms);
            if let Some(lacks) = lacks {
                brake.counted(lacks);
            }
        })
    })
    .await?;
    Ok(true)
}

/// `None` where nobody can count them: the alert does not wait for a disk.
async fn count_lacks(ctx: &Arc<Context>, source: usize) -> Option<Lacks> {
    let (shared, pulse) = (Arc::clone(ctx), Pulse::default());
    let beat = pulse.clone();
    let counted = on_disk(ctx, source, &pulse, move || lacks(&shared, source, &beat));
    let limit = Duration::from_millis(SETTLING_MAX_MS.unsigned_abs());
    let counted = tokio::time::timeout(limit, counted).await.ok()?;
    counted
        .inspect_err(|fault| tracing::debug!("what is missing cannot be counted: {fault}"))
        .ok()
}

fn owed(ctx: &Context, source: usize) -> Vec<Owed> {
    let now_ms = ctx.now_ms();
    let (holds, ended) = {
        let memory = ctx.brakes.memory(source);
        let brake = &memory.saved.brake;
        if brake.holds.is_empty() && brake.ended.is_empty() {
            return Vec::new();
        }
        (brake.holds.clone(), brake.ended.clone())
    };
    let over = ended.into_iter().map(|hold| Owed {
        message: say(ctx, source, &hold, false, |held| held.over()),
        hold,
        is_over: true,
    });
    let alerts = holds.into_iter().filter_map(|hold| {
        let reminder = hold.owes(now_ms)?;
        Some(Owed {
            message: say(ctx, source, &hold, reminder, |held| held.alert()),
            hold,
            is_over: false,
        })
    });
    over.chain(alerts).collect()
}

/// Keep the message and remember that before it is sent: while SNS is down that
/// takes long, and a stop meanwhile must not have it told twice.
async fn send(ctx: &Arc<Context>, post: &Post, source: usize, owed: Owed) -> Result<(), Fault> {
    post.keep(ctx, owed.message).await?;
    {
        let ctx = Arc::clone(ctx);
        blocking(move || {
            let now_ms = ctx.now_ms();
            change(&ctx, source, |memory| {
                note_told(&mut memory.saved.brake, owed.hold, owed.is_over, now_ms);
            })?;
            ctx.index.flush()
        })
        .await
    }
}

fn note_told(brake: &mut Brake, told: Hold, is_over: bool, now_ms: i64) {
    if is_over {
        brake.ended.retain(|hold| *hold != told);
        return;
    }
    let standing = brake
        .holds
        .iter_mut()
        .find(|hold| hold.why.is_same(&told.why) && hold.since_ms == told.since_ms);
    match standing {
        Some(hold) => {
            hold.told = hold.told.saturating_add(1);
            hold.told_ms = now_ms;
        }
        // It has ended while it was being told: its end is owed, too.
        None => brake.ended.push(Hold { told: 1, ..told }),
    }
}
