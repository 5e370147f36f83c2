//! Reports a service that does not start (the vault's disk is away, say) by log and
//! message: nobody reads its exit code.
//!
//! Whatever starts it tries again, every half minute or so: a file in the state
//! folder (or beside the log, where the state folder is what is wrong) remembers what
//! was told, so that a message comes once a day.

use crate::config::Config;
use crate::daemon;
use crate::digest::NotStarted;
use crate::index::Index;
use crate::mail::Message;
use crate::os;
use crate::os::blocking::blocking;
use crate::sns::write_digest;
use crate::types::{Fatal, FatalKind, WallMs};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The file's name.
const FILE: &str = "not-started.json";

/// Time between two messages: once a day is what people still read.
const REMIND_MS: i64 = 24 * 60 * 60 * 1_000;

/// What was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// Since when it does not start, milliseconds since 1970.
    since_ms: WallMs,
    /// When that was last told.
    told_ms: WallMs,
    /// Why.
    reason: String,
}

/// Where to remember what was reported: in the state folder, and where root must not use
/// that, beside the log. Empty where neither is safe.
fn files(config: &Config) -> Vec<PathBuf> {
    let folders = [&config.state_dir, &config.log.dir];
    let safe = folders.into_iter().filter(|folder| is_safe(folder));
    safe.map(|folder| folder.join(FILE)).collect()
}

/// Root keeps no file in a folder that is not its own. Blocks.
fn is_safe(folder: &Path) -> bool {
    let is_strange = os::strange(folder).is_some_and(|strange| strange.is_itself);
    !(is_strange && os::is_privileged())
}

fn read(file: &Path) -> Option<Told> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

fn write(file: &Path, told: &Told) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        os::create_private_dir_all(folder)?;
    }
    os::create_private_file(file)?.write_all(&serde_json::to_vec(told)?)
}

/// Report that it does not start, unless that was reported today.
pub(super) async fn report(config: &Config, fatal: &Fatal) {
    tracing::error!("{}", fatal.one_line());
    if fatal.kind == FatalKind::Interrupted {
        return;
    }
    let index = config.state_dir.join("index");
    // Not beside another that runs.
    let is_in_use = tokio::task::spawn_blocking(move || Index::is_in_use(&index)).await;
    if !matches!(is_in_use, Ok(false)) {
        return;
    }
    let now_ms = WallMs::from(Timestamp::now());
    let cause: Vec<&str> = fatal.cause.lines().map(str::trim).collect();
    let reason = format!("cannot {}: {}", fatal.operation, cause.join("; "));
    let known = files(config).iter().find_map(|file| read(file));
    let since_ms = known.as_ref().map_or(now_ms, |known| known.since_ms);
    let is_told = known.is_some_and(|known| {
        let age_ms = (now_ms - known.told_ms).saturating_abs();
        known.reason == reason && age_ms < REMIND_MS
    });
    if is_told {
        return;
    }
    let note = |told_ms| Told {
        since_ms,
        told_ms,
        reason: reason.clone(),
    };
    // Before the mail: whatever starts it tries again at once, and where nothing can say
    // that it was told there would be a mail each time.
    let is_kept = |file: &PathBuf| write(file, &note(WallMs::default())).is_ok();
    let Some(file) = files(config).into_iter().find(is_kept) else {
        tracing::error!(
            "nobody was told of this by mail: no note of it can be kept in {} or {}",
            config.state_dir.display(),
            config.log.dir.display()
        );
        return;
    };
    let alert = NotStarted {
        computer: &os::computer_name(),
        reason: &reason,
        remedy: &fatal.hint,
        since_ms,
        time_zone: &config.schedule.time_zone,
    };
    if !send(config, alert.alert()).await {
        return;
    }
    if let Err(error) = write(&file, &note(now_ms)) {
        tracing::warn!("it cannot be remembered that this was told: {error}");
    }
}

/// Report that it has started, where the opposite was reported.
pub(super) async fn over(config: &Config) {
    let mut notes = files(config).into_iter();
    let Some((file, told)) = notes.find_map(|file| read(&file).map(|told| (file, told))) else {
        return;
    };
    if told.told_ms == WallMs::default() {
        // Nobody has heard of it: there is no end to tell.
        let _ = fs::remove_file(&file);
        return;
    }
    let over = NotStarted {
        computer: &os::computer_name(),
        reason: &told.reason,
        remedy: "",
        since_ms: told.since_ms,
        time_zone: &config.schedule.time_zone,
    };
    if send(config, over.over()).await
        && let Err(error) = fs::remove_file(&file)
    {
        tracing::warn!("{} cannot be removed: {error}", file.display());
    }
}

/// By mail, or into the file of the day where there is no topic. False when neither
/// works; the log has it.
async fn send(config: &Config, message: Message) -> bool {
    let notifier = match daemon::notifier(config).await {
        Ok(notifier) => notifier,
        Err(fatal) => {
            tracing::error!("nobody was told of this by mail: {}", fatal.one_line());
            return false;
        }
    };
    let sent = match notifier {
        Some(notifier) => notifier
            .publish(&message.subject, &message.body)
            .await
            .map(drop),
        None if !is_safe(&config.state_dir) => return false,
        None => {
            let date = Timestamp::now()
                .to_zoned_datetime(config.schedule.time_zone.clone())
                .date();
            let text = format!("{}\n\n{}", message.subject, message.body);
            let folder = config.state_dir.join("digests");
            blocking(move || write_digest(&folder, date, &text).map(drop)).await
        }
    };
    if let Err(fault) = &sent {
        tracing::error!("nobody was told of this: {fault}");
    }
    sent.is_ok()
}
