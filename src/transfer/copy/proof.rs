//! Whether a copy holds what it should, by what the server says of it; what says
//! nothing is read back.

use super::original::Original;
use crate::s3::{GetBody, Head, ObjectHeaders, Stored};
use crate::transfer::read::Content;
use crate::transfer::send::Job;
use crate::types::{Class, ContentHash, Fault, Hasher};
use async_compression::tokio::bufread::GzipDecoder;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

/// Bytes that are hashed at a time when a copy is read back.
const READ_BYTES: usize = 256 * 1024;

/// What is known of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proved {
    /// It holds what it should, in this version.
    Right(Stored),
    /// The server has made something else.
    Wrong(&'static str),
    /// Nobody can tell, and the server need not be to blame.
    Unsaid(&'static str),
}

/// What one look at a version comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
    /// Only its bytes can tell.
    Unsaid,
}

impl Job {
    /// Whether `stored`, as the server answered it, is `original` with `headers`.
    pub(crate) async fn prove(
        &self,
        content: &Content,
        original: &Original<'_>,
        headers: &ObjectHeaders,
        stored: &Stored,
    ) -> Result<Proved, Fault> {
        let is_named = stored.version_id.is_some();
        if is_named && is_same(&stored.etag, original.from.etag) && is_of_one_piece(&stored.etag) {
            return Ok(Proved::Right(stored.clone()));
        }
        let version_id = stored.version_id.as_ref();
        let head = match self.store.head_with_sums(self.at(), version_id).await {
            Err(fault) if is_final(&fault) => {
                return Ok(Proved::Unsaid("it may not be looked at"));
            }
            head => head?,
        };
        let Some(head) = head else {
            return Ok(Proved::Unsaid("it is not there"));
        };
        // The newest one may be somebody else's by now.
        let is_it = is_named || stored.etag.is_empty() || head.etag == stored.etag;
        if !is_it {
            return Ok(Proved::Unsaid("another version is in front of it"));
        }
        if !says(&head, headers) {
            return Ok(match is_named {
                true => Proved::Wrong("a copy does not say of itself what it was told to"),
                false => Proved::Unsaid("another version is in front of it"),
            });
        }
        let seen = Stored {
            version_id: match is_named {
                true => stored.version_id.clone(),
                false => head.version_id.clone(),
            },
            etag: head.etag.clone(),
        };
        match judge(&head, original, content.hash) {
            Verdict::Right => Ok(Proved::Right(seen)),
            Verdict::Wrong => Ok(Proved::Wrong("a copy holds other bytes")),
            Verdict::Unsaid => self.read_back(content, seen).await,
        }
    }

    /// Read the copy, since the server says nothing of its bytes.
    async fn read_back(&self, content: &Content, copy: Stored) -> Result<Proved, Fault> {
        let version_id = copy.version_id.as_ref();
        let (head, body) = match self.store.get(self.at(), version_id).await {
            Ok(got) => got,
            Err(fault) if is_final(&fault) || fault.class == Class::NotFound => {
                return Ok(Proved::Unsaid("it may not be read"));
            }
            Err(fault) => return Err(fault),
        };
        if head.etag != copy.etag {
            return Ok(Proved::Unsaid("another version is in front of it"));
        }
        Ok(
            match hash_of(body, head.gzip, content.fingerprint.size_bytes).await {
                Ok(hash) if hash == content.hash => Proved::Right(copy),
                Ok(_) => Proved::Wrong("a copy holds other bytes"),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    Proved::Wrong("a copy holds other bytes")
                }
                Err(_) => Proved::Unsaid("it could not be read to its end"),
            },
        )
    }
}

/// Hash of the file that a body holds, unpacked where it is compressed. Of one that
/// holds more than `size_bytes`, that of the beginning and a little more.
async fn hash_of(body: GetBody, gzip: bool, size_bytes: u64) -> io::Result<ContentHash> {
    let pieces = futures::stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match body.next().await {
            Ok(piece) => Some((Ok(piece?), Some(body))),
            Err(fault) => Some((Err(io::Error::other(fault)), None)),
        }
    });
    let stored = StreamReader::new(Box::pin(pieces));
    let too_much = size_bytes.saturating_add(1);
    if !gzip {
        return hash_all(stored.take(too_much)).await;
    }
    let mut unpacked = GzipDecoder::new(stored);
    unpacked.multiple_members(true);
    hash_all(unpacked.take(too_much)).await
}

