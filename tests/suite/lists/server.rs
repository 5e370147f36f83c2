//! A server whose lists have one peculiarity, and a bucket in them that is known.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::s3::{ListedVersion, Store};
use keepwatch_vault::VaultConnector;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a server does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Nothing: as AWS does it.
    Plain,
    /// `Differs::MarkerNotEncoded`
    MarkerNotEncoded,
    /// Nothing is encoded, whatever was asked for.
    NothingEncoded,
    /// It decodes markers once more than it should.
    DecodesTwice,
    /// A page begins with the marker itself.
    Inclusive,
    /// A page begins so many items before the marker.
    Earlier(usize),
    /// Markers, tokens and all are ignored.
    FromTheBeginning,
    /// So many items are left out between pages.
    LeavesOut(usize),
    /// More follows, and it does not say where.
    NoMarker,
    /// It says neither that more follows nor where.
    NoWord,
    /// It says of every page that it is the last.
    SaysItIsTheLast,
    /// Every second page is empty.
    EmptyPages,
    /// Pages end where a key ends; versions are no markers.
    KeysAsMarkers,
    /// Each item comes twice in a row.
    Doubles,
    /// Two keys of each page stand the wrong way round.
    Swapped,
    /// Keys in the order of UTF-16, as Java and JavaScript compare.
    Utf16,
    /// `Differs::MarkersBehindVersions`
    MarkersBehind,
    /// It counts more keys than it gives.
    CountsMore,
    /// It counts no keys at all.
    CountsNone,
    /// It knows tokens and no `start-after`.
    TokensOnly,
    /// It knows `start-after` and no tokens.
    NoTokens,
}

/// One version or marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub version_id: String,
    pub is_marker: bool,
    pub is_latest: bool,
    pub bytes: u64,
    pub at_s: i64,
}

impl Entry {
    pub fn of(version: &ListedVersion) -> Self {
        Self {
            key: version.key.clone(),
            version_id: keepwatch::types::id_text(&version.version_id).to_owned(),
            is_marker: version.is_marker,
            is_latest: version.is_latest,
            bytes: version.stored_bytes,
            at_s: version.modified_ms.0.div_euclid(1_000),
        }
    }
}

struct Inner {
    entries: Vec<Entry>,
    quirk: Quirk,
    page_max: usize,
    vault: Option<VaultConnector>,
    lists: AtomicU64,
}

/// The connector; everything but lists goes to a vault, where there is one.
#[derive(Clone)]
pub struct Lists(Arc<Inner>);

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lists")
    }
}

