//! The proxies that the environment names, and the servers that it excepts.
//!
//! Read once and in one place, so that what decides, what is told and what a proposed
//! command repeats cannot differ. Invariant: a user and password are in no text of
//! this module, however wrongly they were written.

use aws_smithy_http_client::proxy::ProxyConfig;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;
use std::net::IpAddr;

/// The variables that name a proxy.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// The variables that name servers which are reached without one.
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Every variable that is read here.
pub const PROXY_VARIABLES: [&str; 8] = [
    HTTPS[0], HTTPS[1], HTTP[0], HTTP[1], ALL[0], ALL[1], NONE[0], NONE[1],
];

/// Ports of addresses that name none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// What the environment says.
#[derive(Debug)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    excepted: Excepted,
    /// Variables that name a proxy which nobody could go through, each with why.
    pub(super) problems: Vec<String>,
}

/// One proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub(super) variable: &'static str,
    /// Its address, without user and password.
    pub(super) address: String,
    /// A user is given.
    pub(super) has_user: bool,
    /// The address as the client takes it.
    whole: Uri,
}

impl Proxies {
    pub(super) fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |names: &[&'static str]| {
            let set = |name: &&'static str| Some((*name, variable(name)?));
            (names.iter().filter_map(set)).find(|(_, value)| !value.is_empty())
        };
        let mut problems = Vec::new();
        let mut chosen = |names: &[&'static str]| {
            let (name, value) = value(names)?;
            match Proxy::named(name, &value) {
                Ok(proxy) => Some(proxy),
                Err(wrong) => {
                    problems.push(format!("{name} {wrong}"));
                    None
                }
            }
        };
        let all = chosen(&ALL);
        let (https, http) = (chosen(&HTTPS), chosen(&HTTP));
        Self {
            https: https.or_else(|| all.clone()),
            http: http.or(all),
            excepted: Excepted::of(&value(&NONE).map(|(_, value)| value).unwrap_or_default()),
            problems,
        }
    }

    /// Through which proxy such an address is asked.
    pub(super) fn of_address(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = match uri.scheme_str() {
            Some("http") => self.http.as_ref(),
            Some("https") => self.https.as_ref(),
            _ => None,
        }?;
        let is_direct = uri.host().is_none_or(is_near) || self.excepted.has(uri);
        (!is_direct).then_some(proxy)
    }

    /// How the client goes through the proxy for `http://`.
    pub(super) fn for_http(&self) -> ProxyConfig {
        config(self.http.as_ref(), ProxyConfig::http)
    }

    /// How it goes through the one for `https://`.
    pub(super) fn for_https(&self) -> ProxyConfig {
        config(self.https.as_ref(), ProxyConfig::https)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.address, self.variable)
    }
}

fn config<E>(proxy: Option<&Proxy>, make: impl Fn(Uri) -> Result<ProxyConfig, E>) -> ProxyConfig {
    let made = proxy.map(|proxy| make(proxy.whole.clone()));
    // What the client would refuse has been refused when it was read.
    made.and_then(Result::ok)
        .unwrap_or_else(ProxyConfig::disabled)
}

impl Proxy {
    /// The proxy of such a value.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the variable's name.
    pub(super) fn named(variable: &'static str, value: &str) -> Result<Self, &'static str> {
        const NO_ADDRESS: &str = "is no address like http://proxy.office.example:3128";
        let value = value.trim();
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            return Err("is no HTTP proxy (SOCKS cannot be used)");
        }
        // What stands before the last `@` was meant for user and password.
        let user = rest.rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| !is_escaped(user)) {
            return Err(
                "has a sign in its user or password that must be written as % and two digits (\\ is %5C, @ is %40, # is %23, / is %2F, % is %25)",
            );
        }
        let whole: Uri = format!("{scheme}://{rest}")
            .parse()
            .map_err(|_| NO_ADDRESS)?;
        let host = whole.host().filter(|host| !host.is_empty());
        let host = host.ok_or(NO_ADDRESS)?;
        let port = whole.port().map(|port| format!(":{port}"));
        Ok(Self {
            variable,
            address: format!("{scheme}://{host}{}", port.unwrap_or_default()),
            has_user: user.is_some(),
            whole,
        })
    }
}

/// Whether a user and password are written so that an address can hold them.
fn is_escaped(user: &str) -> bool {
    let bytes = user.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => {
            let digits = bytes.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(byte),
    })
}

/// The servers of `NO_PROXY`, in all the spellings that programs know: names with all
/// that is below them (`office.example`, `.office.example`, `*.office.example`),
/// addresses and networks, each with a port or without, between commas or spaces.
#[derive(Debug)]
struct Excepted {
    everywhere: Matcher,
    at_ports: Vec<(u16, Matcher)>,
}

impl Excepted {
    fn of(value: &str) -> Self {
        let entries = value
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
            .filter(|entry| !entry.is_empty());
        let mut everywhere = Vec::new();
        let mut at_ports = Vec::new();
        for entry in entries {
            match entry_of(entry) {
                (name, None) => everywhere.push(name),
                (name, Some(port)) => at_ports.push((port, matching(name))),
            }
        }
        Self {
            everywhere: matching(&everywhere.join(",")),
            at_ports,
        }
    }

    fn has(&self, uri: &Uri) -> bool {
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("http") => HTTP_PORT,
            _ => HTTPS_PORT,
        });
        let is_in = |matcher: &Matcher| matcher.intercept(uri).is_none();
        is_in(&self.everywhere)
            || (self.at_ports.iter()).any(|(at, matcher)| *at == port && is_in(matcher))
    }
}

