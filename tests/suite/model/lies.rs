//! Answers that are none of S3's, and requests that lose their conditions on the
//! way, as proxies, portals and servers have them.

use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use keepwatch_vault::IN_PROCESS_ENDPOINT;
use std::io;

/// What a portal shows to whoever has not agreed to its terms.
const PORTAL: &str =
    "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please log in.</body></html>";

/// Headers that make a request conditional.
const CONDITIONS: [&str; 8] = [
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-unmodified-since",
];

/// 200 with a page for people.
pub fn page(date: &str, is_head_method: bool) -> String {
    let body = if is_head_method { "" } else { PORTAL };
    format!(
        "HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        PORTAL.len()
    )
}

/// 200 and nothing else.
pub fn nothing(date: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn is_condition(name: &str) -> bool {
    CONDITIONS.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Whether a request's head has a condition.
pub fn is_conditional(head: &str) -> bool {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.any(|(name, _)| is_condition(name))
}

/// The vault carries it out as if it had no conditions; the answer. They are
/// signed, so it goes in by the door at which nobody looks at signatures.
pub async fn unconditional(
    vault: &SharedHttpConnector,
    head: &str,
    body: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{IN_PROCESS_ENDPOINT}{target}"));
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let is_of_this_line = ["host", "connection"].contains(&name.to_ascii_lowercase().as_str());
        if !is_condition(name) && !is_of_this_line {
            request = request.header(name, value.trim());
        }
    }
    let request = request
        .body(SdkBody::from(body))
        .map_err(io::Error::other)?;
    let request = HttpRequest::try_from(request).map_err(io::Error::other)?;
    let response = vault.call(request).await.map_err(io::Error::other)?;
    let response = response.try_into_http1x().map_err(io::Error::other)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut answer = format!("HTTP/1.1 {} By The Vault\r\n", parts.status.as_u16());
    // The length of what a GET would bring stays.
    let is_head_method = method == "HEAD";
    for (name, value) in &parts.headers {
        if is_head_method || name != http::header::CONTENT_LENGTH {
            answer += &format!("{name}: {}\r\n", value.to_str().map_err(io::Error::other)?);
        }
    }
    answer += &format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Ok([answer.as_bytes(), &body].concat())
}
