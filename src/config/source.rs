//! The `[[source]]` tables: each by itself, then against each other.

use super::bucket_name::bucket_like;
use super::input::Input;
use super::key::Key;
use super::problem::{Problem, shown};
use super::problems::{Problems, nearest};
use super::raw::RawSource;
use super::settings::{OnDelete, SourceConfig};
use super::{paths, places, values};
use crate::types::{Ground, Home, leaves_out_everything, rule};
use std::path::{Path, PathBuf};

/// A backup of every day is promised of every file.
const INTERVAL_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Check all sources. Those with a problem are left out of the result.
pub(super) fn all(
    raw: &[RawSource],
    input: &Input<'_>,
    problems: &mut Problems,
) -> Vec<SourceConfig> {
    if raw.is_empty() {
        let wrong = Problem::new(
            "there is no [[source]], so there is nothing to back up",
            "add a [[source]] with name, path and bucket for each folder",
        );
        problems.add_unless_excused(&["source"], wrong);
    }
    let checked: Vec<(usize, SourceConfig)> = raw
        .iter()
        .enumerate()
        .filter_map(|(index, source)| Some((index, one(index, source, input, problems)?)))
        .collect();
    for (at, (index, source)) in checked.iter().enumerate() {
        for (earlier_index, earlier) in &checked[..at] {
            clashes(earlier, source)
                .into_iter()
                .for_each(|(leaf, what, remedy)| {
                    let what =
                        what.replace("{earlier}", &Key::source(*earlier_index, leaf).to_string());
                    let key = Key::source(*index, leaf);
                    problems.add(input.layers.origin(&key), key, Problem::new(what, remedy));
                });
        }
    }
    checked.into_iter().map(|(_, source)| source).collect()
}

