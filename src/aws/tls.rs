//! Why a server could not be reached, in words: names, connections, proxies,
//! certificates.

use super::explained::{Explained, causes, hide_keys};
use super::office::Office;
use super::proxies::Proxy;
use crate::types::{Class, chain, clean};
use aws_smithy_runtime_api::client::result::ConnectorError;
use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use rustls_pki_types::UnixTime;
use std::io;

/// How a request went.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Host, and port where the address names one.
    pub(super) server: String,
    /// The same as an address.
    pub(super) address: String,
    /// The proxy, when it went through one.
    pub(super) proxy: Option<Proxy>,
}

impl Way {
    /// Who was connected to.
    fn nearest(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!(
                "the proxy {} (on the way to {})",
                proxy.address, self.server
            ),
            None => self.server.clone(),
        }
    }

    /// Whoever may have shown the certificate.
    fn whole(&self) -> String {
        match &self.proxy {
            // Either of them shows one, and the library does not say whose is wrong.
            Some(proxy) if proxy.address.starts_with("https:") => {
                format!("the proxy {} or {} behind it", proxy.address, self.server)
            }
            Some(proxy) => format!("{} (through the proxy {})", self.server, proxy.address),
            None => self.server.clone(),
        }
    }
}

const AGAIN: &str = "Keepwatch tries again by itself; if it lasts, check this computer's network";

/// Certificates shown by name.
const NAMES_SHOWN_MAX: usize = 5;

/// What an error of a connection means, beside what is wrong with this computer's own
/// settings.
pub(super) fn explain(error: &ConnectorError, way: &Way, office: &Office) -> Explained {
    let problems = office.problems_of_trust();
    let mut explained = of_connection(error, way, problems);
    if way.proxy.is_none() && explained.class == Class::Transient {
        for problem in office.problems_of_proxies() {
            explained.cause = format!("{}; {problem} and is not used", explained.cause);
        }
    }
    explained
}

fn of_connection(error: &ConnectorError, way: &Way, problems: &[String]) -> Explained {
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<TlsError>()) {
        return of_tls(tls, way, problems);
    }
    let all = chain(error);
    if let Some(proxy) = &way.proxy
        && let Some(explained) = of_proxy(&all, proxy, way)
    {
        return explained;
    }
    let transient = |cause: String| Explained::new(Class::Transient, cause, hint(way));
    if all.contains("dns error") || all.contains("failed to lookup address") {
        let name = match &way.proxy {
            Some(proxy) => format!("the proxy's name in {}", proxy.address),
            None => format!("the name of {}", way.server),
        };
        return transient(format!("{name} cannot be looked up (DNS)"));
    }
    let of_io = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .find(|kind| *kind != io::ErrorKind::Other);
    let nearest = way.nearest();
    transient(match of_io {
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("{nearest} refuses connections: nothing listens there")
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            format!("no way leads to {nearest}: this computer has no network there")
        }
        Some(io::ErrorKind::TimedOut) => format!("{nearest} does not answer"),
        _ if error.is_timeout() => format!("{nearest} does not answer in time"),
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => format!("{nearest} broke off the connection"),
        _ if all.contains("connection closed") || all.contains("tunnel error: unexpected end") => {
            format!("{nearest} broke off the connection")
        }
        _ => format!(
            "the connection to {nearest} failed: {}",
            clean(&hide_keys(&all))
        ),
    })
}

fn hint(way: &Way) -> String {
    match &way.proxy {
        Some(proxy) => format!(
            "Keepwatch tries again by itself; if it lasts, check the proxy in {} (servers that need none belong into NO_PROXY)",
            proxy.variable
        ),
        None => format!(
            "Keepwatch tries again by itself; if it lasts, check that {} can be reached from this computer",
            way.address
        ),
    }
}

/// What a proxy that was reached has against the request.
fn of_proxy(all: &str, proxy: &Proxy, way: &Way) -> Option<Explained> {
    // The library's words; its type is not public.
    let tunnel = all.split("tunnel error: ").nth(1)?;
    if tunnel.starts_with("proxy authorization required") {
        return Some(wants_user(proxy, way));
    }
    let is_refused = tunnel.starts_with("unsuccessful");
    is_refused.then(|| {
        let cause = format!(
            "{} cannot be reached: the proxy {} does not let requests through to it",
            way.server, proxy.address
        );
        let hint = "allow the server in the proxy (port 443), or put it into NO_PROXY when it can be reached without";
        Explained::new(Class::Transient, cause, hint)
    })
}

