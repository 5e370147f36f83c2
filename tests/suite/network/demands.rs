//! A bucket that demands encryption, a class, a payer and an owner: every request that
//! takes one of these headers has it.

use super::{Office, Served};
use crate::harness::os::{OTHER_MODE, set_mode};
use crate::harness::ran::Ran;
use crate::harness::{BUCKET, Rig, finish, program};
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A line that keeps what goes up, each connection by itself.
struct Kept {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Kept {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let all = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let all = Arc::clone(&all);
                // A connection that breaks is none of ours.
                tokio::spawn(async move { carry(near, server, number, &all).await });
            }
        });
        Self { address, sent }
    }

    /// The heads of all requests so far, each header in lower case.
    fn heads(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let mut heads = Vec::new();
        for bytes in sent.iter() {
            let text = String::from_utf8_lossy(bytes);
            for head in text.split("\r\n\r\n") {
                // What stands before it is the last request's body.
                let begin = ["PUT /", "GET /", "HEAD /", "POST /", "DELETE /"]
                    .iter()
                    .filter_map(|method| head.find(method))
                    .min();
                let is_head = head.lines().any(|line| line.ends_with(" HTTP/1.1"));
                if let Some(begin) = begin.filter(|_| is_head) {
                    heads.push(head[begin..].replace("\r\n", "\n").to_lowercase());
                }
            }
        }
        heads
    }
}

async fn carry(
    near: TcpStream,
    server: SocketAddr,
    number: usize,
    all: &Mutex<Vec<Vec<u8>>>,
) -> std::io::Result<()> {
    let far = TcpStream::connect(server).await?;
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let up = async {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let count = from_near.read(&mut chunk).await?;
            if count == 0 {
                return to_far.shutdown().await;
            }
            all.lock().unwrap()[number].extend_from_slice(&chunk[..count]);
            to_far.write_all(&chunk[..count]).await?;
        }
    };
    let down = async {
        tokio::io::copy(&mut from_far, &mut to_near).await?;
        to_near.shutdown().await
    };
    tokio::try_join!(up, down).map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_what_the_bucket_demands() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let line = Kept::to(served.address).await;
    let demands = "server_side_encryption = \"aws:kms\"\nkms_key_id = \"alias/office\"\n\
        storage_class = \"STANDARD_IA\"\nrequester_pays = true\nexpected_bucket_owner = \"111122223333\"\n";
    let office = Office::new(&format!("http://{}", line.address), demands, "");
    office.has_key("KEY");
    office.rig.write("small.txt", "small");
    office.rig.write("mode.txt", "mode");
    // Zeros are no heads of requests; sent in parts.
    office.rig.write("large.bin", vec![0; 20 << 20]);
    office
        .run(&["--reconcile"])
        .check(0, &["everything is in the bucket"]);
    // Copied on the server, in one piece and in parts; and one that is gone.
    set_mode(office.rig.path("mode.txt"), OTHER_MODE);
    let large = fs::File::options()
        .append(true)
        .open(office.rig.path("large.bin"))
        .unwrap();
    large.set_len(21 << 20).unwrap();
    fs::remove_file(office.rig.path("small.txt")).unwrap();
    office
        .run(&["--reconcile"])
        .check(0, &["everything is in the bucket"]);
    let to = office.rig.dir.path().join("back");
    office
        .run(&["restore", "--to", to.to_str().unwrap()])
        .check(0, &[]);

    let mut kinds = BTreeSet::new();
    for head in line.heads() {
        let has = |header: &str| format!("{head}\n").contains(&format!("\n{header}\n"));
        let request = head.lines().next().unwrap();
        let method = request.split(' ').next().unwrap();
        let query = request.split('?').nth(1).unwrap_or_default();
        let is_part = query.contains("partnumber=");
        let is_copy = head.contains("\nx-amz-copy-source:");
        let makes =
            (method == "put" && !is_part) || query.starts_with("uploads") && method == "post";
        let is_own = request.contains(&format!("/{BUCKET}/.keepwatch/"));
        assert_eq!(
            has("x-amz-server-side-encryption: aws:kms"),
            makes,
            "{head}"
        );
        let key = "x-amz-server-side-encryption-aws-kms-key-id: alias/office";
        assert_eq!(has(key), makes, "{head}");
        assert_eq!(
            has("x-amz-storage-class: standard_ia"),
            makes && !is_own,
            "{head}"
        );
        assert!(has("x-amz-expected-bucket-owner: 111122223333"), "{head}");
        assert_eq!(
            has("x-amz-source-expected-bucket-owner: 111122223333"),
            is_copy,
            "{head}"
        );
        let is_free = query.starts_with("versioning");
        assert_eq!(has("x-amz-request-payer: requester"), !is_free, "{head}");
        kinds.insert((method.to_owned(), is_part, is_copy));
    }
    for (method, is_part, is_copy) in [
        ("put", false, false),
        ("put", true, false),
        ("put", false, true),
        ("get", false, false),
        ("head", false, false),
        ("post", false, false),
        ("delete", false, false),
    ] {
        assert!(
            kinds.contains(&(method.to_owned(), is_part, is_copy)),
            "{method}: {kinds:?}"
        );
    }
}

