//! `keepwatch check`: is everything set up correctly? It changes nothing: it removes what it
//! creates in a bucket to try the permission.

mod findings;
mod folder;
mod rules;

use super::{link, setup, show};
use crate::daemon;
use crate::destination::command_for_versions;
use crate::manifest::owner;
use crate::os;
use crate::types;
use findings::{CheckFinding, Findings};

use super::args::CommonArgs;
use super::exit_code::{COMPLETE, FAILED};
use super::paint::Tone;
use crate::aws::Https;
use crate::config::{Config, Needs, SourceConfig, StoreConfig};
use crate::control::{Asked, Kept, SourceStatus, ask_status};
use crate::manifest::{Claimant, OWNER_BYTES_MAX, Owner, Whose};
use crate::s3::{At, ObjectHeaders, Store, Versioning};
use crate::sns::TopicCheck;
use crate::types::{
    Class, ContentHash, Fatal, Fault, FaultDetail, Fingerprint, Kind, OWN_FOLDER, ObjectMeta,
    WRITE_TRIAL, WallMs, differs,
};
use findings::Severity;
use jiff::Timestamp;
use keepwatch_vault::Vault;
use std::path::Path;

/// The index grows in steps of megabytes: with less than this a start may fail.
const STATE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Whether Keepwatch can write its state, without which it does not start, and its log.
fn own_folders(findings: &mut Findings, config: &Config) {
    for (about, folder, wrong) in [
        ("state folder", &config.state_dir, Severity::Bad),
        ("log folder", &config.log.dir, Severity::Warning),
    ] {
        // What is not there yet is made in what is.
        let there = folder.ancestors().find(|at| at.exists());
        let there = there.unwrap_or(folder);
        let free = os::free_bytes(there).ok();
        let refused = daemon::refuse_state(folder).err();
        if let Some(fatal) = refused.filter(|_| wrong == Severity::Bad) {
            findings.add(wrong, about, fatal.one_line());
            continue;
        }
        if !there.is_dir() {
            let text = format!(
                "{} is needed as a folder, and {} is none: move away what is there",
                folder.display(),
                there.display(),
            );
            findings.add(wrong, about, text);
        } else if !os::can_write_in(there) {
            let text = format!(
                "{} cannot be written to by this account: run this check as the account that runs Keepwatch; if that is this one, let it write to {} (a disk that is mounted read-only wants its cause found first)",
                folder.display(),
                there.display(),
            );
            findings.add(wrong, about, text);
        } else if let Some(free) = free.filter(|free| *free < STATE_BYTES_MIN) {
            let text = format!(
                "the disk of {} has only {} left: make room there",
                folder.display(),
                types::size(free),
            );
            findings.add(wrong, about, text);
        }
    }
}

/// Check and show.
pub(super) async fn run(common: &CommonArgs) -> Result<u8, Fatal> {
    let config = setup::config(common, Needs::All)?;
    let mut findings = Findings::default();
    if let Some(file) = &config.file {
        findings.add_file("configuration", file);
    }
    for doubt in daemon::doubts(&config) {
        findings.add(Severity::Warning, "own files", doubt.to_string());
    }
    own_folders(&mut findings, &config);
    for source in &config.sources {
        folder::check(&mut findings, source).await;
    }
    proxy_and_certificates(&mut findings, &config).await;
    copies(&mut findings, &config).await?;
    topic(&mut findings, &config).await?;
    let bad = findings.0.iter().any(|f| f.verdict == Severity::Bad);
    if common.json {
        show::json(&findings.0)?;
    } else {
        print(&findings.0);
    }
    Ok(if bad { FAILED } else { COMPLETE })
}

/// Checks what HTTPS needs.
async fn proxy_and_certificates(findings: &mut Findings, config: &Config) {
    let profile = match &config.store {
        StoreConfig::S3(s3) => s3.profile.as_deref(),
        StoreConfig::Vault { .. } => None,
    };
    for problem in Https::of(profile).await.problems() {
        let text = format!("{problem}: it is not used");
        findings.add(Severity::Warning, "proxy and certificates", text);
    }
}

