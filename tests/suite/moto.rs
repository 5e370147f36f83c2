//! The notifier against moto with signatures and policies checked, and the
//! moto harness itself.

use crate::python::{Credentials, Moto, Topic};
use jiff::tz::TimeZone;
use keepwatch::digest::{Report, SourceReport, UnprotectedLine};
use keepwatch::sns::{NoticeOptions, Notifier, TopicCheck};
use keepwatch::types::{Class, Fault, Traffic, WallMs};

/// SNS's own limit, bytes of UTF-8.
const SNS_BYTES_MAX: usize = 262_144;

async fn notifier(
    moto: &Moto,
    keys: &Credentials,
    topic_arn: &str,
) -> (Notifier, tempfile::NamedTempFile) {
    let file = keys.file();
    let notifier = Notifier::new(NoticeOptions {
        topic_arn: topic_arn.to_owned(),
        endpoint_url: Some(moto.endpoint.clone()),
        credentials_file: Some(file.path().to_owned()),
        ..NoticeOptions::default()
    })
    .await
    .unwrap();
    (notifier, file)
}

async fn publish(moto: &Moto, keys: &Credentials, topic_arn: &str) -> Result<String, Fault> {
    let (notifier, _keys) = notifier(moto, keys, topic_arn).await;
    notifier.publish("Keepwatch: a subject", "a body").await
}