impl HttpClient for Lists {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Lists {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = Asked::of(&request);
        let answer = if asked.has("versions") {
            self.versions(&asked)
        } else if asked.has("list-type") {
            self.objects(&asked)
        } else {
            match &self.0.vault {
                Some(vault) => return vault.call(request),
                None => self.head(&request, &asked),
            }
        };
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// The fields of a request's query, percent-escapes undone.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(request: &HttpRequest) -> Self {
        let query = request.uri().split_once('?').map_or("", |(_, query)| query);
        let decoded = |text: &str| decoded(text, false);
        let fields = query.split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(fields.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

fn decoded(text: &str, with_plus: bool) -> String {
    let text = match with_plus {
        true => text.replace('+', " "),
        false => text.to_owned(),
    };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// As AWS encodes keys in lists: blanks as `+`.
fn encoded(key: &str) -> String {
    const SET: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.');
    utf8_percent_encode(key, SET)
        .to_string()
        .replace("%20", "+")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn answer(status: u16, headers: &[(&'static str, String)], body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.clone());
    }
    response
}

impl Lists {
    /// Lists of these, pages of at most so many.
    pub fn new(
        mut entries: Vec<Entry>,
        quirk: Quirk,
        page_max: usize,
        vault: Option<VaultConnector>,
    ) -> Self {
        if quirk == Quirk::Utf16 {
            entries.sort_by_key(|entry| entry.key.encode_utf16().collect::<Vec<u16>>());
        }
        Self(Arc::new(Inner {
            entries,
            quirk,
            page_max,
            vault,
            lists: AtomicU64::new(0),
        }))
    }

    pub fn store(&self) -> Store {
        Store::vault(
            SharedHttpClient::new(self.clone()),
            "a server with a peculiarity",
        )
    }

    /// Lists that were asked for so far.
    pub fn asked(&self) -> u64 {
        self.0.lists.load(Ordering::Relaxed)
    }

    fn key(&self, key: &str) -> String {
        match self.0.quirk {
            Quirk::NothingEncoded => escaped(key),
            _ => encoded(key),
        }
    }

    fn encoding(&self) -> &'static str {
        match self.0.quirk {
            Quirk::NothingEncoded => "",
            _ => "<EncodingType>url</EncodingType>",
        }
    }

    /// Whether `key` stands behind `marker` in this server's order.
    fn is_behind(&self, key: &str, marker: &str) -> bool {
        match self.0.quirk {
            Quirk::Utf16 => key.encode_utf16().gt(marker.encode_utf16()),
            _ => key > marker,
        }
    }

    /// The number of the item to begin with.
    fn begin(&self, items: &[&Entry], key: Option<&str>, version_id: Option<&str>) -> usize {
        let Some(marker) = key.filter(|key| !key.is_empty()) else {
            return 0;
        };
        let marker = match self.0.quirk {
            Quirk::DecodesTwice => decoded(marker, true),
            _ => marker.to_owned(),
        };
        let version_id = version_id.filter(|_| self.0.quirk != Quirk::KeysAsMarkers);
        let exactly = version_id.and_then(|id| {
            let is_it = |entry: &&Entry| entry.key == marker && entry.version_id == id;
            items.iter().position(is_it).map(|place| place + 1)
        });
        let behind = || {
            let first = items.iter().position(|e| self.is_behind(&e.key, &marker));
            first.unwrap_or(items.len())
        };
        let begin = exactly.unwrap_or_else(behind);
        match self.0.quirk {
            Quirk::Inclusive => begin.saturating_sub(1),
            Quirk::Earlier(items) => begin.saturating_sub(items),
            Quirk::FromTheBeginning => 0,
            Quirk::LeavesOut(left_out) => (begin + left_out).min(items.len()),
            _ => begin,
        }
    }

    /// The items of one page and whether more follow.
    fn page<'a>(&self, items: &[&'a Entry], begin: usize, max: usize) -> (Vec<&'a Entry>, bool) {
        let number = self.0.lists.fetch_add(1, Ordering::Relaxed);
        let is_between =
            (1..items.len()).contains(&begin) && items[begin - 1].key != items[begin].key;
        if self.0.quirk == Quirk::EmptyPages && number % 2 == 1 && is_between {
            return (Vec::new(), true);
        }
        let mut end = items.len().min(begin + max.min(self.0.page_max));
        if self.0.quirk == Quirk::KeysAsMarkers && end < items.len() {
            let is_key_end = |n: &usize| items[*n - 1].key != items[*n].key;
            end = (begin + 1..=end).rev().find(is_key_end).unwrap_or(end);
        }
        let mut page = items[begin..end].to_vec();
        match self.0.quirk {
            Quirk::Doubles => page = page.iter().flat_map(|entry| [*entry, *entry]).collect(),
            Quirk::Swapped if page.len() > 3 => page.swap(0, 3),
            _ => {}
        }
        (page, end < items.len())
    }

    fn versions(&self, asked: &Asked) -> HttpResponse {
        let prefix = asked.get("prefix").unwrap_or_default();
        let items: Vec<&Entry> = self
            .0
            .entries
            .iter()
            .filter(|e| e.key.starts_with(prefix))
            .collect();
        let begin = self.begin(
            &items,
            asked.get("key-marker"),
            asked.get("version-id-marker"),
        );
        let max = asked
            .get("max-keys")
            .map_or(1_000, |max| max.parse().unwrap());
        let (page, is_more) = self.page(&items, begin, max);
        let before = begin.checked_sub(1).map(|place| items[place]);
        let last = page.last().copied().or(before);
        let mut rows: Vec<&Entry> = page.clone();
        if self.0.quirk == Quirk::MarkersBehind {
            rows.sort_by_key(|entry| entry.is_marker);
        }
        let mut xml = format!(
            "<?xml version=\"1.0\"?><ListVersionsResult>{}",
            self.encoding()
        );
        for entry in rows {
            let at = jiff::Timestamp::from_second(entry.at_s).unwrap();
            let (name, more) = match entry.is_marker {
                true => ("DeleteMarker", String::new()),
                false => (
                    "Version",
                    format!(
                        "<ETag>\"e\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass>",
                        entry.bytes
                    ),
                ),
            };
            write!(
                xml,
                "<{name}><Key>{}</Key><VersionId>{}</VersionId><IsLatest>{}</IsLatest><LastModified>{at}</LastModified>{more}</{name}>",
                self.key(&entry.key), entry.version_id, entry.is_latest,
            )
            .unwrap();
        }
        match self.0.quirk {
            Quirk::NoWord => {}
            Quirk::SaysItIsTheLast => xml += "<IsTruncated>false</IsTruncated>",
            _ => write!(xml, "<IsTruncated>{is_more}</IsTruncated>").unwrap(),
        }
        let says_where = !matches!(
            self.0.quirk,
            Quirk::NoWord | Quirk::NoMarker | Quirk::SaysItIsTheLast
        );
        if let Some(last) = last.filter(|_| is_more && says_where) {
            let key = match self.0.quirk {
                Quirk::MarkerNotEncoded => escaped(&last.key),
                // It has looked on, and come to nothing yet.
                _ if page.is_empty() => self.key(&format!("{}!", last.key)),
                _ => self.key(&last.key),
            };
            write!(xml, "<NextKeyMarker>{key}</NextKeyMarker>").unwrap();
            if self.0.quirk != Quirk::KeysAsMarkers && !page.is_empty() {
                let id = &last.version_id;
                write!(xml, "<NextVersionIdMarker>{id}</NextVersionIdMarker>").unwrap();
            }
        }
        answer(200, &[], xml + "</ListVersionsResult>")
    }

    fn objects(&self, asked: &Asked) -> HttpResponse {
        let prefix = asked.get("prefix").unwrap_or_default();
        let is_here = |e: &&Entry| e.is_latest && !e.is_marker && e.key.starts_with(prefix);
        let items: Vec<&Entry> = self.0.entries.iter().filter(is_here).collect();
        let token = asked
            .get("continuation-token")
            .filter(|_| self.0.quirk != Quirk::NoTokens);
        let start_after = asked
            .get("start-after")
            .filter(|_| self.0.quirk != Quirk::TokensOnly);
        let begin = match token {
            Some(token) => token.split('-').nth(1).unwrap().parse().unwrap(),
            None => self.begin(&items, start_after, None),
        };
        let begin = match self.0.quirk {
            Quirk::FromTheBeginning => 0,
            _ => begin,
        };
        let max = asked
            .get("max-keys")
            .map_or(1_000, |max| max.parse().unwrap());
        let (page, is_more) = self.page(&items, begin, max);
        let mut xml = format!(
            "<?xml version=\"1.0\"?><ListBucketResult>{}",
            self.encoding()
        );
        for entry in &page {
            let at = jiff::Timestamp::from_second(entry.at_s).unwrap();
            write!(
                xml,
                "<Contents><Key>{}</Key><ETag>\"e\"</ETag><Size>{}</Size><LastModified>{at}</LastModified></Contents>",
                self.key(&entry.key), entry.bytes,
            )
            .unwrap();
        }
        match self.0.quirk {
            Quirk::CountsMore => write!(xml, "<KeyCount>{}</KeyCount>", page.len() + 1).unwrap(),
            Quirk::CountsNone => xml += "<KeyCount>0</KeyCount>",
            _ => write!(xml, "<KeyCount>{}</KeyCount>", page.len()).unwrap(),
        }
        match self.0.quirk {
            Quirk::NoWord => {}
            Quirk::SaysItIsTheLast => xml += "<IsTruncated>false</IsTruncated>",
            _ => write!(xml, "<IsTruncated>{is_more}</IsTruncated>").unwrap(),
        }
        let says_where = !matches!(
            self.0.quirk,
            Quirk::NoWord | Quirk::NoMarker | Quirk::SaysItIsTheLast
        );
        if is_more && says_where {
            let given = page.len() / if self.0.quirk == Quirk::Doubles { 2 } else { 1 };
            let (place, number) = (begin + given, self.asked());
            write!(
                xml,
                "<NextContinuationToken>t-{place}-{number}</NextContinuationToken>"
            )
            .unwrap();
        }
        answer(200, &[], xml + "</ListBucketResult>")
    }

    /// HEAD of a version: everything that is in the lists is there.
    fn head(&self, request: &HttpRequest, asked: &Asked) -> HttpResponse {
        assert_eq!(request.method(), "HEAD", "{}", request.uri());
        let id = asked.get("versionId").unwrap_or_default();
        let found = self.0.entries.iter().find(|entry| entry.version_id == id);
        let marks = [
            ("x-amz-request-id", "test".to_owned()),
            ("etag", "\"e\"".to_owned()),
        ];
        let status = match found {
            None => 404,
            Some(entry) if entry.is_marker => 405,
            Some(_) => 200,
        };
        answer(status, &marks, String::new())
    }
}
