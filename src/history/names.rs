//! Decides whether the text that a person typed is the name of something or a pattern.
//!
//! Invariant: if anything has that name anywhere the command looks (in the bucket at any
//! time, in the index, in the folder), the text is that name everywhere and nothing else.
//! Only a text that is nobody's name is a pattern.

use super::alike::{ALIKE_SHOWN_MAX, alike, path_of_shortened};
use super::known::Known;
use super::pages::{Pages, list_page};
use super::selector::{LISTING_PREFIX_BYTES_MAX, Selector};
use super::typed::{Misses, Typed, word_for};
use crate::files;
use crate::history::timeline::chosen::Name;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Fault, Origin, Reading, RelKey, RelPath, older_form, quoted};
use std::path::PathBuf;

/// Where a command looks for what was typed.
#[derive(Debug)]
pub struct Place {
    /// Where the objects are.
    pub origin: Origin,
    /// The names of the source and of its folder, which people write in front.
    pub called: Vec<String>,
    /// What was typed that may be meant here.
    pub typed: Vec<Typed>,
    /// The folder that the command works on, when it is the source's own.
    pub folder: Option<PathBuf>,
    /// What this computer knows of the source.
    pub known: Option<Known>,
}

/// What was typed and how it was understood, place by place.
pub type Decided = Vec<Vec<(Typed, Reading)>>;

/// Decide what each text means. One text means the same in all places.
///
/// # Errors
/// The bucket or the index cannot be asked; or it was asked to stop.
pub async fn settle(store: &Store, places: &[Place], stop: &mut Stop) -> Result<Decided, Fatal> {
    let mut settled: Decided = places.iter().map(|_| Vec::new()).collect();
    let mut decided: Vec<(String, Decision)> = Vec::new();
    for (number, place) in places.iter().enumerate() {
        for typed in &place.typed {
            let known = decided.iter().position(|(text, _)| *text == typed.text());
            let at = match known {
                Some(at) => at,
                None => {
                    let means = means(store, places, typed, stop).await?;
                    decided.push((typed.text().to_owned(), means));
                    decided.len() - 1
                }
            };
            settled[number].push(match &decided[at].1 {
                Decision::Read(reading) => (typed.clone(), *reading),
                Decision::Alike(of, path) if *of == number => {
                    (typed.meant(path.clone()), Reading::Alike)
                }
                // It belongs to another source.
                Decision::Alike(..) => (typed.clone(), typed.otherwise()),
                Decision::Nothing(misses) => (typed.missed(misses.clone()), typed.otherwise()),
            });
        }
    }
    Ok(settled)
}

/// What one text means in all places.
enum Decision {
    Read(Reading),
    /// In the place with this number, something with a similar name.
    Alike(usize, RelPath),
    /// Nothing has this name or a similar one.
    Nothing(Misses),
}

async fn means(
    store: &Store,
    places: &[Place],
    typed: &Typed,
    stop: &mut Stop,
) -> Result<Decision, Fatal> {
    if let Some(reading) = reading(store, places, typed, stop).await? {
        return Ok(Decision::Read(reading));
    }
    if typed.otherwise() == Reading::Pattern {
        return Ok(Decision::Read(Reading::Pattern));
    }
    let mut found = Vec::new();
    let mut misses = Misses::default();
    for (number, place) in places.iter().enumerate() {
        if place.typed.iter().any(|one| one.text() == typed.text()) {
            let alike = alike(store, &place.origin, &place.called, typed, stop).await?;
            found.extend(alike.paths.into_iter().map(|(path, _)| (number, path)));
            misses.unasked += alike.unasked;
            misses.near.extend(alike.near);
        }
    }
    match found.len() {
        0 => Ok(Decision::Nothing(misses)),
        1 => {
            let (number, path) = found.remove(0);
            Ok(Decision::Alike(number, path))
        }
        _ => Err(several(
            typed.text(),
            found
                .iter()
                .map(|(number, path)| (&places[*number].origin, path)),
        )),
    }
}

/// Several have a similar name, and only the person who typed it knows which is meant.
pub fn several<'a>(text: &str, found: impl Iterator<Item = (&'a Origin, &'a RelPath)>) -> Fatal {
    let found: Vec<_> = found.collect();
    let many_places = found.iter().any(|(origin, _)| *origin != found[0].0);
    let named = found.iter().take(ALIKE_SHOWN_MAX).map(|(origin, path)| {
        let place = match many_places {
            true => format!(" (in {}/{})", origin.bucket, origin.prefix),
            false => String::new(),
        };
        format!("{}{place}", word_for(path))
    });
    let mut named: Vec<String> = named.collect();
    if found.len() > named.len() {
        named.push(format!("and {} more", found.len() - named.len()));
    }
    Fatal::usage(
        format!("look for {}", quoted(text)),
        format!(
            "it is not there under this very name, but there are: {}",
            named.join(", ")
        ),
        "write one of them, or a pattern like \"**/NAME\" for all",
    )
}

