//! An office that is let out through a proxy only.

use super::tls::{Authority, Tls};
use super::{Office, Served};
use crate::harness::{Rig, in_bucket};
use keepwatch::s3::Store;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A name that only the proxy can look up.
const NAME: &str = "s3.office.test";

/// An HTTP proxy that knows one name, and what it was asked.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `wants` is what the user must prove to be, in the header's own form.
    async fn to(server: SocketAddr, wants: Option<&'static str>, lets_through: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                // A connection that breaks is none of ours.
                tokio::spawn(async move { carry(near, server, wants, lets_through, &seen).await });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn carry(
    near: TcpStream,
    server: SocketAddr,
    wants: Option<&str>,
    lets_through: bool,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut near = BufReader::new(near);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        let count = near.read_line(&mut line).await?;
        head += &line;
        if count <= 2 {
            break;
        }
    }
    let first = head.lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(first.clone());
    let has = |wanted: &str| {
        let wanted = format!("proxy-authorization: {wanted}").to_lowercase();
        head.to_lowercase().contains(&wanted)
    };
    if wants.is_some_and(|wanted| !has(wanted)) {
        let no = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return near.write_all(no.as_bytes()).await;
    }
    if !lets_through {
        let no = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        return near.write_all(no.as_bytes()).await;
    }
    let mut far = TcpStream::connect(server).await?;
    match first.starts_with("CONNECT ") {
        true => near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?,
        // The request itself, meant for the server.
        false => far.write_all(head.as_bytes()).await?,
    }
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}

/// Everything of HTTPS goes through the tunnel, with user and password, to a server
/// whose certificate the office has issued itself.
#[tokio::test(flavor = "multi_thread")]
async fn https_goes_through_the_proxy_that_the_environment_names() {
    let vault_rig = Rig::new();
    let vault = vault_rig.vault();
    let served = Served::start(&vault, "KEY");
    let authority = Authority::new();
    let tls = Tls::before(served.address, authority.issues(&[NAME], 2_000..4_000)).await;
    let basic = "Basic YW5uYTpnZWhlaW0=";
    let proxy = Proxy::to(tls.address, Some(basic), true).await;
    let office = Office::new(&format!("https://{NAME}"), "", "");
    office.has_key("KEY");
    office.rig.write("a.txt", "a");
    let bundle = office.rig.dir.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    for variable in ["HTTPS_PROXY", "all_proxy"] {
        let mut command = office.command(&["--reconcile"]);
        command
            .env(variable, format!("http://anna:geheim@{}", proxy.address))
            .env("AWS_CA_BUNDLE", &bundle);
        let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
        ran.check(0, &["everything is in the bucket"]);
        assert!(!ran.text.contains("geheim"), "{}", ran.text);
    }
    let store = Store::vault(vault.http_client(), "the vault");
    assert!(in_bucket(&store).await.contains_key("a.txt"));
    let asked = proxy.asked();
    let is_tunnel = |line: &String| line.starts_with(&format!("CONNECT {NAME}:443 "));
    assert!(
        !asked.is_empty() && asked.iter().all(is_tunnel),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_goes_through_the_proxy_and_what_no_proxy_names_or_is_near_does_not() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let proxy = Proxy::to(served.address, None, true).await;
    let address = format!("http://{}", proxy.address);
    let check = |url: &str, environment: &[(&str, &str)]| {
        let office = Office::new(url, "", "");
        office.has_key("KEY");
        let mut command = office.command(&["check"]);
        command.envs(environment.iter().copied());
        let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
        (ran, proxy.asked().len())
    };
    let (ran, asked) = check(&format!("http://{NAME}"), &[("HTTP_PROXY", &address)]);
    ran.check(0, &["can be written to"]);
    assert!(asked > 0);
    // This computer is never asked through a proxy.
    let near = format!("http://{}", served.address);
    let (ran, now) = check(&near, &[("HTTP_PROXY", &address)]);
    ran.check(0, &["can be written to"]);
    assert_eq!(now, asked);
    let (ran, now) = check(
        &format!("http://{NAME}"),
        &[
            ("HTTP_PROXY", &address),
            ("NO_PROXY", "other.test,office.test"),
        ],
    );
    ran.check(1, &["the name of s3.office.test cannot be looked up"]);
    assert_eq!(now, asked);
    // As people write it who know it from Windows, or with the port.
    for excepted in [
        "*.office.test",
        "s3.office.test:80",
        "a.test s3.office.test",
    ] {
        let (ran, now) = check(
            &format!("http://{NAME}"),
            &[("ALL_PROXY", &address), ("no_proxy", excepted)],
        );
        ran.check(1, &["the name of s3.office.test cannot be looked up"]);
        assert_eq!(now, asked, "{excepted}");
    }
}

/// Named after the bug: a sign-in page was blamed, and no word of user and password.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_for_http_that_wants_a_password_is_no_sign_in_page() {
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let strict = Proxy::to(nobody, Some("Basic x"), true).await;
    let address = strict.address;
    for (proxy, said) in [
        (format!("http://{address}"), "wants a user and password"),
        (
            format!("http://anna:geheim@{address}"),
            "does not take the user and password",
        ),
    ] {
        let office = Office::new(&format!("http://{NAME}"), "", "");
        office.has_key("KEY");
        let mut command = office.command(&["check"]);
        command.env("HTTP_PROXY", &proxy);
        let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
        ran.check(1, &[said, "HTTP_PROXY (http://user:password@proxy:port)"]);
        assert!(!ran.text.contains("sign-in page"), "{}", ran.text);
        assert!(!ran.text.contains("geheim"), "{}", ran.text);
    }
}

