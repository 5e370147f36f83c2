//! The in-process way in: the SDK's HTTP client, without a socket.
//!
//! Requests come as the SDK built them, with its headers, checksums and
//! retries; what is tested through here is the real client. Nobody but this
//! process can send them, so signatures are not checked, and a body that the
//! SDK framed as aws-chunked is unframed here, which on the network side is
//! part of checking the signature.

use super::chunked::Unframed;
use super::convert::Trailers;
use super::{IN_PROCESS_ENDPOINT, Vault};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue};
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};

/// The part of the query string that carries a presigned URL's signature.
const PRESIGNED: &str = "X-Amz-Signature";

/// An HTTP connector whose requests end in a vault. Wrap it to put failures
/// between the SDK and the vault.
#[derive(Debug, Clone)]
pub struct VaultConnector {
    service: S3Service,
}

impl VaultConnector {
    pub(super) fn new(vault: &Vault) -> Self {
        Self {
            service: S3ServiceBuilder::new(vault.clone()).build(),
        }
    }
}

impl HttpClient for VaultConnector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for VaultConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.service.clone();
        HttpConnectorFuture::new(async move {
            let is_head = request.method() == "HEAD";
            let request = to_service(request)?;
            let response = service
                .call(request)
                .await
                .map_err(|e| ConnectorError::other(e.into(), None))?;
            // A real connection carries no body with these.
            let has_no_body = is_head || response.status() == http::StatusCode::NOT_MODIFIED;
            let response = response.map(|body| {
                if has_no_body {
                    SdkBody::empty()
                } else {
                    SdkBody::from_body_1_x(body)
                }
            });
            let response = marked(response);
            HttpResponse::try_from(response).map_err(|e| ConnectorError::user(Box::new(e)))
        })
    }
}

/// As every answer of S3 it has the id of a request, by which it is known to be
/// S3's. Nobody looks a request up by it here.
pub(super) fn marked<B>(mut response: http::Response<B>) -> http::Response<B> {
    let id = HeaderValue::from_static("vault");
    response.headers_mut().insert("x-amz-request-id", id);
    response
}

/// The SDK's request as the service takes it.
fn to_service(request: HttpRequest) -> Result<s3s::HttpRequest, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|e| ConnectorError::user(Box::new(e)))?;
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(AUTHORIZATION);
    if parts
        .uri
        .query()
        .is_some_and(|query| query.contains(PRESIGNED))
    {
        return Err(ConnectorError::user(
            "presigned requests make no sense inside one process".into(),
        ));
    }
    if !parts.headers.contains_key(HOST) {
        let host = parts.uri.authority().map_or_else(
            || IN_PROCESS_ENDPOINT.trim_start_matches("http://").to_owned(),
            ToString::to_string,
        );
        let host = HeaderValue::try_from(host).map_err(|e| ConnectorError::user(Box::new(e)))?;
        parts.headers.insert(HOST, host);
    }
    let mut body = s3s::Body::http_body(body);
    let is_framed = parts
        .headers
        .get("x-amz-content-sha256")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"STREAMING-"));
    if is_framed {
        let trailers = Trailers::default();
        let length = parts.headers.get("x-amz-decoded-content-length").cloned();
        if let Some(length) = length {
            parts.headers.insert(CONTENT_LENGTH, length);
        }
        parts.extensions.insert(trailers.clone());
        body = StreamingBlob::new(Unframed::new(body, trailers)).into();
    }
    Ok(http::Request::from_parts(parts, body))
}
