//! Sends a manifest as what it is: a file.

use super::local_file::{LocalFile, unwritable};
use crate::files::Pulse;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::s3::Store;
use crate::source::SourceRuntime;
use crate::transfer;
use crate::transfer::{Budget, Job, ReadMode, Reading, Sent, UploadHooks, Uploads};
use crate::types::{ETag, Fault, ObjectMeta, RelKey, RelPath, chain};
use crate::work::Lane;
use std::sync::Arc;
use std::time::Duration;

/// Tries to send it; tomorrow brings the next one.
const SENDINGS_MAX: u32 = 3;

/// Between two of them.
const SENDING_PAUSE: Duration = Duration::from_secs(5);

/// Sends manifests.
pub(crate) struct ManifestSender {
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) budget: Budget,
    pub(crate) uploads: Uploads,
}

impl ManifestSender {
    /// Send it, with a few tries. Gives its ETag.
    pub(crate) async fn send_again(
        &self,
        source: &Arc<SourceRuntime>,
        file: &LocalFile,
        key: &str,
    ) -> Result<ETag, Fault> {
        let mut sending = 1;
        loop {
            match Box::pin(self.send(source, file, key)).await {
                Err(fault) if fault.class.is_transient() && sending < SENDINGS_MAX => {
                    tracing::debug!("the manifest is sent again: {fault}");
                    tokio::time::sleep(SENDING_PAUSE * sending).await;
                    sending += 1;
                }
                done => return done,
            }
        }
    }

    /// Send it once. Gives its ETag.
    async fn send(
        &self,
        source: &Arc<SourceRuntime>,
        file: &LocalFile,
        key: &str,
    ) -> Result<ETag, Fault> {
        let path = RelPath::from_bytes(file.name.as_bytes())
            .map_err(|error| unwritable(&file.path(), &chain(&error)))?;
        // It is small or read as a stream; either way one at a time.
        let memory = self.budget.take(Lane::Backlog, transfer::SMALL_BYTES_MAX);
        let _memory = memory.await;
        let (folder, read) = (file.folder.clone(), path.clone());
        let reading =
            blocking(move || transfer::read(&folder, &read, ReadMode::Strict, &Pulse::default()));
        let changed = || unwritable(&file.path(), "somebody else writes to it");
        let Reading::Steady(content) = reading.await? else {
            return Err(changed());
        };
        let job = self.job(source, file, path, key);
        let meta = ObjectMeta::of(&content.fingerprint, Some(content.hash));
        let sent = match &content.bytes {
            Some(bytes) => transfer::send_small(&job, bytes.clone(), meta, content.hash).await?,
            None => transfer::send_large(&job, &content, meta, None).await?,
        };
        match sent {
            Sent::Stored(done) => Ok(done.stored.etag),
            Sent::Changed => Err(changed()),
        }
    }

    fn job(&self, source: &Arc<SourceRuntime>, file: &LocalFile, path: RelPath, key: &str) -> Job {
        let shared = Arc::clone(source);
        Job {
            store: self.store.clone(),
            index: self.index.clone(),
            source: source.id,
            root: file.folder.clone(),
            // An upload in parts that is cut off is noted under a name that no file
            // of the source has at that key, so it is aborted and not gone on with.
            key: RelKey::of_file(&path),
            path,
            bucket: source.config.bucket.clone(),
            bucket_key: key.to_owned(),
            gzip_level: None,
            lane: Lane::Backlog,
            budget: self.budget.clone(),
            wire: UploadHooks {
                works: Arc::new(|| {}),
                slowed: Arc::new(|| {}),
                at_once: Arc::new(move || shared.breaker.at_once()),
            },
            pulse: Pulse::default(),
            uploads: self.uploads.clone(),
        }
    }
}
