//! Whether a source's folder can be backed up: what is in it, what its rules leave
//! out, and whether all of it can be watched.

use super::findings::{Findings, Verdict};
use super::rules;
use crate::config::SourceConfig;
use crate::files;
use crate::files::{Compress, RuleCounts, Rules};
use crate::os;
use crate::types;
use crate::types::{Fatal, Fault, Kind, RelPath};

/// Look at all of it.
pub(super) async fn check(findings: &mut Findings, source: &SourceConfig) {
    let about = format!("folder of {}", source.name);
    let look = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || look(&source)).await
    };
    let looked = match look {
        Ok(Ok(looked)) => looked,
        Ok(Err(fatal)) => return findings.add(Verdict::Bad, &about, fatal.to_string()),
        Err(error) => return findings.add(Verdict::Bad, &about, error.to_string()),
    };
    findings.add(
        Verdict::Good,
        &about,
        format!(
            "{} holds {} in {}",
            source.path.display(),
            types::amount(looked.files, "file"),
            types::amount(looked.folders, "folder")
        ),
    );
    for fault in &looked.faults {
        findings.add(Verdict::Warning, &about, fault.to_string());
    }
    let unnamed = looked.faults_total - looked.faults.len() as u64;
    if unnamed > 0 {
        let text = format!("{} more like these", types::number(unnamed));
        findings.add(Verdict::Warning, &about, text);
    }
    if looked.special > 0 {
        findings.add(
            Verdict::Warning,
            &about,
            format!(
                "{} are left out: sockets, pipes and devices have no content to back up",
                types::amount(looked.special, "special file")
            ),
        );
    }
    for (verdict, text) in &looked.rules {
        findings.add(*verdict, &about, text.as_str());
    }
    watches(findings, &about, looked.folders);
}

/// Whether all of its folders can be watched.
fn watches(findings: &mut Findings, about: &str, folders: u64) {
    let Some(limits) = os::watch_limits() else {
        return;
    };
    let enough = folders < limits.watches.value;
    findings.add(
        if enough { Verdict::Good } else { Verdict::Bad },
        about,
        if enough {
            format!(
                "{} of {} possible watches are needed",
                types::number(folders + 1),
                types::number(limits.watches.value)
            )
        } else {
            format!(
                "{} watches are needed, but this computer allows {}; what is not watched is scanned on a period. Raise the limit: {}",
                types::number(folders + 1),
                types::number(limits.watches.value),
                limits.watches.remedy()
            )
        },
    );
}

#[derive(Default)]
struct Looked {
    files: u64,
    folders: u64,
    special: u64,
    /// What could not be looked at, at most [`FAULTS_MAX`].
    faults: Vec<Fault>,
    faults_total: u64,
    /// What each rule comes to.
    rules: Vec<(Verdict, String)>,
}

/// Faults shown per source.
const FAULTS_MAX: usize = 20;

fn look(source: &SourceConfig) -> Result<Looked, Fatal> {
    files::root_state(&source.path)?;
    let rules = Rules::new(&source.path, &source.exclude)?;
    let compress = Compress::new(&source.compress)?;
    let mut left_out = RuleCounts::new(&source.path, &source.exclude);
    let mut compressed = RuleCounts::new(&source.path, &source.compress);
    let mut looked = Looked::default();
    let mut walk = files::walk(&source.path, &RelPath::root(), &rules).noting();
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) => match entry.fingerprint.kind {
                Kind::Folder => looked.folders += 1,
                Kind::Special => looked.special += 1,
                kind => {
                    looked.files += 1;
                    if kind == Kind::File {
                        let (path, bytes) = (entry.path(), entry.fingerprint.size_bytes);
                        compressed.stored(&compress, &path, bytes);
                    }
                }
            },
            Err(broken) => {
                looked.faults_total += 1;
                if looked.faults.len() < FAULTS_MAX {
                    looked.faults.push(broken.fault);
                }
            }
        }
        left_out.add(walk.take_noted());
    }
    left_out.add(walk.take_noted());
    looked.rules = rules::lines("exclude", &left_out);
    looked.rules.extend(rules::lines("compress", &compressed));
    Ok(looked)
}