/// The selectors of what [`settle`] has settled, in the order of the places.
pub fn selectors(settled: &Decided) -> Vec<Selector> {
    settled.iter().map(|what| Selector::of(what)).collect()
}

/// Under which name it exists there; `None` where nothing has the name.
async fn reading(
    store: &Store,
    places: &[Place],
    typed: &Typed,
    stop: &mut Stop,
) -> Result<Option<Reading>, Fatal> {
    for (reading, path) in typed.names() {
        for place in places {
            let is_asked = place.typed.iter().any(|one| one.text() == typed.text());
            if is_asked && place.has(store, path, stop).await? {
                return Ok(Some(reading));
            }
        }
    }
    Ok(None)
}

impl Place {
    /// Whether anything has, or ever had, this name.
    async fn has(&self, store: &Store, path: &RelPath, stop: &mut Stop) -> Result<bool, Fault> {
        if path.is_root() {
            return Ok(true);
        }
        Ok(self.is_in_folder(path).await?
            || self.is_known(path).await?
            || self.is_in_bucket(store, path, stop).await?)
    }

    async fn is_in_folder(&self, path: &RelPath) -> Result<bool, Fault> {
        let Some(folder) = self.folder.clone() else {
            return Ok(false);
        };
        let path = path.clone();
        // A folder that cannot be looked into says nothing.
        blocking(move || Ok(matches!(files::stat(&folder, &path), Ok(Some(_))))).await
    }

    async fn is_known(&self, path: &RelPath) -> Result<bool, Fault> {
        let Some(known) = self.known.clone() else {
            return Ok(false);
        };
        let path = path.clone();
        blocking(move || {
            let (file, folder) = (RelKey::of_file(&path), RelKey::of_folder(&path));
            let index = &known.index;
            if index.get(known.source, &file)?.is_some() {
                return Ok(true);
            }
            let first = index.range(known.source, folder.as_str(), None).next();
            let is_below = first.transpose()?.is_some();
            Ok(is_below || matches!((known.stat)(&path), Ok(Some(_))))
        })
        .await
    }

    async fn is_in_bucket(
        &self,
        store: &Store,
        path: &RelPath,
        stop: &mut Stop,
    ) -> Result<bool, Fault> {
        let prefix = &self.origin.prefix;
        let (file, folder) = (RelKey::of_file(path), RelKey::of_folder(path));
        let exact = [Some(file.in_bucket(prefix).key), file.older(prefix)];
        for key in exact.into_iter().flatten() {
            let page = list_page(store, &self.origin.bucket, &key, None, stop).await?;
            // Of all keys that begin so, this one is the first.
            if page.items.first().is_some_and(|first| first.key == key) {
                return Ok(true);
            }
        }
        let whole = format!("{prefix}{}", folder.as_str());
        let older = older_form(folder.as_str()).map(|older| format!("{prefix}{older}"));
        for below in [Some(whole), older].into_iter().flatten() {
            if self.has_below(store, path, below, stop).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the bucket has anything of the folder at `path`. Its keys begin with `below`,
    /// unless they are shortened.
    async fn has_below(
        &self,
        store: &Store,
        path: &RelPath,
        below: String,
        stop: &mut Stop,
    ) -> Result<bool, Fault> {
        let end = below.floor_char_boundary(LISTING_PREFIX_BYTES_MAX);
        let prefix = below[..end].to_owned();
        let mut pages = Pages::new(store, &self.origin.bucket, vec![prefix]);
        let mut last = String::new();
        while let Some(page) = pages.next(stop).await? {
            for version in page.filter(|version| !version.is_marker) {
                if version.key == last {
                    continue;
                }
                let is_below = match Name::of(&version.key, &self.origin.prefix) {
                    Some(Name::Path(key) | Name::Older(key)) => key.path().is_in(path),
                    Some(Name::Shortened) => {
                        let (key, id) = (&version.key, version.version_id.as_ref());
                        let there = path_of_shortened(store, &self.origin, key, id, stop);
                        there.await?.is_some_and(|there| there.is_in(path))
                    }
                    Some(Name::Foreign(_)) | None => false,
                };
                if is_below {
                    return Ok(true);
                }
                last = version.key;
            }
        }
        Ok(false)
    }
}
