//! A hang-up, at a vault that is served.

use super::super::stop::Program;
use super::Said;
use crate::harness::os::tell_to_stop;
use crate::harness::{Rig, program};
use keepwatch_vault::Vault;
use rustix::process::{Pid, Signal};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

/// A terminal that is closed, or a reload, ends it no more than it ends the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_served_goes_on_at_a_hang_up() {
    let rig = Rig::new();
    drop::<Vault>(rig.vault());
    let vault = rig.vault_dir();
    let mut command = program();
    command
        .args(["vault", "serve", "--vault", vault.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut serving = Program(command.spawn().unwrap());
    let said = Said::by(serving.0.stderr.take().unwrap());
    let mut lines = BufReader::new(serving.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.rsplit("//").next().unwrap().to_owned();
    rustix::process::kill_process(Pid::from_child(&serving.0), Signal::HUP).unwrap();
    said.says("hang-up (SIGHUP): the vault is served on").await;
    let mut client = TcpStream::connect(&address).unwrap();
    write!(
        client,
        "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    tell_to_stop(&serving.0);
    assert_eq!(serving.end().0, Some(0), "{}", said.text());
}
