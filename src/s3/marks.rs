//! Decides whether it was the server that answered.
//!
//! A Wi-Fi's sign-in page, a proxy or another program on the server's address answers 200
//! to anything (`Differs::AnsweredBySomethingElse`). So no answer is believed for its
//! status alone. It must have a mark of S3: a header of S3's own (every server sends the id
//! of the request), the XML document that was asked for, or an ETag without a web page. An
//! answer without one counts as an outage. The caller decides whether an answer fits its
//! request (`acknowledged`).

use super::xml;
use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::http::Headers;

/// How the headers of S3 begin: `x-amz-request-id`, and `x-amzn-requestid` of moto.
const OWN_HEADERS: &str = "x-amz";

/// Statuses besides redirects that would mislead if they are not S3's: a key would seem
/// wrong, a right missing, or a file gone. 413 and the like are about the one request,
/// whoever says so.
const MISLEADING: [u16; 6] = [401, 403, 404, 407, 410, 451];

/// So many characters of a redirect's address are shown.
const LOCATION_CHARS_MAX: usize = 100;

/// Something else answered in the server's place.
#[derive(Debug, thiserror::Error)]
#[error("something between this computer and the server answered in its place: {0}")]
pub(super) struct NotTheServer(String);

/// What to do about that.
pub(super) const HINT: &str = "a Wi-Fi's sign-in page or a proxy does that: open any web page on this computer and sign in, or let requests to the server pass the proxy; Keepwatch tries again by itself";

impl NotTheServer {
    /// Of an answer that is not S3's.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Found among the causes of an error.
    pub(super) fn among<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

/// What a successful answer to a request consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Of an XML document with one of these roots.
    Document(&'static [&'static str]),
    /// Of an object's headers, or an ETag.
    Object,
    /// Of nothing.
    Nothing,
    /// Of nothing, and the caller cannot check it.
    Signed,
}

/// What S3 answers (Amazon S3 API). An operation that is not here is not looked at.
fn shape_of(operation: &str) -> Option<Shape> {
    use crate::s3::marks::Shape::{Document, Nothing, Object, Signed};
    Some(match operation {
        "ListObjectsV2" => Document(&["ListBucketResult"]),
        "ListObjectVersions" => Document(&["ListVersionsResult"]),
        "ListParts" => Document(&["ListPartsResult"]),
        "ListMultipartUploads" => Document(&["ListMultipartUploadsResult"]),
        "ListBuckets" => Document(&["ListAllMyBucketsResult"]),
        "GetBucketVersioning" => Document(&["VersioningConfiguration"]),
        // `Differs::BeginsUnderAnotherRoot`.
        "CreateMultipartUpload" => {
            Document(&["InitiateMultipartUploadResult", "InitiateMultipartUpload"])
        }
        // Both answer 200 before they know the result, and may end in an error.
        "CompleteMultipartUpload" => Document(&["CompleteMultipartUploadResult", "Error"]),
        "CopyObject" => Document(&["CopyObjectResult", "Error"]),
        "UploadPartCopy" => Document(&["CopyPartResult", "Error"]),
        "PutObject" | "UploadPart" | "HeadObject" | "GetObject" => Object,
        "DeleteObject" | "AbortMultipartUpload" => Nothing,
        "RestoreObject" => Signed,
        _ => return None,
    })
}

/// Refuses every answer that is not the server's.
#[derive(Debug)]
pub(super) struct Marks;

impl Intercept for Marks {
    fn name(&self) -> &'static str {
        "Marks"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", |of| of.name());
        Ok(by_headers(operation, context.response())?)
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", |of| of.name());
        let is_read = context.output_or_error().is_ok();
        Ok(by_body(operation, context.response(), is_read)?)
    }
}

/// True for an answer that only S3 gives, by its headers.
pub(super) fn is_marked(headers: &Headers) -> bool {
    headers
        .iter()
        .any(|(name, _)| name.starts_with(OWN_HEADERS))
}

fn is_web_page(headers: &Headers) -> bool {
    let kind = headers.get("content-type").unwrap_or_default();
    let kind = kind.trim_start().to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml")
}

