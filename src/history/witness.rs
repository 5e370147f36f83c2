//! Asks manifests about versions whose times are in doubt.
//!
//! A manifest that was written before a moment, by a clock that was right, names what was
//! current when it was written. So every version that it names had been written by then,
//! whatever its time says, and every file that it does not name had been deleted.
//! Invariants: nothing is read before something is in doubt; only one line is in memory; what
//! no manifest settles stays in doubt.

use super::version_selector::TimesInDoubt;
use crate::manifest::{CLOCKS_APART_MAX_MS, Manifest, ManifestEntries, ManifestEntry, read};
use crate::retry::Stop;
use crate::s3::{ListedVersion, Store};
use crate::types::{Fault, Origin, RelKey, WallMs};

/// What was current.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// This version.
    Version(ListedVersion),
    /// Nothing: it had been deleted.
    Gone,
    Unknown,
}

/// The newest manifest before the moment, read as far as needed.
#[derive(Default)]
pub(crate) struct Witness {
    is_asked: bool,
    found: Option<ManifestReading>,
}

struct ManifestReading {
    manifest: Manifest,
    lines: ManifestEntries,
    /// The line that was read last, and the key that it is of.
    last: Option<(RelKey, ManifestEntry)>,
}

impl Witness {
    /// What the manifest says of a path at the moment. Paths usually come in order. Without
    /// a manifest nothing is known.
    pub(crate) async fn testimony(
        &mut self,
        store: &Store,
        origin: &Origin,
        at_ms: WallMs,
        key: &RelKey,
        doubt: &TimesInDoubt,
        stop: &mut Stop,
    ) -> Testimony {
        if !self.is_asked {
            self.is_asked = true;
            self.found = open(store, origin, at_ms, stop).await.unwrap_or_default();
        }
        let Some(reading) = &mut self.found else {
            return Testimony::Unknown;
        };
        match reading.line(store, key, stop).await {
            Ok(line) => judge(line, doubt, reading.manifest.header.moment_ms),
            Err(_) => {
                self.found = None;
                Testimony::Unknown
            }
        }
    }
}

async fn open(
    store: &Store,
    origin: &Origin,
    at_ms: WallMs,
    stop: &mut Stop,
) -> Result<Option<ManifestReading>, Fault> {
    let nearest = read::nearest(store, origin, Some(at_ms), u64::MAX, stop).await?;
    let Some(manifest) = nearest.manifest else {
        return Ok(None);
    };
    let lines = manifest.lines(store, stop).await?;
    Ok(Some(ManifestReading {
        manifest,
        lines,
        last: None,
    }))
}

impl ManifestReading {
    /// The line of a path, if it has one.
    async fn line(
        &mut self,
        store: &Store,
        key: &RelKey,
        stop: &Stop,
    ) -> Result<Option<ManifestEntry>, Fault> {
        if self.last.as_ref().is_some_and(|(last, _)| last > key) {
            self.lines = self.manifest.lines(store, stop).await?;
            self.last = None;
        }
        loop {
            match &self.last {
                Some((last, line)) if last == key => return Ok(Some(line.clone())),
                Some((last, _)) if last > key => return Ok(None),
                _ => {}
            }
            let Some(line) = self.lines.next().await? else {
                return Ok(None);
            };
            if let Some(read) = line.rel_key() {
                self.last = Some((read, line));
            }
        }
    }
}

/// What an entry, or its absence, says about the versions in doubt.
fn judge(line: Option<ManifestEntry>, doubt: &TimesInDoubt, moment_ms: WallMs) -> Testimony {
    let Some(newest) = doubt.versions.first() else {
        return Testimony::Unknown;
    };
    match line {
        // Nothing that is in doubt was written after it.
        Some(line) if !newest.is_marker && line.version_id == newest.version_id => {
            Testimony::Version(newest.clone())
        }
        Some(_) => Testimony::Unknown,
        // It was there before the manifest was drawn, and was not there then.
        None if newest.is_marker
            && doubt
                .since_ms
                .is_some_and(|since_ms| since_ms + CLOCKS_APART_MAX_MS < moment_ms) =>
        {
            Testimony::Gone
        }
        None => Testimony::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Fingerprint;
    use crate::types::VersionId;

    fn version(id: &str) -> ListedVersion {
        ListedVersion {
            version_id: VersionId::new(id),
            is_marker: id.starts_with('x'),
            ..ListedVersion::unlisted("a")
        }
    }

    #[test]
    fn a_manifest_settles_what_was_written_before_it() {
        let line = |id: &str| ManifestEntry {
            version_id: VersionId::new(id),
            ..ManifestEntry::without_object(&RelKey::parse("a").unwrap(), &Fingerprint::UNSEEN)
        };
        let hour_ms = 60 * 60 * 1000;
        let of =
            |name: &str, line: Option<ManifestEntry>, ids: &[&str], since_ms, want: Testimony| {
                let doubt = TimesInDoubt {
                    versions: ids.iter().map(|id| version(id)).collect(),
                    since_ms,
                };
                assert_eq!(judge(line, &doubt, WallMs(5 * hour_ms)), want, "{name}");
            };
        let (newest, unknown) = (|| Testimony::Version(version("v2")), || Testimony::Unknown);
        of("the newest", Some(line("v2")), &["v2"], None, newest());
        of(
            "of two",
            Some(line("v2")),
            &["v2", "v1"],
            Some(WallMs(0)),
            newest(),
        );
        of(
            "an older one",
            Some(line("v1")),
            &["v2", "v1"],
            None,
            unknown(),
        );
        of(
            "another",
            Some(line("v0")),
            &["v2"],
            Some(WallMs(0)),
            unknown(),
        );
        of(
            "not there yet, or gone",
            None,
            &["v2"],
            Some(WallMs(0)),
            unknown(),
        );
        of(
            "deleted",
            None,
            &["x2"],
            Some(WallMs(hour_ms)),
            Testimony::Gone,
        );
        of("nobody knows since when", None, &["x2"], None, unknown());
        of(
            "hardly there",
            None,
            &["x2"],
            Some(WallMs(5 * hour_ms - 60_000)),
            unknown(),
        );
        of(
            "there, and a deletion",
            Some(line("v1")),
            &["x2"],
            Some(WallMs(0)),
            unknown(),
        );
    }
}