/// Checks the places of the copies.
async fn copies(findings: &mut Findings, config: &Config) -> Result<(), Fatal> {
    let is_there = match &config.store {
        StoreConfig::Vault { path } => Vault::is_at(path).map_err(Fatal::from),
        StoreConfig::S3(_) => Ok(true),
    };
    match (&config.store, is_there) {
        (_, Err(fatal)) => findings.add(Severity::Bad, "vault", fatal.one_line()),
        (StoreConfig::Vault { path }, Ok(false)) => findings.add(
            Severity::Warning,
            "vault",
            format!(
                "there is none in {} yet: the first start makes it. If there was one, connect its disk first",
                path.display()
            ),
        ),
        (place, Ok(_)) => {
            let store = Store::connect(place).await?;
            if let Some(why) = store.only_read_because() {
                findings.add(
                    Severity::Bad,
                    "vault",
                    format!("can be read but not written to, so nothing can be backed up: {why}"),
                );
            }
            for source in &config.sources {
                if bucket(findings, config, &store, source).await {
                    owner(findings, &store, source).await;
                }
            }
            clock(findings, &store);
        }
    }
    Ok(())
}

/// The verdict, then what was looked at.
fn print(findings: &[CheckFinding]) {
    println!("{}", verdict(findings));
    for finding in findings {
        let mark = match finding.verdict {
            Severity::Good => Tone::Good.paint("ok      "),
            Severity::Warning => Tone::Look.paint("WARNING "),
            Severity::Bad => Tone::Bad.paint("PROBLEM "),
        };
        let text = match &finding.file {
            Some(file) => link::path(file),
            None => types::clean(&finding.text),
        };
        println!("{mark} {}: {text}", types::clean(&finding.about));
    }
}

/// The first line.
fn verdict(findings: &[CheckFinding]) -> String {
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count() as u64;
    match (count(Severity::Bad), count(Severity::Warning)) {
        (0, 0) => Tone::Good.paint("All is well."),
        (0, warnings) => {
            let text = format!("It works, with {}.", types::amount(warnings, "warning"));
            Tone::Look.paint(&text)
        }
        (problems, _) => {
            let problems = types::amount(problems, "problem");
            let problems = Tone::Bad.paint(&problems);
            format!("{problems}: see below. Nothing was changed.")
        }
    }
}

/// False when there is nothing to ask of the bucket: the server does not answer, or the
/// vault has no such bucket yet.
async fn bucket(
    findings: &mut Findings,
    config: &Config,
    store: &Store,
    source: &SourceConfig,
) -> bool {
    let about = format!("bucket {} of {}", source.bucket, source.name);
    if let Err(fault) = store.list(&source.bucket, &source.prefix, None, 1).await {
        let is_vault = matches!(config.store, StoreConfig::Vault { .. });
        if is_vault && fault.class == Class::NoBucket {
            let place = store.place();
            match had_files(config, source).await {
                false => findings.add(
                    Severity::Good,
                    &about,
                    format!("is not in {place} yet: the next start of Keepwatch makes it"),
                ),
                true => findings.add(
                    Severity::Bad,
                    &about,
                    format!("is not in {place} any more, and files were backed up there. Find out whether the right disk is connected, and whether somebody has removed the folder"),
                ),
            }
            return false;
        }
        return !findings.fault(&about, &fault);
    }
    findings.add(
        Severity::Good,
        &about,
        format!("can be read ({})", store.place()),
    );
    match store.versioning(&source.bucket).await {
        Ok(Versioning::Enabled) => findings.add(Severity::Good, &about, "keeps every version"),
        Ok(Versioning::Off) => findings.add(
            Severity::Bad,
            &about,
            format!(
                "keeps no old versions. Turn on versioning: {}",
                command_for_versions(&config.store, &source.bucket)
            ),
        ),
        Err(fault) => {
            findings.fault(&about, &fault);
        }
    }
    match may_write(store, source).await {
        Ok(()) => findings.add(Severity::Good, &about, "can be written to"),
        Err(fault)
            if fault.detail == Some(FaultDetail::VaultInUse) && runs(&config.state_dir).await =>
        {
            let text = "the running Keepwatch writes to it, and nobody else can meanwhile";
            findings.add(Severity::Good, &about, text);
        }
        Err(fault) => {
            findings.fault(&about, &fault);
        }
    }
    true
}

