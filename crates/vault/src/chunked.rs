//! Removes the aws-chunked framing from a body: sizes, data, trailers.
//!
//! Only for requests from this process; it ignores the signatures of chunks. A body without
//! its proper end is an error, never a short body.

use super::convert::Trailers;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use s3s::StdError;
use s3s::stream::ByteStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A line of the frame (a size with a signature, a trailer) is never longer.
const LINE_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    /// The line break after a piece of data.
    Break,
    Trailers,
    Done,
}

/// The body without its framing.
pub(super) struct Unframed {
    inner: s3s::Body,
    buffer: BytesMut,
    state: State,
    found: http::HeaderMap,
    trailers: Trailers,
}

impl Unframed {
    pub(super) fn new(inner: s3s::Body, trailers: Trailers) -> Self {
        Self {
            inner,
            buffer: BytesMut::new(),
            state: State::Size,
            found: http::HeaderMap::new(),
            trailers,
        }
    }

    /// The next full line, without its break.
    fn line(&mut self) -> Result<Option<Bytes>, StdError> {
        match self.buffer.windows(2).position(|two| two == b"\r\n") {
            Some(end) => {
                let mut line = self.buffer.split_to(end + 2).freeze();
                line.truncate(end);
                Ok(Some(line))
            }
            None if self.buffer.len() > LINE_BYTES_MAX => Err("a line is too long".into()),
            None => Ok(None),
        }
    }

    /// Parse what is in the buffer. `None` when more is needed.
    fn advance(&mut self) -> Result<Option<Bytes>, StdError> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Data(0) => self.state = State::Break,
                State::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let len = usize::try_from(left)
                        .map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
                    self.state = State::Data(left - len as u64);
                    return Ok(Some(self.buffer.split_to(len).freeze()));
                }
                State::Size | State::Break | State::Trailers => {
                    let Some(line) = self.line()? else {
                        return Ok(None);
                    };
                    self.take_line(&line)?;
                }
            }
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), StdError> {
        match self.state {
            State::Break if line.is_empty() => self.state = State::Size,
            State::Break => return Err("a piece is longer than it says".into()),
            State::Trailers if line.is_empty() => {
                self.state = State::Done;
                let found = std::mem::take(&mut self.found);
                *self.trailers.0.lock() = Some(found);
            }
            State::Trailers => {
                let text = std::str::from_utf8(line)?;
                let (name, value) = text.split_once(':').ok_or("a trailer has no value")?;
                self.found.append(
                    http::HeaderName::try_from(name.trim())?,
                    http::HeaderValue::from_str(value.trim())?,
                );
            }
            _ => {
                let text = std::str::from_utf8(line)?;
                let size = text.split(';').next().unwrap_or_default();
                self.state = match u64::from_str_radix(size.trim(), 16)? {
                    0 => State::Trailers,
                    size => State::Data(size),
                };
            }
        }
        Ok(())
    }
}

impl Stream for Unframed {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.advance() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) => {}
                Err(e) => {
                    self.state = State::Done;
                    return Poll::Ready(Some(Err(e)));
                }
            }
            if self.state == State::Done {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => {
                    self.state = State::Done;
                    return Poll::Ready(Some(Err("the body ended early".into())));
                }
            }
        }
    }
}

impl ByteStream for Unframed {}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    /// Unframe `framed`, given in pieces of `step` bytes.
    fn unframe(framed: &'static [u8], step: usize) -> Result<(Vec<u8>, Option<String>), String> {
        let pieces = framed.chunks(step).map(|piece| Ok(Bytes::from(piece)));
        let body = StreamBody(futures::stream::iter(pieces.collect::<Vec<_>>()));
        let trailers = Trailers::default();
        let body = s3s::dto::StreamingBlob::new(body).into();
        let mut unframed = Unframed::new(body, trailers.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let data = runtime.block_on(async {
            let mut data = Vec::new();
            while let Some(piece) = unframed.next().await {
                data.extend_from_slice(&piece.map_err(|e| e.to_string())?);
            }
            Ok::<_, String>(data)
        })?;
        let crc = trailers.0.lock().as_ref().and_then(|map| {
            let value = map.get("x-amz-checksum-crc32")?;
            value.to_str().ok().map(str::to_owned)
        });
        Ok((data, crc))
    }

    struct StreamBody<S>(S);
    impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> Stream for StreamBody<S> {
        type Item = Result<Bytes, StdError>;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Pin::new(&mut self.0).poll_next(cx)
        }
    }
    impl<S: Stream<Item = Result<Bytes, StdError>> + Unpin> ByteStream for StreamBody<S> {}

    const WHOLE: &[u8] =
        b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";

    #[test]
    fn data_and_trailers_come_out_however_it_is_cut() {
        for step in 1..WHOLE.len() + 1 {
            let (data, crc) = unframe(WHOLE, step).unwrap();
            assert_eq!(data, b"hello world", "{step}");
            assert_eq!(crc.as_deref(), Some("DUoRhQ=="), "{step}");
        }
        assert_eq!(unframe(b"0\r\n\r\n", 1).unwrap(), (Vec::new(), None));
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_an_error() {
        for len in 0..WHOLE.len() {
            assert!(unframe(&WHOLE[..len], 7).is_err(), "{len}");
        }
        for wrong in [
            &b"5\r\nhello!\r\n0\r\n\r\n"[..],
            b"x\r\n",
            b"5\r\nhel\r\n0\r\n\r\n",
        ] {
            assert!(unframe(wrong, 100).is_err());
        }
    }
}
