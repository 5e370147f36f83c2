//! Keys that a program hands out, where that is a shell script.

use super::{Office, Served};
use crate::harness::os::set_mode;
use crate::harness::ran::Ran;
use crate::harness::{Rig, finish, until};
use std::fs;

/// A program that never hands anything out is killed, with all that it started, and
/// named; it is not started again for each question.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_that_hangs_is_named_and_leaves_nothing_behind() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "KEY");
    let office = Office::new(&format!("http://{}", served.address), "", "");
    let ids = office.rig.dir.path().join("ids");
    let script = office.rig.dir.path().join("hand-out-keys");
    let text = format!(
        "#!/bin/sh\nsleep 600 &\necho $! >> {}\nsleep 600\n",
        ids.display()
    );
    fs::write(&script, text).unwrap();
    set_mode(&script, 0o755);
    let profile = format!(
        "[default]\ncredential_process = {} --pin 1234\n",
        script.display()
    );
    fs::write(&office.keys, profile).unwrap();
    let ran = office.run(&["check"]);
    ran.check(
        1,
        &[
            "hand-out-keys` of credential_process",
            "did not end within 15 s and was killed",
        ],
    );
    assert!(!ran.text.contains("1234"), "{}", ran.text);
    let ids = fs::read_to_string(&ids).unwrap();
    let started: Vec<&str> = ids.lines().collect();
    assert_eq!(started.len(), 1, "{ids}");
    until("nothing is left behind", async || {
        started.iter().all(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        })
    })
    .await;
}

/// A profile of `aws login` has its keys from the AWS CLI that it was signed in with.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_aws_login_is_asked_of_the_aws_cli() {
    let vault_rig = Rig::new();
    let served = Served::start(&vault_rig.vault(), "SESSION");
    let office = Office::new(&format!("http://{}", served.address), "", "");
    let login = "[default]\nlogin_session = arn:aws:iam::111122223333:user/anna\n";
    fs::write(&office.keys, login).unwrap();
    let bin = office.rig.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let check = || {
        let mut command = office.command(&["check"]);
        command.env("PATH", &path);
        Ran::of(&finish(&mut command))
    };
    // Without it, what is missing is named.
    check().check(1, &["the program `aws` of login_session", "`aws login`"]);
    let script = bin.join("aws");
    let text = format!(
        "#!/bin/sh\n[ \"$*\" = 'configure export-credentials --profile default --format process' ] || exit 9\n\
         echo '{{\"Version\":1,\"AccessKeyId\":\"SESSION\",\"SecretAccessKey\":\"{}\"}}'\n",
        super::SECRET
    );
    fs::write(&script, text).unwrap();
    set_mode(&script, 0o755);
    check().check(0, &["can be written to"]);
}
