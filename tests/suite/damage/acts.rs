//! What is done to a bucket: to the vault's files by hand, through S3 as another
//! program would, and to what the server answers.

use super::world::World;
use crate::harness::BUCKET;
use crate::manifest::clocks::{body_of, rewritten};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::manifest::Header;
use keepwatch::s3::ListedVersion;
use keepwatch::types::{ContentHash, Kind, ObjectMeta, is_own};
use keepwatch_vault::VaultConnector;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// One damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Nothing,
    /// The body's file is removed from the vault.
    DeleteBody,
    /// It loses its second half.
    Truncate,
    /// One byte of it is another, and its time tells (or not).
    Flip {
        time_tells: bool,
    },
    /// Other bytes, as many, at the same time.
    Replace,
    /// A program that knows nothing of Keepwatch stores something there.
    ForeignOver,
    /// Another Keepwatch stores something there.
    OursOver,
    /// The version is deleted through S3.
    DeleteVersion,
    /// All of them are, markers too.
    DeleteAll,
    /// A delete marker is put.
    Mark,
    /// The newest marker is deleted.
    Unmark,
    /// The server says this header otherwise, or not at all.
    Header(&'static str, Option<&'static str>),
    /// The server gives half of it, and says so.
    Cut,
    /// Objects appear in Keepwatch's own folder, named like what belongs there.
    Garbage,
    /// A manifest becomes nothing, with metadata that fits.
    Empty,
    /// It becomes that of another place, whole in itself.
    Elsewhere,
    /// It becomes one of a format to come.
    Future,
}

/// Falsifies what the server says of one version.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    lie: Option<(Act, String)>,
}

impl Wire {
    pub fn client(&self, vault: VaultConnector) -> SharedHttpClient {
        SharedHttpClient::new(Falsified {
            wire: self.clone(),
            vault,
        })
    }
}

#[derive(Debug, Clone)]
struct Falsified {
    wire: Wire,
    vault: VaultConnector,
}

impl HttpClient for Falsified {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Falsified {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lie = self.wire.lie.clone();
        let lie = lie.filter(|(_, version)| request.uri().contains(version.as_str()));
        let answer = self.vault.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            match lie {
                Some((Act::Header(name, value), _)) => {
                    answer.headers_mut().remove(name);
                    if let Some(value) = value {
                        answer.headers_mut().insert(name, value);
                    }
                }
                Some((Act::Cut, _)) => cut(&mut answer).await,
                _ => {}
            }
            Ok(answer)
        })
    }
}

async fn cut(answer: &mut HttpResponse) {
    let length = answer.headers().get("content-length");
    let Some(half) = length.and_then(|l| l.parse::<usize>().ok()).map(|l| l / 2) else {
        return;
    };
    let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
    let whole = ByteStream::new(body).collect().await.unwrap().into_bytes();
    *answer.body_mut() = whole.slice(..half.min(whole.len())).into();
    answer
        .headers_mut()
        .insert("content-length", half.to_string());
}

