//! How the parts of an upload become one object.
//!
//! The parts are copied into one body, each checked against its MD5 on the way, and the
//! body is stored like any other.

use super::checksum::{Algorithm, sums_of};
use super::failure;
use super::inner::Inner;
use super::multipart::{Part, Upload, no_such_upload};
use super::precondition::Precondition;
use super::record::{self, Object, Sums, Version};
use super::stage::{Staged, Stager, Wanted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use s3s::{S3ErrorCode, S3Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// S3's smallest part, the last one excepted.
const PART_BYTES_MIN: u64 = 5 << 20;

/// A part as the completion names it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) number: i32,
    pub(super) etag: String,
    pub(super) sums: Sums,
}

impl Inner {
    /// Make the object of its parts.
    pub(super) fn complete_upload(
        self: &Arc<Self>,
        bucket: &str,
        upload: &Upload,
        named: &[Named],
        wanted: &Wanted,
        precondition: &Precondition,
    ) -> S3Result<Version> {
        let parts = choose(&self.parts(bucket, &upload.id)?, named)?;
        let (staged, full) = self.assemble(bucket, upload, &parts, wanted)?;
        let digests: Vec<u8> = parts
            .iter()
            .filter_map(|part| hex::decode(&part.md5).ok())
            .flatten()
            .collect();
        let object = Object {
            etag: format!("{}-{}", hex::encode(Md5::digest(&digests)), parts.len()),
            sums: object_sums(upload, &parts, full)?,
            headers: upload.headers.clone(),
            metadata: upload.metadata.clone(),
            parts: record::runs(parts.iter().map(|part| part.size)),
            upload: Some(upload.id.clone()),
            ..Object::default()
        };
        let version = self.put(bucket, &upload.key, staged, object, precondition)?;
        if let Err(e) = self.end_upload(bucket, &upload.id) {
            tracing::warn!(
                bucket,
                key = upload.key,
                error = failure::words(&e),
                "an upload is complete, but its parts could not be removed"
            );
        }
        Ok(version)
    }

    /// Copy the parts into one body, checking each.
    fn assemble(
        self: &Arc<Self>,
        bucket: &str,
        upload: &Upload,
        parts: &[Part],
        wanted: &Wanted,
    ) -> S3Result<(Staged, Sums)> {
        let folder = self.upload_folder(bucket, &upload.id)?;
        let mut wanted = wanted.clone();
        if upload.is_full_checksum {
            wanted.algorithms.extend(upload.algorithm());
        }
        let mut stager = Stager::new(self, &wanted)?;
        for part in parts {
            let path = folder.join(format!("p-{}", part.body));
            let mut file = File::open(&path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => no_such_upload(&upload.id),
                _ => failure::disk("read", &path, &e),
            })?;
            if stager.append(&mut file, &path, part.size)? != part.md5 {
                return Err(failure::damaged(format!(
                    "part {} in {} is not what was uploaded: upload it again",
                    part.number,
                    path.display()
                )));
            }
        }
        let (staged, sums) = stager.finish()?;
        wanted.check(&staged, &sums)?;
        Ok((staged, sums))
    }
}

/// The parts that the completion names, in order, if they are all there.
fn choose(parts: &BTreeMap<i32, Part>, named: &[Named]) -> S3Result<Vec<Part>> {
    if named.is_empty() {
        return Err(failure::refuse(
            S3ErrorCode::MalformedXML,
            "the completion names no parts",
        ));
    }
    if !named.windows(2).all(|pair| pair[0].number < pair[1].number) {
        return Err(failure::refuse(
            S3ErrorCode::InvalidPartOrder,
            "the parts are not named in rising order",
        ));
    }
    let mut chosen = Vec::with_capacity(named.len());
    for name in named {
        let part = parts.get(&name.number).filter(|part| {
            part.md5 == name.etag
                && Algorithm::ALL
                    .into_iter()
                    .all(|a| a.of(&name.sums).is_none() || a.of(&name.sums) == a.of(&part.sums))
        });
        let Some(part) = part else {
            return Err(failure::refuse(
                S3ErrorCode::InvalidPart,
                format!(
                    "part {} was not uploaded, or with another ETag or checksum",
                    name.number
                ),
            ));
        };
        chosen.push(part.clone());
    }
    let others = &chosen[..chosen.len() - 1];
    if let Some(small) = others.iter().find(|part| part.size < PART_BYTES_MIN) {
        return Err(failure::refuse(
            S3ErrorCode::EntityTooSmall,
            format!(
                "part {} has {} bytes; all but the last need {PART_BYTES_MIN}",
                small.number, small.size
            ),
        ));
    }
    Ok(chosen)
}

/// The object's checksum, of its bytes or of its parts' checksums.
fn object_sums(upload: &Upload, parts: &[Part], full: Sums) -> S3Result<Sums> {
    let Some(algorithm) = upload.algorithm() else {
        return Ok(Sums::default());
    };
    let mut sums = Sums::default();
    if upload.is_full_checksum {
        *algorithm.slot(&mut sums) = algorithm.of(&full).cloned();
        return Ok(sums);
    }
    let mut hasher = Wanted {
        algorithms: vec![algorithm],
        ..Wanted::default()
    }
    .hasher();
    for part in parts {
        let raw = algorithm
            .of(&part.sums)
            .and_then(|value| BASE64.decode(value).ok());
        let Some(raw) = raw else {
            return Err(failure::refuse(
                S3ErrorCode::InvalidPart,
                format!("part {} has no {}", part.number, algorithm.name()),
            ));
        };
        hasher.update(&raw);
    }
    let of_sums = sums_of(hasher.finalize());
    *algorithm.slot(&mut sums) = algorithm
        .of(&of_sums)
        .map(|value| format!("{value}-{}", parts.len()));
    sums.is_composite = true;
    Ok(sums)
}
