//! The command itself: beside a running daemon, alone, and without an index.

use crate::harness::{BUCKET, Rig, Running, alter, at_rest, finish, program, until, write_config};
use crate::raw;
use std::path::Path;
use std::process::Output;

fn keepwatch(arguments: &[&str]) -> Output {
    finish(program().args(arguments))
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_verifies_and_repairs_while_it_runs_and_so_does_the_command_alone() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    rig.write("sub/b.csv", "x;y\n".repeat(100));
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let with = |more: &[&str]| {
        let mut arguments = vec!["--config", config, "verify"];
        arguments.extend(more);
        keepwatch(&arguments)
    };
    let daemon = Running::start(Path::new(config), &[]).await;
    until("both are protected", async || {
        let status = daemon.status().unwrap();
        status["sources"][0]["files_protected"] == 2 && status["sources"][0]["waiting"] == 0
    })
    .await;
    let well = with(&[]);
    assert_eq!(well.status.code(), Some(0), "{}", text(&well));
    assert!(text(&well).contains("All is well"), "{}", text(&well));

    alter(&rig.vault_dir().join("office/a.txt"));
    let blind = with(&[]);
    assert_eq!(blind.status.code(), Some(0), "nothing is downloaded");
    let found = with(&["--deep"]);
    assert_eq!(found.status.code(), Some(3), "{}", text(&found));
    for words in ["a.txt", "ALTERED"] {
        assert!(text(&found).contains(words), "{}", text(&found));
    }
    // What was not asked for is not looked at.
    assert_eq!(with(&["--deep", "sub"]).status.code(), Some(0));
    // Named after the bug: the command that it told found nothing to mend.
    let told = text(&found);
    let told = told.split("what to do: ").nth(1).unwrap();
    let told = told.split(" (").next().unwrap();
    // As it stands there it names the program and the configuration.
    let (told, named) = told.split_once(" --config ").unwrap();
    assert_eq!(named, config);
    // The program is called keepwatch, or keepwatch.exe with the path to it.
    let told = told.split(" verify ").nth(1).unwrap();
    let mut told: Vec<&str> = told.split(' ').collect();
    assert!(told.contains(&"a.txt"), "{told:?}");
    told.push("--json");
    let mended = with(&told);
    assert_eq!(mended.status.code(), Some(0), "{}", text(&mended));
    let json: serde_json::Value = serde_json::from_slice(&mended.stdout).unwrap();
    let finding = &json["sources"][0]["findings"][0];
    assert_eq!(
        (&finding["damage"], &finding["repair"]),
        (&"altered".into(), &"done".into())
    );
    assert_eq!(with(&["--deep"]).status.code(), Some(0));
    assert_eq!(daemon.stop(), Some(0));

    alter(&rig.vault_dir().join("office/sub/b.csv"));
    let sampled = with(&["--deep", "--sample", "100%"]);
    assert_eq!(sampled.status.code(), Some(3), "{}", text(&sampled));
    assert!(text(&sampled).contains("--seed"), "{}", text(&sampled));
    let mended = with(&["--deep", "--repair"]);
    assert_eq!(mended.status.code(), Some(0), "{}", text(&mended));
    assert_eq!(with(&["--deep"]).status.code(), Some(0));
    // The index still goes by what the bucket has: nothing is sent again.
    let reconciled = keepwatch(&["--config", config, "--reconcile"]);
    assert!(
        text(&reconciled).contains("nothing to send"),
        "{}",
        text(&reconciled)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_by_itself_is_verified_without_an_index() {
    let rig = Rig::new();
    rig.write("a.txt", "the content");
    rig.write("b.txt", "another one");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let vault = rig.vault_dir();
    let vault = vault.to_str().unwrap();
    let well = keepwatch(&["verify", "--deep", "--vault", vault]);
    assert_eq!(well.status.code(), Some(0), "{}", text(&well));
    alter(&rig.vault_dir().join("office/a.txt"));
    let found = keepwatch(&["verify", "--deep", "--vault", vault]);
    assert_eq!(found.status.code(), Some(3), "{}", text(&found));
    assert!(text(&found).contains("a.txt"), "{}", text(&found));
    let absent = keepwatch(&["verify", "--vault", "/nowhere/at/all"]);
    assert_eq!(absent.status.code(), Some(2), "{}", text(&absent));
    let both = keepwatch(&["verify", "--repair", "--vault", vault]);
    assert_eq!(both.status.code(), Some(2), "{}", text(&both));
}

/// Named after the bug: after a repair all was said to be well, and the damaged
/// version, an old one now, still failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_says_what_it_mends_and_which_versions_nobody_can_mend() {
    let rig = Rig::new();
    rig.write("a.txt", "the first content");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    alter(&rig.vault_dir().join("office/a.txt"));
    rig.write("a.txt", "the second content, longer");
    until("it is stored", async || {
        at_rest(&daemon) && raw::counts(&rig.store(), BUCKET).await["a.txt"] == 2
    })
    .await;
    daemon.stop().await.unwrap();
    alter(&rig.vault_dir().join("office/a.txt"));
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let with = |more: &[&str]| {
        let mut arguments = vec!["--config", config, "verify", "--deep"];
        arguments.extend(more);
        let output = keepwatch(&arguments);
        (output.status.code(), text(&output))
    };
    let stays = "stays damaged and cannot be mended";
    let older = "an older version cannot be mended";
    let (code, said) = with(&["--all-versions", "--repair"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(stays) && said.contains(older), "{said}");
    // The current state is whole; what was asked about decides.
    let (code, said) = with(&[]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with(&["--all-versions"]);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(said.matches(older).count(), 2, "{said}");

    alter(&rig.vault_dir().join("office/a.txt"));
    let (code, said) = with(&["--repair"]);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        stays,
        "The current state of everything that was looked at can be restored.",
        "1 older version is damaged or gone",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("All is well"), "{said}");
}
