//! The bucket, and the only room that imports aws-sdk-s3.
//!
//! There is one S3 code path: AWS, a compatible server and the embedded
//! vault differ only in where the SDK's HTTP requests end. Everything that
//! leaves this room speaks our own words ([`Fault`], [`ObjectMeta`]), never the
//! SDK's. Called by `transfer`, `recovery` and the tasks. It must never delete
//! a version, and it never logs.

mod acknowledged;
mod archive;
mod bandwidth;
mod client;
mod clock_skew;
mod copy;
mod demanded;
pub mod differences;
mod error;
mod folders;
mod late;
mod list;
mod listing_guard;
mod marks;
mod multipart;
mod no_body;
mod object;
mod order;
mod past;
mod payload_hash;
mod record;
mod response_limit;
mod seam;
mod xml;

pub use archive::Asked;
pub use copy::{COPY_BYTES_MAX, CopyFrom};
pub use error::is_cold;
pub use late::{LATE_MAX, Unanswered};
pub use list::{Listed, ListedVersion, PAGE_KEYS, Page};
pub use listing_guard::Course;
pub use multipart::{ListedPart, OpenUpload, PartDone, Proof, Sums, Upload, Whole};
pub use object::{BytesAre, GetBody, Head};
pub use record::{Demand, Wrote};
pub use seam::Next;

use crate::os::steady_ms;
use crate::types::{ContentHash, Fault, ObjectMeta, Rates, Traffic};
use bandwidth::Line;
use late::Notes;
use parking_lot::{Mutex, MutexGuard};
use past::Refused;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// A connection to one S3 server; cheap to clone, shared by every worker.
#[derive(Clone)]
pub struct Store {
    client: aws_sdk_s3::Client,
    /// The same for the requests that are made for every small file: settings
    /// made for one request cost as much as signing it.
    quick: client::Quick,
    /// How people know the server: `AWS S3 in eu-central-1`, `the vault in /mnt/disk`.
    place: Arc<str>,
    /// Why this vault can only be read; `None` for everything else.
    only_read_because: Option<Arc<str>>,
    /// What all requests go over.
    line: Line,
    /// Requests that were not answered.
    notes: Notes,
    /// What uploads in parts prove their bytes by; 0 while nobody has asked.
    proof: Arc<AtomicU8>,
    /// How it wants to be asked for copies.
    copying: Arc<copy::Manners>,
    /// Buckets that have said so, and whether they keep versions: an answer of
    /// one that does must name the version.
    keeps_versions: Arc<Mutex<BTreeMap<String, bool>>>,
    /// Buckets of which the server has nothing but what is current.
    only_current: Arc<Mutex<BTreeSet<String>>>,
}

/// How S3 says that a bucket keeps versions.
const ENABLED: &str = "Enabled";

/// What S3 answered when it acknowledged a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Id of the new version; empty when the bucket is not versioned.
    pub version_id: String,
    /// ETag without quotes.
    pub etag: String,
}

impl Stored {
    fn of(version_id: Option<&str>, etag: Option<&str>) -> Self {
        Self {
            version_id: version_id.unwrap_or_default().to_owned(),
            etag: unquote(etag),
        }
    }
}

/// How an object is written, besides its bytes.
#[derive(Debug, Clone)]
pub struct ObjectHeaders {
    /// What the object says about the file.
    pub meta: ObjectMeta,
    /// True when the body is gzip; sets `Content-Encoding`.
    pub gzip: bool,
    /// MIME type; S3's default when absent.
    pub content_type: Option<&'static str>,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Every version is kept: what Keepwatch needs.
    Enabled,
    /// Overwriting destroys: deletes must not be marked, and the owner is warned.
    Off,
}

/// One object's address, for messages and requests.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// Bucket name.
    pub bucket: &'a str,
    /// Full key, prefix included.
    pub key: &'a str,
}

