//! The real program over real HTTP against a server that is not ours.

use super::{MIB, noise, table};
use crate::harness::{BUCKET, Rig, finish, program};
use crate::python::{Credentials, Moto};
use keepwatch::types::ContentHash;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

struct Site {
    rig: Rig,
    moto: Moto,
    owner: Credentials,
    config: PathBuf,
}

impl Site {
    fn new() -> Self {
        let rig = Rig::new();
        let (moto, owner) = Moto::with_auth();
        moto.bucket(&owner, BUCKET);
        let endpoint = &moto.endpoint;
        let config = rig.dir.path().join("keepwatch.toml");
        let text = format!(
            "[s3]\nendpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\n\n\
             [[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\
             compress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n\
             [state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n"
        );
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            rig,
            moto,
            owner,
            config,
        }
    }

    /// Bring the bucket up to date: for each path what was sent and reused, as
    /// the log says it.
    fn reconcile(&self) -> Vec<(String, usize, usize)> {
        let log = self.rig.dir.path().join("log");
        let _ = fs::remove_dir_all(&log);
        let config = self.config.to_str().unwrap();
        let output = finish(
            program()
                .args(["--config", config, "--reconcile"])
                .env("AWS_ACCESS_KEY_ID", &self.owner.access_key)
                .env("AWS_SECRET_ACCESS_KEY", &self.owner.secret_key),
        );
        assert!(output.status.success(), "{output:?}");
        let mut text = String::new();
        for entry in fs::read_dir(log).unwrap() {
            text += &fs::read_to_string(entry.unwrap().path()).unwrap();
        }
        let number = |line: &str, name: &str| -> usize {
            let at = line.find(name).unwrap() + name.len();
            let digits = line[at..].split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap().parse().unwrap()
        };
        text.lines()
            .filter(|line| line.contains("reused_bytes="))
            .map(|line| {
                let path = line.split("path=").nth(1).unwrap();
                let path = path.split_whitespace().next().unwrap().to_owned();
                (
                    path,
                    number(line, "sent_bytes="),
                    number(line, "reused_bytes="),
                )
            })
            .collect()
    }

    /// SHA-256 of the object's body as boto3 gets it, gunzipped where it says so.
    fn fetched(&self, key: &str) -> String {
        let script = "
import gzip, hashlib
got = client('s3').get_object(Bucket=args[0], Key=args[1])
body = got['Body'].read()
if got.get('ContentEncoding') == 'gzip':
    body = gzip.decompress(body)
answer(hashlib.sha256(body).hexdigest())";
        let answer = self.moto.boto(&self.owner, script, &[BUCKET, key]);
        answer.as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_sent_what_changed_over_real_http() {
    let site = Site::new();
    let mut raw = noise(20 * MIB, 1);
    let mut csv = table(500_000, 2);
    site.rig.write("large.bin", &raw);
    site.rig.write("table.csv", &csv);
    assert_eq!(site.reconcile().len(), 2);
    raw[19 * MIB] ^= 1;
    csv.extend(table(1_000, 3));
    site.rig.write("large.bin", &raw);
    site.rig.write("table.csv", &csv);
    let stored = site.reconcile();
    println!("{stored:?}");
    assert_eq!(stored.len(), 2);
    for (path, sent, reused) in stored {
        assert!(
            sent < 6 * MIB && reused > 6 * MIB,
            "{path}: {sent} {reused}"
        );
    }
    assert_eq!(site.fetched("large.bin"), ContentHash::of(&raw).to_hex());
    assert_eq!(site.fetched("table.csv"), ContentHash::of(&csv).to_hex());
}