/// Damage `version`, and give the wire through which the bucket is seen then.
pub async fn damage(world: &World, act: Act, version: &ListedVersion) -> Wire {
    let client = world.client();
    let id = keepwatch::types::id_text(&version.version_id).to_owned();
    match act {
        Act::Nothing => {}
        Act::DeleteBody => fs::remove_file(body(world, version).await).unwrap(),
        Act::Truncate => {
            let path = body(world, version).await;
            let bytes = fs::read(&path).unwrap();
            write(&path, &bytes[..bytes.len() / 2], false);
        }
        Act::Flip { time_tells } => {
            let path = body(world, version).await;
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            write(&path, &bytes, !time_tells);
        }
        Act::Replace => {
            let path = body(world, version).await;
            let bytes = vec![b'#'; fs::read(&path).unwrap().len()];
            write(&path, &bytes, true);
        }
        Act::ForeignOver => {
            put(&client, &world.key, b"foreign", None).await;
        }
        Act::OursOver => {
            put_ours(world, &client, b"from another computer".to_vec()).await;
        }
        Act::DeleteVersion => remove(&client, &world.key, &id).await,
        Act::DeleteAll => {
            for version in world.versions().await {
                remove(
                    &client,
                    &world.key,
                    keepwatch::types::id_text(&version.version_id),
                )
                .await;
            }
        }
        Act::Mark => {
            let request = client.delete_object().bucket(BUCKET).key(&world.key);
            request.send().await.unwrap();
        }
        Act::Unmark => {
            let newest = world.versions().await.remove(0);
            assert!(newest.is_marker);
            remove(
                &client,
                &world.key,
                keepwatch::types::id_text(&newest.version_id),
            )
            .await;
        }
        Act::Header(..) | Act::Cut => {
            // Manifests are asked for by their name.
            let name = world.key.rsplit('/').next().unwrap_or_default();
            let marks = if is_own(&world.key) {
                name.to_owned()
            } else {
                id
            };
            return Wire {
                lie: Some((act, marks)),
            };
        }
        Act::Empty => put_ours(world, &client, Vec::new()).await,
        Act::Elsewhere | Act::Future => {
            let whole = body_of(&world.rig, &world.key).await;
            let change = |header: &mut Header| match act {
                Act::Future => header.keepwatch_manifest += 1,
                _ => header.prefix = "elsewhere/".to_owned(),
            };
            put_ours(world, &client, rewritten(&whole, change, |_| {})).await;
        }
        Act::Garbage => {
            put(
                &client,
                ".keepwatch/manifests/0.jsonl.gz",
                b"\x1f\x8bnonsense",
                None,
            )
            .await;
            let content = b"looks like a file";
            let meta = ObjectMeta {
                content: Some(ContentHash::of(content)),
                size_bytes: content.len() as u64,
                ..some_meta(world).await
            };
            put(&client, ".keepwatch/check", content, Some(meta)).await;
        }
    }
    Wire::default()
}

/// With metadata that fits.
async fn put_ours(world: &World, client: &aws_sdk_s3::Client, content: Vec<u8>) {
    let meta = ObjectMeta {
        kind: Kind::File,
        content: Some(ContentHash::of(&content)),
        size_bytes: content.len() as u64,
        ..some_meta(world).await
    };
    put(client, &world.key, &content, Some(meta)).await;
}

async fn some_meta(world: &World) -> ObjectMeta {
    let at = keepwatch::s3::At {
        bucket: BUCKET,
        key: super::world::BYSTANDER,
    };
    let head = world.rig.store().head(at, None).await.unwrap().unwrap();
    head.meta.unwrap()
}

async fn put(client: &aws_sdk_s3::Client, key: &str, body: &[u8], meta: Option<ObjectMeta>) {
    let meta = meta.map(|meta| meta.to_headers().into_iter().collect());
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .set_metadata(meta)
        .body(ByteStream::from(body.to_vec()))
        .send()
        .await
        .unwrap();
}

async fn remove(client: &aws_sdk_s3::Client, key: &str, id: &str) {
    let request = client.delete_object().bucket(BUCKET).key(key);
    request.version_id(id).send().await.unwrap();
}

/// The file of the vault that holds this version's bytes.
async fn body(world: &World, version: &ListedVersion) -> PathBuf {
    let client = world.client();
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key(&world.key)
        .version_id(keepwatch::types::id_text(&version.version_id))
        .send()
        .await
        .unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    let mut folders = vec![world.rig.vault_dir()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.len() == bytes.len() as u64 && fs::read(&path).unwrap() == bytes[..] {
                return path;
            }
        }
    }
    panic!("no file of the vault holds {version:?}");
}

fn write(path: &PathBuf, bytes: &[u8], keep_time: bool) {
    let was = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, bytes).unwrap();
    let time = if keep_time {
        was
    } else {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)
    };
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}