impl At<'_> {
    fn subject(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
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

    /// What went to the server and came from it since the start.
    pub fn traffic(&self) -> Traffic {
        self.line.traffic()
    }

    /// When something was by the server's clock, milliseconds since 1970, that was at
    /// `seen_steady_ms` by [`crate::os::steady_ms`]; the clock here says `wall_ms`
    /// now. Perhaps a little too late, never too early. `None` where the clock here is
    /// wrong, or was until now.
    pub fn server_time_ms(&self, seen_steady_ms: i64, wall_ms: i64) -> Option<i64> {
        self.line
            .clock()
            .when_ms(seen_steady_ms, steady_ms(), wall_ms)
    }

    /// The server's time now, milliseconds since 1970, as near as it is known; the
    /// clock here says `wall_ms`, and that is it where no server has told the time.
    pub fn server_now_ms(&self, wall_ms: i64) -> i64 {
        self.line.clock().now_ms(steady_ms(), wall_ms)
    }

    /// A time that the server's clock has surely reached by now: what the server
    /// stores from now on has no earlier one.
    pub fn server_reached_ms(&self, wall_ms: i64) -> i64 {
        self.line.clock().reached_ms(steady_ms(), wall_ms)
    }

    /// How far the clock here, which says `wall_ms`, is ahead of the server's at the
    /// least; negative when it is behind, `None` while no server has told the time.
    pub fn clock_apart_ms(&self, wall_ms: i64) -> Option<i64> {
        self.line.clock().apart_ms(steady_ms(), wall_ms)
    }

    /// How much of the line may be taken from now on.
    pub fn limit(&self, rates: Rates) {
        self.line.limit(rates);
    }

    /// How much of the line may be taken.
    pub fn rates(&self) -> Rates {
        self.line.rates()
    }

    /// Whether the bucket is there, ours to read, and versioned.
    ///
    /// # Errors
    /// Class `NoBucket`, `Denied`, `Credentials` or `Transient`.
    pub async fn versioning(&self, bucket: &str) -> Result<Versioning, Fault> {
        let status = self.versioning_status(bucket).await;
        let is_enabled = status.map_err(|refused| refused.fault)? == ENABLED;
        self.known_versions().insert(bucket.to_owned(), is_enabled);
        Ok(match is_enabled {
            true => Versioning::Enabled,
            false => Versioning::Off,
        })
    }

    /// In the words of S3: `Enabled`, `Suspended`, or nothing where versions were
    /// never kept.
    async fn versioning_status(&self, bucket: &str) -> Result<String, Refused> {
        let answer = self
            .quick
            .short
            .get_bucket_versioning()
            .bucket(bucket)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer
                .status()
                .map_or_else(String::new, |status| status.as_str().to_owned())),
            // `Differs::VersioningUnderAnotherRoot`: the SDK refuses that.
            Err(error) if is_versioning(&error) => Ok(error
                .raw_response()
                .and_then(|response| response.body().bytes())
                .and_then(|body| xml::text_of(body, "Status"))
                .unwrap_or_default()),
            Err(error) => Err(Refused {
                is_unknown: past::is_unknown(&error),
                fault: error::from_sdk("read the versioning state of", bucket, error),
            }),
        }
    }

    /// Whether the bucket has said that it keeps versions.
    fn keeps_versions(&self, bucket: &str) -> bool {
        self.known_versions().get(bucket) == Some(&true)
    }

    fn known_versions(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.keeps_versions.lock()
    }

    /// That the bucket answers at all with these credentials.
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
            .config_override(client::short_operation())
            .send()
            .await
            .map_err(|e| error::from_sdk("list the buckets of", self.place(), e))?;
        Ok(answer
            .buckets()
            .iter()
            .filter_map(|b| b.name().map(str::to_owned))
            .collect())
    }
}

/// The server said how it is with versions, though the SDK cannot read it.
fn is_versioning<E>(
    error: &aws_sdk_s3::error::SdkError<
        E,
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
    >,
) -> bool {
    let response = error.raw_response();
    let response = response.filter(|response| response.status().as_u16() == 200);
    let root = response.and_then(|response| xml::root(response.body().bytes()?));
    root.is_some_and(|root| root.contains("Versioning"))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

fn sha256_header(hash: ContentHash) -> String {
    hash.to_base64()
}

fn unquote(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
