//! The signature takes the hash of a body from its checksum header.
//!
//! Both are the SHA-256 of exactly the bytes that are sent, and the server checks both.
//! Without this the SDK hashes every body again to sign it.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use base64::Engine as _;

/// Where the hash of the body is, in base64.
const CHECKSUM_HEADER: &str = "x-amz-checksum-sha256";

/// Requests whose checksum is that of their body. That of a request to complete
/// an upload would be the whole object's.
const BODY_OPERATIONS: [&str; 2] = ["PutObject", "UploadPart"];

/// Hands the known hash to the signer.
#[derive(Debug)]
pub(super) struct KnownHash;

impl Intercept for KnownHash {
    fn name(&self) -> &'static str {
        "KnownHash"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_of_body = cfg
            .load::<Metadata>()
            .is_some_and(|operation| BODY_OPERATIONS.contains(&operation.name()));
        let checksum = context.request().headers().get(CHECKSUM_HEADER);
        if let Some(checksum) = checksum.filter(|_| is_of_body) {
            let hash = base64::engine::general_purpose::STANDARD.decode(checksum)?;
            cfg.interceptor_state()
                .store_put(PayloadSigningOverride::Precomputed(hex::encode(hash)));
        }
        Ok(())
    }
}