/// The proxy wants to know who asks.
pub(super) fn wants_user(proxy: &Proxy, way: &Way) -> Explained {
    let (what, write) = match proxy.has_user {
        true => ("does not take the user and password", "correct them in"),
        false => ("wants a user and password", "write them into"),
    };
    let (server, address, variable) = (&way.server, &proxy.address, proxy.variable);
    Explained::new(
        Class::Denied,
        format!("{server} cannot be reached: the proxy {address} {what}"),
        format!(
            "{write} {variable} (http://user:password@proxy:port), in the environment of the account or service that runs Keepwatch, and start it again; a proxy that takes only a Windows sign-in (NTLM, Kerberos) must let this computer through without"
        ),
    )
}

fn of_tls(error: &TlsError, way: &Way, problems: &[String]) -> Explained {
    let server = way.whole();
    match error {
        TlsError::InvalidCertificate(wrong) => of_certificate(wrong, &server, problems),
        TlsError::InvalidMessage(_) => Explained::new(
            Class::Untrusted,
            format!("{server} does not speak TLS"),
            "if it is meant to be asked without encryption, write http:// in endpoint_url; else something else answers in its place (a sign-in page, a proxy)",
        ),
        TlsError::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::UnrecognisedName
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied,
        )
        | TlsError::PeerIncompatible(_) => Explained::new(
            Class::Untrusted,
            format!("{server} and Keepwatch find no common encryption: {error}"),
            "the server must offer TLS 1.2 or 1.3 under this name, and ask for no certificate of this computer",
        ),
        other => Explained::new(
            Class::Transient,
            format!("the encrypted connection to {server} failed: {other}"),
            AGAIN,
        ),
    }
}

fn of_certificate(wrong: &CertificateError, server: &str, problems: &[String]) -> Explained {
    let (what, hint) = match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "was issued by somebody whom this computer does not trust (unknown issuer)".to_owned(),
            "if the server, or a filter of the office, has a certificate authority of its own: put that authority's certificate (PEM) into a file, name the file in AWS_CA_BUNDLE or `ca_bundle` of the profile, and start Keepwatch again. If nobody has set up such a thing, somebody may be reading along: ask your technician",
        ),
        CertificateError::Expired => ("has expired".to_owned(), EXPIRED),
        CertificateError::ExpiredContext { not_after, .. } => {
            (format!("has expired on {}", day(*not_after)), EXPIRED)
        }
        CertificateError::NotValidYet => ("is not valid yet".to_owned(), NOT_YET),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (format!("is not valid before {}", day(*not_before)), NOT_YET)
        }
        CertificateError::NotValidForName => ("is for another name".to_owned(), OTHER_NAME),
        CertificateError::NotValidForNameContext { presented, .. } => {
            (format!("is for {}", names(presented)), OTHER_NAME)
        }
        CertificateError::Revoked => (
            "has been revoked".to_owned(),
            "whoever runs the server has to replace it",
        ),
        other => (
            format!("cannot be used: {other}"),
            "whoever runs the server has to replace it",
        ),
    };
    let mut cause = format!("{server} is not trusted: its certificate {what}");
    for problem in problems {
        cause = format!("{cause}; {problem}");
    }
    Explained::new(Class::Untrusted, cause, hint)
}

const EXPIRED: &str = "check this computer's clock; if it is right, whoever runs the server has to renew the certificate";

const NOT_YET: &str = "check this computer's clock";

const OTHER_NAME: &str = "check endpoint_url: it must name the server as its certificate does. A Wi-Fi's sign-in page or a filter that answers in the server's place looks the same";

