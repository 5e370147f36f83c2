//! The HTTP client for everything that is not in this process: through the office's
//! proxy, with the office's certificates, and with errors that name the server.
//!
//! What is on this computer, and the addresses at which AWS computers ask for their
//! role, are never asked through a proxy.

use super::explained::Explained;
use super::office::Office;
use super::proxies::Proxies;
use super::{tls, trust};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use http::Uri;
use std::sync::Arc;
use std::time::Duration;

/// Connections that nothing has gone over for so long are closed: S3 closes them
/// after some 20 s, and a request that meets that gets no answer.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(15);

/// "Proxy Authentication Required".
const PROXY_WANTS_USER: u16 = 407;

/// The client; cheap to clone.
#[derive(Debug, Clone)]
pub struct Https {
    client: SharedHttpClient,
    office: Arc<Office>,
}

impl Https {
    /// With the proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`) and the certificates of the environment and this profile.
    pub async fn of(profile: Option<&str>) -> Self {
        let office = Arc::new(Office {
            proxies: Proxies::of_environment(),
            trust: trust::trust(profile).await,
        });
        let client = Routed {
            direct: connections(&office, ProxyConfig::disabled()),
            by_http: connections(&office, office.proxies.for_http()),
            by_https: connections(&office, office.proxies.for_https()),
            office: Arc::clone(&office),
        };
        Self {
            client: SharedHttpClient::new(client),
            office,
        }
    }

    /// What clients of AWS services take.
    pub fn client(&self) -> SharedHttpClient {
        self.client.clone()
    }

    /// Files of certificates that were named and cannot be used, and proxies whose
    /// address is none: each with its reason.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.office.trust.problems.clone();
        problems.extend_from_slice(&self.office.proxies.problems);
        problems
    }
}

fn connections(office: &Office, proxies: ProxyConfig) -> SharedHttpClient {
    let store = office.trust.store.clone();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().pool_idle_timeout(IDLE_CONNECTION_MAX);
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        let builder = builder
            .proxy_config(proxies.clone())
            .tls_provider(Provider::Rustls(CryptoMode::Ring));
        // A context of nothing but a store cannot fail.
        match TlsContext::builder()
            .with_trust_store(store.clone())
            .build()
        {
            Ok(context) => builder.tls_context(context).build(),
            Err(_) => builder.build(),
        }
    })
}

#[derive(Debug)]
struct Routed {
    direct: SharedHttpClient,
    by_http: SharedHttpClient,
    by_https: SharedHttpClient,
    office: Arc<Office>,
}

impl HttpClient for Routed {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Route {
            direct: self.direct.http_connector(settings, components),
            by_http: self.by_http.http_connector(settings, components),
            by_https: self.by_https.http_connector(settings, components),
            office: Arc::clone(&self.office),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        cfg: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.direct.validate_base_client_config(components, cfg)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.direct.connector_metadata()
    }
}

#[derive(Debug)]
struct Route {
    direct: SharedHttpConnector,
    by_http: SharedHttpConnector,
    by_https: SharedHttpConnector,
    office: Arc<Office>,
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Uri = request.uri().parse().unwrap_or_default();
        let proxy = self.office.proxies.of_address(&uri).cloned();
        let answer = match (&proxy, uri.scheme_str()) {
            (None, _) => self.direct.call(request),
            (Some(_), Some("http")) => self.by_http.call(request),
            (Some(_), _) => self.by_https.call(request),
        };
        let office = Arc::clone(&self.office);
        HttpConnectorFuture::new(async move {
            let way = tls::Way {
                server: server_of(&uri),
                address: address_of(&uri),
                proxy,
            };
            match answer.await {
                // Nobody but a proxy says so, and no page of its own is worth more.
                Ok(answer) if answer.status().as_u16() == PROXY_WANTS_USER => {
                    let words = way.proxy.as_ref().map(|proxy| tls::wants_user(proxy, &way));
                    words.map_or(Ok(answer), |words| Err(ConnectorError::user(words.into())))
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(explained(error, &way, &office)),
            }
        })
    }
}

fn server_of(uri: &Uri) -> String {
    let host = uri.host().unwrap_or("the server");
    match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn address_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    format!("{scheme}://{}", server_of(uri))
}

/// The same error of the same kind, with its words.
fn explained(error: ConnectorError, way: &tls::Way, office: &Office) -> ConnectorError {
    let Explained {
        class, cause, hint, ..
    } = tls::explain(&error, way, office);
    let is_for_good = !class.is_transient();
    let (is_timeout, is_io, is_user) = (error.is_timeout(), error.is_io(), error.is_user());
    let other = error.as_other();
    let words: BoxError = Box::new(Explained::new(class, cause, hint).of(error));
    match () {
        // Nothing that is tried again within seconds mends it.
        () if is_for_good || is_user => ConnectorError::user(words),
        () if is_timeout => ConnectorError::timeout(words),
        () if is_io => ConnectorError::io(words),
        () => ConnectorError::other(words, other),
    }
}
