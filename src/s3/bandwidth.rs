//! Limits how much of the line to the server is taken, in one direction.
//!
//! Without a limit bodies pass untouched. It must never hold back an answer's bytes in
//! memory: what may not be read yet stays with the server.

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A grain is what the line carries in a twentieth of a second: fine enough
/// that transfers share it evenly, coarse enough to cost nothing.
const GRAINS_PER_S: u64 = 20;

/// The smallest and the largest grain, bytes.
const GRAIN_BYTES: std::ops::RangeInclusive<u64> = 1024..=64 * 1024;

/// So much unused time may be made up for: threads wake late on a busy computer, and
/// transfers would stay below the limit. On a transfer of five seconds it is 4 %.
const CREDIT: Duration = Duration::from_millis(200);

/// The rate limiter of one direction: each grant waits until the one before has gone. All
/// clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes_per_s: watch::Sender<Option<u64>>,
    free_at: Mutex<Instant>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            bytes_per_s: watch::Sender::new(None),
            free_at: Mutex::new(Instant::now()),
        }
    }
}

impl RateLimiter {
    /// What holds now.
    pub(super) fn rate(&self) -> Option<u64> {
        *self.0.bytes_per_s.borrow()
    }

    /// Set the rate, also for what waits under another one. A body that began without a
    /// limit goes on without.
    pub(super) fn limit(&self, rate: Option<u64>) {
        self.0.bytes_per_s.send_if_modified(|old| {
            let is_new = *old != rate;
            if is_new {
                // Whoever waits under the old rate asks again.
                *self.0.free_at.lock() = Instant::now();
                *old = rate;
            }
            is_new
        });
    }

    fn grain_bytes(&self) -> usize {
        let (min, max) = GRAIN_BYTES.into_inner();
        let rate = self.rate().unwrap_or(u64::MAX);
        usize::try_from((rate / GRAINS_PER_S).clamp(min, max)).unwrap_or(usize::MAX)
    }

    /// Wait until so many bytes may go.
    pub(super) async fn take(&self, bytes: u64) {
        let mut rate = self.0.bytes_per_s.subscribe();
        loop {
            let Some(bytes_per_s) = *rate.borrow_and_update() else {
                return;
            };
            let begin = self.reserve(bytes, bytes_per_s);
            tokio::select! {
                () = tokio::time::sleep_until(begin) => return,
                // The sender lives as long as this.
                _ = rate.changed() => {}
            }
        }
    }

    fn reserve(&self, bytes: u64, bytes_per_s: u64) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_s.max(1) as f64);
        let mut free_at = self.0.free_at.lock();
        let now = Instant::now();
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let begin = (*free_at).max(earliest);
        *free_at = begin + takes;
        begin
    }

    /// Let a body go no faster than this.
    pub(super) fn limit_body(&self, body: &mut SdkBody) {
        let is_empty = body.content_length() == Some(0);
        if is_empty || self.rate().is_none() {
            return;
        }
        let inner = std::mem::replace(body, SdkBody::empty());
        *body = SdkBody::from_body_1_x(LimitedBody {
            inner,
            limiter: self.clone(),
            held: Bytes::new(),
            granted: None,
        });
    }
}

type Granted = Pin<Box<dyn Future<Output = usize> + Send + Sync>>;

/// A body that goes no faster than its limiter lets it.
struct LimitedBody {
    inner: SdkBody,
    limiter: RateLimiter,
    /// Taken from the inner body and not passed on yet.
    held: Bytes,
    /// Gives how many bytes of it may go.
    granted: Option<Granted>,
}

impl LimitedBody {
    fn ask(&self) -> Granted {
        let limiter = self.limiter.clone();
        let bytes = self.held.len().min(limiter.grain_bytes());
        Box::pin(async move {
            limiter.take(bytes as u64).await;
            bytes
        })
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(granted) = &mut self.granted {
                let bytes = ready!(granted.as_mut().poll(cx));
                self.granted = None;
                return Poll::Ready(Some(Ok(Frame::data(self.held.split_to(bytes)))));
            }
            if !self.held.is_empty() {
                self.granted = Some(self.ask());
                continue;
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, held) = (Body::size_hint(&self.inner), self.held.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn send(limiter: &RateLimiter, bytes: usize) -> usize {
        let mut body = SdkBody::from(vec![7; bytes]);
        limiter.limit_body(&mut body);
        body.collect().await.unwrap().to_bytes().len()
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_together_take_what_the_limit_says() {
        for (rate, streams, each) in [
            (16_000, 64, 10_000),
            (500_000, 16, 1_000_000),
            (12_500_000, 4, 16 << 20),
        ] {
            let limiter = RateLimiter::default();
            limiter.limit(Some(rate));
            let began = Instant::now();
            let all = futures::future::join_all((0..streams).map(|_| send(&limiter, each)));
            let bytes: usize = all.await.iter().sum();
            assert_eq!(bytes, streams * each);
            let measured = bytes as f64 / began.elapsed().as_secs_f64();
            let ratio = measured / rate as f64;
            assert!((0.95..1.05).contains(&ratio), "{rate}: {ratio}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_at_once_also_for_what_waits() {
        let limiter = RateLimiter::default();
        limiter.limit(Some(16_000));
        let began = Instant::now();
        let sent = tokio::spawn({
            let limiter = limiter.clone();
            async move { send(&limiter, 16_000_000).await }
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        limiter.limit(Some(1_000_000));
        tokio::time::sleep(Duration::from_secs(5)).await;
        limiter.limit(None);
        assert_eq!(sent.await.unwrap(), 16_000_000);
        assert!(began.elapsed() < Duration::from_secs(16));
    }

    #[tokio::test]
    async fn without_a_limit_bodies_pass_untouched() {
        let limiter = RateLimiter::default();
        let mut body = SdkBody::from("as it was");
        limiter.limit_body(&mut body);
        assert_eq!(body.bytes(), Some(&b"as it was"[..]));
    }
}
