//! The in-process way in: the SDK's HTTP client, without a socket.
//!
//! Requests come as the SDK built them, with its headers, checksums and retries, so tests
//! use the real client. Only this process can send them, so signatures are not checked. A
//! body that the SDK framed as aws-chunked is unframed here; over the network that is part
//! of checking the signature.

use super::chunked::Unframed;
use super::convert::Trailers;
use super::vault::Vault;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue};
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};

/// The endpoint of the in-process vault. Nothing resolves it or connects to it; it only has
/// to be valid.
pub const IN_PROCESS_ENDPOINT: &str = "http://vault.localhost";

/// The part of the query string that carries a presigned URL's signature.
const PRESIGNED: &str = "X-Amz-Signature";

impl Vault {
    /// An HTTP client for aws-sdk-s3 whose requests end in this vault: no
    /// socket, no signature check. Use it with [`IN_PROCESS_ENDPOINT`],
    /// path-style addressing and any credentials.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.connector())
    }

    /// What [`Vault::http_client`] is made of, for tests that put failures in between.
    #[must_use]
    pub fn connector(&self) -> VaultConnector {
        VaultConnector::new(self)
    }
}

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

/// Give the answer the id of a request, by which clients recognise an answer of S3.
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
