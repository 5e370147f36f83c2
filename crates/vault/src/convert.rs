//! Converts between S3's types and the vault's: headers, checksums, times, URL encoding.

use super::checksum::Algorithm;
use super::record::{Header, Object, Sums};
use super::stage::Wanted;
use parking_lot::Mutex;
use s3s::S3Request;
use s3s::dto::{CommonPrefix, EncodingType, Metadata, StorageClass, Timestamp, TimestampFormat};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// S3's limit on user metadata, names and values together.
const METADATA_BYTES_MAX: usize = 2048;

/// The checksums that follow a body which the in-process connector decodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailers(pub(super) Arc<Mutex<Option<http::HeaderMap>>>);

/// Milliseconds since 1970 as S3's time.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    let distance = Duration::from_millis(ms.unsigned_abs());
    Timestamp::from(if ms < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    })
}

/// S3's time in whole seconds since 1970, like HTTP dates.
pub(super) fn seconds(time: &Timestamp) -> i64 {
    let mut text = Vec::new();
    if time
        .format(TimestampFormat::EpochSeconds, &mut text)
        .is_err()
    {
        return 0;
    }
    std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.split('.').next())
        .and_then(|whole| whole.parse().ok())
        .unwrap_or(0)
}

/// The headers of an operation that are kept with the object.
macro_rules! kept_headers {
    ($input:expr) => {{
        let mut kept = std::collections::BTreeMap::new();
        let mut keep = |header, value: Option<String>| {
            if let Some(value) = value {
                kept.insert(header, value);
            }
        };
        use $crate::record::Header;
        keep(Header::CacheControl, $input.cache_control.clone());
        keep(
            Header::ContentDisposition,
            $input.content_disposition.clone(),
        );
        keep(
            Header::ContentEncoding,
            $input
                .content_encoding
                .as_deref()
                .and_then($crate::convert::own_encoding),
        );
        keep(Header::ContentLanguage, $input.content_language.clone());
        keep(Header::ContentType, $input.content_type.clone());
        keep(
            Header::Expires,
            $input.expires.as_ref().and_then($crate::convert::http_date),
        );
        keep(
            Header::StorageClass,
            $input
                .storage_class
                .as_ref()
                .map(|class| class.as_str().to_owned())
                .filter(|class| class != "STANDARD"),
        );
        keep(
            Header::WebsiteRedirectLocation,
            $input.website_redirect_location.clone(),
        );
        kept
    }};
}
pub(super) use kept_headers;

/// Fill the output of GET or HEAD with what is known of the object.
macro_rules! describe {
    ($output:expr, $version:expr, $object:expr, $shows_sums:expr) => {{
        use $crate::record::Header;
        let header = |name| $object.headers.get(&name).cloned();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = header(Header::CacheControl);
        $output.content_disposition = header(Header::ContentDisposition);
        $output.content_encoding = header(Header::ContentEncoding);
        $output.content_language = header(Header::ContentLanguage);
        $output.content_type =
            header(Header::ContentType).or_else(|| Some("binary/octet-stream".to_owned()));
        $output.expires = header(Header::Expires)
            .and_then(|date| Timestamp::parse(TimestampFormat::HttpDate, &date).ok());
        $output.storage_class = header(Header::StorageClass).map(s3s::dto::StorageClass::from);
        $output.website_redirect_location = header(Header::WebsiteRedirectLocation);
        $output.e_tag = Some(s3s::dto::ETag::Strong($object.etag.clone()));
        $output.last_modified = Some($crate::convert::timestamp($version.modified_ms));
        $output.metadata = $crate::convert::metadata_of(&$object);
        if $shows_sums {
            $crate::convert::set_sums!($output, $object.sums);
            $output.checksum_type = $crate::convert::sum_type(&$object.sums);
        }
    }};
}
pub(super) use describe;

/// Copy checksums into any of S3's outputs.
macro_rules! set_sums {
    ($output:expr, $sums:expr) => {{
        $output.checksum_crc32.clone_from(&$sums.crc32);
        $output.checksum_crc32c.clone_from(&$sums.crc32c);
        $output.checksum_crc64nvme.clone_from(&$sums.crc64nvme);
        $output.checksum_sha1.clone_from(&$sums.sha1);
        $output.checksum_sha256.clone_from(&$sums.sha256);
    }};
}
pub(super) use set_sums;

