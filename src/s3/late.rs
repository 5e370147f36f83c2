//! Notes requests that would change the bucket and were not answered: the server, or
//! something on the way to it, may carry them out later.
//!
//! It sits in the SDK's client, so that each attempt counts: one that timed out and that
//! the SDK repeated, or whose caller has gone, leaves no other trace.

use super::marks;
use super::timeouts::SERVER_WORK_TIMEOUT;
use super::unanswered::UnansweredNotes;
use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadInput;
use aws_sdk_s3::operation::copy_object::CopyObjectInput;
use aws_sdk_s3::operation::delete_object::DeleteObjectInput;
use aws_sdk_s3::operation::put_object::PutObjectInput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest time that a request can take after nobody waits for it any more. The kernel
/// of a killed process still sends what it holds, which takes a minute on a line that moves
/// at all; then the server may work as long as we would wait for it, fifteen minutes for
/// the largest copy.
pub const LATE_MAX: Duration = SERVER_WORK_TIMEOUT.saturating_add(Duration::from_secs(60));

/// What a request changes.
#[derive(Debug, Clone)]
struct Target {
    bucket: String,
    key: String,
}

impl Storable for Target {
    type Storer = StoreReplace<Self>;
}

/// Only requests that make a version or a marker count: parts that come late stay
/// invisible.
fn target(input: &Input) -> Option<Target> {
    let (bucket, key) = if let Some(put) = input.downcast_ref::<PutObjectInput>() {
        (put.bucket(), put.key())
    } else if let Some(copy) = input.downcast_ref::<CopyObjectInput>() {
        (copy.bucket(), copy.key())
    } else if let Some(delete) = input.downcast_ref::<DeleteObjectInput>() {
        (delete.bucket(), delete.key())
    } else {
        let complete = input.downcast_ref::<CompleteMultipartUploadInput>()?;
        (complete.bucket(), complete.key())
    };
    Some(Target {
        bucket: bucket?.to_owned(),
        key: key?.to_owned(),
    })
}

/// One attempt. It is dropped when the next one begins, or when the request is over or
/// given up.
#[derive(Debug)]
struct Attempt {
    target: Target,
    is_answered: AtomicBool,
    notes: UnansweredNotes,
}

impl Storable for Attempt {
    type Storer = StoreReplace<Self>;
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_answered.load(Ordering::Relaxed) {
            let Target { bucket, key } = self.target.clone();
            self.notes.add(bucket, key);
        }
    }
}

/// Notes what is not answered.
#[derive(Debug)]
pub(super) struct NotesUnanswered(pub(super) UnansweredNotes);

impl Intercept for NotesUnanswered {
    fn name(&self) -> &'static str {
        "NotesUnanswered"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(target) = target(context.input()) {
            cfg.interceptor_state().store_put(target);
        }
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(target) = cfg.load::<Target>().cloned() {
            cfg.interceptor_state().store_put(Attempt {
                target,
                is_answered: AtomicBool::new(false),
                notes: self.0.clone(),
            });
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", |of| of.name());
        let is_final = context.response().is_some_and(|response| {
            let body = response.body().bytes().unwrap_or_default();
            let is_servers = marks::is_servers(operation, response);
            is_final(response.status().as_u16(), body, is_servers)
        });
        if let Some(attempt) = cfg.load::<Attempt>().filter(|_| is_final) {
            attempt.is_answered.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Whether nothing more is done after this answer. A gateway that gives up on its server
/// (502, 504) does not know; the server's own error (500) may come after the change; and
/// whatever answers in the server's place may have passed the request on.
fn is_final(status: u16, body: &[u8], is_servers: bool) -> bool {
    match status {
        500..=599 => marks::is_slow_down(status, body),
        _ => is_servers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::at::At;
    use crate::s3::test_server;

    #[test]
    fn answers_that_leave_it_open() {
        let slow_down = b"<Error><Code>SlowDown</Code></Error>".as_slice();
        for (status, body, is_servers, want) in [
            (200, b"".as_slice(), true, true),
            (204, b"", true, true),
            (403, b"", true, true),
            (429, b"", true, true),
            (503, slow_down, true, true),
            (503, b"<html>", false, false),
            (500, slow_down, true, false),
            (502, b"", true, false),
            (504, b"", false, false),
            (200, b"<html>", false, false),
            (408, b"", false, false),
            (429, b"", false, false),
        ] {
            let got = is_final(status, body, is_servers);
            assert_eq!(got, want, "{status} {is_servers}");
        }
    }

    /// Named after the bug: a sign-in page that answered while the request waited in
    /// a proxy settled it, and the deed that came later was never found.
    #[tokio::test(start_paused = true)]
    async fn what_a_proxy_answers_settles_no_request() {
        const PAGE: &str = "<html><body>Please sign in</body></html>";
        const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
        const OWN: &[(&str, &str)] = &[("x-amz-request-id", "1")];
        const DENIED: &str = "<Error><Code>AccessDenied</Code></Error>";
        for (status, headers, body, is_settled) in [
            (204, OWN, "", true),
            (204, &[][..], "", true),
            (403, OWN, DENIED, true),
            (403, &[], DENIED, true),
            (200, HTML, PAGE, false),
            (403, HTML, PAGE, false),
            (404, HTML, PAGE, false),
            (407, HTML, PAGE, false),
            (408, &[], "", false),
            (429, &[], "slow down", false),
            (502, HTML, PAGE, false),
        ] {
            let store = test_server::store(move |_| {
                let mut response = test_server::response(status, body);
                for (name, value) in headers {
                    response.headers_mut().insert(*name, *value);
                }
                response
            });
            let at = At {
                bucket: "b",
                key: "k",
            };
            let _ = store.mark_deleted(at).await;
            let open = store.unanswered().keys;
            assert_eq!(open.is_empty(), is_settled, "{status} {body}");
        }
    }
}