fn one(
    index: usize,
    raw: &RawSource,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Option<SourceConfig> {
    let key = |leaf| Key::source(index, leaf);
    let missing = |leaf: &str, example: &str| {
        Problem::new(
            "the key is missing",
            format!("add {leaf} = \"{example}\" to this [[source]]"),
        )
    };
    let name = match &raw.name {
        Some(text) => values::name(text),
        None => Err(missing("name", "documents")),
    };
    let bucket = match &raw.bucket {
        Some(text) => places::bucket(text),
        None => Err(missing("bucket", "documents-backup-254")),
    };
    let path = match &raw.path {
        Some(text) => folder(text, input),
        None => Err(missing("path", "/srv/office/documents")),
    };
    let name = input.take(problems, key("name"), name);
    let path = input.take(problems, key("path"), path);
    let bucket = input.take(problems, key("bucket"), bucket);
    let prefix = input.take(problems, key("prefix"), places::prefix(&raw.prefix));
    let on_delete = input.take(problems, key("on_delete"), on_delete(&raw.on_delete));
    let numbers = numbers(index, raw, input, problems);
    let root = path.as_deref();
    let compress = patterns(index, "compress", &raw.compress, root, input, problems);
    let exclude = patterns(index, "exclude", &raw.exclude, root, input, problems);
    if let Some(at) = leaves_out_everything(&exclude) {
        let wrong = Problem::new(
            format!(
                "{} leaves out all there is: nothing would be backed up",
                shown(&raw.exclude[at])
            ),
            "name what is to be left out; for a list of what is to be kept write it behind, like exclude = [\"/*\", \"!/Customers/\"]",
        );
        input.take::<()>(problems, key("exclude").item(at), Err(wrong));
    }
    let numbers = numbers?;
    Some(SourceConfig {
        name: name?,
        path: path?,
        bucket: bucket?,
        prefix: prefix?,
        compress,
        compress_level: numbers.compress_level,
        exclude,
        on_delete: on_delete?,
        sentinel: raw.sentinel,
        min_version_interval_ms: numbers.min_version_interval_ms,
        versions_per_hour_max: numbers.versions_per_hour_max,
        take_over: (!raw.take_over.is_empty()).then(|| raw.take_over.clone()),
    })
}

/// The numbers of one source.
struct Numbers {
    compress_level: u32,
    min_version_interval_ms: u64,
    versions_per_hour_max: u32,
}

fn numbers(
    index: usize,
    raw: &RawSource,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Option<Numbers> {
    let key = |leaf| Key::source(index, leaf);
    let level = values::number(
        raw.compress_level,
        1..=9,
        "1 is the quickest, 9 the smallest",
    );
    let level = input.take(problems, key("compress_level"), level);
    let interval = values::duration_ms(
        &raw.min_version_interval,
        0..=INTERVAL_MAX_MS,
        "the least time between two versions of one file, at most a day",
    );
    let interval = input.take(problems, key("min_version_interval"), interval);
    let per_hour = values::number(
        raw.versions_per_hour_max,
        0..=3600,
        "0 is no limit, and more than one a second cannot be",
    );
    let per_hour = input.take(problems, key("versions_per_hour_max"), per_hour);
    Some(Numbers {
        compress_level: u32::try_from(level?).ok()?,
        min_version_interval_ms: interval?,
        versions_per_hour_max: u32::try_from(per_hour?).ok()?,
    })
}

/// The gitignore rules that the patterns stand for, one for each.
fn patterns(
    index: usize,
    leaf: &str,
    raw: &[String],
    root: Option<&Path>,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Vec<String> {
    // What is in a folder that is away nobody knows: a pattern that is right when
    // it is there must not be refused meanwhile.
    let is_away = std::cell::LazyCell::new(|| root.is_some_and(|root| !paths::is_there(root)));
    let is_there = |path: &Path| {
        let is_in_it = root.is_some_and(|root| path.starts_with(root));
        paths::is_there(path) || (is_in_it && *is_away)
    };
    let real = |path: &Path| paths::real(path);
    let mut rules = Vec::with_capacity(raw.len());
    for (at, text) in raw.iter().enumerate() {
        let ruled = values::pattern(text).and_then(|()| {
            of_another_home(text, &input.defaults.home)?;
            let Some(folder) = root else {
                return Ok(text.clone());
            };
            let ground = Ground {
                folder,
                home: input.defaults.home.folder(),
                is_there: &is_there,
                real: &real,
            };
            match rule(text, &ground) {
                // What cannot match leaves out nothing: no reason to restore nothing.
                Err(_) if !input.needs.patterns() => Ok(text.clone()),
                Err(refused) => Err(Problem::new(
                    format!("{} {}", shown(text), refused.what),
                    refused.remedy,
                )),
                Ok(rule) => Ok(rule),
            }
        });
        let key = Key::source(index, leaf).item(at);
        rules.push(input.take(problems, key, ruled).unwrap_or_default());
    }
    rules
}

/// The account that will use the pattern has another home, where it would leave out nothing.
fn of_another_home(text: &str, home: &Home) -> Result<(), Problem> {
    let path = text.strip_prefix('!').unwrap_or(text);
    if *home != Home::OfAnother || !path.starts_with("~/") {
        return Ok(());
    }
    match home.inner(Path::new(path)) {
        Ok(_) => Ok(()),
        Err(refused) => Err(Problem::new(
            format!("{}: {}", shown(text), refused.what),
            refused.remedy,
        )),
    }
}

fn folder(text: &str, input: &Input<'_>) -> Result<PathBuf, Problem> {
    let path = input.path(text)?;
    if input.needs.sources() {
        paths::existing_folder(
            &path,
            "correct the path, or plug in or mount the disk that it is on (a path that is not absolute belongs to the folder of this file)",
        )?;
    }
    Ok(path)
}

fn on_delete(text: &str) -> Result<OnDelete, Problem> {
    match text {
        "mark" => Ok(OnDelete::Mark),
        "keep" => Ok(OnDelete::Keep),
        other => Err(Problem::new(
            format!("{} is not known", shown(other)),
            match nearest(other, ["mark", "keep"]) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => "write \"mark\" (a delete marker, the versions stay) or \"keep\" (nothing happens in the bucket)".into(),
            },
        )),
    }
}

/// What is wrong with two sources together: key, words, remedy.
fn clashes(earlier: &SourceConfig, source: &SourceConfig) -> Vec<(&'static str, String, String)> {
    let mut wrong = Vec::new();
    if earlier.name.to_lowercase() == source.name.to_lowercase() {
        wrong.push((
            "name",
            format!(
                "the name {} is taken by {{earlier}} already",
                shown(&source.name)
            ),
            "give each source a name of its own (upper and lower case count as the same)"
                .to_owned(),
        ));
    }
    let overlap =
        source.prefix.starts_with(&earlier.prefix) || earlier.prefix.starts_with(&source.prefix);
    if earlier.bucket == source.bucket && overlap {
        let leaf = if source.prefix.is_empty() {
            "bucket"
        } else {
            "prefix"
        };
        let place = |source: &SourceConfig| format!("{}/{}", source.bucket, source.prefix);
        wrong.push((
            leaf,
            if source.prefix == earlier.prefix {
                format!(
                    "the sources {} and {} both write to {}, where their files would overwrite each other",
                    shown(&earlier.name),
                    shown(&source.name),
                    place(source)
                )
            } else {
                format!(
                    "the place {} overlaps with {} of the source {}, where their files could overwrite each other",
                    place(source),
                    place(earlier),
                    shown(&earlier.name)
                )
            },
            format!(
                "give each source its own bucket, or in one bucket a prefix each, for example \"{}/\" and \"{}/\"",
                bucket_like(&earlier.name),
                bucket_like(&source.name)
            ),
        ));
    }
    wrong
}
