//! A server for unit tests: a function that answers requests.

use super::store::Store;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use std::fmt;

struct Answering<F>(F);

impl<F> fmt::Debug for Answering<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl<F: Fn(&HttpRequest) -> HttpResponse + Send + Sync> HttpConnector for Answering<F> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(self.0(&request)))
    }
}

/// A store whose server answers so.
pub(super) fn store(
    answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
) -> Store {
    let connector = SharedHttpConnector::new(Answering(answer));
    let http = http_client_fn(move |_, _| connector.clone());
    Store::vault(http, "a test's server")
}

/// An answer.
pub(super) fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}
