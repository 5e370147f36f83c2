//! Keeps the order in which a server listed versions and delete markers.
//!
//! S3 gives times in whole seconds: within one second only their order in the answer tells
//! whether a version or a delete marker came first. The SDK puts them into two lists, so
//! the order is read from the answer itself.

use super::page::ListedVersion;
use super::xml;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use keepwatch_vault::{ORDER_HEADER, markers_in_order};
use parking_lot::Mutex;
use std::sync::Arc;

/// Writes down which entries of an answer are delete markers. One per request.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorded(Arc<Mutex<Option<Vec<bool>>>>);

impl Recorded {
    /// For each entry whether it is a delete marker; `None` when nobody knows.
    pub(super) fn take(&self) -> Option<Vec<bool>> {
        self.0.lock().take()
    }
}

impl Intercept for Recorded {
    fn name(&self) -> &'static str {
        "Recorded"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let told = response.headers().get(ORDER_HEADER);
        let markers = match told {
            // The vault's own word: its XML has the two lists as well.
            Some(told) => Some(markers_in_order(told)),
            None => response.body().bytes().and_then(markers_of),
        };
        *self.0.lock() = markers;
        Ok(())
    }
}

fn markers_of(body: &[u8]) -> Option<Vec<bool>> {
    let mut markers = Vec::new();
    let is_whole = xml::children(body, |name| match name {
        b"Version" => markers.push(false),
        b"DeleteMarker" => markers.push(true),
        _ => {}
    });
    is_whole.then_some(markers)
}

/// Versions and delete markers as one list, in the server's order, and whether
/// its keys are in order: by their UTF-8 bytes, as S3 has it.
///
/// A server that gives all versions and then all markers
/// (`Differs::MarkersBehindVersions`) tells nothing by that: they are joined by
/// key and time. Within one second the version then counts as the newer one.
pub(super) fn joined(
    versions: Vec<ListedVersion>,
    markers: Vec<ListedVersion>,
    recorded: Option<&[bool]>,
) -> (Vec<ListedVersion>, bool) {
    let counts = |recorded: &[bool]| {
        let of_markers = recorded.iter().filter(|is_marker| **is_marker).count();
        (recorded.len() - of_markers, of_markers)
    };
    let here = (versions.len(), markers.len());
    let recorded = recorded.filter(|recorded| counts(recorded) == here);
    let is_grouped = |recorded: &[bool]| here.1 > 0 && here.0 > 0 && recorded.is_sorted();
    match recorded.filter(|recorded| !is_grouped(recorded)) {
        Some(recorded) => {
            let (mut versions, mut markers) = (versions.into_iter(), markers.into_iter());
            let mut items: Vec<ListedVersion> = recorded
                .iter()
                .filter_map(|is_marker| match is_marker {
                    true => markers.next(),
                    false => versions.next(),
                })
                .collect();
            let in_order = items.is_sorted_by(|a, b| a.key.as_bytes() <= b.key.as_bytes());
            if in_order {
                newest_first(&mut items);
            }
            (items, in_order)
        }
        None => {
            let by_key = |items: &[ListedVersion]| {
                items.is_sorted_by(|a, b| a.key.as_bytes() <= b.key.as_bytes())
            };
            let in_order = by_key(&versions) && by_key(&markers);
            let mut items = versions;
            items.extend(markers);
            if in_order {
                items.sort_by(|a, b| {
                    (a.key.as_bytes().cmp(b.key.as_bytes()))
                        .then(b.is_latest.cmp(&a.is_latest))
                        .then(b.modified_ms.cmp(&a.modified_ms))
                });
            }
            (items, in_order)
        }
    }
}

/// Put what the server calls the newest of a key first; the rest stays as it is.
fn newest_first(items: &mut [ListedVersion]) {
    for of_key in items.chunk_by_mut(|a, b| a.key == b.key) {
        of_key.sort_by_key(|item| !item.is_latest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ETag, VersionId, id_text};

    fn item(name: &str) -> ListedVersion {
        let (key, rest) = name.split_once('@').unwrap();
        let (version_id, at) = rest.split_once(':').unwrap();
        ListedVersion {
            key: key.to_owned(),
            version_id: VersionId::new(version_id),
            is_latest: version_id.ends_with('!'),
            is_marker: version_id.starts_with('m'),
            etag: ETag::default(),
            stored_bytes: 0,
            modified_ms: at.parse::<i64>().unwrap() * 1_000,
            storage_class: String::new(),
        }
    }

    fn ids(names: &[&str], recorded: Option<&[bool]>) -> (Vec<String>, bool) {
        let (markers, versions) = names
            .iter()
            .map(|name| item(name))
            .partition(|v: &ListedVersion| v.is_marker);
        let (items, in_order) = joined(versions, markers, recorded);
        let ids = items
            .into_iter()
            .map(|v| format!("{}@{}", v.key, id_text(&v.version_id)));
        (ids.collect(), in_order)
    }

    /// A version and a marker of one second stand as the server has them.
    #[test]
    fn what_happened_within_a_second_keeps_the_servers_order() {
        let names = ["a@v3!:7", "a@m2:7", "a@v1:7", "b@m4!:7", "b@v2:7"];
        let as_it_came = [false, true, false, true, false];
        let (got, in_order) = ids(&names, Some(&as_it_came));
        assert_eq!(got, ["a@v3!", "a@m2", "a@v1", "b@m4!", "b@v2"]);
        assert!(in_order);
        // A clock that was put back does not change what was written last.
        let names = ["a@v3!:5", "a@m2:9", "a@v1:1"];
        let (got, _) = ids(&names, Some(&[false, true, false]));
        assert_eq!(got, ["a@v3!", "a@m2", "a@v1"]);
    }

    #[test]
    fn markers_behind_all_versions_are_joined_by_time() {
        let names = ["a@v1:5", "a@v0:3", "b@v2!:7", "a@m9!:5", "a@m4:4", "b@m1:7"];
        for recorded in [
            Some(&[false, false, false, true, true, true][..]),
            Some(&[false, true][..]),
            None,
        ] {
            let (got, in_order) = ids(&names, recorded);
            let want = ["a@m9!", "a@v1", "a@m4", "a@v0", "b@v2!", "b@m1"];
            assert_eq!((got, in_order), (want.map(str::to_owned).to_vec(), true));
        }
    }

    /// U+1F600 lies behind U+FFFD by its bytes, and before it in UTF-16.
    #[test]
    fn another_order_of_keys_is_noticed_and_left_as_it_is() {
        let names = ["z\u{1f600}@v1!:1", "z\u{fffd}@m2!:1", "z\u{fffd}@v1:1"];
        let recorded = [false, true, false];
        let (got, in_order) = ids(&names, Some(&recorded));
        assert_eq!(got[0], "z\u{1f600}@v1!");
        assert!(!in_order);
        let (_, in_order) = ids(&["b@v1!:1", "a@v1!:1"], None);
        assert!(!in_order);
    }

    #[test]
    fn the_answer_itself_tells_the_order() {
        let body =
            b"<L><Name/><Version><Key/></Version><DeleteMarker/><CommonPrefixes/><Version/></L>";
        assert_eq!(markers_of(body), Some(vec![false, true, false]));
        assert_eq!(markers_of(b"<L><Version/>"), None);
    }
}
