//! Operations on buckets.

use super::failure;
use super::inner::{Bucket, Inner, Versioning};
use super::stage::blocking;
use super::vault::Vault;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use std::io;

impl Inner {
    /// Make a bucket with versioning enabled unless it exists. Refused while the vault can
    /// only be read: the caller is going to write, and relies on what is listed, which a
    /// power cut could still undo.
    pub(super) fn ensure_bucket(&self, bucket: &str) -> S3Result<()> {
        if let Some(why) = self.unsettled() {
            return Err(failure::refuse(S3ErrorCode::InternalError, why));
        }
        if self.find_bucket(bucket)?.is_some() {
            return Ok(());
        }
        match self.create_bucket(bucket, Versioning::Enabled) {
            // Somebody else was quicker.
            Err(e) if *e.code() == S3ErrorCode::BucketAlreadyOwnedByYou => Ok(()),
            other => other,
        }
    }

    fn create_bucket(&self, bucket: &str, versioning: Versioning) -> S3Result<()> {
        if !s3s::path::check_bucket_name(bucket) {
            return Err(failure::refuse(
                S3ErrorCode::InvalidBucketName,
                format!(
                    "{bucket:?} is not a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens"
                ),
            ));
        }
        self.own()?;
        let _guard = self.lock_key(bucket, "");
        if self.find_bucket(bucket)?.is_some() {
            return Err(failure::refuse(
                S3ErrorCode::BucketAlreadyOwnedByYou,
                format!("the vault has a bucket {bucket} already"),
            ));
        }
        let folder = self.layout.bucket(bucket);
        let make = || -> io::Result<()> {
            let within = self.layout.buckets();
            for folder in [self.layout.keys(bucket), self.layout.uploads(bucket)] {
                self.disk.make_dirs_in(&within, &folder)?;
            }
            Ok(())
        };
        make().map_err(|e| failure::disk("create", &folder, &e))?;
        self.names.forget(&folder);
        self.write_bucket(
            bucket,
            &Bucket {
                created_ms: self.now_ms(),
                versioning,
            },
        )
    }

    fn delete_bucket(&self, bucket: &str) -> S3Result<()> {
        self.own()?;
        let _guard = self.lock_key(bucket, "");
        self.bucket(bucket)?;
        if self.has_versions(bucket)? {
            return Err(failure::refuse(
                S3ErrorCode::BucketNotEmpty,
                format!("the bucket {bucket} still has objects or versions"),
            ));
        }
        let plain = self.layout.plain_root(bucket);
        if plain.exists() && !self.disk.remove_empty_dir(&plain) {
            return Err(failure::refuse(
                S3ErrorCode::BucketNotEmpty,
                format!(
                    "there are files in {} that do not belong to the vault",
                    plain.display()
                ),
            ));
        }
        let folder = self.layout.bucket(bucket);
        let tmp = self.layout.new_tmp();
        self.disk
            .rename(&folder, &tmp)
            .and_then(|()| self.disk.remove_tree(&tmp))
            .map_err(|e| failure::disk("remove", &folder, &e))?;
        self.names.forget(&folder);
        Ok(())
    }

    /// All buckets, by name.
    fn buckets(&self) -> S3Result<Vec<(String, Bucket)>> {
        let root = self.layout.buckets();
        let fail = |e: io::Error| failure::disk("list", &root, &e);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&root).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix("b-")) else {
                continue;
            };
            if let Some(bucket) = self.find_bucket(name)? {
                all.push((name.to_owned(), bucket));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn set_versioning(&self, bucket: &str, versioning: Versioning) -> S3Result<()> {
        self.own()?;
        let _guard = self.lock_key(bucket, "");
        let state = self.bucket(bucket)?;
        self.write_bucket(
            bucket,
            &Bucket {
                versioning,
                ..state
            },
        )
    }
}

impl Vault {
    pub(super) async fn op_create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let inner = self.inner.clone();
        let bucket = request.input.bucket;
        let location = format!("/{bucket}");
        blocking(move || inner.create_bucket(&bucket, Versioning::Never)).await?;
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(location),
        }))
    }

    pub(super) async fn op_head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let inner = self.inner.clone();
        blocking(move || inner.bucket(&request.input.bucket))
            .await
            .map_err(failure::with_message_header)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    pub(super) async fn op_list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let inner = self.inner.clone();
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token;
        let max = input
            .max_buckets
            .and_then(|max| usize::try_from(max).ok())
            .unwrap_or(usize::MAX);
        let mut all = blocking(move || inner.buckets()).await?;
        all.retain(|(name, _)| {
            name.starts_with(&prefix) && after.as_ref().is_none_or(|after| name > after)
        });
        let token = (all.len() > max && max > 0).then(|| all[max - 1].0.clone());
        all.truncate(max);
        let buckets = all
            .into_iter()
            .map(|(name, bucket)| s3s::dto::Bucket {
                name: Some(name),
                creation_date: Some(super::convert::timestamp(bucket.created_ms)),
                ..Default::default()
            })
            .collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            continuation_token: token,
            owner: Some(owner()),
            prefix: input.prefix,
        }))
    }

    pub(super) async fn op_delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let inner = self.inner.clone();
        blocking(move || inner.delete_bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    pub(super) async fn op_get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let inner = self.inner.clone();
        let bucket = blocking(move || inner.bucket(&request.input.bucket)).await?;
        let status = match bucket.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: status.map(BucketVersioningStatus::from_static),
            ..Default::default()
        }))
    }

    pub(super) async fn op_put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let inner = self.inner.clone();
        let status = request.input.versioning_configuration.status;
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => {
                return Err(failure::refuse(
                    S3ErrorCode::IllegalVersioningConfigurationException,
                    "the versioning status must be Enabled or Suspended",
                ));
            }
        };
        blocking(move || inner.set_versioning(&request.input.bucket, versioning)).await?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    pub(super) async fn op_get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let inner = self.inner.clone();
        blocking(move || inner.bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }
}

/// The one owner of everything in a vault.
pub(super) fn owner() -> Owner {
    Owner {
        display_name: Some("keepwatch".to_owned()),
        id: Some("keepwatch".to_owned()),
    }
}
