//! Makes requests without a body say so.
//!
//! HTTP allows a PUT or POST without a body to leave out its length, and hyper does. Ceph
//! RGW then refuses to copy a part (`Differs::PartCopyWantsLength`), and some proxies
//! answer 411 to any such request.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;

const LENGTH: &str = "content-length";

/// Gives `Content-Length: 0` to every PUT and POST without a body.
#[derive(Debug)]
pub(super) struct NoBody;

impl Intercept for NoBody {
    fn name(&self) -> &'static str {
        "NoBody"
    }

    /// Before signing: what is signed is what goes out.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let sends = matches!(request.method(), "PUT" | "POST");
        if sends && request.body().content_length() == Some(0) {
            request.headers_mut().insert(LENGTH, "0");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::s3::{At, CopyFrom, ObjectHeaders, Proof, Store, Upload};
    use crate::types::{ContentHash, ETag, ObjectMeta, VersionId};
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// The head of each request as it is on the wire; all are answered with 400.
    async fn heads_of(requests: usize, listener: TcpListener) -> Vec<String> {
        let mut heads = Vec::new();
        while heads.len() < requests {
            let (mut stream, _) = listener.accept().await.unwrap();
            heads.push(head_of(&mut stream).await);
            let answer =
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        heads
    }

    async fn head_of(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut some = [0; 4096];
            let got = stream.read(&mut some).await.unwrap();
            assert!(got > 0, "{bytes:?}");
            bytes.extend_from_slice(&some[..got]);
        }
        String::from_utf8_lossy(&bytes).to_ascii_lowercase()
    }

    #[tokio::test]
    async fn what_has_no_body_says_so_once_on_the_wire() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = tokio::spawn(heads_of(5, listener));
        let store = Store::over_http(&url).await;
        let at = At {
            bucket: "b",
            key: "k",
        };
        let headers = ObjectHeaders {
            meta: ObjectMeta::of(&crate::types::Fingerprint::UNSEEN, None),
            gzip: false,
            content_type: None,
        };
        let (version_id, etag) = (VersionId::new("v"), ETag::from("e"));
        let from = CopyFrom {
            key: "from",
            version_id: version_id.as_ref(),
            etag: &etag,
        };
        let upload = Upload {
            id: "u".into(),
            proof: Proof::EachPart,
        };
        // What they come to does not matter here: all are refused.
        let _ = store.copy(at, &from, &headers).await;
        let _ = store.copy_part(at, &upload, 1, &from, 0..9).await;
        let _ = store.begin_with(at, &headers, Proof::EachPart).await;
        let nothing = Bytes::new();
        let _ = store.put(at, nothing, ContentHash::of(b""), &headers).await;
        let _ = store.mark_deleted(at).await;
        let heads = heads.await.unwrap();
        for (name, head) in ["copy", "part", "begin", "put"].iter().zip(&heads) {
            let lengths: Vec<_> = head
                .lines()
                .filter(|line| line.starts_with("content-length"))
                .collect();
            assert_eq!(lengths, ["content-length: 0"], "{name}: {head}");
            assert!(!head.contains("transfer-encoding"), "{name}: {head}");
            let signed = head.split("signedheaders=").nth(1).unwrap_or_default();
            assert!(signed.contains("content-length"), "{name}: {head}");
        }
        assert!(heads[4].starts_with("delete "), "{}", heads[4]);
    }
}
