//! Opening everything: index, store, sources, topic.

use super::parts::{Parts, panicked};
use super::places;
use crate::backup::{Commits, CopyHealth, LateChecks, SwapTracker, late, orphaned_uploads};
use crate::bandwidth::{Kept, Limits};
use crate::config::{Config, SourceConfig, StoreConfig};
use crate::control;
use crate::destination;
use crate::destination::Destination;
use crate::drill;
use crate::files::{Compress, Rules};
use crate::guard;
use crate::guard::Brakes;
use crate::index::{Index, Opened};
use crate::mail::Post;
use crate::manifest::Computer;
use crate::os;
use crate::os::blocking::blocking;
use crate::pacing::{Pacing, Policy, costs};
use crate::s3::Store;
use crate::sns::{NoticeOptions, Notifier};
use crate::source::{Answering, COMPARED, Clock, Context, Gates, HINTS_MAX, HardLinks, Source};
use crate::status::Board;
use crate::transfer::{Budget, Uploads};
use crate::types::Fatal;
use crate::work::{Queue, ScanBook, Unsettled};
use keepwatch_vault::Vault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Open everything a run needs; nothing runs yet.
///
/// # Errors
/// State folder, index, vault or topic cannot be used.
pub async fn open(
    config: Config,
    store: Option<Store>,
    clock: Clock,
    computer: Computer,
) -> Result<Parts, Fatal> {
    let (index, opened) = open_index(&config).await?;
    let store = match store {
        Some(store) => store,
        None => connect(&config, &index).await?,
    };
    // Before the first request; the loop follows the clock from then on.
    store.limit(Limits::new(&config, None).at(clock()));
    let notifier = notifier(&config).await?;
    let post = Arc::new(Post::new(notifier, config.state_dir.join("digests")));
    let (config, index, sources) = {
        let destination = destination_name(&config);
        tokio::task::spawn_blocking(move || {
            let sources = config
                .sources
                .iter()
                .map(|source| open_source(&index, source, &destination))
                .collect::<Result<Vec<_>, Fatal>>()?;
            Ok::<_, Fatal>((config, index, sources))
        })
        .await
        .map_err(|e| panicked(&e))??
    };
    let count = sources.len();
    let (hints, receivers) = (0..count).map(|_| mpsc::channel(HINTS_MAX)).unzip();
    let brakes = {
        let index = index.clone();
        let now_ms = clock();
        let ids: Vec<_> = sources.iter().map(|source| source.id).collect();
        blocking(move || Brakes::load(&index, ids.into_iter(), now_ms)).await?
    };
    let ctx = Arc::new(Context {
        queue: Queue::new(count, config.limits.queue_items_max, config.limits.workers),
        board: Board::new(count),
        scans: ScanBook::new(count),
        gates: Gates::new(
            config.sources.iter().map(|s| s.bucket.as_str()),
            config.limits.workers,
        ),
        answering: Answering::new(count),
        late: LateChecks::default(),
        uploads: Uploads::default(),
        moves: SwapTracker::default(),
        links: HardLinks::default(),
        pacing: Pacing::new(config.sources.iter().map(policy).collect()),
        budget: Budget::default(),
        brakes,
        kept: Kept::default(),
        computer,
        config,
        sources,
        store,
        index,
        commits: Commits::default(),
        hints,
        unsettled: Unsettled::new(count),
        clock,
        began: Instant::now(),
        woke: watch::Sender::new(0),
        ending: watch::Sender::new(false),
        heard_ms: AtomicI64::new(i64::MIN / 2),
    });
    remember_compared(&ctx).await?;
    costs::take_up(&ctx).await?;
    {
        let ctx = Arc::clone(&ctx);
        blocking(move || {
            take_up_stored(&ctx);
            for source in 0..ctx.sources.len() {
                guard::show(&ctx, source);
                destination::show(&ctx, source);
            }
            Ok(())
        })
        .await?;
    }
    show_doubts(&ctx).await?;
    if let Opened::Rebuilt { moved_to, why, .. } = &opened {
        tracing::warn!(
            moved_to = %moved_to.display(),
            "the index was damaged ({why}) and is rebuilt from the bucket; nothing is uploaded twice"
        );
    }
    {
        let ctx = Arc::clone(&ctx);
        tokio::spawn(async move { orphaned_uploads::sweep(&ctx).await });
    }
    {
        let state_dir = ctx.config.state_dir.clone();
        // The next drill clears it, too.
        if let Err(fault) = blocking(move || drill::clear_leftovers(&state_dir)).await {
            tracing::warn!("{fault}");
        }
    }
    Ok(Parts {
        ctx,
        post,
        hints: receivers,
        opened,
    })
}

