//! Whatever is done to manifests, the files come back, and it is said.

use super::{compare, forget_newest, listed, nearest, office, restored};
use crate::harness::{BUCKET, Rig};
use crate::raw::client;
use aws_sdk_s3::primitives::ByteStream;
use std::io::Write as _;

fn gz(text: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut unpack = flate2::read::MultiGzDecoder::new(bytes);
    std::io::Read::read_to_end(&mut unpack, &mut out).unwrap();
    out
}

type Damage = fn(&[u8]) -> Vec<u8>;

/// Each makes something of a whole manifest that is none.
const DAMAGES: [(&str, Damage); 9] = [
    ("empty", |_| Vec::new()),
    ("cut in the middle", |whole| {
        whole[..whole.len() / 2].to_vec()
    }),
    ("its last byte is gone", |whole| {
        whole[..whole.len() - 1].to_vec()
    }),
    ("one bit is another", |whole| {
        let mut bytes = whole.to_vec();
        let at = bytes.len() / 2;
        bytes[at] ^= 4;
        bytes
    }),
    ("somebody's text", |_| b"hello".to_vec()),
    ("somebody's gzip", |_| gz(b"hello\n")),
    ("a line without end", |_| gz(&vec![b'x'; 3 * 1024 * 1024])),
    ("its last line is missing", |whole| {
        let text = unpacked(whole);
        let end = text[..text.len() - 1]
            .iter()
            .rposition(|b| *b == b'\n')
            .unwrap();
        gz(&text[..=end])
    }),
    ("a line is missing", |whole| {
        let text = unpacked(whole);
        let ends: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
        gz(&[&text[..=ends[0]], &text[ends[1] + 1..]].concat())
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_next_older_one_is_used_and_the_damaged_is_named() {
    let rig = Rig::new();
    office(&rig);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    forget_newest(&daemon);
    assert!(compare(&daemon).await.complete());
    daemon.stop().await.unwrap();
    let (store, sdk) = (rig.store(), client(&rig.vault()));
    let both = listed(&store).await;
    assert_eq!(both.len(), 2);
    let whole = sdk.get_object().bucket(BUCKET).key(&both[1].key);
    let whole = whole.send().await.unwrap().body.collect().await.unwrap();
    let whole = whole.into_bytes();
    for (number, (name, damage)) in DAMAGES.into_iter().enumerate() {
        let body = ByteStream::from(damage(&whole));
        let put = sdk.put_object().bucket(BUCKET).key(&both[1].key);
        put.body(body).send().await.unwrap();
        let found = nearest(&store).await;
        assert_eq!(found.damaged.len(), 1, "{name}");
        assert!(found.damaged[0].subject.ends_with(&both[1].key), "{name}");
        assert_eq!(found.manifest.unwrap().key, both[0].key, "{name}");
        let done = restored(&rig, &store, None, &format!("out{number}")).await;
        assert!(done.is_complete(), "{name}: {done:?}");
        assert_eq!((done.files, done.remarks.total), (6, 1), "{name}");
    }
    // Both damaged: none is used.
    let put = sdk.put_object().bucket(BUCKET).key(&both[0].key);
    put.body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    let done = restored(&rig, &store, None, "none").await;
    assert!(done.is_complete(), "{done:?}");
    assert_eq!((done.files, done.remarks.total), (6, 2));
    // One under another's name is none either.
    let put = sdk.put_object().bucket(BUCKET).key(&both[0].key);
    put.body(ByteStream::from(whole)).send().await.unwrap();
    let found = nearest(&store).await;
    assert!(found.manifest.is_none() && found.damaged.len() == 2);
}
