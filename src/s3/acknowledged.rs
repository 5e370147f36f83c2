//! Completes what an answer says of the version that it acknowledges: where it leaves
//! something out, the server is asked.
//!
//! Servers leave out ETags (`Differs::CompletionWithoutETag`) and version ids
//! (`Differs::CopyWithoutVersionId`, `Differs::WriteWithoutVersionId`). Invariant: the
//! result is a version that the server has, with the right content and, in a bucket with
//! versions, with its id; or it is a [`Fault`]. A server that says everything is asked
//! nothing more.

use super::at::At;
use super::head::Head;
use super::object_headers::ObjectHeaders;
use super::store::Store;
use super::stored::Stored;
use crate::types::{Class, ContentHash, ETag, Fault, Operation, VersionId, chain};
use bytes::Bytes;
use md5::{Digest as _, Md5};

/// Bodies up to so many bytes are hashed on this thread: that takes less than a change of
/// threads.
const HASHED_AT_ONCE_BYTES: usize = 64 * 1024;

/// How an answer acknowledges a version.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// What was asked for.
    pub(super) operation: Operation,
    /// What the answer says; either may be missing.
    pub(super) stored: Stored,
    /// The answer proves that the version holds what it should.
    pub(super) is_proved: bool,
}

impl Store {
    /// The version that was acknowledged. If the answer is not enough, HEAD asks for the
    /// version, and `is_it` judges that.
    ///
    /// # Errors
    /// Any class; `Transient` when the server does not have what it acknowledged.
    pub(super) async fn acknowledged(
        &self,
        at: At<'_>,
        answer: Acknowledged,
        is_it: impl Fn(&Head) -> bool,
    ) -> Result<Stored, Fault> {
        let Acknowledged {
            operation,
            stored,
            is_proved,
        } = answer;
        let needs_version = self.keeps_versions(at.bucket);
        let names_version = !needs_version || stored.version_id.is_some();
        if is_proved && names_version && !stored.etag.is_empty() {
            return Ok(stored);
        }
        let asked = stored.version_id.as_ref();
        let head = self.head(at, asked).await?;
        let same = |head: &Head| stored.etag.is_empty() || head.etag == stored.etag;
        let head = head.filter(|head| is_it(head) && (same(head) || !is_proved));
        let Some(head) = head else {
            return Err(missing(operation, at));
        };
        let version_id = match [stored.version_id, head.version_id] {
            [Some(told), _] => Some(told),
            [_, found] if found.is_some() || !needs_version => found,
            _ => self.id_of_newest(operation, at, &head.etag).await?,
        };
        Ok(Stored {
            version_id,
            etag: head.etag,
        })
    }

    /// The id of a key's newest version with this ETag, from the list of versions: some
    /// servers tell ids nowhere else.
    async fn id_of_newest(
        &self,
        operation: Operation,
        at: At<'_>,
        etag: &ETag,
    ) -> Result<Option<VersionId>, Fault> {
        let page = self.list_versions(at.bucket, at.key, None).await?;
        let newest = page.items.into_iter().next();
        let newest = newest.filter(|v| v.key == at.key && !v.is_marker && v.etag == *etag);
        let newest = newest.ok_or_else(|| missing(operation, at))?;
        Ok(newest.version_id)
    }

    /// The id of the delete marker that is a key's newest version, where the answer to a
    /// deletion named none. `None` when there is nothing at all: a bucket without versions
    /// has destroyed the object.
    pub(super) async fn id_of_marker(&self, at: At<'_>) -> Result<Option<VersionId>, Fault> {
        let page = self.list_versions(at.bucket, at.key, None).await?;
        let newest = page.items.into_iter().next();
        match newest.filter(|v| v.key == at.key) {
            Some(newest) if !newest.is_marker => Err(missing(Operation::MarkDeleted, at)),
            Some(newest) => Ok(newest.version_id),
            None => Ok(None),
        }
    }
}

/// The server acknowledged it and does not have it.
fn missing(operation: Operation, at: At<'_>) -> Fault {
    Fault::new(
        Class::Transient,
        operation,
        at.subject(),
        "the server acknowledged it, and does not have it",
    )
    .hint("Keepwatch tries again by itself; if it lasts, see whether a proxy or a cache answers in the server's place")
}

/// Whether an object is the one that was sent with these headers.
pub(super) fn is_as_sent(head: &Head, bytes: u64, headers: &ObjectHeaders) -> bool {
    let sent = &headers.meta;
    let says_so = head.meta.as_ref().is_ok_and(|meta| {
        let of = |m: &crate::types::ObjectMeta| (m.kind, m.content, m.size_bytes);
        of(meta) == of(sent)
    });
    says_so && head.stored_bytes == bytes
}

/// Whether an answer proves that the server has these bytes: by their SHA-256, else by an
/// ETag that is their MD5. The ETag of encrypted bytes is no MD5 (S3 API, "Object") and
/// proves nothing.
pub(super) async fn proves(
    told_sha256: Option<&str>,
    etag: &str,
    body: Bytes,
    sha256: ContentHash,
) -> Result<bool, Fault> {
    if let Some(told) = told_sha256 {
        return Ok(ContentHash::from_base64(told) == Some(sha256));
    }
    if etag.len() != 32 || !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(false);
    }
    let md5 = if body.len() <= HASHED_AT_ONCE_BYTES {
        md5_of(&body)
    } else {
        let hashed = tokio::task::spawn_blocking(move || md5_of(&body)).await;
        hashed.map_err(|e| Fault::new(Class::Local, "hash", "an upload", chain(&e)))?
    };
    Ok(md5.eq_ignore_ascii_case(etag))
}

fn md5_of(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_proves_that_the_bytes_arrived() {
        let body = |n: usize| Bytes::from(vec![b'x'; n]);
        for bytes in [1, HASHED_AT_ONCE_BYTES + 1] {
            let sha256 = ContentHash::of(&body(bytes));
            let other = ContentHash::of(b"other").to_base64();
            let (ours, md5) = (sha256.to_base64(), md5_of(&body(bytes)));
            for (told, etag, want) in [
                (Some(ours.as_str()), "", true),
                (Some(&other), md5.as_str(), false),
                (None, &md5, true),
                (None, &md5.to_uppercase(), true),
                (None, "0123456789abcdef0123456789abcdef", false),
                (None, "5f-63", false),
                (None, "", false),
            ] {
                let proved = proves(told, etag, body(bytes), sha256).await;
                assert_eq!(proved, Ok(want), "{told:?} {etag}");
            }
        }
    }
}