/// When the newest version was stored is known from the last run: a source in which
/// nothing changes is backed up all the same. Blocks.
fn take_up_stored(ctx: &Context) {
    let last = control::Kept::read(&ctx.config.state_dir);
    for then in last.iter().flat_map(|last| &last.status.sources) {
        let mut sources = ctx.sources.iter();
        if let Some(number) = sources.position(|source| source.config.name == then.name) {
            ctx.board
                .update(number, |board| board.stored_ms = then.board.stored_ms);
        }
    }
}

/// Say whose hands Keepwatch's own files are in, where these are not its own.
async fn show_doubts(ctx: &Arc<Context>) -> Result<(), Fatal> {
    let ctx = Arc::clone(ctx);
    let shown = blocking(move || {
        for doubt in places::doubts(&ctx.config) {
            tracing::warn!("{doubt}");
            // One is enough: they are no source's.
            ctx.board.warn(0, &doubt.what, Some(doubt.to_string()));
        }
        Ok(())
    });
    Ok(shown.await?)
}

async fn open_index(config: &Config) -> Result<(Index, Opened), Fatal> {
    let state_dir = config.state_dir.clone();
    tokio::task::spawn_blocking(move || {
        places::refuse_state(&state_dir)?;
        os::create_private_dir_all(&state_dir).map_err(|e| {
            Fatal::new(
                format!("make the state folder {}", state_dir.display()),
                crate::types::chain(&e),
                "set [state] dir to a folder that this account may write to",
            )
        })?;
        Index::open(&state_dir.join("index"))
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
                // The disk's mount point is there without its disk.
                return Err(Fatal::new(
                    format!("open the vault in {}", path.display()),
                    "the vault that was there is gone",
                    "connect and mount the disk that it is on. To begin a new vault there, choose another folder for it",
                ));
            }
            let vault = Vault::open(&path)?;
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

/// What tells one server from another in the index.
fn destination_name(config: &Config) -> String {
    match &config.store {
        StoreConfig::S3(s3) => s3.endpoint_url.clone().unwrap_or_else(|| "aws".into()),
        StoreConfig::Vault { path } => format!("vault:{}", path.display()),
    }
}

fn open_source(index: &Index, source: &SourceConfig, destination: &str) -> Result<Source, Fatal> {
    let id = index.source_id(&source.name, &source.bucket, &source.prefix, destination)?;
    Ok(Source {
        destination: Destination::load(index, id)?,
        id,
        rules: Rules::new(&source.path, &source.exclude)?,
        compress: Compress::new(&source.compress)?,
        config: source.clone(),
        compared: AtomicBool::new(false),
        copies: CopyHealth::default(),
    })
}

fn policy(source: &SourceConfig) -> Policy {
    Policy {
        min_interval_ms: source.min_version_interval_ms,
        per_hour_max: source.versions_per_hour_max,
    }
}

/// Under which name the index remembers that its last run ended with nothing
/// under way.
const STOPPED_CLEANLY: &str = "stopped_cleanly";

/// Note that nothing is under way any more: every version that the bucket has
/// taken is in the index. Only then may the next run trust it.
pub(super) async fn note_clean_stop(ctx: &Arc<Context>) -> Result<(), Fatal> {
    let ctx = Arc::clone(ctx);
    let noted = blocking(move || {
        ctx.index.state_set(STOPPED_CLEANLY, &true.into())?;
        ctx.index.flush()
    });
    Ok(noted.await?)
}

/// After a kill or a power cut the bucket may have taken versions that the
/// index has lost: then sources count as not compared.
async fn remember_compared(ctx: &Arc<Context>) -> Result<(), Fatal> {
    let ctx = Arc::clone(ctx);
    tokio::task::spawn_blocking(move || {
        let clean = ctx.index.state_get(STOPPED_CLEANLY)? == Some(true.into());
        late::take_up(&ctx, clean)?;
        for (number, source) in ctx.sources.iter().enumerate() {
            let known = ctx.index.source_state_get(source.id, COMPARED)? == Some(true.into());
            if known && !clean {
                tracing::info!(
                    source = %source.config.name,
                    "the last run was cut off: the bucket is compared again, now and when nothing can be on the line any more"
                );
                late::note(&ctx, number);
                ctx.index
                    .source_state_set(source.id, COMPARED, &false.into())?;
            }
            source.compared.store(known && clean, Ordering::Relaxed);
        }
        // What the configuration does not name any more is forgotten.
        let ids: Vec<_> = ctx.sources.iter().map(|source| source.id).collect();
        ctx.index.retain_sources(&ids)?;
        // On disk before anything is sent.
        ctx.index.state_set(STOPPED_CLEANLY, &false.into())?;
        ctx.index.flush()?;
        Ok(())
    })
    .await
    .map_err(|e| panicked(&e))?
}