async fn hash_all(mut from: impl AsyncRead + Unpin) -> io::Result<ContentHash> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; READ_BYTES]);
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(hasher.finish()),
            got => hasher.update(&buffer[..got]),
        }
    }
}

/// Asking again gives no other answer, and sending the content may help.
pub(crate) fn is_final(fault: &Fault) -> bool {
    matches!(fault.class, Class::Refused | Class::Denied | Class::Damaged)
}

fn is_same(one: &str, other: &str) -> bool {
    !one.is_empty() && one == other
}

/// What S3 gives an object that was not uploaded in parts; nothing for an empty one.
pub fn is_of_one_piece(etag: &str) -> bool {
    !etag.is_empty() && !etag.contains('-')
}

/// The answer alone shows that the copy is wrong.
pub(crate) fn looks_wrong(original: &Original<'_>, stored: &Stored) -> bool {
    let was = original.from.etag;
    is_of_one_piece(&stored.etag) && is_of_one_piece(was) && stored.etag != *was
}

/// The version's metadata is what was asked for.
fn says(head: &Head, headers: &ObjectHeaders) -> bool {
    let told = headers.meta.to_headers();
    let says = head.meta.as_ref().map(|meta| meta.to_headers());
    says.is_ok_and(|says| says == told) && head.gzip == headers.gzip
}

