//! The bucket. This is the only folder that imports aws-sdk-s3.
//!
//! There is one S3 code path: AWS, a compatible server and the embedded
//! vault differ only in where the SDK's HTTP requests end. Whatever
//! leaves this folder has our own types ([`Store`], [`Head`], `types::Fault`), never
//! the SDK's. It must never delete a version, and it never logs.
//!
//! Files in reading order: `store` is the connection, which `client` builds with the
//! limits in `timeouts`, over `transport`, which counts requests and bytes and limits them
//! with `bandwidth`; `object`, `head`, `download`, `copy`, `multipart`, `record` and
//! `archive` are requests for one object; `list`, `list_versions`, `past`, `folders` and
//! `open_uploads` are lists; `acknowledged`, `marks`, `late` and `seam` decide what an
//! answer is worth; `differences` says what servers do otherwise than AWS; `error` turns
//! what failed into a fault.

mod acknowledged;
mod archive;
mod at;
mod bandwidth;
mod client;
mod clock_skew;
mod copy;
mod copy_source;
mod demanded;
pub mod differences;
mod download;
mod error;
mod folders;
mod head;
mod late;
mod list;
mod list_versions;
mod listing_guard;
mod marks;
mod multipart;
mod no_body;
mod object;
mod object_headers;
mod open_uploads;
mod order;
mod page;
mod past;
mod payload_hash;
mod record;
mod response_limit;
mod seam;
mod store;
mod stored;
#[cfg(test)]
mod test_server;
mod timeouts;
mod transport;
mod unanswered;
mod upload;
mod versioning;
mod xml;

pub use archive::Asked;
pub use at::At;
pub use copy::COPY_BYTES_MAX;
pub use copy_source::CopyFrom;
pub use download::GetBody;
pub use head::{BytesAre, Head};
pub use late::LATE_MAX;
pub use listing_guard::ListingGuard;
pub use object_headers::ObjectHeaders;
pub use open_uploads::{ListedPart, OpenUpload};
pub use page::{Listed, ListedVersion, PAGE_KEYS, Page};
pub use record::{Precondition, Wrote};
pub use seam::Next;
pub use store::Store;
pub use stored::Stored;
pub use unanswered::Unanswered;
pub use upload::{PartDone, Proof, Sums, Upload, Whole};
pub use versioning::Versioning;
