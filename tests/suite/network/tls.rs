//! Certificates: the office's own, and those that no waiting makes good.

use super::{Office, Served};
use crate::harness::ran::Ran;
use crate::harness::{Rig, finish};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority of an office.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its key.
pub struct Issued {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Office");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, valid in these years.
    pub fn issues(&self, names: &[&str], years: Range<i32>) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }
}

/// TLS before a server that speaks none.
pub struct Tls {
    pub address: SocketAddr,
}

impl Tls {
    pub async fn before(server: SocketAddr, issued: Issued) -> Self {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.certificate], issued.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust us hangs up.
                    let Ok(mut near) = acceptor.accept(near).await else {
                        return;
                    };
                    let Ok(mut far) = TcpStream::connect(server).await else {
                        return;
                    };
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { address }
    }
}

fn check(office: &Office, environment: &[(&str, &str)]) -> Ran {
    let mut command = office.command(&["check"]);
    command.envs(environment.iter().copied());
    Ran::of(&finish(&mut command))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offices_own_authority_is_trusted_wherever_it_is_named() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let authority = Authority::new();
    let tls = Tls::before(
        served.address,
        authority.issues(&["localhost"], 2_000..4_000),
    )
    .await;
    let office = Office::new(&format!("https://localhost:{}", tls.address.port()), "", "");
    office.has_key("KEY");
    let bundle = office.rig.dir.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let bundle = bundle.to_str().unwrap();
    let profile = office.rig.dir.path().join("profile");
    fs::write(&profile, format!("[default]\nca_bundle = {bundle}\n")).unwrap();
    let profile = profile.to_str().unwrap();
    for environment in [
        ("AWS_CA_BUNDLE", bundle),
        ("AWS_CONFIG_FILE", profile),
        ("SSL_CERT_FILE", bundle),
    ] {
        check(&office, &[environment]).check(0, &["can be written to"]);
    }
}

/// Each is told as what it is, and with the server's name; none is "tried again".
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_will_never_do_is_told_as_that() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let authority = Authority::new();
    let (known, stranger) = (&authority, Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let bundle = bundle.to_str().unwrap();
    for (issued, said) in [
        (
            stranger.issues(&["localhost"], 2_000..4_000),
            "(unknown issuer)",
        ),
        (
            known.issues(&["localhost"], 2_000..2_020),
            "has expired on 2020-01-01",
        ),
        (
            known.issues(&["localhost"], 3_000..4_000),
            "is not valid before 3000-01-01",
        ),
        (known.issues(&["nas.test"], 2_000..4_000), "is for nas.test"),
    ] {
        let tls = Tls::before(served.address, issued).await;
        let server = format!("localhost:{}", tls.address.port());
        let office = Office::new(&format!("https://{server}"), "", "");
        office.has_key("KEY");
        let ran = check(&office, &[("AWS_CA_BUNDLE", bundle)]);
        ran.check(1, &[said, &format!("{server} is not trusted")]);
        for word in ["tries again", "dispatch failure", "InvalidCertificate"] {
            assert!(!ran.text.contains(word), "{word}: {}", ran.text);
        }
    }
    // What does not speak TLS at all.
    let office = Office::new(&format!("https://{}", served.address), "", "");
    office.has_key("KEY");
    check(&office, &[]).check(1, &["does not speak TLS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_cannot_be_read_is_named_where_it_is_missed() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let issued = Authority::new().issues(&["localhost"], 2_000..4_000);
    let tls = Tls::before(served.address, issued).await;
    let office = Office::new(&format!("https://localhost:{}", tls.address.port()), "", "");
    office.has_key("KEY");
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let said = format!("{variable} names /nowhere/ca.pem, which cannot be read");
        let ran = check(&office, &[(variable, "/nowhere/ca.pem")]);
        ran.check(1, &[&said, "WARNING  proxy and certificates"]);
    }
}
