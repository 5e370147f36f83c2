//! Opening everything: index, server, sources, topic.

use super::components::{Components, Options, this_computer};
use super::open_source::SourceOpener;
use super::panicked::panicked;
use super::places;
use crate::backup::{Commits, SwapTracker};
use crate::bandwidth::{Limits, TrafficMeter};
use crate::clock::{Clock, system_clock};
use crate::config::{Config, StoreConfig};
use crate::control;
use crate::destination;
use crate::drill;
use crate::guard;
use crate::index::{Index, Opened};
use crate::mail::OutboxSender;
use crate::os;
use crate::os::blocking::blocking;
use crate::pacing::load_costs;
use crate::s3::Store;
use crate::sns::{NoticeOptions, Notifier};
use crate::source::{RunSignals, Sources};
use crate::status::Events;
use crate::transfer::{Budget, Uploads};
use crate::types::{Fatal, WallMs};
use crate::watchdog::{ANSWER_WAIT, Loops};
use crate::work::{Hint, Queue};
use keepwatch_vault::{Vault, VaultError};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What [`open`] returns.
pub struct Open {
    /// What the loops are built from.
    pub components: Components,
    /// The receiving end of each source's hints, in the order of the sources.
    pub hints: Vec<mpsc::Receiver<Hint>>,
    /// How the index was found.
    pub opened: Opened,
    /// When the run began, milliseconds since 1970.
    pub started_ms: WallMs,
}

/// Open everything a run needs; nothing runs yet.
///
/// # Errors
/// State folder, index, vault or topic cannot be used.
pub async fn open(config: Config, options: &mut Options) -> Result<Open, Fatal> {
    let wall = options.clock.take().unwrap_or_else(system_clock);
    let started_ms = wall();
    let (index, opened) = open_index(&config).await?;
    let store = match options.store.take() {
        Some(store) => store,
        None => connect(&config, &index).await?,
    };
    let clock = Clock::new(wall, store.clone());
    // Before the first request; the loop follows the clock from then on.
    store.limit(Limits::new(&config, None).at(clock.now_ms()));
    let notifier = match options.notifier.take() {
        Some(notifier) => Some(notifier),
        None => notifier(&config).await?,
    };
    let opener = SourceOpener {
        config: Arc::new(config),
        computer: options.computer.take().unwrap_or_else(this_computer),
        store,
        index,
        clock,
        events: Events::default(),
        answer_wait: options.answer_wait.unwrap_or(ANSWER_WAIT),
    };
    let opening = tokio::task::spawn_blocking(move || {
        let opened = opener.open_all()?;
        Ok::<_, Fatal>((opener, opened))
    });
    let (opener, (sources, hints, queue)) = opening.await.map_err(|e| panicked(&e))??;
    let components = assemble(opener, sources, queue, notifier);
    take_up(&components).await?;
    if let Opened::Rebuilt { moved_to, why, .. } = &opened {
        tracing::warn!(
            moved_to = %moved_to.display(),
            "the index was damaged ({why}) and is rebuilt from the bucket; nothing is uploaded twice"
        );
    }
    clear_away(&components).await;
    Ok(Open {
        components,
        hints,
        opened,
        started_ms,
    })
}

/// Put together what the loops are built from.
fn assemble(
    opener: SourceOpener,
    sources: Sources,
    queue: Queue,
    notifier: Option<Notifier>,
) -> Components {
    let SourceOpener {
        config,
        store,
        index,
        clock,
        events,
        ..
    } = opener;
    let signals = RunSignals::default();
    let outbox = OutboxSender::new(
        notifier,
        config.state_dir.join("digests"),
        index.clone(),
        clock.clone(),
        config.schedule.time_zone.clone(),
    );
    let traffic = TrafficMeter::new(store.clone(), index.clone());
    Components {
        config,
        sources,
        store,
        index,
        queue,
        clock,
        signals,
        events,
        outbox: Arc::new(outbox),
        traffic: Arc::new(traffic),
        commits: Commits::default(),
        uploads: Uploads::default(),
        swaps: SwapTracker::default(),
        budget: Budget::default(),
        loops: Loops::default(),
    }
}

/// Take over what the last run left.
async fn take_up(components: &Components) -> Result<(), Fatal> {
    remember_compared(components).await?;
    let (config, sources) = (
        Arc::clone(&components.config),
        Arc::clone(&components.sources),
    );
    let index = components.index.clone();
    let taken_up = blocking(move || {
        for source in sources.iter() {
            load_costs(&index, source.id, &source.pacing)?;
        }
        take_up_stored(&config, &sources);
        for source in sources.iter() {
            guard::show(&source.guard);
            destination::show(&source.destination);
        }
        show_doubts(&config, &sources);
        Ok(())
    });
    Ok(taken_up.await?)
}

/// Clear away leftovers of earlier runs that nobody can resume.
async fn clear_away(components: &Components) {
    let orphaned = components.orphaned_uploads();
    tokio::spawn(async move { orphaned.sweep().await });
    let state_dir = components.config.state_dir.clone();
    // The next drill does that, too.
    if let Err(fault) = blocking(move || drill::clear_leftovers(&state_dir)).await {
        tracing::warn!("{fault}");
    }
}