/// Take checksums from any of S3's inputs.
macro_rules! get_sums {
    ($input:expr) => {
        $crate::record::Sums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            is_composite: false,
        }
    };
}
pub(super) use get_sums;

/// The type of a checksum, where there is one.
pub(super) fn sum_type(sums: &Sums) -> Option<s3s::dto::ChecksumType> {
    use s3s::dto::ChecksumType;
    if sums.is_empty() {
        return None;
    }
    Some(ChecksumType::from_static(if sums.is_composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    }))
}

/// The object's own encoding: `aws-chunked` was the transfer's.
pub(super) fn own_encoding(encoding: &str) -> Option<String> {
    let own: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!own.is_empty()).then(|| own.join(","))
}

pub(super) fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub(super) fn metadata_of(object: &Object) -> Option<Metadata> {
    (!object.metadata.is_empty()).then(|| {
        object
            .metadata
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    })
}

/// User metadata in a fixed order, if S3 would take it.
pub(super) fn own_metadata(metadata: Option<&Metadata>) -> s3s::S3Result<BTreeMap<String, String>> {
    let own: BTreeMap<String, String> = metadata
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let bytes: usize = own
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(super::failure::refuse(
            s3s::S3ErrorCode::MetadataTooLarge,
            format!("user metadata has {bytes} bytes, {METADATA_BYTES_MAX} are allowed"),
        ));
    }
    Ok(own)
}

/// The object's storage class, as listings show it.
pub(super) fn storage_class(object: &Object) -> String {
    object
        .headers
        .get(&Header::StorageClass)
        .map_or_else(|| StorageClass::STANDARD.to_owned(), Clone::clone)
}

/// What a body must be, by the request's headers.
pub(super) fn wanted<T>(
    request: &S3Request<T>,
    given: Sums,
    md5: Option<String>,
    size: Option<i64>,
) -> Wanted {
    let trailing = request
        .headers
        .get_all("x-amz-trailer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Algorithm::parse)
        .collect();
    Wanted {
        given,
        algorithms: Vec::new(),
        trailing,
        md5,
        size: size.and_then(|size| u64::try_from(size).ok()),
    }
}

/// The headers that came after the body, once it is through.
pub(super) fn trailers<T>(
    request: &S3Request<T>,
) -> impl FnOnce() -> Option<http::HeaderMap> + use<T> {
    let verified = request.trailing_headers.clone();
    let decoded = request.extensions.get::<Trailers>().cloned();
    move || {
        verified
            .and_then(|trailers| trailers.take())
            .or_else(|| decoded?.0.lock().take())
    }
}

/// Text for a listing's XML, URL-encoded where the client asked for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoder {
    is_url: bool,
}

impl Encoder {
    pub(super) fn new(encoding: Option<&EncodingType>) -> Self {
        Self {
            is_url: encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        if !self.is_url {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    out.push(char::from(byte));
                }
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    }

    pub(super) fn option(self, text: Option<&String>) -> Option<String> {
        text.map(|text| self.text(text))
    }

    pub(super) fn prefix(self, prefix: &str) -> CommonPrefix {
        CommonPrefix {
            prefix: Some(self.text(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transfers_encoding_is_not_the_objects() {
        for (sent, kept) in [
            ("gzip", Some("gzip")),
            ("aws-chunked", None),
            ("gzip, aws-chunked", Some("gzip")),
            ("AWS-CHUNKED,gzip,br", Some("gzip,br")),
            ("", None),
        ] {
            assert_eq!(own_encoding(sent).as_deref(), kept, "{sent}");
        }
    }

    #[test]
    fn times_round_trip_to_the_second() {
        for ms in [0_i64, 1_700_000_000_123, 999, -1_500] {
            let second = ms.div_euclid(1000);
            let shown = seconds(&timestamp(ms));
            assert!((shown - second).abs() <= i64::from(ms < 0), "{ms}: {shown}");
        }
    }

    #[test]
    fn url_encoding_leaves_slashes() {
        let encoder = Encoder { is_url: true };
        assert_eq!(encoder.text("a b/ü+\u{1}"), "a%20b/%C3%BC%2B%01");
        assert_eq!(Encoder { is_url: false }.text("a b"), "a b");
    }
}