/// What is the same of every fault: it names the topic and tells no key.
#[track_caller]
fn check(fault: &Fault, class: Class, topic_arn: &str, keys: &Credentials) {
    let text = fault.to_string();
    assert_eq!(fault.class, class, "{text}");
    assert!(text.contains(topic_arn), "{text}");
    assert!(!fault.hint.is_empty(), "{text}");
    for secret in [&keys.access_key, &keys.secret_key] {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}

/// A report of this many lines of some hundred bytes.
fn report(lines: usize) -> Report {
    let unprotected = (0..lines).map(|n| UnprotectedLine {
        path: format!("Büro/Ablage/{n:05}.pdf"),
        reason: "the file is open in another program and cannot be read".to_owned(),
        remedy: "close the program".to_owned(),
        files_below: 0,
        since_ms: WallMs(1_795_000_000_000),
    });
    Report {
        traffic: Traffic::default(),
        is_billed: true,
        computer: "BÜRO-PC".to_owned(),
        scheduled_ms: WallMs(1_795_400_000_000),
        from_ms: WallMs(1_795_313_600_000),
        to_ms: WallMs(1_795_400_000_000),
        time_zone: TimeZone::UTC,
        drill: None,
        program: "keepwatch".to_owned(),
        sources: vec![SourceReport {
            name: "documents".to_owned(),
            files_protected: 12_345,
            unprotected: unprotected.collect(),
            ..SourceReport::default()
        }],
    }
}

fn only_message(moto: &Moto, owner: &Credentials, topic: &Topic) -> serde_json::Value {
    let mut messages = moto.messages(owner, topic);
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

#[tokio::test]
async fn a_digest_is_published_and_read_back() {
    let (moto, owner) = Moto::with_auth();
    let topic = moto.topic(&owner, "backup");
    let (notifier, _keys) = notifier(&moto, &owner, &topic.arn).await;
    let message = report(3).message();
    let id = notifier
        .publish(&message.subject, &message.body)
        .await
        .unwrap();
    let received = only_message(&moto, &owner, &topic);
    assert_eq!(received["MessageId"], id);
    assert_eq!(received["Subject"], message.subject);
    assert_eq!(received["Message"], message.body);
    assert!(message.body.contains("Büro/Ablage/00002.pdf"));
    // moto counts no subscriptions; that it gives numbers is what can be seen.
    let check = notifier.check_topic().await.unwrap();
    let TopicCheck::Found { confirmed, pending } = check else {
        panic!("{check:?}");
    };
    assert!(confirmed.is_some() && pending.is_some());
}

#[tokio::test]
async fn a_report_of_300_kilobytes_is_cut_and_accepted() {
    let (moto, owner) = Moto::with_auth();
    let topic = moto.topic(&owner, "backup");
    let (notifier, _keys) = notifier(&moto, &owner, &topic.arn).await;
    let lines = 4_000;
    let message = report(lines).message();
    let uncut_bytes = lines
        * "    - Büro/Ablage/00000.pdf: the file is open in another program and cannot be read"
            .len();
    assert!(uncut_bytes > SNS_BYTES_MAX && message.body.len() <= SNS_BYTES_MAX);
    notifier
        .publish(&message.subject, &message.body)
        .await
        .unwrap();
    let received = only_message(&moto, &owner, &topic);
    assert_eq!(received["Message"], message.body);
    assert!(
        message
            .body
            .starts_with("ATTENTION: 4,000 files are not protected.")
    );
    assert!(message.body.contains(" more\n"));
    // The limit is real: without the cut it would have been refused.
    let fault = notifier
        .publish("s", &"x".repeat(uncut_bytes))
        .await
        .unwrap_err();
    check(&fault, Class::Refused, &topic.arn, &owner);
}

#[tokio::test]
async fn wrong_keys_are_told_from_missing_permission() {
    let (moto, owner) = Moto::with_auth();
    let topic = moto.topic(&owner, "backup");
    let wrong_secret = Credentials {
        secret_key: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned(),
        ..owner.clone()
    };
    let unknown_key = Credentials {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..owner.clone()
    };
    for keys in [wrong_secret, unknown_key] {
        let fault = publish(&moto, &keys, &topic.arn).await.unwrap_err();
        check(&fault, Class::Credentials, &topic.arn, &keys);
        let (notifier, _keys) = notifier(&moto, &keys, &topic.arn).await;
        let fault = notifier.check_topic().await.unwrap_err();
        check(&fault, Class::Credentials, &topic.arn, &keys);
    }

    let storer = moto.user(&owner, "storer", &["s3:*", "sns:GetTopicAttributes"]);
    let fault = publish(&moto, &storer, &topic.arn).await.unwrap_err();
    check(&fault, Class::Denied, &topic.arn, &storer);
    assert!(fault.hint.contains("sns:Publish"), "{fault}");

    // Publishing is all that is needed; looking is allowed to be forbidden.
    let publisher = moto.user(&owner, "publisher", &["sns:Publish"]);
    publish(&moto, &publisher, &topic.arn).await.unwrap();
    let (notifier, _keys) = notifier(&moto, &publisher, &topic.arn).await;
    let TopicCheck::NotAllowed(fault) = notifier.check_topic().await.unwrap() else {
        panic!("looking at the topic was not allowed");
    };
    check(&fault, Class::Denied, &topic.arn, &publisher);
    assert!(fault.hint.contains("sns:GetTopicAttributes"), "{fault}");
    assert_eq!(moto.messages(&owner, &topic).len(), 1);
}

#[tokio::test]
async fn an_unknown_topic_is_named() {
    let (moto, owner) = Moto::with_auth();
    let topic_arn = "arn:aws:sns:us-east-1:123456789012:nowhere";
    let fault = publish(&moto, &owner, topic_arn).await.unwrap_err();
    check(&fault, Class::NotFound, topic_arn, &owner);
    let (notifier, _keys) = notifier(&moto, &owner, topic_arn).await;
    let fault = notifier.check_topic().await.unwrap_err();
    check(&fault, Class::NotFound, topic_arn, &owner);
}

#[test]
fn the_harness_makes_versioned_buckets_and_leaves_no_server_behind() {
    let (moto, owner) = Moto::with_auth();
    moto.bucket(&owner, "office-backup");
    let script = "
s3 = client('s3')
for body in [b'1', b'2']:
    s3.put_object(Bucket=args[0], Key='a', Body=body)
answer(len(s3.list_object_versions(Bucket=args[0])['Versions']))";
    assert_eq!(moto.boto(&owner, script, &["office-backup"]), 2);
    let address = moto.endpoint.trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(moto);
    assert!(std::net::TcpStream::connect(&address).is_err());
}
