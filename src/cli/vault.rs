//! `keepwatch vault serve`: a vault on a loopback port, for S3 tools.

use super::args::VaultServeArgs;
use super::exit_code::COMPLETE;
use super::out;
use super::run::signal_trouble;
use crate::os;
use crate::types;
use crate::types::{Fatal, chain};
use keepwatch_vault::Vault;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::task::Poll;

/// Characters of a made-up access key and secret: as long as AWS's own.
const KEY_CHARS: usize = 20;
const SECRET_CHARS: usize = 40;

/// Serve until asked to stop. The credentials are made anew each time and
/// printed, they protect this one run.
pub(super) async fn serve(args: &VaultServeArgs) -> Result<u8, Fatal> {
    let folder = args.vault.clone();
    let vault = tokio::task::spawn_blocking(move || Vault::open(&folder))
        .await
        .map_err(|e| Fatal::new("open the vault", chain(&e), ""))??;
    if let Some(why) = vault.only_read_because() {
        eprintln!("It can be read but not written to: {}", types::clean(why));
    }
    let trouble = |e: std::io::Error| {
        Fatal::new(
            format!("listen on port {}", args.port),
            chain(&e),
            "choose another --port, or 0 for any free one",
        )
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).map_err(trouble)?;
    let address = listener.local_addr().map_err(trouble)?;
    let (key, secret) = (random(KEY_CHARS), random(SECRET_CHARS));
    let stop = os::asked_to_end(hung_up);
    tokio::pin!(stop);
    // Before the address is printed: until somebody listens, a signal kills the process.
    let mut early = match futures::poll!(stop.as_mut()) {
        Poll::Ready(signal) => Some(signal),
        Poll::Pending => None,
    };
    out::note(print_address(
        &mut std::io::stdout(),
        address,
        &key,
        &secret,
    ));
    let mut signal = Ok(());
    vault
        .serve(listener, (key, secret), async {
            signal = match early.take() {
                Some(signal) => signal,
                None => stop.await,
            };
        })
        .await?;
    signal.map_err(|e| signal_trouble(&e))?;
    Ok(COMPLETE)
}

/// As the service does: a terminal that is closed ends nobody's copying.
fn hung_up() {
    // Whoever would read it may be gone with the terminal.
    let _ = writeln!(
        std::io::stderr(),
        "hang-up (SIGHUP): the vault is served on; Ctrl-C or SIGTERM ends it"
    );
}

/// Print how to reach it. It also serves a reader who stops after the first lines.
fn print_address(
    out: &mut impl Write,
    address: SocketAddr,
    key: &str,
    secret: &str,
) -> std::io::Result<()> {
    let words = format!(
        "endpoint:   http://{address}\naccess key: {key}\nsecret key: {secret}\nstop with Ctrl-C\n"
    );
    out.write_all(words.as_bytes())?;
    out.flush()
}

fn random(chars: usize) -> String {
    (0..chars).map(|_| fastrand::alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_also_to_nobody() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let mut told = Vec::new();
        print_address(&mut told, address, "K", "S").unwrap();
        let words = String::from_utf8(told).unwrap();
        assert_eq!(
            words,
            "endpoint:   http://127.0.0.1:9\naccess key: K\nsecret key: S\nstop with Ctrl-C\n"
        );
        // A pipe whose reader has gone.
        let (reader, mut writer) = std::io::pipe().unwrap();
        drop(reader);
        assert!(print_address(&mut writer, address, "K", "S").is_err());
    }
}