/// Sends everything through a proxy but what is named.
fn matching(names: &str) -> Matcher {
    Matcher::builder()
        .all("http://proxy.invalid")
        .no(names)
        .build()
}

/// An entry as the library knows it, and its port.
fn entry_of(entry: &str) -> (&str, Option<u16>) {
    let (name, port) = match entry.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match entry.split_once(':') {
            // More than one is an address of IPv6.
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (entry, None),
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = match name.strip_prefix('*') {
        Some(below) if below.starts_with('.') => below,
        _ => name,
    };
    match port.map(str::parse) {
        None => (name, None),
        Some(Ok(port)) => (name, Some(port)),
        // No port, so no such entry.
        Some(Err(_)) => (entry, None),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::of(|name| {
            let found = variables.iter().find(|(is, _)| *is == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn through(proxies: &Proxies, address: &str) -> Option<String> {
        let proxy = proxies.of_address(&address.parse().unwrap());
        proxy.map(|proxy| format!("{} {}", proxy.variable, proxy.address))
    }

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
    fn each_address_goes_through_the_proxy_of_its_kind() {
        let both = proxies(&[
            ("HTTPS_PROXY", ""),
            ("https_proxy", "http://anna:geheim@one:3128/"),
            ("ALL_PROXY", "two:3128"),
        ]);
        let https = through(&both, "https://s3.example").unwrap();
        assert_eq!(https, "https_proxy http://one:3128");
        let http = through(&both, "http://s3.example").unwrap();
        assert_eq!(http, "ALL_PROXY http://two:3128");
        assert!(through(&both, "http://localhost:9000").is_none());
        assert!(both.problems.is_empty());
        assert!(through(&proxies(&[]), "https://s3.example").is_none());
    }

    #[test]
    fn no_proxy_counts_in_every_spelling() {
        for (excepted, far) in [
            (
                "office.test",
                &["http://office.test", "https://nas.Office.test:9000"][..],
            ),
            (".office.test", &["http://nas.office.test"]),
            (
                "*.office.test",
                &["http://nas.office.test", "http://a.nas.office.test"],
            ),
            ("nas.office.test.", &["http://nas.office.test"]),
            ("NAS.OFFICE.TEST", &["http://nas.office.test"]),
            ("x.test nas.office.test", &["http://nas.office.test"]),
            ("x.test;nas.office.test", &["http://nas.office.test"]),
            ("x.test,\tnas.office.test ,", &["http://nas.office.test"]),
            ("nas.office.test:9000", &["http://nas.office.test:9000"]),
            ("nas.office.test:443", &["https://nas.office.test"]),
            ("*.office.test:80", &["http://nas.office.test"]),
            ("10.0.0.0/8", &["http://10.1.2.3:9000"]),
            ("10.1.2.3:9000", &["http://10.1.2.3:9000"]),
            ("fd12::1", &["http://[fd12::1]:9000"]),
            ("[fd12::1]", &["http://[fd12::1]:9000"]),
            ("[fd12::1]:9000", &["http://[fd12::1]:9000"]),
            ("*", &["https://s3.example"]),
        ] {
            for name in NONE {
                let proxies = proxies(&[("ALL_PROXY", "http://proxy"), (name, excepted)]);
                for address in far {
                    assert!(
                        through(&proxies, address).is_none(),
                        "{excepted}: {address}"
                    );
                }
                assert!(through(&proxies, "http://else.test").is_some() || excepted == "*");
            }
        }
        for (excepted, address) in [
            ("fice.test", "http://office.test"),
            ("nas.office.test:9000", "http://nas.office.test"),
            ("nas.office.test:x", "http://nas.office.test"),
            ("[fd12::1]:9000", "http://[fd12::1]"),
            ("", "http://office.test"),
        ] {
            let proxies = proxies(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", excepted)]);
            assert!(
                through(&proxies, address).is_some(),
                "{excepted}: {address}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_named_and_its_password_is_nowhere() {
        for good in [
            "",
            "http://proxy:3128",
            "https://u:p%40@proxy",
            "proxy:3128",
            "u:p@proxy",
        ] {
            let read = proxies(&[("HTTPS_PROXY", good)]);
            assert!(read.problems.is_empty(), "{good}: {:?}", read.problems);
        }
        for (bad, said) in [
            ("socks5://u:geheim@proxy:1080", "SOCKS"),
            ("http://u:geheim@", "is no address"),
            ("ein proxy", "is no address"),
            ("/proxy", "is no address"),
            ("http://u:geheim#1@proxy:3128", "# is %23"),
            ("http://u:geheim/1@proxy:3128", "/ is %2F"),
            ("http://u:geheim?1@proxy:3128", "two digits"),
            ("http://u:geheim@1@proxy:3128", "@ is %40"),
            ("http://OFFICE\\u:geheim@proxy:3128", "\\ is %5C"),
            ("http://u:geheim%@proxy:3128", "% is %25"),
            ("http://u:geheimnisträger@proxy:3128", "two digits"),
        ] {
            for name in ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"] {
                let read = proxies(&[(name, bad)]);
                let [told] = read.problems.as_slice() else {
                    panic!("{bad}: {:?}", read.problems);
                };
                assert!(told.starts_with(name) && told.contains(said), "{told}");
                assert!(!told.contains("geheim"), "{told}");
                // It is passed by, and no part of it is looked up.
                assert!(through(&read, "https://s3.example").is_none());
                assert!(through(&read, "http://s3.example").is_none());
            }
        }
    }
}
