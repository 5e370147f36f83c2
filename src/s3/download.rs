//! The bytes of one version.

use super::at::At;
use super::error;
use super::head::{BytesAre, Head, parse_meta};
use super::store::Store;
use super::transport::Transport;
use crate::types::{Class, ETag, Fault, Operation, VersionId, chain};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long to measure a download before its speed counts: three times what the SDK gives a
/// body that stops altogether.
const PACE_WINDOW: Duration = Duration::from_secs(60);

/// The slowest download that still counts as moving: eight at once take a line of 64
/// kbit/s. The SDK lets one byte a second pass, which would hold a worker for years.
const SLOWEST_BYTES_PER_S: u64 = 1_024;

/// Downloads at once that a limited line may be shared by: several restores of
/// several folders, a few times over.
const DOWNLOADS_MAX: u64 = 64;

/// An object's body, read piece by piece.
pub struct GetBody {
    stream: ByteStream,
    subject: String,
    transport: Transport,
    /// How long the server was waited for since the window began, without the reader's own
    /// time, and what came.
    waited: Duration,
    window_bytes: u64,
}

impl GetBody {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Class `Transient` when the connection breaks or hardly moves.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let began = Instant::now();
        let piece = match timeout(PACE_WINDOW, self.stream.try_next()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Err(self.broken(chain(&error))),
            Err(_) => return Err(self.broken("the server sent nothing for a minute".into())),
        };
        self.waited += began.elapsed();
        self.window_bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.waited >= PACE_WINDOW {
            let too_slow = self.window_bytes < self.slowest_bytes_per_s() * self.waited.as_secs();
            if too_slow && piece.is_some() {
                return Err(self.broken(format!(
                    "the server sent {} bytes in {} seconds",
                    self.window_bytes,
                    self.waited.as_secs()
                )));
            }
            (self.waited, self.window_bytes) = (Duration::ZERO, 0);
        }
        Ok(piece)
    }

    /// On a limited line each download has only its share.
    fn slowest_bytes_per_s(&self) -> u64 {
        let share = |rate| rate / DOWNLOADS_MAX;
        SLOWEST_BYTES_PER_S.min(self.transport.rates().down.map_or(u64::MAX, share))
    }

    fn broken(&self, cause: String) -> Fault {
        Fault::new(Class::Transient, Operation::Download, &self.subject, cause)
            .hint("Keepwatch tries again by itself")
    }

    /// The body as a reader.
    pub fn into_reader(self) -> impl tokio::io::AsyncBufRead + Send + Unpin {
        self.stream.into_async_read()
    }
}

impl Store {
    /// Open the body of the newest (or the given) version.
    ///
    /// # Errors
    /// Any class; `NotFound` when the version is gone.
    pub async fn get(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
    ) -> Result<(Head, GetBody), Fault> {
        let (head, _, body) = self.fetch(at, version_id, None).await?;
        Ok((head, body))
    }

    /// Open the bytes `range` of the given version's body. An answer with other bytes is
    /// refused here; the reader must see when it ends too soon.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_range(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
        range: &Range<u64>,
    ) -> Result<GetBody, Fault> {
        let asked = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let (_, told, body) = self.fetch(at, version_id, Some(asked)).await?;
        let begin = format!("bytes {}-", range.start);
        if told.is_some_and(|told| told.starts_with(&begin)) {
            return Ok(body);
        }
        Err(Fault::new(
            Class::Refused,
            Operation::Download,
            at.subject(),
            format!(
                "the server was asked for the bytes from {} on and sent others",
                range.start
            ),
        )
        .hint("it does not serve parts of objects: restore from another server, or fetch this one with an S3 tool (docs/FORMAT.md)"))
    }

    /// What the version says of itself, which bytes of it come, and the bytes.
    async fn fetch(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
        range: Option<String>,
    ) -> Result<(Head, Option<String>, GetBody), Fault> {
        let answer = self
            .quick
            .short
            .get_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_version_id(self.version_asked(at.bucket, version_id))
            .set_range(range)
            .send()
            .await
            .map_err(|e| error::from_sdk(Operation::Download, &at.subject(), e))?;
        let head = Head {
            version_id: answer.version_id().and_then(VersionId::new),
            etag: ETag::of_header(answer.e_tag()),
            stored_bytes: u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0),
            gzip: answer.content_encoding() == Some("gzip"),
            meta: parse_meta(answer.metadata()),
            bytes_are: BytesAre::default(),
        };
        let told = answer.content_range().map(str::to_owned);
        let body = GetBody {
            stream: answer.body,
            subject: at.subject(),
            transport: self.transport.clone(),
            waited: Duration::ZERO,
            window_bytes: 0,
        };
        Ok((head, told, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rates;
    use aws_smithy_types::body::SdkBody;
    use futures::StreamExt as _;
    use http_body::Frame;
    use http_body_util::StreamBody;

    /// A body of so many pieces of so many bytes, one every `every`.
    fn body(pieces: usize, piece_bytes: usize, every: Duration) -> GetBody {
        let frames = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; piece_bytes])))
        });
        GetBody {
            stream: ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(frames))),
            subject: "bucket/key".into(),
            transport: Transport::default(),
            waited: Duration::ZERO,
            window_bytes: 0,
        }
    }

    /// What came, how long it took by the paused clock, and how it ended.
    async fn read(mut body: GetBody, pause: Duration) -> (usize, Duration, Result<(), Fault>) {
        let (began, mut bytes) = (Instant::now(), 0);
        let done = loop {
            match body.next().await {
                Ok(Some(piece)) => bytes += piece.len(),
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
            // A slow disk is not the server's fault.
            tokio::time::sleep(pause).await;
        };
        (bytes, began.elapsed(), done)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_trickles_is_given_up_after_a_minute() {
        for (pieces, bytes, every_s, in_cause) in [
            (1_000_000, 1, 1, "60 bytes in 60 seconds"),
            (1_000_000, 10_000, 20, "bytes in 60 seconds"),
            (3, 1_000_000, 61, "nothing for a minute"),
            (1_000_000, 0, 1, "0 bytes in 60 seconds"),
        ] {
            let slow = body(pieces, bytes, Duration::from_secs(every_s));
            let (_, took, done) = read(slow, Duration::ZERO).await;
            let fault = done.unwrap_err();
            assert_eq!(fault.class, Class::Transient, "{fault}");
            assert!(fault.cause.contains(in_cause), "{fault}");
            assert!(took <= 2 * PACE_WINDOW, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_limited_line_a_share_of_it_is_fast_enough() {
        for (down, is_enough) in [
            (Some(16_000), true),
            (Some(1_000_000), false),
            (None, false),
        ] {
            // A thirty-second part of 16 kB/s.
            let slow = body(200, 500, Duration::from_secs(1));
            slow.transport.limit(Rates { up: None, down });
            let (_, _, done) = read(slow, Duration::ZERO).await;
            assert_eq!(done.is_ok(), is_enough, "{down:?}: {done:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_and_a_slow_disk_are_let_through() {
        for (pieces, bytes, every_ms, pause_ms) in [
            (1_000, 1_100, 1_000, 0),
            (10, 100_000, 50_000, 0),
            (1_000, 1_000, 1, 60_000),
            (1, 5, 59_000, 0),
        ] {
            let slow = body(pieces, bytes, Duration::from_millis(every_ms));
            let (got, _, done) = read(slow, Duration::from_millis(pause_ms)).await;
            assert_eq!(
                (got, done),
                (pieces * bytes, Ok(())),
                "{every_ms} {pause_ms}"
            );
        }
    }
}