/// What the server says of the copy's bytes, beside what it says of the original's.
fn judge(copy: &Head, original: &Original<'_>, content: ContentHash) -> Verdict {
    if copy.stored_bytes != original.stored_bytes {
        return Verdict::Wrong;
    }
    let (is, was) = (copy.bytes_are, original.bytes_are);
    let hash_known = is.sha256.filter(|_| !copy.gzip);
    let has_other_hash = hash_known.is_some_and(|hash| hash != content)
        || matches!((is.sha256, was.sha256), (Some(is), Some(was)) if is != was)
        || matches!((is.crc64, was.crc64), (Some(is), Some(was)) if is != was);
    if has_other_hash {
        return Verdict::Wrong;
    }
    let is_proved = hash_known.is_some()
        || (is.sha256.is_some() && is.sha256 == was.sha256)
        || (is.crc64.is_some() && is.crc64 == was.crc64);
    // ETags depend on the bytes, also those of uploads in parts: equal ones prove it.
    if is_proved || is_same(&copy.etag, original.from.etag) {
        return Verdict::Right;
    }
    // Different ones prove other bytes only where both are of one piece and not encrypted.
    let both_plain = is_of_one_piece(&copy.etag) && is_of_one_piece(original.from.etag);
    match both_plain && !is.etag_says_nothing {
        true => Verdict::Wrong,
        false => Verdict::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::{BytesAre, CopyFrom};
    use crate::types::ETag;
    use crate::types::VersionId;
    use crate::types::{Crc64, Fingerprint, MetaRefused, ObjectMeta};

    const PLAIN: &str = "9b2cf535f27731c974343645a3985328";
    const OTHER: &str = "0b2cf535f27731c974343645a3985328";
    const PARTS: &str = "9b2cf535f27731c974343645a3985328-2";

    fn are(sha256: Option<&str>, crc64: Option<u64>, kms: bool) -> BytesAre {
        BytesAre {
            sha256: sha256.map(|text| ContentHash::of(text.as_bytes())),
            crc64: crc64.map(Crc64),
            etag_says_nothing: kms,
        }
    }

    fn head(etag: &str, gzip: bool, bytes_are: BytesAre) -> Head {
        Head {
            version_id: VersionId::new("2"),
            etag: etag.into(),
            stored_bytes: 1,
            gzip,
            meta: Err(MetaRefused::Foreign),
            bytes_are,
        }
    }

    fn original(etag: &ETag, gzip: bool, bytes_are: BytesAre) -> Original<'_> {
        Original {
            from: CopyFrom {
                key: "a",
                version_id: None,
                etag,
            },
            stored_bytes: 1,
            gzip,
            bytes_are,
        }
    }

    #[test]
    fn a_copy_is_believed_only_for_a_reason() {
        let none = are(None, None, false);
        let (right, wrong, unsaid) = (Verdict::Right, Verdict::Wrong, Verdict::Unsaid);
        for (gzip, was_etag, was, etag, is, want) in [
            (false, PLAIN, none, PLAIN, none, right),
            (false, PARTS, none, PARTS, none, right),
            (false, "", none, "", none, unsaid),
            (false, PLAIN, none, "", none, unsaid),
            // Of one piece, not encrypted: other bytes.
            (false, PLAIN, none, OTHER, none, wrong),
            (false, PLAIN, none, OTHER, are(None, None, true), unsaid),
            (false, PLAIN, none, OTHER, are(Some("x"), None, true), right),
            (false, PLAIN, none, OTHER, are(Some("y"), None, true), wrong),
            // The same ETag, and a checksum against it.
            (
                false,
                PLAIN,
                none,
                PLAIN,
                are(Some("y"), None, false),
                wrong,
            ),
            // In parts: the ETag says nothing, sums do where they are known.
            (false, PARTS, none, OTHER, none, unsaid),
            (false, PLAIN, none, PARTS, none, unsaid),
            (
                false,
                PARTS,
                none,
                OTHER,
                are(Some("y"), None, false),
                wrong,
            ),
            (
                true,
                PARTS,
                none,
                OTHER,
                are(Some("y"), None, false),
                unsaid,
            ),
            (
                false,
                PARTS,
                are(None, Some(1), false),
                OTHER,
                are(None, Some(1), false),
                right,
            ),
            (
                false,
                PARTS,
                are(None, Some(1), false),
                OTHER,
                are(None, Some(2), false),
                wrong,
            ),
            (
                true,
                PLAIN,
                are(Some("z"), None, true),
                OTHER,
                are(Some("y"), None, true),
                wrong,
            ),
            (
                true,
                PLAIN,
                are(Some("z"), None, false),
                OTHER,
                are(Some("z"), None, false),
                right,
            ),
        ] {
            assert_eq!(
                judge(
                    &head(etag, gzip, is),
                    &original(&was_etag.into(), gzip, was),
                    ContentHash::of(b"x")
                ),
                want,
                "{gzip} {was_etag} {was:?} {etag} {is:?}"
            );
        }
        let longer = Head {
            stored_bytes: 2,
            ..head(PLAIN, false, none)
        };
        let got = judge(
            &longer,
            &original(&PLAIN.into(), false, none),
            ContentHash::of(b"x"),
        );
        assert_eq!(got, wrong);
    }

    #[test]
    fn a_copy_has_the_metadata_that_it_was_given() {
        let meta = |mode| {
            let file = Fingerprint {
                mode,
                ..Fingerprint::UNSEEN
            };
            ObjectMeta::of(&file, Some(ContentHash::of(b"x")))
        };
        let told = ObjectHeaders {
            meta: meta(0o644),
            gzip: false,
            content_type: None,
        };
        for (says_meta, gzip, want) in [
            (Ok(meta(0o644)), false, true),
            (Ok(meta(0o600)), false, false),
            (Ok(meta(0o644)), true, false),
            (Err(MetaRefused::Foreign), false, false),
        ] {
            let head = Head {
                meta: says_meta,
                ..head(PLAIN, gzip, are(None, None, false))
            };
            assert_eq!(says(&head, &told), want, "{head:?}");
        }
    }

    #[test]
    fn an_answer_with_another_etag_looks_wrong() {
        for (was, is, want) in [
            (PLAIN, OTHER, true),
            (PLAIN, PLAIN, false),
            (PLAIN, "", false),
            (PARTS, OTHER, false),
            ("", OTHER, false),
        ] {
            let stored = Stored {
                version_id: None,
                etag: is.into(),
            };
            let was = ETag::from(was);
            let original = original(&was, false, are(None, None, false));
            assert_eq!(looks_wrong(&original, &stored), want, "{was} {is}");
        }
    }
}