fn day(time: UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let at = Timestamp::from_second(second);
    at.map_or_else(
        |_| "another day".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}

/// The names of a certificate: `DnsName("a.example")` as rustls gives them.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| match name.split('"').nth(1) {
        Some(inner) => clean(inner),
        None => clean(name),
    };
    let shown: Vec<_> = presented.iter().take(NAMES_SHOWN_MAX).map(plain).collect();
    match shown.is_empty() {
        true => "no name at all".to_owned(),
        false => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxy: Option<&str>) -> Way {
        let named = |proxy| Proxy::named("ALL_PROXY", proxy).unwrap();
        Way {
            server: "s3.office.example".to_owned(),
            address: "https://s3.office.example".to_owned(),
            proxy: proxy.map(named),
        }
    }

    fn of(kind: io::ErrorKind) -> ConnectorError {
        ConnectorError::io(Box::new(io::Error::other(io::Error::from(kind))))
    }

    #[test]
    fn whoever_was_asked_is_named_with_what_is_wrong() {
        for (kind, said) in [
            (io::ErrorKind::ConnectionRefused, "refuses connections"),
            (io::ErrorKind::NetworkUnreachable, "no way leads to"),
            (io::ErrorKind::TimedOut, "does not answer"),
            (io::ErrorKind::ConnectionReset, "broke off"),
        ] {
            for proxy in [None, Some("http://proxy:3128")] {
                let told = of_connection(&of(kind), &way(proxy), &[]);
                assert_eq!(told.class, Class::Transient);
                assert!(told.cause.contains(said), "{told}");
                assert!(told.cause.contains("s3.office.example"), "{told}");
                assert_eq!(told.cause.contains("proxy:3128"), proxy.is_some(), "{told}");
                assert!(!told.hint.is_empty(), "{told}");
            }
        }
        let dns = ConnectorError::io("dns error: failed to lookup address information".into());
        let told = of_connection(&dns, &way(None), &[]);
        assert!(told.cause.contains("(DNS)"), "{told}");
    }

    #[test]
    fn certificates_that_will_never_do_are_no_passing_trouble() {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_790_000_000));
        for (wrong, said) in [
            (CertificateError::UnknownIssuer, "unknown issuer"),
            (
                CertificateError::ExpiredContext {
                    time,
                    not_after: time,
                },
                "has expired on 2026-09-21",
            ),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidForName, "another name"),
            (CertificateError::Revoked, "revoked"),
        ] {
            let tls = TlsError::InvalidCertificate(wrong);
            let error = ConnectorError::io(Box::new(io::Error::other(io::Error::other(tls))));
            let told = of_connection(&error, &way(None), &["AWS_CA_BUNDLE names /x".to_owned()]);
            assert_eq!(told.class, Class::Untrusted, "{told}");
            assert!(told.cause.contains(said), "{told}");
            assert!(told.cause.contains("AWS_CA_BUNDLE names /x"), "{told}");
            assert!(told.cause.starts_with("s3.office.example"), "{told}");
            assert!(!told.hint.is_empty(), "{told}");
        }
    }

    #[test]
    fn a_proxy_says_what_it_wants() {
        let proxy = Some("http://proxy:3128");
        for (said, class, word) in [
            ("proxy authorization required", Class::Denied, "password"),
            ("unsuccessful", Class::Transient, "does not let"),
        ] {
            let error = ConnectorError::other(format!("tunnel error: {said}").into(), None);
            let told = of_connection(&error, &way(proxy), &[]);
            assert_eq!(told.class, class, "{told}");
            assert!(told.cause.contains(word), "{told}");
        }
        let known = way(Some("http://anna:geheim@proxy:3128"));
        let told = wants_user(known.proxy.as_ref().unwrap(), &known);
        assert!(
            told.cause.contains("http://proxy:3128 does not take"),
            "{told}"
        );
        assert!(told.hint.starts_with("correct them in ALL_PROXY"), "{told}");
        assert!(!format!("{told} {} {known:?}", told.hint).contains("geheim"));
    }

    #[test]
    fn behind_a_proxy_with_a_certificate_both_are_named() {
        let tls = TlsError::InvalidCertificate(CertificateError::NotValidForName);
        let error = ConnectorError::io(Box::new(io::Error::other(io::Error::other(tls))));
        let told = of_connection(&error, &way(Some("https://proxy:3129")), &[]);
        let both = "the proxy https://proxy:3129 or s3.office.example behind it is not trusted";
        assert!(told.cause.starts_with(both), "{told}");
    }
}
