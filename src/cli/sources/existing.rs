//! An existing configuration to which sources are added.
//!
//! It may have been changed by hand, so its text stays: sources are written behind
//! it, and of what is there one value alone is replaced, where a folder has to make
//! room for its neighbours.

use super::quote::toml_string;
use super::store::CopiesPlace;
use crate::config::path_as_written;
use crate::manifest::Demands;
use crate::os;
use crate::types::{Fatal, Home, chain};
use std::io::{ErrorKind, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml_edit::{ImDocument, Table};

/// As much as a configuration may have.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the file has.
#[derive(Debug)]
pub(super) struct ExistingFile {
    text: String,
    pub(super) store: CopiesPlace,
    pub(super) sources: Vec<ExistingSource>,
    pub(super) topic_arn: Option<String>,
    pub(super) has_notify: bool,
    pub(super) demands: Demands,
}

/// A source of it.
#[derive(Debug)]
pub(super) struct ExistingSource {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) bucket: String,
    /// Ends in `/`, or is empty.
    pub(super) prefix: String,
    span: Option<Range<usize>>,
}

impl ExistingFile {
    /// Read it; `None` when there is no such file.
    ///
    /// # Errors
    /// There is something else, or it cannot be read.
    pub(super) fn read(file: &Path) -> Result<Option<Self>, Fatal> {
        let operation = || format!("add to the configuration {}", file.display());
        let refused = |cause: &str| {
            Fatal::usage(
                operation(),
                cause,
                "name a file that is not there yet, in a folder that is; what is there is left as it is",
            )
        };
        let mut text = String::new();
        let read = std::fs::File::open(file)
            .and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Ok(_) if text.len() as u64 > FILE_BYTES_MAX => {
                return Err(refused(
                    "there is a file of more than 1 MiB: that is no configuration",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(&chain(&error))),
        }
        let base = file.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(text, &base)
            .map(Some)
            .ok_or_else(|| refused("there is a file, and it is no configuration of Keepwatch"))
    }

    fn parse(text: String, base: &Path) -> Option<Self> {
        let document = ImDocument::parse(text.as_str()).ok()?;
        let root = document.as_table();
        let home = Home::from(os::home_dir());
        let path = |table: &Table| path_as_written(&word(table, "path")?, base, &home);
        let table = |name: &str| root.get(name)?.as_table();
        let store = match (table("vault"), table("s3")) {
            (Some(vault), _) => CopiesPlace::Vault(path(vault)?),
            (None, s3) => CopiesPlace::S3 {
                region: s3.and_then(|s3| word(s3, "region")),
                profile: s3.and_then(|s3| word(s3, "profile")),
                endpoint_url: s3.and_then(|s3| word(s3, "endpoint_url")),
            },
        };
        let demands = table("s3").map(demands).unwrap_or_default();
        let sources = root.get("source")?.as_array_of_tables()?;
        let sources: Option<Vec<ExistingSource>> = sources
            .iter()
            .map(|source| {
                let prefix = word(source, "prefix").unwrap_or_default();
                let prefix = prefix.trim_matches('/');
                Some(ExistingSource {
                    name: word(source, "name")?,
                    folder: path(source)?,
                    bucket: word(source, "bucket")?,
                    prefix: match prefix {
                        "" => String::new(),
                        _ => format!("{prefix}/"),
                    },
                    span: source.get("path").and_then(toml_edit::Item::span),
                })
            })
            .collect();
        let (sources, notify) = (sources?, table("notify"));
        let (topic_arn, has_notify) = (
            notify.and_then(|notify| word(notify, "topic_arn")),
            notify.is_some(),
        );
        Some(Self {
            store,
            sources,
            topic_arn,
            has_notify,
            demands,
            text,
        })
    }

    /// The text with other folders for some of its sources, and more behind it.
    pub(super) fn text_with(&self, moved: &[(usize, PathBuf)], more: &str) -> Option<String> {
        let mut text = self.text.clone();
        let mut moved: Vec<_> = moved.iter().collect();
        // From the end, so that the places before it stay.
        moved.sort_by_key(|(number, _)| std::cmp::Reverse(self.start_of(*number)));
        for (number, folder) in moved {
            let span = self.sources.get(*number)?.span.clone()?;
            text.replace_range(span, &toml_string(&folder.display().to_string()));
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(more);
        Some(text)
    }

    fn start_of(&self, number: usize) -> usize {
        let source = self.sources.get(number);
        source
            .and_then(|source| Some(source.span.as_ref()?.start))
            .unwrap_or(0)
    }
}

fn demands(s3: &Table) -> Demands {
    Demands {
        server_side_encryption: word(s3, "server_side_encryption"),
        kms_key_id: word(s3, "kms_key_id"),
        storage_class: word(s3, "storage_class"),
        requester_pays: s3
            .get("requester_pays")
            .and_then(toml_edit::Item::as_bool)
            .unwrap_or(false),
        expected_bucket_owner: word(s3, "expected_bucket_owner"),
    }
}

fn word(table: &Table, key: &str) -> Option<String> {
    Some(table.get(key)?.as_str()?.to_owned())
}
