//! Bodies that arrive whole, broken, cut off and blown up.

use super::*;
use crate::types::{ContentHash, Kind};
use std::io::Write as _;

fn meta(content: &[u8]) -> ObjectMeta {
    ObjectMeta {
        kind: Kind::File,
        content: Some(ContentHash::of(content)),
        size_bytes: content.len() as u64,
        mtime_ns: 0,
        mode: 0o600,
        owner: None,
        symlink_target: None,
        is_torn: false,
        full_key: None,
        seen_ms: None,
        beside: None,
        sparse_bytes: None,
        attributes: crate::types::Carried::Nothing,
    }
}

fn gzip(members: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
        encoder.write_all(member).unwrap();
        encoder.finish().unwrap();
    }
    out
}

/// What comes out of a body, in pieces of `step` bytes, and how it ended.
async fn run(
    stored: Vec<u8>,
    step: usize,
    packed: bool,
    meta: ObjectMeta,
) -> (Vec<u8>, Result<(), Fault>) {
    let pieces: Vec<_> = stored
        .chunks(step)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    feed(pieces, stored.len() as u64, packed, meta).await
}

async fn feed(
    pieces: impl IntoIterator<Item = Result<Bytes, Class>, IntoIter: Send + 'static> + Send + 'static,
    expected: u64,
    packed: bool,
    meta: ObjectMeta,
) -> (Vec<u8>, Result<(), Fault>) {
    let fault = |class| Fault::new(class, "download", "bucket/key", "reset");
    let pieces = pieces.into_iter().map(move |piece| piece.map_err(fault));
    let body = BodyReader::fed(pieces, expected, "a.csv");
    tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        let mut sink = Sink::new(&meta, "a.csv");
        let done = unpack(body, packed, &mut sink, &mut |bytes, _| {
            out.extend_from_slice(bytes.map_or(&[], |bytes| bytes));
            Ok(())
        });
        (out, done)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn plain_and_packed_bodies_give_the_file() {
    let file = b"name;sum\nMiller;100\n".repeat(30_000);
    let (head, tail) = file.split_at(100_000);
    for (stored, packed) in [
        (file.clone(), false),
        (gzip(&[&file]), true),
        (gzip(&[head, tail]), true),
        (gzip(&[head, b"", tail]), true),
    ] {
        for step in [1_000, stored.len()] {
            let (out, done) = run(stored.clone(), step, packed, meta(&file)).await;
            assert_eq!(done, Ok(()));
            assert!(out == file);
        }
    }
    for (stored, packed) in [(Vec::new(), false), (gzip(&[b""]), true)] {
        assert_eq!(
            run(stored, 10, packed, meta(b"")).await,
            (Vec::new(), Ok(()))
        );
    }
}

#[tokio::test]
async fn whatever_is_not_what_was_stored_is_found_out() {
    let file = b"0123456789".repeat(1000);
    let packed = gzip(&[&file]);
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let trailing = [packed.as_slice(), b"rubbish"].concat();
    let wrong_hash = ObjectMeta {
        content: Some(ContentHash::of(b"another")),
        ..meta(&file)
    };
    let bomb = gzip(&[&vec![0u8; 50_000_000]]);
    for (name, stored, is_packed, meta, in_cause) in [
        ("wrong hash", file.clone(), false, wrong_hash, "SHA-256"),
        (
            "too short",
            file[1..].to_vec(),
            false,
            meta(&file),
            "holds 9999 bytes",
        ),
        (
            "too long",
            [&file[..], b"x"].concat(),
            false,
            meta(&file),
            "more than",
        ),
        ("bomb", bomb, true, meta(&file), "more than"),
        (
            "not gzip",
            file.clone(),
            true,
            meta(&file),
            "compressed content",
        ),
        (
            "empty, not gzip",
            Vec::new(),
            true,
            meta(&file),
            "compressed content",
        ),
        (
            "cut gzip",
            packed[..packed.len() - 3].to_vec(),
            true,
            meta(&file),
            "compressed content",
        ),
        ("flipped bit", flipped, true, meta(&file), ""),
        (
            "trailing rubbish",
            trailing,
            true,
            meta(&file),
            "compressed content",
        ),
        ("packed, not said", packed, false, meta(&file), "holds"),
    ] {
        let (out, done) = run(stored, 7_000, is_packed, meta).await;
        let fault = done.expect_err(name);
        assert_eq!(fault.class, Class::Damaged, "{name}: {fault}");
        assert!(fault.cause.contains(in_cause), "{name}: {fault}");
        assert_eq!(fault.subject, "a.csv");
        assert!(
            out.len() <= file.len(),
            "{name}: {} bytes came out",
            out.len()
        );
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_damage() {
    let file = b"0123456789".repeat(1000);
    let packed = gzip(&[&file]);
    for is_packed in [false, true] {
        let stored = if is_packed { &packed } else { &file };
        let half = Bytes::copy_from_slice(&stored[..stored.len() / 2]);
        // It breaks with an error, and it just ends.
        for tail in [vec![Err(Class::Transient)], vec![]] {
            let pieces: Vec<_> = std::iter::once(Ok(half.clone())).chain(tail).collect();
            let (_, done) = feed(pieces, stored.len() as u64, is_packed, meta(&file)).await;
            let fault = done.unwrap_err();
            assert_eq!(fault.class, Class::Transient, "{fault}");
            assert_eq!(fault.subject, "a.csv");
        }
    }
}

#[tokio::test]
async fn a_file_that_never_rested_may_have_no_hash_but_has_a_size() {
    let torn = ObjectMeta {
        content: None,
        is_torn: true,
        ..meta(b"12345")
    };
    assert_eq!(
        run(b"abcde".to_vec(), 2, false, torn.clone()).await.1,
        Ok(())
    );
    assert!(run(b"abcdef".to_vec(), 2, false, torn).await.1.is_err());
}

#[test]
fn members_of_nothing_without_end_are_more_than_any_file_needs() {
    let file = b"0123456789".repeat(1000);
    let honest = gzip(&[&file[..1], &file[1..]]).len() as u64;
    let endless = gzip(&[b"" as &[u8]; 6_000]).len() as u64;
    let max = body_bytes_max(&meta(&file), true);
    assert!(honest <= max && endless > max, "{honest} {endless} {max}");
    assert_eq!(body_bytes_max(&meta(&file), false), 10_000);
    let fault = body_too_long(&meta(&file), true, "a.csv");
    assert!(fault.cause.contains("on and on"), "{fault}");
}

/// Wherever reading could begin again, what is left gives the rest of the file.
#[tokio::test]
async fn reading_begins_again_at_every_place_that_is_named() {
    let file = b"name;sum\nMiller;100\n".repeat(3_000);
    let (head, tail) = file.split_at(20_000);
    for (stored, packed) in [(file.clone(), false), (gzip(&[head, b"", tail, b""]), true)] {
        let pieces: Vec<Bytes> = stored.chunks(900).map(Bytes::copy_from_slice).collect();
        let (meta, whole) = (meta(&file), file.clone());
        let places = tokio::task::spawn_blocking(move || {
            let mut places = Vec::new();
            let mut sink = Sink::new(&meta, "a");
            let body = BodyReader::whole(pieces, "a");
            unpack(body, packed, &mut sink, &mut |bytes, at| {
                if bytes.is_none() {
                    places.push((at.checkpoint(), at.hasher.clone()));
                }
                Ok(())
            })
            .unwrap();
            places
        })
        .await
        .unwrap();
        assert!(places.len() >= 4, "{}", places.len());
        for (at, hasher) in places {
            let done = usize::try_from(at.file_bytes).unwrap();
            assert_eq!(at.hash, ContentHash::of(&whole[..done]));
            let from = usize::try_from(at.source_bytes).unwrap();
            let left = Bytes::copy_from_slice(&stored[from..]);
            let body = BodyReader::whole([left], "a");
            let meta = self::meta(&whole);
            let mut sink = Sink {
                hasher,
                total: at.file_bytes,
                ..Sink::new(&meta, "a")
            };
            let mut out = whole[..done].to_vec();
            unpack(body, packed, &mut sink, &mut |bytes, _| {
                out.extend_from_slice(bytes.map_or(&[], |bytes| bytes));
                Ok(())
            })
            .unwrap();
            assert!(out == whole, "{at:?}");
        }
    }
}
