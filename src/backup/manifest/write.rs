//! Writes each source's manifest after a full comparison.

use super::draw::ManifestDrawer;
use super::local_file::LocalFile;
use super::send::ManifestSender;
use super::thin::thin;
use crate::clock::Clock;
use crate::config::Config;
use crate::files::Pulse;
use crate::index::{Index, SourceId};
use crate::manifest::{Trailer, Written, format};
use crate::os::blocking::blocking;
use crate::s3::{At, Store};
use crate::source::{SourceRuntime, Sources};
use crate::status::ScanDone;
use crate::transfer::{Budget, Uploads};
use crate::types::{Class, ETag, Fault, Operation};
use std::sync::Arc;
use std::time::Duration;

/// The standing warning when it cannot be written.
const WARNING: &str = "manifest";

/// How often it is drawn again because something was stored or deleted
/// meanwhile: a million paths take seconds, and at night offices are quiet.
/// Where they are not, the last one stands and says so.
const DRAWS_MAX: u32 = 3;

/// The longest that sending may take: 100 MB over half a megabit.
const SENDING_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// Writes manifests.
#[derive(Clone)]
pub struct ManifestWriter {
    /// The validated configuration: a manifest says how its source is backed up.
    pub config: Arc<Config>,
    /// All sources.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index, from which they are drawn.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Memory for what is sent.
    pub budget: Budget,
    /// Uploads in parts under way.
    pub uploads: Uploads,
}

impl ManifestWriter {
    /// Write a manifest for each source whose comparison came to its end.
    pub async fn write_all(&self, scans: &[Option<ScanDone>]) {
        for (source, scan) in self.sources.iter().zip(scans) {
            let is_whole = |scan: &ScanDone| scan.complete() && scan.listed_whole;
            let is_ours = source.destination.is_known_ours();
            if !is_ours || !scan.as_ref().is_some_and(is_whole) {
                continue;
            }
            let name = &source.config.name;
            // On the heap: what sends a large file is a deep thing.
            match Box::pin(self.write(source)).await {
                Ok(written) => {
                    source.status.warn(WARNING, None);
                    match written {
                        Some((key, trailer)) => {
                            tracing::info!(source = %name, %key, lines = trailer.lines, quiet = trailer.quiet, "manifest written");
                        }
                        None => tracing::debug!(source = %name, "the last manifest says the same"),
                    }
                    if let Err(fault) = thin(&self.store, source, self.clock.server_now_ms()).await
                    {
                        // Too many are no harm.
                        tracing::info!(source = %name, "old manifests stay for now: {fault}");
                    }
                }
                Err(fault) => {
                    let text = format!(
                        "no manifest was written, so the list of what the bucket has is that of the last one (restoring works without): {fault}"
                    );
                    if source.status.warn(WARNING, Some(text.clone())) {
                        tracing::warn!(source = %name, "{text}");
                    }
                }
            }
        }
    }

    /// Draw it and send it: its key and what it counts. `None` when the last one says the
    /// same.
    async fn write(&self, source: &Arc<SourceRuntime>) -> Result<Option<(String, Trailer)>, Fault> {
        let file = Arc::new(LocalFile {
            folder: self.config.state_dir.clone(),
            name: format!("keepwatch-manifest-{}.jsonl.gz", source.id.0),
        });
        let mut draws = 1;
        let (moment_ms, trailer, says) = loop {
            // By the clock that the bucket's times are by.
            let moment_ms = self.clock.server_now_ms();
            let (drawer, to) = (self.drawer(), Arc::clone(&file));
            let own = Arc::clone(source);
            let pulse = Pulse::default();
            let beat = pulse.clone();
            let work = move || drawer.draw(&own, moment_ms, &to.path(), &beat);
            let (trailer, says) = source.watchdog.run(&pulse, work).await?;
            if trailer.quiet || draws == DRAWS_MAX {
                break (moment_ms, trailer, says.to_hex());
            }
            draws += 1;
        };
        let key = format::key(&source.config.prefix, moment_ms);
        let says = trailer.quiet.then_some(says);
        if says.is_some() && self.is_said(source, &key, says.as_deref()).await? {
            return Ok(None);
        }
        // Noted before and after, so that `verify` knows it for ours whenever a kill comes.
        note(&self.index, source.id, &key, ETag::default(), None).await?;
        let sender = self.sender();
        let sending = sender.send_again(source, &file, &key);
        let sent = tokio::time::timeout(SENDING_TIME_MAX, sending).await;
        let etag = sent.unwrap_or_else(|_| {
            let why = "it took too long";
            Err(Fault::new(Class::Transient, Operation::Upload, &key, why))
        })?;
        note(&self.index, source.id, &key, etag, says).await?;
        Ok(Some((key, trailer)))
    }

    /// Whether the last one that was written says the same, comes before `key`, and is
    /// in the bucket as it was stored. Who may not ask for it writes another.
    async fn is_said(
        &self,
        source: &Arc<SourceRuntime>,
        key: &str,
        says: Option<&str>,
    ) -> Result<bool, Fault> {
        let last = {
            let (index, id) = (self.index.clone(), source.id);
            blocking(move || newest(&index, id)).await?
        };
        let is_same = |last: &Written| last.says.as_deref() == says && *last.key < *key;
        let Some(last) = last.filter(is_same) else {
            return Ok(false);
        };
        let at = At {
            bucket: &source.config.bucket,
            key: &last.key,
        };
        let head = self.store.head(at, None).await;
        Ok(matches!(head, Ok(Some(head)) if head.etag == last.etag))
    }

    fn drawer(&self) -> ManifestDrawer {
        ManifestDrawer {
            config: Arc::clone(&self.config),
            index: self.index.clone(),
            clock: self.clock.clone(),
        }
    }

    fn sender(&self) -> ManifestSender {
        ManifestSender {
            store: self.store.clone(),
            index: self.index.clone(),
            budget: self.budget.clone(),
            uploads: self.uploads.clone(),
        }
    }
}

/// The newest one that this computer wrote. Blocking.
fn newest(index: &Index, id: SourceId) -> Result<Option<Written>, Fault> {
    let value = index.source_state_get(id, Written::NAME)?;
    Ok(value.and_then(|value| Written::from_value(&value)))
}

/// Remember it as the newest one.
async fn note(
    index: &Index,
    id: SourceId,
    key: &str,
    etag: ETag,
    says: Option<String>,
) -> Result<(), Fault> {
    let (index, key) = (index.clone(), key.to_owned());
    blocking(move || {
        let written = Written {
            says,
            ..Written::after(newest(&index, id)?, key, etag)
        };
        index.source_state_set(id, Written::NAME, &written.to_value())
    })
    .await
}
