//! Mail that does not go out: who hears of that, and what they are told.

use super::{Office, Says, Served, Sns};
use crate::harness::{Rig, Running, until};
use std::fs;

fn log(office: &Office) -> String {
    let entries = fs::read_dir(office.rig.dir.path().join("log"))
        .into_iter()
        .flatten();
    let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    texts.collect()
}

/// A topic that is not there, or may not be used, is named at the start; `status` and
/// `digest --send` do not end as if all were well, and mail that is refused is not
/// "not reachable".
#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_refused_is_told_as_that_from_the_start() {
    for (status, code, said) in [
        (404, "NotFound", "create the SNS topic"),
        (
            403,
            "InvalidClientTokenId",
            "the server says InvalidClientTokenId",
        ),
    ] {
        let vault_rig = Rig::new();
        let served = Served::start(&vault_rig.vault(), "KEY");
        let sns = Sns::start(Says::Refuses(status, code));
        let url = format!("http://{}", served.address);
        let office = Office::new(&url, "", &Office::notify(&sns));
        office.has_key("KEY");
        let daemon = Running::start_as(office.command(&[]), &office.config).await;
        until("the topic is named", async || log(&office).contains(said)).await;
        office
            .run(&["status"])
            .check(3, &["NO MAIL GOES OUT", said]);
        let ran = office.run(&["digest", "--send"]);
        ran.check(3, &["kept in the outbox", said]);
        let ran = office.run(&["status"]);
        ran.check(3, &["not sent yet", said]);
        assert!(!ran.text.contains("cannot be reached"), "{}", ran.text);
        // Once it is put right, everything goes out and nothing is wrong any more.
        sns.says(Says::Takes("KEY".into()));
        office
            .run(&["digest", "--send"])
            .check(0, &["sent to the topic"]);
        office.run(&["status"]).check(0, &[]);
        assert!(sns.taken().len() >= 2, "{:?}", sns.taken());
        assert_eq!(daemon.stop(), Some(0));
    }
}
