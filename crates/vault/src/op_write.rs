//! PUT and delete of objects.

use super::convert::{self, get_sums, kept_headers, own_metadata, set_sums, sum_type};
use super::failure;
use super::inner::{Inner, Versioning};
use super::op_copy::copy;
use super::precondition::Precondition;
use super::record::Object;
use super::stage::{blocking, drain, receive};
use super::vault::Vault;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

/// The length a body was announced with. An empty body may come unannounced.
pub(super) fn announced(length: Option<i64>, body: Option<&StreamingBlob>) -> Option<i64> {
    use s3s::stream::ByteStream as _;
    length.or_else(|| match body.map(|body| body.remaining_length().exact()) {
        None | Some(Some(0)) => Some(0),
        _ => None,
    })
}

impl Vault {
    pub(super) async fn op_put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = request.input.body.take();
        let precondition = Precondition {
            if_match: request.input.if_match.clone(),
            if_none_match: request.input.if_none_match.clone(),
        };
        // Refuse before the body is through what can be refused before.
        let inner = self.inner.clone();
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let early = precondition.clone();
        let checked = blocking(move || inner.check_early(&bucket, &key, &early)).await;
        let metadata = own_metadata(request.input.metadata.as_ref());
        let (state, metadata) = match (checked, metadata) {
            (Ok(state), Ok(metadata)) => (state, metadata),
            (Err(e), _) | (_, Err(e)) => {
                drain(body).await;
                return Err(e);
            }
        };
        let length = announced(request.input.content_length, body.as_ref());
        let given = get_sums!(request.input);
        let md5 = request.input.content_md5.clone();
        let wanted = convert::wanted(&request, given, md5, length);
        let trailers = convert::trailers(&request);
        let (staged, sums) = receive(&self.inner, body, wanted, trailers).await?;
        let input = request.input;
        let object = Object {
            etag: staged.md5.clone(),
            sums: sums.clone(),
            headers: kept_headers!(input),
            metadata,
            ..Object::default()
        };
        let etag = object.etag.clone();
        let inner = self.inner.clone();
        let version =
            blocking(move || inner.put(&input.bucket, &input.key, staged, object, &precondition))
                .await?;
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_type: sum_type(&sums),
            version_id: (state != Versioning::Never).then_some(version.id),
            ..Default::default()
        };
        set_sums!(output, sums);
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let inner = self.inner.clone();
        let output = blocking(move || copy(&inner, &request.input)).await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let inner = self.inner.clone();
        let input = request.input;
        let precondition = Precondition {
            if_match: input.if_match.clone(),
            if_none_match: None,
        };
        let removed = blocking(move || {
            let (bucket, key) = (&input.bucket, &input.key);
            match &input.version_id {
                Some(id) => inner.remove_version(bucket, key, id),
                None => inner.delete(bucket, key, &precondition),
            }
        })
        .await?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: removed.is_marker.then_some(true),
            version_id: removed.id,
            ..Default::default()
        }))
    }

    pub(super) async fn op_delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let inner = self.inner.clone();
        let output = blocking(move || delete_many(&inner, request.input)).await?;
        Ok(S3Response::new(output))
    }
}

impl Inner {
    /// Check a PUT before its body has come. The precondition is checked again, under the
    /// lock, when it has.
    fn check_early(
        &self,
        bucket: &str,
        key: &str,
        precondition: &Precondition,
    ) -> S3Result<Versioning> {
        let state = self.bucket(bucket)?;
        if precondition.if_match.is_some() || precondition.if_none_match.is_some() {
            let newest = self.newest(bucket, key)?;
            precondition.check(newest.as_ref().and_then(|version| version.object.as_ref()))?;
        }
        Ok(state.versioning)
    }
}

/// S3 takes at most this many keys in one request.
const DELETE_KEYS_MAX: usize = 1000;

fn delete_many(inner: &Inner, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    inner.bucket(&input.bucket)?;
    if input.delete.objects.len() > DELETE_KEYS_MAX {
        return Err(failure::refuse(
            S3ErrorCode::MalformedXML,
            format!("at most {DELETE_KEYS_MAX} objects can be deleted at once"),
        ));
    }
    let is_quiet = input.delete.quiet.unwrap_or(false);
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in input.delete.objects {
        let key = &object.key;
        let done = match &object.version_id {
            Some(id) => inner.remove_version(&input.bucket, key, id),
            None => inner.delete(&input.bucket, key, &Precondition::default()),
        };
        match done {
            Ok(_) if is_quiet => {}
            Ok(removed) => deleted.push(DeletedObject {
                delete_marker: removed.is_marker.then_some(true),
                delete_marker_version_id: removed.id.filter(|_| removed.is_marker),
                key: Some(object.key),
                version_id: object.version_id,
            }),
            Err(e) => errors.push(Error {
                code: Some(e.code().as_str().to_owned()),
                message: e.message().map(str::to_owned),
                key: Some(object.key),
                version_id: object.version_id,
            }),
        }
    }
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    })
}
