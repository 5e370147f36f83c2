//! Keys that are replaced, that come late, or that a program hands out.

use super::{Office, Says, Served, Sns, Switch};
use crate::harness::os::prints;
use crate::harness::ran::Ran;
use crate::harness::{Rig, Running, finish, in_bucket, until, until_within};
use keepwatch::s3::Store;
use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// A bucket that refused a key is asked again within a minute.
const PROBED_WITHIN: Duration = Duration::from_secs(150);

/// So old must a key be before a refusal has it read again.
const OLD_ENOUGH: Duration = Duration::from_secs(6);

/// The old key is taken away and the file has the new one: neither bucket nor topic is
/// told the old one any longer than it takes to be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_is_used_by_bucket_and_mail_without_a_restart() {
    let vault_rig = Rig::new();
    let vault = vault_rig.vault();
    let (old, new) = (Served::start(&vault, "OLD"), Served::start(&vault, "NEW"));
    let switch = Switch::to(old.address).await;
    let sns = Sns::start(Says::Takes("OLD".into()));
    let url = format!("http://{}", switch.address);
    let office = Office::new(&url, "", &Office::notify(&sns));
    office.has_key("OLD");
    office.rig.write("a.txt", "a");
    let began = Instant::now();
    let daemon = Running::start_as(office.command(&[]), &office.config).await;
    office
        .run(&["digest", "--send"])
        .check(0, &["sent to the topic"]);
    until("the old key is old enough", async || {
        began.elapsed() > OLD_ENOUGH
    })
    .await;

    switch.turn(new.address);
    sns.says(Says::Takes("NEW".into()));
    office.has_key("NEW");
    office.rig.write("b.txt", "b");
    let store = Store::vault(vault.http_client(), "the vault");
    until_within(PROBED_WITHIN, "the new key stores", async || {
        in_bucket(&store).await.contains_key("b.txt")
    })
    .await;
    until_within(PROBED_WITHIN, "the outage is over", async || {
        daemon
            .status()
            .is_some_and(|s| s["sources"][0]["board"]["outage"].is_null())
    })
    .await;
    let before = sns.taken().len();
    office
        .run(&["digest", "--send"])
        .check(0, &["sent to the topic"]);
    assert_eq!(sns.taken().len(), before + 1);
    assert_eq!(daemon.stop(), Some(0));
}

/// Nothing was found at first: that counts for seconds, not for the whole run.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_after_the_start_are_found_and_their_lack_is_told_with_the_file() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "LATE");
    let sns = Sns::start(Says::Takes("LATE".into()));
    let url = format!("http://{}", served.address);
    let office = Office::new(&url, "", &Office::notify(&sns));
    office.rig.write("a.txt", "a");
    let mut command = office.command(&[]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut daemon = command.spawn().unwrap();
    let file = office.keys.display().to_string();
    until("the lack is told", async || {
        let told = office.run(&["status"]).text;
        told.contains("no AWS credentials were found")
            && told.contains(&format!(
                "{file} (named by AWS_SHARED_CREDENTIALS_FILE) is not there"
            ))
    })
    .await;
    office
        .run(&["digest", "--send"])
        .check(3, &["kept in the outbox"]);
    office.has_key("LATE");
    until_within(PROBED_WITHIN, "everything is sent", async || {
        sns.taken().len() == 1 && {
            let status = office.run(&["status", "--json"]).text;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap();
            status["sources"][0]["files_protected"] == 1
        }
    })
    .await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// Named after the bug: a metadata service that refuses is asked last, and its answer
/// hid that the credentials file is not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_metadata_service_answers_does_not_hide_the_file_that_is_missing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let refusal =
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(refusal.as_bytes());
        }
    });
    let office = Office::new("http://127.0.0.1:9", "", "");
    let mut command = office.command(&["check"]);
    command.env("AWS_EC2_METADATA_DISABLED", "false").env(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        format!("http://{address}"),
    );
    let file = office.keys.display().to_string();
    let missing = format!("{file} (named by AWS_SHARED_CREDENTIALS_FILE) is not there");
    Ran::of(&finish(&mut command)).check(
        1,
        &[
            "no AWS credentials were found",
            &missing,
            "its metadata service says",
            "put aws_access_key_id",
        ],
    );
}

/// What is wrong with keys or network is said once, however many buckets fail for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_all_buckets_fail_for_is_said_once_and_in_words() {
    let more = "[[source]]\nname = \"two\"\npath = \"office\"\nbucket = \"two-bucket\"\n\
        [[source]]\nname = \"three\"\npath = \"office\"\nbucket = \"three-bucket\"\n";
    let office = Office::new("http://127.0.0.1:9", "", more);
    let file = office.keys.display().to_string();
    let half = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n";
    for (keys, said) in [
        (
            None,
            format!("{file} (named by AWS_SHARED_CREDENTIALS_FILE) is not there"),
        ),
        (
            Some(half),
            format!("the profile `default` (in {file}) gives no credentials"),
        ),
        (
            Some("default]\n"),
            format!("error parsing {file} on line 1:"),
        ),
        (
            Some("[other]\nx = y\n"),
            "has no [default], only [other]".to_owned(),
        ),
        (Some("KEY"), "127.0.0.1:9 refuses connections".to_owned()),
    ] {
        match keys {
            None => {}
            Some("KEY") => office.has_key("KEY"),
            Some(text) => fs::write(&office.keys, text).unwrap(),
        }
        let ran = office.run(&["check"]);
        ran.check(
            1,
            &[
                &said,
                "what to do:",
                "bucket three-bucket of three: could not be looked at",
            ],
        );
        assert_eq!(ran.text.matches(&said).count(), 1, "{}", ran.text);
        for word in [
            "dispatch failure",
            "\\u{a}",
            "AKIAIOSFODNN7EXAMPLE",
            "not properly configured",
        ] {
            assert!(!ran.text.contains(word), "{word}: {}", ran.text);
        }
    }
}

/// The whole way: a program hands the keys out, and they are used.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_hands_out_the_keys() {
    let vault_rig = Rig::new();
    let vault = vault_rig.vault();
    let served = Served::start(&vault, "HANDED");
    let office = Office::new(&format!("http://{}", served.address), "", "");
    office.rig.write("a.txt", "a");
    let json = format!(
        r#"{{"Version":1,"AccessKeyId":"HANDED","SecretAccessKey":"{}"}}"#,
        super::SECRET
    );
    let printed = office.rig.dir.path().join("printed");
    fs::write(&printed, json).unwrap();
    let profile = format!("[default]\ncredential_process = {}\n", prints(&printed));
    fs::write(&office.keys, profile).unwrap();
    office
        .run(&["--reconcile"])
        .check(0, &["everything is in the bucket"]);
    let store = Store::vault(vault.http_client(), "the vault");
    assert!(in_bucket(&store).await.contains_key("a.txt"));
}