/// Judge an answer by its headers, before the body is there.
fn by_headers(operation: &str, response: &HttpResponse) -> Result<(), NotTheServer> {
    let headers = response.headers();
    let (status, shape) = (response.status().as_u16(), shape_of(operation));
    if is_marked(headers) {
        return Ok(());
    }
    let refuse = || Err(NotTheServer::new(told(response)));
    match (status, shape) {
        (200..=299, Some(Shape::Object)) => {
            let has_etag = headers.get("etag").is_some_and(|etag| !etag.is_empty());
            match has_etag && !is_web_page(headers) {
                true => Ok(()),
                false => refuse(),
            }
        }
        (200..=299, Some(Shape::Nothing)) => {
            let length = headers.get("content-length").unwrap_or("0");
            match length == "0" && !is_web_page(headers) {
                true => Ok(()),
                false => refuse(),
            }
        }
        (200..=299, Some(Shape::Signed)) => refuse(),
        // A HEAD has no body that could tell more.
        _ if operation == "HeadObject" && is_misleading(status) => match is_web_page(headers) {
            true => refuse(),
            false => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Judge an answer by its body; `is_read` says that the SDK understood it.
fn by_body(operation: &str, response: &HttpResponse, is_read: bool) -> Result<(), NotTheServer> {
    let status = response.status().as_u16();
    let is_marked = is_marked(response.headers());
    let refuse = || Err(NotTheServer::new(told(response)));
    let Some(body) = response.body().bytes() else {
        return Ok(());
    };
    match (status, shape_of(operation)) {
        (200..=299, Some(Shape::Document(roots))) => {
            let root = xml::root(body);
            let is_it = root.is_some_and(|root| roots.contains(&root.as_str()));
            // Another kind of server: the SDK's error says what is wrong with it, and a
            // copy is not believed anyway (`Differs::PartCopyStoresNothing`).
            let is_copy = matches!(operation, "CopyObject" | "UploadPartCopy");
            match is_it || (is_marked && (is_copy || !is_read)) {
                true => Ok(()),
                false => refuse(),
            }
        }
        (200..=299, Some(Shape::Nothing)) if !is_marked && !body.is_empty() => refuse(),
        (300..=399, _) | (407 | 511, _) if !is_marked && !is_error(body) => refuse(),
        _ if is_misleading(status) && !is_marked && !body.is_empty() && !is_error(body) => refuse(),
        _ => Ok(()),
    }
}

fn is_misleading(status: u16) -> bool {
    MISLEADING.contains(&status) || (300..=399).contains(&status)
}

/// S3's own words about a failure.
fn is_error(body: &[u8]) -> bool {
    matches!(xml::root(body).as_deref(), Some("Error" | "ErrorResponse"))
}

/// True when the answer to a request that changes the bucket is the server's own.
pub(super) fn is_servers(operation: &str, response: &HttpResponse) -> bool {
    let is_success = response.status().is_success();
    let is_as_it_must_be =
        || by_headers(operation, response).is_ok() && by_body(operation, response, true).is_ok();
    is_own_refusal(response) || (is_success && is_as_it_must_be())
}

/// True when the server itself refuses a request.
pub(super) fn is_own_refusal(response: &HttpResponse) -> bool {
    is_marked(response.headers()) || is_error(response.body().bytes().unwrap_or_default())
}

/// What came, in a few words.
fn told(response: &HttpResponse) -> String {
    let (status, headers) = (response.status().as_u16(), response.headers());
    let body = response.body().bytes().unwrap_or_default();
    if let Some(to) = headers.get("location") {
        let to: String = to.chars().take(LOCATION_CHARS_MAX).collect();
        return format!("HTTP {status}, which leads to {to}");
    }
    let root = xml::root(body).map(|root| root.to_ascii_lowercase());
    let kind = match root.as_deref() {
        Some("html") => "a web page".to_owned(),
        Some(root) => format!("a document <{root}> that is none of S3's"),
        None if is_web_page(headers) => "a web page".to_owned(),
        None if body.is_empty() => "nothing that S3 sends".to_owned(),
        None => "something that is not S3's".to_owned(),
    };
    format!("HTTP {status} with {kind}")
}

/// The server asks for fewer requests.
pub(super) fn is_slow_down(status: u16, body: &[u8]) -> bool {
    const CODE: &[u8] = b"<Code>SlowDown</Code>";
    status == 503 && body.windows(CODE.len()).any(|window| window == CODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    const PAGE: &str = "<!DOCTYPE html><html><body>Please sign in</body></html>";

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> HttpResponse {
        let body = SdkBody::from(body.to_owned());
        let mut response = HttpResponse::new(status.try_into().unwrap(), body);
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    }

    /// What both looks make of it.
    fn judged(operation: &str, response: &HttpResponse) -> Result<(), NotTheServer> {
        by_headers(operation, response)?;
        // What the SDK reads of an answer to these, as it is with a wrong root.
        let is_document = matches!(shape_of(operation), Some(Shape::Document(_)));
        by_body(operation, response, !is_document)
    }

    const OPERATIONS: [&str; 17] = [
        "ListObjectsV2",
        "ListObjectVersions",
        "ListParts",
        "ListMultipartUploads",
        "ListBuckets",
        "GetBucketVersioning",
        "CreateMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "UploadPartCopy",
        "PutObject",
        "UploadPart",
        "HeadObject",
        "GetObject",
        "DeleteObject",
        "AbortMultipartUpload",
        "RestoreObject",
    ];

    #[test]
    fn what_portals_and_proxies_say_is_no_answer_to_anything() {
        let html = [("content-type", "text/html; charset=utf-8")];
        let tagged = [("content-type", "Text/HTML"), ("etag", "\"5f-63\"")];
        let xml = [("content-type", "application/xml")];
        let moved = [("location", "http://login.example/")];
        for operation in OPERATIONS {
            for answer in [
                response(200, &html, PAGE),
                response(200, &tagged, PAGE),
                response(200, &[], PAGE),
                response(200, &xml, "<portal><Status>Enabled</Status></portal>"),
                response(200, &[("content-type", "application/json")], "{}"),
                response(302, &moved, ""),
                response(403, &html, PAGE),
                response(404, &html, PAGE),
                response(407, &html, PAGE),
                response(511, &html, PAGE),
            ] {
                // An error's status alone is an outage to HEAD, whose body is none.
                let status = answer.status().as_u16();
                if operation == "HeadObject" && status == 511 {
                    continue;
                }
                // GET and PUT see no body; those without a page have no ETag.
                let verdict = judged(operation, &answer);
                assert!(
                    verdict.is_err(),
                    "{operation}: {status} {:?}",
                    answer.headers()
                );
            }
            let nothing = matches!(shape_of(operation), Some(Shape::Nothing));
            let empty = judged(operation, &response(200, &[], ""));
            assert_eq!(
                empty.is_ok(),
                nothing,
                "{operation}: whoever asked looks again"
            );
        }
    }

    #[test]
    fn what_servers_say_passes() {
        let id = ("x-amz-request-id", "tx1");
        // moto calls everything a web page.
        let moto = [("x-amzn-requestid", "a"), ("content-type", "text/html")];
        for operation in OPERATIONS {
            let body = match shape_of(operation) {
                Some(Shape::Document(roots)) => format!("<?xml version=\"1.0\"?><{}/>", roots[0]),
                _ => String::new(),
            };
            for headers in [&[id][..], &moto] {
                for status in [200, 204] {
                    let answer = response(status, headers, &body);
                    assert!(judged(operation, &answer).is_ok(), "{operation}");
                }
                for status in [301, 400, 403, 404, 412, 500, 503] {
                    let answer = response(status, headers, "");
                    assert!(judged(operation, &answer).is_ok(), "{operation} {status}");
                }
            }
            let error = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
            for status in [301, 307, 403, 404] {
                let answer = response(status, &[], error);
                assert!(judged(operation, &answer).is_ok(), "{operation} {status}");
            }
            // A proxy's word about this one request.
            let html = [("content-type", "text/html")];
            for status in [400, 411, 413, 500, 502, 503, 504] {
                let answer = response(status, &html, PAGE);
                assert!(judged(operation, &answer).is_ok(), "{operation} {status}");
            }
        }
        let object = response(200, &[("etag", "\"e\"")], "");
        assert!(judged("PutObject", &object).is_ok(), "an ETag and no page");
    }

    #[test]
    fn it_is_told_what_came() {
        for (answer, want) in [
            (response(200, &[], PAGE), "HTTP 200 with a web page"),
            (
                response(302, &[("location", "http://login/")], ""),
                "HTTP 302, which leads to http://login/",
            ),
            (
                response(200, &[], ""),
                "HTTP 200 with nothing that S3 sends",
            ),
            (
                response(200, &[], "<Portal/>"),
                "HTTP 200 with a document <portal> that is none of S3's",
            ),
        ] {
            assert_eq!(told(&answer), want);
        }
    }
}