#[test]
fn a_demand_that_s3_does_not_know_is_named_with_its_line() {
    for (s3, said) in [
        (
            "storage_class = \"DEEP_ARCHIVE\"",
            "cannot be read without hours of thawing",
        ),
        (
            "server_side_encryption = \"SSE-KMS\"",
            "no encryption that S3 does",
        ),
        (
            "server_side_encryption = \"AES256\"\nkms_key_id = \"alias/a\"",
            "does not go with",
        ),
        (
            "expected_bucket_owner = \"1111-2222-3333\"",
            "not the number of an AWS account",
        ),
    ] {
        let office = Office::new("http://127.0.0.1:9", s3, "");
        office.run(&["check"]).check(2, &[said, "what to do"]);
    }
}

/// Named after the loss: a new computer has the bucket's credentials and nothing else,
/// and every request of its is one that the bucket refuses without payer and owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_computer_says_who_pays_and_its_configuration_says_what_is_demanded() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let demands = "kms_key_id = \"alias/office\"\nstorage_class = \"STANDARD_IA\"\n\
        requester_pays = true\nexpected_bucket_owner = \"111122223333\"\n";
    let url = format!("http://{}", served.address);
    let office = Office::new(&url, demands, "");
    office.has_key("KEY");
    office.rig.write("small.txt", "small");
    office
        .run(&["--reconcile"])
        .check(0, &["everything is in the bucket"]);

    let line = Kept::to(served.address).await;
    let url = format!("http://{}", line.address);
    let elsewhere = |arguments: &[&str], flags: &[&str]| {
        let mut command = program();
        command
            .args(arguments)
            .args([
                "--bucket",
                BUCKET,
                "--endpoint-url",
                &url,
                "--region",
                "eu-central-1",
            ])
            .args(flags)
            .env("HOME", office.rig.dir.path())
            .env("AWS_SHARED_CREDENTIALS_FILE", &office.keys);
        Ran::of(&finish(&mut command))
    };
    let flags = [
        "--requester-pays",
        "--expected-bucket-owner",
        "111122223333",
    ];
    let to = office.rig.dir.path().join("back");
    let to = to.to_str().unwrap();
    let written = office.rig.dir.path().join("new.toml");
    let written = written.to_str().unwrap();
    for arguments in [
        &["restore", "--to", to][..],
        &["restore", "--to", to, "--diff"],
        &["verify", "--deep"],
        &["versions", "small.txt"],
        &["moments"],
        &["sources"],
        &["sources", "--write-config", written],
    ] {
        elsewhere(arguments, &flags).check(0, &[]);
    }
    let heads = line.heads();
    assert!(heads.len() > 10, "{heads:?}");
    for head in &heads {
        let has = |header: &str| format!("{head}\n").contains(&format!("\n{header}\n"));
        assert!(has("x-amz-expected-bucket-owner: 111122223333"), "{head}");
        let is_free = head
            .lines()
            .next()
            .is_some_and(|line| line.contains("?versioning"));
        assert_eq!(has("x-amz-request-payer: requester"), !is_free, "{head}");
        // Nothing is made, so nothing else is to be said.
        assert!(!head.contains("x-amz-server-side-encryption"), "{head}");
    }
    let text = fs::read_to_string(written).unwrap();
    for said in [
        "server_side_encryption = \"aws:kms\"",
        "kms_key_id = \"alias/office\"",
        "storage_class = \"STANDARD_IA\"",
        "requester_pays = true",
        "expected_bucket_owner = \"111122223333\"",
    ] {
        assert!(text.contains(&format!("\n{said}\n")), "{said}: {text}");
    }
    // The manifest alone says it, too, and it is a configuration that is taken.
    let again = office.rig.dir.path().join("again.toml");
    elsewhere(&["sources", "--write-config", again.to_str().unwrap()], &[]).check(0, &[]);
    assert_eq!(fs::read_to_string(&again).unwrap(), text);
    let mut check = program();
    check
        .args(["--config", written, "check"])
        .env("HOME", office.rig.dir.path())
        .env("AWS_SHARED_CREDENTIALS_FILE", &office.keys);
    Ran::of(&finish(&mut check)).check(0, &[]);
    // A bucket that is added to a configuration without them: what is missing is said.
    let bare = text
        .lines()
        .filter(|line| !line.starts_with("requester_pays"));
    let bare: String = bare.map(|line| format!("{line}\n")).collect();
    let other = bare.replace(
        &format!("bucket = \"{BUCKET}\""),
        "bucket = \"other-bucket\"",
    );
    let other = other.replace(office.rig.root().to_str().unwrap(), "/srv/elsewhere");
    fs::write(&again, other).unwrap();
    elsewhere(
        &["sources", "--write-config", again.to_str().unwrap()],
        &flags,
    )
    .check(0, &["These buckets demand", "requester_pays = true"]);
    // Wrong flags are named, and without a bucket they mean nothing.
    elsewhere(&["sources"], &["--expected-bucket-owner", "1111-2222-3333"])
        .check(2, &["--expected-bucket-owner", "12 digits"]);
    office
        .run(&["restore", "--to", to, "--requester-pays"])
        .check(2, &["--bucket"]);
}
