//! The alert reaches the owner through SNS, also when that is down at first.

use crate::harness::{Rig, Running, in_bucket, until, write_config};
use crate::python::{Credentials, Moto, Topic};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::{fs, io};

fn config(rig: &Rig, topic: &Topic, endpoint: &str) -> PathBuf {
    let notify = format!(
        "[notify]\ntopic_arn = \"{}\"\nendpoint_url = \"{endpoint}\"\n",
        topic.arn
    );
    write_config(rig, &notify)
}

async fn protected(rig: &Rig, config: &std::path::Path, keys: &Credentials) -> Running {
    for i in 0..40 {
        rig.write(&format!("docs/{i}.txt"), format!("content of {i}"));
    }
    let daemon = start(config, keys).await;
    until("all is stored", async || {
        in_bucket(&rig.store()).await.len() == 40
    })
    .await;
    daemon
}

async fn until_published(moto: &Moto, owner: &Credentials, topic: &Topic) -> serde_json::Value {
    let mut found = Vec::new();
    until("the alert is published", async || {
        found.extend(moto.messages(owner, topic));
        !found.is_empty()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_published_at_once_and_read_back() {
    let rig = Rig::new();
    let (moto, owner) = Moto::with_auth();
    let topic = moto.topic(&owner, "backup");
    let daemon = protected(&rig, &config(&rig, &topic, &moto.endpoint), &owner).await;
    fs::remove_dir_all(rig.path("docs")).unwrap();
    let message = until_published(&moto, &owner, &topic).await;
    let subject = message["Subject"].as_str().unwrap();
    assert!(
        subject.ends_with("ALERT, office lost most of its files"),
        "{subject}"
    );
    let body = message["Message"].as_str().unwrap();
    assert!(body.contains("--reconcile --confirm-deletions"), "{body}");
    assert_eq!(daemon.stop(), Some(0));
}

/// Lets every connection through to `target` from now on.
fn forward(listener: TcpListener, target: String) {
    std::thread::spawn(move || {
        for incoming in listener.incoming() {
            let (Ok(near), Ok(far)) = (incoming, TcpStream::connect(&target)) else {
                continue;
            };
            for (mut from, mut to) in [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far, near),
            ] {
                std::thread::spawn(move || {
                    // A connection that breaks off is tried again by the program.
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_waits_in_the_outbox_while_sns_is_down_also_through_a_restart() {
    let rig = Rig::new();
    let (moto, owner) = Moto::with_auth();
    let topic = moto.topic(&owner, "backup");
    // A port where nobody listens for now.
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    drop(door);
    let config = config(&rig, &topic, &format!("http://{address}"));
    let daemon = protected(&rig, &config, &owner).await;
    fs::remove_dir_all(rig.path("docs")).unwrap();
    until("the alert waits in the outbox", async || {
        daemon.status().is_some_and(|status| status["outbox"] == 1)
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
    forward(
        TcpListener::bind(address).unwrap(),
        moto.endpoint.trim_start_matches("http://").to_owned(),
    );
    let daemon = start(&config, &owner).await;
    let message = until_published(&moto, &owner, &topic).await;
    let subject = message["Subject"].as_str().unwrap();
    assert!(subject.contains("ALERT, office lost most"), "{subject}");
    until("the outbox is empty", async || {
        daemon.status().is_some_and(|status| status["outbox"] == 0)
    })
    .await;
    assert_eq!(moto.messages(&owner, &topic).len(), 0, "once");
    assert_eq!(daemon.stop(), Some(0));
}

async fn start(config: &std::path::Path, keys: &Credentials) -> Running {
    let environment = [
        ("AWS_ACCESS_KEY_ID", keys.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret_key),
        ("AWS_REGION", "us-east-1"),
    ];
    Running::start(config, &environment).await
}