/// Named after the bug: `#` begins something else in an address, so the password's
/// first half was looked up as the proxy's name, and printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_with_a_sign_that_addresses_do_not_take_is_said_and_never_shown() {
    for sign in ["#", "/", "?", "@", "%", "\\"] {
        let office = Office::new(&format!("https://{NAME}"), "", "");
        office.has_key("KEY");
        let mut command = office.command(&["check"]);
        command.env(
            "HTTPS_PROXY",
            format!("http://anna:geheim{sign}1@127.0.0.1:9"),
        );
        let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
        let said = "HTTPS_PROXY has a sign in its user or password";
        ran.check(1, &[said, "cannot be looked up (DNS); HTTPS_PROXY has"]);
        assert!(!ran.text.contains("geheim"), "{sign}: {}", ran.text);
    }
}

/// A proxy that refuses says so, and which one it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_named_with_what_it_wants() {
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let strict = Proxy::to(nobody, Some("Basic x"), true).await;
    let closed = Proxy::to(nobody, None, false).await;
    for (proxy, said) in [
        (
            format!("http://{}", strict.address),
            "wants a user and password",
        ),
        (
            format!("http://{}", closed.address),
            "does not let requests through",
        ),
        ("http://127.0.0.1:9".to_owned(), "refuses connections"),
        (
            "http://proxy.office.test:3128".to_owned(),
            "cannot be looked up",
        ),
    ] {
        let office = Office::new(&format!("https://{NAME}"), "", "");
        office.has_key("KEY");
        let mut command = office.command(&["check"]);
        command.env("HTTPS_PROXY", &proxy);
        let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
        ran.check(1, &[said, &proxy]);
        assert!(!ran.text.contains("dispatch failure"), "{}", ran.text);
    }
    // One that is none would be passed by without a word.
    let office = Office::new("http://127.0.0.1:9", "", "");
    office.has_key("KEY");
    let mut command = office.command(&["check"]);
    command.env("HTTPS_PROXY", "socks5://u:geheim@proxy.office.test:1080");
    let ran = crate::harness::ran::Ran::of(&crate::harness::finish(&mut command));
    ran.check(1, &["HTTPS_PROXY is no HTTP proxy (SOCKS cannot be used)"]);
    assert!(!ran.text.contains("geheim"), "{}", ran.text);
}
