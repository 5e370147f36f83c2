//! The same at a server whose answers about parts cannot be read.

use super::super::line::{End, Line};
use super::super::{KEY, noise};
use super::{CUT_BYTES, Scene};
use crate::harness::{BUCKET, Rig};
use crate::python::Moto;
use keepwatch::types::ContentHash;

#[tokio::test(flavor = "multi_thread")]
async fn at_a_server_whose_list_of_parts_cannot_be_read() {
    let (moto, owner) = Moto::with_auth();
    moto.bucket(&owner, BUCKET);
    let behind = moto.endpoint.strip_prefix("http://").unwrap();
    let line = Line::before(behind.parse().unwrap()).await;
    let keys = (owner.access_key.clone(), owner.secret_key.clone());
    let scene = Scene::with(Rig::new(), line, keys);
    scene.line.ends_after(CUT_BYTES, End::Silent);
    let mut daemon = scene.start(&[]);
    scene.until_cut().await;
    // A stop writes down what was acknowledged: at moto nothing else tells.
    assert_eq!(daemon.stop().await, Some(0));
    let (before, _) = scene.line.take();
    scene.line.mend();
    let mut reconcile = scene.start(&["--reconcile"]);
    assert_eq!(reconcile.end().await, Some(0));
    scene.sent_again(&before);
    let script = "
import hashlib
s3 = client('s3')
body = s3.get_object(Bucket=args[0], Key=args[1])['Body'].read()
left = s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])
versions = s3.list_object_versions(Bucket=args[0], Prefix=args[1])['Versions']
answer([hashlib.sha256(body).hexdigest(), len(left), len(versions)])";
    let found = moto.boto(&owner, script, &[BUCKET, KEY]);
    let hash = ContentHash::of(&noise(1)).to_hex();
    assert_eq!(found, serde_json::json!([hash, 0, 1]));
}
