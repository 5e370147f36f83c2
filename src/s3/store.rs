//! The connection to one server: who it is, its clock, its line.

use super::copy_source::CopyManners;
use super::error;
use super::timeouts::{self, Quick};
use super::transport::Transport;
use super::unanswered::{Unanswered, UnansweredNotes};
use crate::os::boot_now;
use crate::types::{BootMs, Fault, Operation, Rates, Traffic, WallMs};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// A connection to one S3 server; cheap to clone, shared by every worker.
#[derive(Clone)]
pub struct Store {
    pub(super) client: aws_sdk_s3::Client,
    /// The same for the requests of every small file: settings for a single request cost as
    /// much as signing it.
    pub(super) quick: Quick,
    /// How people know the server: `AWS S3 in eu-central-1`, `the vault in /mnt/disk`.
    pub(super) place: Arc<str>,
    /// Why this vault can only be read; `None` for everything else.
    pub(super) only_read_because: Option<Arc<str>>,
    /// The folder of the vault that this is; `None` for a server.
    pub(super) vault_folder: Option<Arc<Path>>,
    /// What all requests go over.
    pub(super) transport: Transport,
    /// Requests that were not answered.
    pub(super) notes: UnansweredNotes,
    /// What uploads in parts prove their bytes by; 0 while nobody has asked.
    pub(super) proof: Arc<AtomicU8>,
    /// How the server wants to be asked for copies.
    pub(super) copying: Arc<CopyManners>,
    /// Whether buckets keep versions, as far as they have said so: if one does, its answers
    /// must name the version.
    pub(super) keeps_versions: Arc<Mutex<BTreeMap<String, bool>>>,
    /// Buckets of which the server has only the current objects.
    pub(super) only_current: Arc<Mutex<BTreeSet<String>>>,
}

impl Store {
    /// How people know the server.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The region that requests are made for, as options, environment or profile say.
    pub fn region(&self) -> Option<String> {
        let region = self.client.config().region();
        region.map(ToString::to_string)
    }

    /// Why this vault can only be read, when its disk takes no writing.
    pub fn only_read_because(&self) -> Option<&str> {
        self.only_read_because.as_deref()
    }

    /// The folder of the vault that this is; `None` for a server.
    pub fn vault_folder(&self) -> Option<&Path> {
        self.vault_folder.as_deref()
    }

    /// What went to the server and came from it since the start.
    pub fn traffic(&self) -> Traffic {
        self.transport.traffic()
    }

    /// When something was by the server's clock, milliseconds since 1970, that was at
    /// `seen`; the clock here says `wall_ms`
    /// now. Perhaps a little too late, never too early. `None` where the clock here is
    /// wrong, or was until now.
    pub fn server_time_ms(&self, seen: BootMs, wall_ms: WallMs) -> Option<WallMs> {
        let clock = self.transport.clock();
        clock.when(seen, boot_now(), wall_ms)
    }

    /// The server's time now, milliseconds since 1970, as near as it is known; the
    /// clock here says `wall_ms`, and that is it where no server has told the time.
    pub fn server_now_ms(&self, wall_ms: WallMs) -> WallMs {
        self.transport.clock().now(boot_now(), wall_ms)
    }

    /// A time that the server's clock has surely reached by now: what the server
    /// stores from now on has no earlier one.
    pub fn server_reached_ms(&self, wall_ms: WallMs) -> WallMs {
        self.transport.clock().reached(boot_now(), wall_ms)
    }

    /// How far the clock here, which says `wall_ms`, is ahead of the server's at the
    /// least; negative when it is behind, `None` while no server has told the time.
    pub fn clock_apart_ms(&self, wall_ms: WallMs) -> Option<i64> {
        self.transport.clock().apart_ms(boot_now(), wall_ms)
    }

    /// How much of the line may be taken from now on.
    pub fn limit(&self, rates: Rates) {
        self.transport.limit(rates);
    }

    /// How much of the line may be taken.
    pub fn rates(&self) -> Rates {
        self.transport.rates()
    }

    /// Check that the bucket answers at all with these credentials.
    ///
    /// # Errors
    /// As [`Store::versioning`].
    pub async fn reach(&self, bucket: &str) -> Result<(), Fault> {
        self.list(bucket, "", None, 1).await.map(|_| ())
    }

    /// Names of the buckets these credentials can see.
    ///
    /// # Errors
    /// Class `Denied` is common: many keys may not list buckets.
    pub async fn buckets(&self) -> Result<Vec<String>, Fault> {
        let answer = self
            .client
            .list_buckets()
            .customize()
            .config_override(timeouts::short_operation())
            .send()
            .await
            .map_err(|e| error::from_sdk(Operation::ListBuckets, self.place(), e))?;
        Ok(answer
            .buckets()
            .iter()
            .filter_map(|b| b.name().map(str::to_owned))
            .collect())
    }

    /// What was to be changed by requests that were not answered since the last
    /// call.
    pub fn unanswered(&self) -> Unanswered {
        self.notes.take()
    }

    /// Time-outs of a request that carries this many bytes to the server.
    pub(super) fn moving(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        timeouts::moving(self.rates(), bytes)
    }

    /// Time-outs of a request that a list answers.
    pub(super) fn listing(&self) -> aws_sdk_s3::config::Builder {
        timeouts::listing(self.rates())
    }
}
