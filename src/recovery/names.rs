//! Whether what somebody typed is the name of something that exists, or a pattern.
//!
//! Invariant: a name that exists anywhere the command looks (in the bucket at
//! whatever time, in the index, in the folder) is that name everywhere and nothing
//! else. Only what nothing is called is a pattern.

use super::claim::unshortened;
use super::pages::{Pages, list_page};
use super::retry::{Stop, head_at};
use super::selector::{LISTING_PREFIX_BYTES_MAX, Selector, Typed};
use super::timeline::Name;
use super::verify::Known;
use super::{Origin, blocking};
use crate::error::{Fatal, Fault};
use crate::files;
use crate::model::key::older_form;
use crate::model::taken::Reading;
use crate::model::{RelKey, RelPath};
use crate::store::{At, Store};
use std::path::PathBuf;

/// Where a command looks for what was typed.
#[derive(Debug)]
pub struct Place {
    /// Where the objects are.
    pub origin: Origin,
    /// What was typed that may be meant here.
    pub typed: Vec<Typed>,
    /// The folder that the command works on, when it is the source's own.
    pub folder: Option<PathBuf>,
    /// What this computer knows of the source.
    pub known: Option<Known>,
}

/// What was typed, and how it is taken, place by place.
pub type Settled = Vec<Vec<(Typed, Reading)>>;

/// Find out how each text is meant: one text means the same in all places.
///
/// # Errors
/// The bucket or the index cannot be asked; or it was asked to stop.
pub async fn settle(store: &Store, places: &[Place], stop: &mut Stop) -> Result<Settled, Fatal> {
    let mut settled: Settled = places.iter().map(|_| Vec::new()).collect();
    let mut decided: Vec<(String, Reading)> = Vec::new();
    for (place, out) in places.iter().zip(&mut settled) {
        for typed in &place.typed {
            let known = decided.iter().find(|(text, _)| *text == typed.text());
            let reading = match known {
                Some((_, reading)) => *reading,
                None => {
                    let reading = reading(store, places, typed, stop).await?;
                    decided.push((typed.text().to_owned(), reading));
                    reading
                }
            };
            out.push((typed.clone(), reading));
        }
    }
    Ok(settled)
}

/// The selectors of what [`settle`] has settled, in the order of the places.
pub fn selectors(settled: &Settled) -> Vec<Selector> {
    settled.iter().map(|what| Selector::of(what)).collect()
}

async fn reading(
    store: &Store,
    places: &[Place],
    typed: &Typed,
    stop: &mut Stop,
) -> Result<Reading, Fatal> {
    if !typed.is_ambiguous() {
        return Ok(typed.otherwise());
    }
    for (reading, path) in typed.names() {
        for place in places {
            let is_asked = place.typed.iter().any(|one| one.text() == typed.text());
            if is_asked && place.has(store, path, stop).await? {
                return Ok(reading);
            }
        }
    }
    Ok(typed.otherwise())
}

impl Place {
    /// Something is, or ever was, called so.
    async fn has(&self, store: &Store, path: &RelPath, stop: &mut Stop) -> Result<bool, Fault> {
        if path.is_root() {
            return Ok(false);
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

    /// Something of the folder at `path` is in the bucket; `below` is what its
    /// keys begin with, as far as they are not shortened.
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
                        let key = self.full_key(store, &version.key, &version.version_id, stop);
                        key.await?.is_some_and(|key| key.path().is_in(path))
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

    async fn full_key(
        &self,
        store: &Store,
        key: &str,
        version: &str,
        stop: &mut Stop,
    ) -> Result<Option<RelKey>, Fault> {
        let at = At {
            bucket: &self.origin.bucket,
            key,
        };
        let head = head_at(store, at, version, stop).await?;
        let full = head.and_then(|head| head.meta.ok()?.full_key);
        Ok(full.and_then(|full| unshortened(&self.origin.prefix, key, &full)))
    }
}
