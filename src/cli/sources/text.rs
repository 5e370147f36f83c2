//! The text of a configuration, written from what the manifests say.
//!
//! What a bucket says is anybody's word: every value is written as a quoted text or a
//! number.

use super::existing::ExistingFile;
use super::quote::toml_string;
use super::store::CopiesPlace;
use crate::history::Found;
use crate::manifest::{Demands, Header, Owner};
use crate::types;
use std::path::PathBuf;

/// A source that is to be written: under a name and with a folder of its own.
pub(super) struct NewSource<'a> {
    pub(super) found: &'a Found,
    pub(super) header: &'a Header,
    pub(super) name: String,
    pub(super) folder: PathBuf,
}

pub(super) fn demand_lines(demands: &Demands) -> String {
    let texts = [
        ("server_side_encryption", &demands.server_side_encryption),
        ("kms_key_id", &demands.kms_key_id),
        ("storage_class", &demands.storage_class),
        ("expected_bucket_owner", &demands.expected_bucket_owner),
    ];
    let mut lines: String = texts
        .iter()
        .filter_map(|(key, value)| Some(format!("{key} = {}\n", toml_string(value.as_ref()?))))
        .collect();
    if demands.requester_pays {
        lines.push_str("requester_pays = true\n");
    }
    lines
}

pub(super) fn text(
    existing: Option<&ExistingFile>,
    store: &CopiesPlace,
    demands: &Demands,
    new: &[NewSource<'_>],
    moved: &[(usize, PathBuf)],
) -> Option<String> {
    let mut more = String::new();
    for one in new {
        more.push_str(&source(one));
    }
    let settings = || new.iter().map(|one| &one.header.settings);
    let topic = settings().find(|settings| settings.topic_arn.is_some());
    if let Some(settings) = topic.filter(|_| existing.is_none_or(|file| !file.has_notify)) {
        more.push_str("\n[notify]\n");
        for (key, value) in [
            ("topic_arn", &settings.topic_arn),
            ("endpoint_url", &settings.notify_endpoint_url),
        ] {
            if let Some(value) = value {
                more.push_str(&format!("{key} = {}\n", toml_string(value)));
            }
        }
    }
    match existing {
        Some(existing) => existing.text_with(moved, &more),
        None => Some(format!("{}{}{more}", head(store), demand_lines(demands))),
    }
}

fn head(store: &CopiesPlace) -> String {
    let mut out = String::from(
        "# Written by `keepwatch sources` from what the bucket says of itself. With it\n\
         # this computer goes on as the one that was backed up. Credentials never\n\
         # belong in here. Every key is explained in docs/OPERATIONS.md.\n\n",
    );
    match store {
        CopiesPlace::Vault(path) => out.push_str(&format!(
            "[vault]\npath = {}\n",
            toml_string(&path.display().to_string())
        )),
        CopiesPlace::S3 {
            region,
            profile,
            endpoint_url,
        } => {
            out.push_str("[s3]\n");
            for (key, value) in [
                ("region", region),
                ("profile", profile),
                ("endpoint_url", endpoint_url),
            ] {
                if let Some(value) = value {
                    out.push_str(&format!("{key} = {}\n", toml_string(value)));
                }
            }
        }
    }
    out
}

fn source(new: &NewSource<'_>) -> String {
    let NewSource {
        found,
        header,
        name,
        folder,
    } = new;
    let settings = &header.settings;
    let list = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| toml_string(item)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut out = format!(
        "\n# {} on {}\n[[source]]\nname = {}\npath = {}\nbucket = {}\nprefix = {}\n",
        types::clean(&header.root),
        types::clean(&header.host),
        toml_string(name),
        toml_string(&folder.display().to_string()),
        toml_string(&found.origin.bucket),
        toml_string(&found.origin.prefix)
    );
    out.push_str(&format!(
        "compress = {}\nexclude = {}\non_delete = {}\nsentinel = {}\n",
        list(&settings.compress),
        list(&settings.exclude),
        toml_string(if settings.marks_deletions {
            "mark"
        } else {
            "keep"
        }),
        settings.sentinel
    ));
    if settings.compress_level > 0 {
        out.push_str(&format!("compress_level = {}\n", settings.compress_level));
    }
    out.push_str(&format!(
        "min_version_interval = {}\nversions_per_hour_max = {}\n",
        toml_string(&format!("{}s", settings.min_version_interval_ms / 1_000)),
        settings.versions_per_hour_max
    ));
    let told = || Owner::of_manifest(header);
    let owner = found.owner.clone().unwrap_or_else(told);
    out.push_str(&format!(
        "# This computer may take the place of {} by this id, and of nobody else.\ntake_over = {}\n",
        types::clean(&owner.who()),
        toml_string(&owner.id)
    ));
    out
}