/// Take over when the newest version was stored: a source in which nothing changes is
/// backed up all the same. Blocks.
fn take_up_stored(config: &Config, sources: &Sources) {
    let last = control::Kept::read(&config.state_dir);
    for then in last.iter().flat_map(|last| &last.status.sources) {
        let mut sources = sources.iter();
        if let Some(source) = sources.find(|source| source.config.name == then.name) {
            source
                .status
                .update(|status| status.stored_ms = then.board.stored_ms);
        }
    }
}

/// Warn of Keepwatch's own files that another account can change. Blocks.
fn show_doubts(config: &Config, sources: &Sources) {
    for doubt in places::doubts(config) {
        tracing::warn!("{doubt}");
        // They belong to no source: shown once, with the first.
        if let Some(first) = sources.first() {
            first.status.warn(&doubt.what, Some(doubt.to_string()));
        }
    }
}

/// The file in the state folder that names the shadow copies that are there.
const SHADOW_COPIES: &str = "shadow-copies";

async fn open_index(config: &Config) -> Result<(Index, Opened), Fatal> {
    let state_dir = config.state_dir.clone();
    let shadow_copies = config.shadow_copies;
    tokio::task::spawn_blocking(move || {
        places::refuse_state(&state_dir)?;
        os::create_private_dir_all(&state_dir).map_err(|e| {
            Fatal::new(
                format!("make the state folder {}", state_dir.display()),
                crate::types::chain(&e),
                "set [state] dir to a folder that this account may write to",
            )
        })?;
        let opened = Index::open(&state_dir.join("index"))?;
        // Whoever holds the index owns what the last one left.
        if shadow_copies {
            os::use_shadow_copies(&state_dir.join(SHADOW_COPIES));
        }
        Ok(opened)
    })
    .await
    .map_err(|e| panicked(&e))?
}

/// Connect to the server; a new vault and its buckets are made when absent.
async fn connect(config: &Config, index: &Index) -> Result<Store, Fatal> {
    if let StoreConfig::Vault { path } = &config.store {
        let path = path.clone();
        let index = index.clone();
        let buckets: Vec<String> = config.sources.iter().map(|s| s.bucket.clone()).collect();
        tokio::task::spawn_blocking(move || {
            let known = format!("vault:{}", path.display());
            let was_there = index.state_get(&known)?.is_some();
            if was_there && !Vault::is_at(&path)? {
                // This is the mount point without its disk.
                return Err(Fatal::new(
                    format!("open the vault in {}", path.display()),
                    "the vault that was there is gone",
                    "connect and mount the disk that it is on. To begin a new vault there, choose another folder for it",
                ));
            }
            let vault = Vault::open(&path).map_err(|error| unopened(error, &path))?;
            index.state_set(&known, &true.into())?;
            buckets
                .iter()
                .try_for_each(|bucket| vault.ensure_bucket(bucket).map_err(Fatal::from))
        })
        .await
        .map_err(|e| panicked(&e))??;
    }
    Store::connect(&config.store).await
}

/// A service that may not write to its vault says what gives it the right. Blocks.
fn unopened(error: VaultError, path: &Path) -> Fatal {
    let fatal = Fatal::from(error);
    match os::remedy_for_read_only() {
        Some(hint) if !os::can_write_in(path) => Fatal { hint, ..fatal },
        _ => fatal,
    }
}

/// The topic's publisher; `None` when none is configured.
///
/// # Errors
/// The topic's name is not one.
pub async fn notifier(config: &Config) -> Result<Option<Notifier>, Fatal> {
    let Some(topic) = &config.notify.topic_arn else {
        return Ok(None);
    };
    let profile = match &config.store {
        StoreConfig::S3(s3) => s3.profile.clone(),
        StoreConfig::Vault { .. } => None,
    };
    let options = NoticeOptions {
        topic_arn: topic.clone(),
        endpoint_url: config.notify.endpoint_url.clone(),
        profile,
        ..NoticeOptions::default()
    };
    Notifier::new(options).await.map(Some)
}

/// Under which name the index remembers that nothing was under way when the last run
/// ended.
const STOPPED_CLEANLY: &str = "stopped_cleanly";

/// Note that nothing is under way any more: every version that the bucket has
/// taken is in the index. Only then may the next run trust it.
pub(super) async fn note_clean_stop(index: &Index) -> Result<(), Fatal> {
    let index = index.clone();
    let noted = blocking(move || {
        index.state_set(STOPPED_CLEANLY, &true.into())?;
        index.flush()
    });
    Ok(noted.await?)
}

/// Take over which sources were compared with their buckets: none after a kill or a power
/// cut, since the bucket may have versions then that the index has lost.
async fn remember_compared(components: &Components) -> Result<(), Fatal> {
    let (late, config) = (components.late_checks(), Arc::clone(&components.config));
    tokio::task::spawn_blocking(move || {
        let index = &late.index;
        let clean = index.state_get(STOPPED_CLEANLY)? == Some(true.into());
        late.take_up(clean)?;
        for source in late.sources.iter() {
            if source.comparison.take_up(clean)? {
                tracing::info!(
                    source = %source.name(),
                    "the last run was cut off: the bucket is compared again, now and when nothing can be on the line any more"
                );
                late.note(source, &config.schedule.time_zone);
            }
        }
        // Forget the sources that the configuration does not name any more.
        let ids: Vec<_> = late.sources.iter().map(|source| source.id).collect();
        index.retain_sources(&ids)?;
        // On disk before anything is sent.
        index.state_set(STOPPED_CLEANLY, &false.into())?;
        index.flush()?;
        Ok(())
    })
    .await
    .map_err(|e| panicked(&e))?
}
