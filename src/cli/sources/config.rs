//! The configuration with which a new computer goes on as the old one did,
//! written from the manifests' first lines.
//!
//! What a bucket says is anybody's word: every value is written as a quoted
//! text or a number, and the configuration is checked like any other when it is
//! read. It never replaces a file and never holds a credential.

use crate::cli::args::{Place, SourcesArgs};
use crate::cli::origins::{Named, folder_names};
use crate::cli::show;
use crate::error::{Fatal, chain};
use crate::model::manifest::Header;
use crate::model::owner::Owner;
use crate::platform;
use crate::recovery::sources::Found;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Write it.
///
/// # Errors
/// The file is there already, or cannot be written; a manifest cannot be read.
pub(super) fn write(
    file: &Path,
    args: &SourcesArgs,
    found: &[Found],
    quiet: bool,
) -> Result<(), Fatal> {
    let operation = || format!("write the configuration {}", file.display());
    let headers: Option<Vec<&Header>> = found.iter().map(|one| one.newest.as_ref()).collect();
    let Some(headers) = headers else {
        return Err(Fatal::new(
            operation(),
            "a source has no manifest that can be read",
            "write it by hand after config/office.toml: only name, folder, bucket and prefix matter",
        ));
    };
    let folders = folders(args.below.as_deref(), found, &headers)?;
    let text = text(args, found, &headers, &folders)?;
    let made = platform::private_options().create_new(true).open(file);
    let mut out = made.map_err(|error| {
        Fatal::usage(
            operation(),
            chain(&error),
            "name a file that is not there yet, in a folder that is",
        )
    })?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.sync_all())
        .map_err(|error| Fatal::new(operation(), chain(&error), "see whether the disk is full"))?;
    if !quiet {
        eprintln!("Wrote {}; the folders in it:", file.display());
        for (header, folder) in headers.iter().zip(&folders) {
            eprintln!("  {}: {}", show::clean(&header.source), folder.display());
        }
    }
    Ok(())
}

/// Where each source's folder is on this computer: where it was, or below
/// another folder, as a restore of all of them puts it there.
fn folders(
    below: Option<&Path>,
    found: &[Found],
    headers: &[&Header],
) -> Result<Vec<PathBuf>, Fatal> {
    let Some(below) = below else {
        return Ok(headers
            .iter()
            .map(|header| PathBuf::from(&header.root))
            .collect());
    };
    let below = std::path::absolute(below).map_err(|error| {
        Fatal::usage(
            format!("use --below {}", below.display()),
            chain(&error),
            "",
        )
    })?;
    if headers.len() == 1 {
        return Ok(vec![below]);
    }
    let names: Vec<Named> = found
        .iter()
        .zip(headers)
        .map(|(one, header)| Named {
            name: header.source.clone(),
            origin: one.origin.clone(),
            root: None,
        })
        .collect();
    Ok(folder_names(&names)
        .iter()
        .map(|name| below.join(name))
        .collect())
}

fn text(
    args: &SourcesArgs,
    found: &[Found],
    headers: &[&Header],
    folders: &[PathBuf],
) -> Result<String, Fatal> {
    let mut out = String::from(
        "# Written by `keepwatch sources` from what the bucket says of itself. With it\n\
         # this computer goes on as the one that was backed up. Credentials never\n\
         # belong in here. Every key is explained in docs/OPERATIONS.md.\n\n",
    );
    let place = &args.place;
    match place.place() {
        Place::Vault { path, .. } => {
            let path = std::path::absolute(path).map_err(|error| {
                Fatal::usage(format!("use --vault {}", path.display()), chain(&error), "")
            })?;
            out.push_str(&format!(
                "[vault]\npath = {}\n",
                quoted(&path.display().to_string())
            ));
        }
        Place::Bucket { .. } => {
            out.push_str("[s3]\n");
            for (key, value) in [
                ("region", &place.region),
                ("profile", &place.profile),
                ("endpoint_url", &place.endpoint_url),
            ] {
                if let Some(value) = value {
                    out.push_str(&format!("{key} = {}\n", quoted(value)));
                }
            }
        }
        Place::Configuration => {
            return Err(Fatal::usage(
                "write a configuration",
                "there is one already: it says where the copies are",
                "give --bucket or --vault instead of --config",
            ));
        }
    }
    for ((one, header), folder) in found.iter().zip(headers).zip(folders) {
        out.push_str(&source(one, header, folder));
    }
    if let Some(topic) = headers
        .iter()
        .find_map(|header| header.settings.topic_arn.as_ref())
    {
        out.push_str(&format!("\n[notify]\ntopic_arn = {}\n", quoted(topic)));
    }
    Ok(out)
}

fn source(found: &Found, header: &Header, folder: &Path) -> String {
    let settings = &header.settings;
    let list = |items: &[String]| {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        format!("[{}]", items.join(", "))
    };
    let mut out = format!(
        "\n# {} on {}\n[[source]]\nname = {}\npath = {}\nbucket = {}\nprefix = {}\n",
        show::clean(&header.root),
        show::clean(&header.host),
        quoted(&header.source),
        quoted(&folder.display().to_string()),
        quoted(&found.origin.bucket),
        quoted(&found.origin.prefix)
    );
    out.push_str(&format!(
        "compress = {}\nexclude = {}\non_delete = {}\nsentinel = {}\n",
        list(&settings.compress),
        list(&settings.exclude),
        quoted(if settings.marks_deletions {
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
        quoted(&format!("{}s", settings.min_version_interval_ms / 1_000)),
        settings.versions_per_hour_max
    ));
    let told = || Owner::of_manifest(header);
    let owner = found.owner.clone().unwrap_or_else(told);
    out.push_str(&format!(
        "# This computer may take the place of {} by this id, and of nobody else.\ntake_over = {}\n",
        show::clean(&owner.who()),
        quoted(&owner.id)
    ));
    out
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        for (text, want) in [
            ("a b", "\"a b\""),
            ("C:\\Office", "\"C:\\\\Office\""),
            ("x\"\n[s3]", "\"x\\\"\\u000A[s3]\""),
            ("\u{7f}ü", "\"\\u007Fü\""),
        ] {
            assert_eq!(quoted(text), want);
            let parsed: toml_edit::ImDocument<String> =
                format!("k = {}", quoted(text)).parse().unwrap();
            assert_eq!(parsed["k"].as_str(), Some(text));
        }
    }
}
