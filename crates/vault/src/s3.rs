//! The vault as an `s3s` service: hands each operation on to the method that does it.
//!
//! Any other operation answers `NotImplemented`.

use super::vault::Vault;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

/// Hand operations on to the methods that do them.
macro_rules! operations {
    ($($operation:ident => $method:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Vault {
            $(
                async fn $operation(
                    &self,
                    request: S3Request<$input>,
                ) -> S3Result<S3Response<$output>> {
                    self.$method(request).await
                }
            )*
        }
    };
}

operations! {
    create_bucket => op_create_bucket(CreateBucketInput) -> CreateBucketOutput;
    head_bucket => op_head_bucket(HeadBucketInput) -> HeadBucketOutput;
    list_buckets => op_list_buckets(ListBucketsInput) -> ListBucketsOutput;
    delete_bucket => op_delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    get_bucket_versioning => op_get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    put_bucket_versioning => op_put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput;
    get_bucket_location => op_get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    get_object => op_get_object(GetObjectInput) -> GetObjectOutput;
    head_object => op_head_object(HeadObjectInput) -> HeadObjectOutput;
    put_object => op_put_object(PutObjectInput) -> PutObjectOutput;
    copy_object => op_copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete_object => op_delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects => op_delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    list_objects => op_list_objects(ListObjectsInput) -> ListObjectsOutput;
    list_objects_v2 => op_list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    list_object_versions => op_list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    create_multipart_upload => op_create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part => op_upload_part(UploadPartInput) -> UploadPartOutput;
    upload_part_copy => op_upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    complete_multipart_upload => op_complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload => op_abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    list_multipart_uploads => op_list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
    list_parts => op_list_parts(ListPartsInput) -> ListPartsOutput;
}
