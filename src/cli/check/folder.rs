//! Whether a source's folder can be backed up: what is in it, what its rules leave
//! out, and whether all of it can be watched.

use super::findings::{Findings, Severity};
use super::rules;
use crate::config::SourceConfig;
use crate::files;
use crate::files::{Compress, RuleCounts, Rules};
use crate::os;
use crate::types;
use crate::types::{Fatal, Fault, Kind, RelPath};
use std::path::Path;

/// Look at all of it.
pub(super) async fn check(findings: &mut Findings, source: &SourceConfig) {
    let about = format!("folder of {}", source.name);
    if is_of_the_kernel(&source.path) {
        let text = format!(
            "{} is no folder on a disk: the system makes what is in it while it is read. Name a folder with files of your own",
            source.path.display()
        );
        return findings.add(Severity::Bad, &about, text);
    }
    let look = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || contents_of(&source)).await
    };
    let contents = match look {
        Ok(Ok(contents)) => contents,
        Ok(Err(fatal)) => return findings.add(Severity::Bad, &about, fatal.one_line()),
        Err(error) => return findings.add(Severity::Bad, &about, error.to_string()),
    };
    findings.add(
        Severity::Good,
        &about,
        format!(
            "{} holds {} in {}",
            source.path.display(),
            types::amount(contents.files, "file"),
            types::amount(contents.folders, "folder")
        ),
    );
    for fault in &contents.faults {
        findings.add(Severity::Warning, &about, fault.to_string());
    }
    let unnamed = contents.faults_total - contents.faults.len() as u64;
    if unnamed > 0 {
        let text = format!("{} more like these", types::number(unnamed));
        findings.add(Severity::Warning, &about, text);
    }
    if contents.special > 0 {
        findings.add(
            Severity::Warning,
            &about,
            format!(
                "{} left out: sockets, pipes and devices have no content to back up",
                types::counted(contents.special, "special file", ["is", "are"])
            ),
        );
    }
    for (verdict, text) in &contents.rules {
        findings.add(*verdict, &about, text.as_str());
    }
    watches(findings, &about, contents.folders);
}

/// It is one of the folders that Linux makes up, whose files are never the same twice.
fn is_of_the_kernel(folder: &Path) -> bool {
    let real = os::real_path(folder).unwrap_or_else(|_| folder.to_owned());
    ["/proc", "/sys"].iter().any(|root| real.starts_with(root))
}

/// Whether all of its folders can be watched.
fn watches(findings: &mut Findings, about: &str, folders: u64) {
    let Some(limits) = os::watch_limits() else {
        return;
    };
    let enough = folders < limits.watches.value;
    findings.add(
        if enough { Severity::Good } else { Severity::Bad },
        about,
        if enough {
            format!(
                "{} needed, and {} possible",
                types::counted(folders + 1, "watch", ["is", "are"]),
                types::counted(limits.watches.value, "watch", ["is", "are"])
            )
        } else {
            format!(
                "{} needed, but this computer allows {}; what is not watched is scanned on a period. Raise the limit: {}",
                types::counted(folders + 1, "watch", ["is", "are"]),
                types::number(limits.watches.value),
                limits.watches.remedy()
            )
        },
    );
}

#[derive(Default)]
struct FolderContents {
    files: u64,
    folders: u64,
    special: u64,
    /// What could not be looked at, at most [`FAULTS_MAX`].
    faults: Vec<Fault>,
    faults_total: u64,
    /// What each rule comes to.
    rules: Vec<(Severity, String)>,
}

/// Faults shown per source.
const FAULTS_MAX: usize = 20;

fn contents_of(source: &SourceConfig) -> Result<FolderContents, Fatal> {
    files::root_state(&source.path)?;
    let rules = Rules::new(&source.path, &source.exclude)?;
    let compress = Compress::new(&source.compress)?;
    let mut left_out = RuleCounts::new(&source.path, &source.exclude);
    let mut compressed = RuleCounts::new(&source.path, &source.compress);
    let mut contents = FolderContents::default();
    let mut walk = files::walk(&source.path, &RelPath::root(), &rules).noting();
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) => match entry.fingerprint.kind {
                Kind::Folder => contents.folders += 1,
                Kind::Special => contents.special += 1,
                kind => {
                    contents.files += 1;
                    if kind == Kind::File {
                        let (path, bytes) = (entry.path(), entry.fingerprint.size_bytes);
                        compressed.stored(&compress, &path, bytes);
                    }
                }
            },
            Err(broken) => {
                contents.faults_total += 1;
                if contents.faults.len() < FAULTS_MAX {
                    contents.faults.push(broken.fault);
                }
            }
        }
        left_out.add(walk.take_noted());
    }
    left_out.add(walk.take_noted());
    contents.rules = rules::lines("exclude", &left_out);
    contents.rules.extend(rules::lines("compress", &compressed));
    Ok(contents)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Named after the bug: a source in /proc was found to be in order.
    #[test]
    fn folders_that_the_system_makes_up_are_no_source() {
        for (folder, want) in [
            ("/proc/sys", true),
            ("/sys", true),
            ("/process", false),
            ("/", false),
        ] {
            assert_eq!(is_of_the_kernel(Path::new(folder)), want, "{folder}");
        }
    }
}