/// The service of this configuration runs and answers.
/// Whether files of this source were backed up, as far as the state folder knows.
async fn had_files(config: &Config, source: &SourceConfig) -> bool {
    let (state_dir, name) = (config.state_dir.clone(), source.name.clone());
    let look = move || {
        let kept = Kept::read(&state_dir).map(|kept| kept.status.sources);
        let is_it = |one: &SourceStatus| one.name == name && one.files_protected > 0;
        kept.is_some_and(|sources| sources.iter().any(is_it))
    };
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

async fn runs(state_dir: &Path) -> bool {
    let asked = ask_status(state_dir, || false).await;
    asked.is_ok_and(|asked| matches!(asked, Asked::Answered(_)))
}

/// Whether this computer's clock is right, once the server has told the time.
fn clock(findings: &mut Findings, store: &Store) {
    let now_ms = WallMs::from(Timestamp::now());
    let Some(apart_ms) = store.clock_apart_ms(now_ms) else {
        return;
    };
    match differs(apart_ms, store.place()) {
        Some(text) => findings.add(Severity::Warning, "clock", text),
        None => findings.add(Severity::Good, "clock", "agrees with the server's"),
    }
}

/// Whose the destination is, as far as its record tells without the state folder.
async fn owner(findings: &mut Findings, store: &Store, source: &SourceConfig) {
    let about = format!("owner of {}/{}", source.bucket, source.prefix);
    let key = owner::key(&source.prefix);
    let at = At {
        bucket: &source.bucket,
        key: &key,
    };
    let record = match store.read_record(at, OWNER_BYTES_MAX).await {
        Ok(Some((bytes, _))) => Owner::from_json(&bytes),
        Ok(None) => return findings.add(Severity::Good, &about, "nobody yet"),
        Err(fault) => {
            findings.fault(&about, &fault);
            return;
        }
    };
    let me = Claimant {
        computer: daemon::this_computer(),
        source: source.name.clone(),
        root: source.path.display().to_string(),
        ids: Vec::new(),
        knows: false,
        take_over: source.take_over.clone(),
    };
    match record {
        Some(owner) if me.judge(Some(&owner)) == Whose::Others => findings.add(
            Severity::Bad,
            &about,
            format!(
                "{}. Unless that is this computer under an earlier name, or this folder at an earlier place, nothing will be sent there: give this source a bucket or prefix of its own, or see docs/OPERATIONS.md, \"One destination, one computer\"",
                owner.who()
            ),
        ),
        Some(owner) => findings.add(Severity::Good, &about, owner.who()),
        None => findings.add(Severity::Bad, &about, format!("{key} cannot be read as one")),
    }
}

/// Begin an upload and abort it: needs the right to write and leaves nothing.
async fn may_write(store: &Store, source: &SourceConfig) -> Result<(), Fault> {
    let key = format!("{}{OWN_FOLDER}/{WRITE_TRIAL}", source.prefix);
    let at = At {
        bucket: &source.bucket,
        key: &key,
    };
    let nothing = Fingerprint {
        kind: Kind::File,
        size_bytes: 0,
        mtime_ns: 0,
        ctime_ns: 0,
        inode: 0,
        mode: 0o600,
        owner: None,
    };
    let headers = ObjectHeaders {
        meta: ObjectMeta::of(&nothing, Some(ContentHash::of(&[]))),
        gzip: false,
        content_type: None,
    };
    let upload = store.begin_multipart(at, &headers).await?;
    store.abort_multipart(at, &upload.id).await
}

async fn topic(findings: &mut Findings, config: &Config) -> Result<(), Fatal> {
    let Some(notifier) = daemon::notifier(config).await? else {
        findings.add(
            Severity::Warning,
            "topic",
            "none is configured: the digest goes into a file on this computer, and nobody hears when it stops. Set topic_arn under [notify]",
        );
        return Ok(());
    };
    match notifier.check_topic().await {
        Ok(TopicCheck::Found {
            confirmed: Some(0), ..
        }) => findings.add(
            Severity::Warning,
            "topic",
            format!(
                "{} has no confirmed subscription: nobody gets the mails. Subscribe an address and click the link in the mail",
                notifier.topic_arn()
            ),
        ),
        Ok(TopicCheck::Found { .. }) => {
            findings.add(Severity::Good, "topic", notifier.topic_arn());
        }
        Ok(TopicCheck::NotAllowed(fault)) => findings.add(
            Severity::Warning,
            "topic",
            format!("cannot be looked at, publishing may still work: {fault}"),
        ),
        Err(fault) => findings.add(Severity::Bad, "topic", fault.to_string()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: a bucket that is not there was explained twice, in full.
    #[test]
    fn what_a_bucket_fails_for_is_explained_once() {
        for (class, lines) in [(Class::NoBucket, 2), (Class::Credentials, 3)] {
            let mut findings = Findings::default();
            for (about, subject) in [("bucket b-1 of docs", "b-1/"), ("owner of b-1/", "b-1/x")] {
                let fault = Fault::new(class, "list", subject, "it is not there").hint("make it");
                findings.fault(about, &fault);
            }
            let texts: Vec<&str> = findings.0.iter().map(|one| one.text.as_str()).collect();
            assert_eq!(texts.len(), lines, "{texts:?}");
            let told = texts.iter().filter(|text| text.contains("make it"));
            assert_eq!(told.count(), 1, "{texts:?}");
            let last = texts.last().unwrap();
            assert!(
                last.contains("as said under") || last.contains("as above"),
                "{last}"
            );
        }
    }
}
