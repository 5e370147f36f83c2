//! Bringing the servers up: each once for a test run, when it is first needed.
//!
//! They listen on loopback addresses or ports of their own and write below the
//! target folder, so that other test runs go on beside. None outlives its test
//! run: each is a child of a script that reads along on a pipe and ends it when the
//! pipe closes, however the run ended.

use super::table::Kind;
use crate::python::{Credentials, Moto, venv_program};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Once, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// Ceph's packages on a slow line, and a busy machine.
const START_MAX: Duration = Duration::from_secs(10 * 60);

/// The ports of the gateway and of its monitor, as in `rgw.sh`.
const RGW_PORTS: [u16; 2] = [7480, 3300];

const RCLONE_PORT: u16 = 7490;

/// Folders of servers begin so; the test run's process id follows.
const FOLDERS: [&str; 3] = ["ceph-rgw-", "rclone-", "vault-served-"];

/// A server that is up.
pub struct Server {
    pub address: SocketAddr,
    pub keys: Credentials,
    /// What ends it when it is dropped, and with this process at the latest.
    _ends: Ends,
}

#[expect(dead_code, reason = "held, not used")]
enum Ends {
    Script(Child),
    Moto(Moto),
}

/// Panics with the reason when it cannot be brought up.
pub fn server(kind: Kind) -> &'static Server {
    static SERVERS: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        sweep();
        // It takes the longest; the others' tests run meanwhile.
        std::thread::spawn(|| SERVERS[Kind::Rgw as usize].get_or_init(rgw).is_ok());
    });
    let up = SERVERS[kind as usize].get_or_init(|| match kind {
        Kind::Rgw => rgw(),
        Kind::Moto => moto(),
        Kind::Rclone => rclone(),
        Kind::Vault => vault(),
    });
    up.as_ref()
        .unwrap_or_else(|why| panic!("{kind:?} cannot be brought up: {why}"))
}

fn rgw() -> Result<Server, String> {
    let address = own_address(&RGW_PORTS);
    let folder = folder(FOLDERS[0]);
    let mut script = script("rgw.sh");
    let command = script.arg(&folder).arg(address.to_string());
    let (child, said) = spawn(command, 1)?;
    let last = said.last().map_or("nothing", String::as_str);
    if !last.starts_with("ready ") {
        return Err(format!("rgw.sh says: {last}"));
    }
    Ok(Server {
        address: SocketAddrV4::new(address, RGW_PORTS[0]).into(),
        keys: keys(),
        _ends: Ends::Script(child),
    })
}

fn moto() -> Result<Server, String> {
    let (moto, keys) = Moto::with_auth();
    let address = moto.endpoint.trim_start_matches("http://").parse();
    Ok(Server {
        address: address.map_err(|error| format!("{}: {error}", moto.endpoint))?,
        keys,
        _ends: Ends::Moto(moto),
    })
}

fn rclone() -> Result<Server, String> {
    let address = own_address(&[RCLONE_PORT]);
    let folder = folder(FOLDERS[1]);
    let keys = keys();
    let mut script = script("guard.sh");
    let command = script
        .arg(&folder)
        .arg(venv_program("rclone"))
        .args(["serve", "s3", "--config", "/dev/null", "--addr"])
        .arg(format!("{address}:{RCLONE_PORT}"))
        .arg("--auth-key")
        .arg(format!("{},{}", keys.access_key, keys.secret_key))
        .arg(&folder);
    let (child, _) = spawn(command, 0)?;
    let address = SocketAddrV4::new(address, RCLONE_PORT).into();
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if began.elapsed() > START_MAX {
            return Err("rclone does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Server {
        address,
        keys,
        _ends: Ends::Script(child),
    })
}

/// As its owner serves it: `keepwatch vault serve`.
fn vault() -> Result<Server, String> {
    let folder = folder(FOLDERS[2]);
    let mut script = script("guard.sh");
    let command = script
        .arg(&folder)
        .arg(crate::harness::program().get_program())
        .args(["vault", "serve", "--vault"])
        .arg(&folder);
    let (child, said) = spawn(command, 3)?;
    let told = |name: &str| {
        let value = said.iter().find_map(|line| line.strip_prefix(name));
        let value = value.map(|value| value.trim().to_owned());
        value.ok_or(format!("`vault serve` says {said:?}"))
    };
    let endpoint = told("endpoint:")?;
    let address = endpoint.trim_start_matches("http://").parse();
    Ok(Server {
        address: address.map_err(|error| format!("{endpoint}: {error}"))?,
        keys: Credentials {
            access_key: told("access key:")?,
            secret_key: told("secret key:")?,
        },
        _ends: Ends::Script(child),
    })
}

/// Of rgw.sh, and for rclone as well.
fn keys() -> Credentials {
    Credentials {
        access_key: "BACKUPTESTKEY0000001".to_owned(),
        secret_key: "backuptestsecret00000000000000000000001".to_owned(),
    }
}

fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/suite/servers")
        .join(name);
    let mut command = Command::new("bash");
    command.arg(path);
    command
}

/// Start it, and wait for so many lines that it prints; fewer when it has ended.
fn spawn(command: &mut Command, lines: usize) -> Result<(Child, Vec<String>), String> {
    // Not in our group: what ends all of this run at once leaves it to clean up.
    let child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let output = child.stdout.take().ok_or("it has no output")?;
    let (sender, receiver) = mpsc::channel();
    // Ends with the lines or with the child.
    std::thread::spawn(move || {
        let output = BufReader::new(output).lines();
        let said: Result<Vec<String>, _> = output.take(lines).collect();
        let _ = sender.send(said);
    });
    let said = receiver.recv_timeout(START_MAX);
    let said = said.map_err(|_| format!("{command:?} is not ready after {START_MAX:?}"))?;
    let said = said.map_err(|error| error.to_string())?;
    Ok((child, said))
}

/// A loopback address on which nobody has these ports: all of 127.0.0.0/8 is
/// loopback. The model test's lines have 127.64 to 127.127.
fn own_address(ports: &[u16]) -> Ipv4Addr {
    loop {
        let address = Ipv4Addr::new(
            127,
            fastrand::u8(160..250),
            fastrand::u8(..),
            fastrand::u8(1..255),
        );
        let is_free = |port: &u16| TcpListener::bind((address, *port)).is_ok();
        if ports.iter().all(is_free) {
            return address;
        }
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}{}", std::process::id()))
}

/// Remove what test runs have left whose script was killed, too.
fn sweep() {
    let entries = fs::read_dir(env!("CARGO_TARGET_TMPDIR"));
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = FOLDERS.iter().find_map(|begin| name.strip_prefix(begin));
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Its own script may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whoever ends first, test run or script: nothing goes on running.
#[tokio::test]
async fn a_server_ends_with_its_test_run() {
    use crate::harness::until;
    let place = tempfile::tempdir().unwrap();
    for is_script_killed in [false, true] {
        let folder = place.path().join("server");
        let mut script = script("guard.sh");
        let command = script
            .arg(&folder)
            .args(["sh", "-c", "echo $$; exec sleep 600"]);
        let (mut child, said) = spawn(command, 1).unwrap();
        let server = Path::new("/proc").join(&said[0]);
        assert!(server.exists() && folder.exists());
        if is_script_killed {
            child.kill().unwrap();
        } else {
            // As the kernel does when this process ends.
            drop(child.stdin.take());
        }
        until("the server has ended", async || !server.exists()).await;
        child.wait().unwrap();
        assert_eq!(folder.exists(), is_script_killed, "its folder");
    }
}
