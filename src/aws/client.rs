//! The HTTP client for everything that is not in this process: through the office's
//! proxy, with the office's certificates, and with errors that name the server.
//!
//! What is on this computer, and the addresses at which AWS computers ask for their
//! role, are never asked through a proxy.

use super::explained::Explained;
use super::tls;
use super::trust::{self, Trust};
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
use hyper_util::client::proxy::matcher::Matcher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Connections that nothing has gone over for so long are closed: S3 closes them
/// after some 20 s, and a request that meets that gets no answer.
pub const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(15);

/// The client; cheap to clone.
#[derive(Debug, Clone)]
pub struct Https {
    client: SharedHttpClient,
    office: Arc<Office>,
}

/// What the office has put between this computer and the internet.
#[derive(Debug)]
pub(super) struct Office {
    proxies: Matcher,
    trust: Trust,
}

impl Https {
    /// With the proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`) and the certificates of the environment and this profile.
    pub async fn of(profile: Option<&str>) -> Self {
        let office = Arc::new(Office {
            proxies: Matcher::from_env(),
            trust: trust::trust(profile).await,
        });
        let client = Routed {
            direct: connections(&office, ProxyConfig::disabled()),
            proxied: connections(&office, ProxyConfig::from_env()),
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
        problems.extend(wrong_proxies(|name| std::env::var(name).ok()));
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

/// The variables that name a proxy.
pub const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Proxies that nobody could go through. Their text is not repeated: it may hold a
/// password.
fn wrong_proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let wrong = |name: &&str| {
        let value = variable(name)?;
        if value.is_empty() {
            return None;
        }
        let uri: Option<Uri> = value.parse().ok();
        let why = match uri.as_ref().and_then(|uri| uri.authority().map(|_| uri)) {
            None => "is no address like http://proxy.office.example:3128",
            Some(uri) => match uri.scheme_str() {
                None | Some("http" | "https") => return None,
                Some(_) => "is no HTTP proxy (SOCKS cannot be used)",
            },
        };
        Some(format!("{name} {why}"))
    };
    PROXY_VARIABLES.iter().filter_map(wrong).collect()
}

impl Office {
    /// The proxy through which such an address is asked, without user and password.
    fn proxy_for(&self, uri: &Uri) -> Option<String> {
        if uri.host().is_none_or(is_near) {
            return None;
        }
        let proxy = self.proxies.intercept(uri)?;
        let text = proxy.uri().to_string();
        Some(text.trim_end_matches('/').to_owned())
    }

    /// What of this computer's settings may be why a certificate is not trusted.
    pub(super) fn problems_of_trust(&self) -> &[String] {
        &self.trust.problems
    }
}

/// On this computer, or at an address that no router carries on.
fn is_near(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                // Where computers of AWS ask for their role.
                || address.segments()[..3] == [0xfd00, 0xec2, 0]
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[derive(Debug)]
struct Routed {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
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
            proxied: self.proxied.http_connector(settings, components),
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
    proxied: SharedHttpConnector,
    office: Arc<Office>,
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Uri = request.uri().parse().unwrap_or_default();
        let proxy = self.office.proxy_for(&uri);
        let answer = match proxy {
            Some(_) => self.proxied.call(request),
            None => self.direct.call(request),
        };
        let office = Arc::clone(&self.office);
        HttpConnectorFuture::new(async move {
            answer.await.map_err(|error| {
                let way = tls::Way {
                    server: server_of(&uri),
                    address: address_of(&uri),
                    proxy,
                };
                explained(error, &way, &office)
            })
        })
    }
}

fn server_of(uri: &Uri) -> String {
    let authority = uri.authority().map(|authority| authority.as_str());
    authority.unwrap_or("the server").to_owned()
}

fn address_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    format!("{scheme}://{}", server_of(uri))
}

/// The same error of the same kind, with its words.
fn explained(error: ConnectorError, way: &tls::Way, office: &Office) -> ConnectorError {
    let Explained {
        class, cause, hint, ..
    } = tls::explain(&error, way, office.problems_of_trust());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_computer_needs_no_proxy() {
        for near in [
            "localhost",
            "127.0.0.1",
            "127.8.0.1",
            "[::1]",
            "169.254.169.254",
            "[fd00:ec2::254]",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "s3.example",
            "10.0.0.1",
            "192.168.1.2",
            "[fd00::1]",
            "localhost.example",
        ] {
            assert!(!is_near(far), "{far}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_named_without_its_password() {
        let of = |value: &str| {
            let value = value.to_owned();
            wrong_proxies(move |name| (name == "HTTPS_PROXY").then(|| value.clone()))
        };
        for good in ["", "http://proxy:3128", "https://u:p@proxy", "proxy:3128"] {
            assert!(of(good).is_empty(), "{good}: {:?}", of(good));
        }
        for bad in [
            "socks5://proxy:1080",
            "http://u:geheim@",
            "ein proxy",
            "/proxy",
        ] {
            let [said] = of(bad).try_into().unwrap_or_else(|_| panic!("{bad}"));
            assert!(said.starts_with("HTTPS_PROXY is no"), "{said}");
            assert!(!said.contains("geheim"), "{said}");
        }
    }
}
