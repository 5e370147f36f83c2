//! What is made of files: whole, from a version before, and when they change.

use super::*;
use crate::files;
use crate::transfer::delta::assemble::{PART_BYTES, PART_BYTES_MIN};
use crate::transfer::plan::plan;
use crate::types::{Parts, VersionId};
use std::io::Read as _;
use std::io::{Seek as _, SeekFrom, Write as _};

const MIB: usize = 1024 * 1024;

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; bytes];
    fastrand::Rng::with_seed(seed).fill(&mut out);
    out
}

fn lines(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    while out.len() < bytes {
        let (a, b) = (random.u32(..), random.u16(..));
        writeln!(out, "{a};a name of somebody;{b},00 EUR;paid").unwrap();
    }
    out.truncate(bytes);
    out
}

/// A file and what was planned for it.
struct Rig {
    dir: tempfile::TempDir,
    segments: Arc<[Segment]>,
    bytes: u64,
}

impl Rig {
    fn new(content: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), content).unwrap();
        let mut file = std::fs::File::open(dir.path().join("f")).unwrap();
        let planned = plan(&mut file, content.len() as u64, &Pulse::default()).unwrap();
        Self {
            dir,
            segments: planned.segments.into(),
            bytes: content.len() as u64,
        }
    }

    fn work(&self, assembly: Assembly, gzip_level: Option<u32>) -> Work {
        let path = RelPath::from_bytes("f").unwrap();
        Work {
            opened: files::open(self.dir.path(), &path).unwrap(),
            path,
            segments: Arc::clone(&self.segments),
            is_torn: false,
            racy: false,
            assembly,
            gzip_level,
            budget: Budget::default(),
            proof: None,
            pulse: Pulse::default(),
        }
    }

    fn writable(&self) -> std::fs::File {
        let path = self.dir.path().join("f");
        std::fs::File::options().write(true).open(path).unwrap()
    }

    fn whole(&self, gzip_level: Option<u32>) -> Work {
        self.work(Assembly::fresh(&self.segments, PART_BYTES), gzip_level)
    }
}

/// What was made: the object's bytes (copied ones from `old`), the parts' sizes,
/// how many bytes were sent, and how it ended.
async fn carried_out(work: Work, old: &[u8]) -> (Vec<u8>, Vec<usize>, usize, End) {
    let (to, mut from) = mpsc::channel(1);
    let (runtime, proof) = (Handle::current(), work.proof);
    let maker = tokio::task::spawn_blocking(move || make(work, &to, &runtime));
    let (mut all, mut sizes, mut sent, mut end) = (Vec::new(), Vec::new(), 0, None);
    while let Some(made) = from.recv().await {
        let made = made.unwrap();
        assert!(end.is_none(), "nothing follows the last part");
        let before = all.len();
        match made.what {
            What::Send(piece) => {
                let sha256 = ContentHash::of(&piece.bytes);
                assert!(piece.sums.sha256.is_none_or(|told| told == sha256));
                let may_lack = proof == Some(Proof::Whole) || piece.bytes.is_empty();
                assert!(piece.sums.sha256.is_some() || may_lack);
                assert_eq!(piece.sums.crc64, Crc64::of(&piece.bytes));
                sent += piece.bytes.len();
                all.extend_from_slice(&piece.bytes);
            }
            What::Copy(part) => {
                let range = part.from.start as usize..part.from.end as usize;
                let bytes = &old[range];
                assert_eq!(part.crc64, Crc64::of(bytes));
                use md5::Digest as _;
                let md5 = <[u8; 16]>::from(md5::Md5::digest(bytes));
                assert_eq!(part.md5, (proof == Some(Proof::EachPart)).then_some(md5));
                all.extend_from_slice(bytes);
            }
        }
        sizes.push(all.len() - before);
        end = made.end;
    }
    maker.await.unwrap().unwrap();
    (all, sizes, sent, end.unwrap())
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    flate2::read::MultiGzDecoder::new(gzip)
        .read_to_end(&mut back)
        .unwrap();
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_parts_make_the_file() {
    let part = PART_BYTES as usize;
    for (size, want) in [(part, 1), (part + 1, 2), (2 * part, 2), (0, 1)] {
        let content = noise(size, size as u64);
        let rig = Rig::new(&content);
        let (got, sizes, _, end) = carried_out(rig.whole(None), &[]).await;
        assert!(got == content && sizes.len() == want, "{size}: {sizes:?}");
        assert_eq!(end, End::AsPlanned(rig.segments.to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_parts_unpack_to_the_file_and_members_are_known() {
    for (content, want) in [
        (Vec::new(), 1),
        (lines(1000), 1),
        (lines(20 * MIB), 1),
        (noise(20 * MIB, 1), 3),
    ] {
        let rig = Rig::new(&content);
        let (got, sizes, _, end) = carried_out(rig.whole(Some(1)), &[]).await;
        assert_eq!(sizes.len(), want, "{}", content.len());
        assert!(unpacked(&got) == content);
        let End::AsPlanned(segments) = end else {
            panic!("{end:?}")
        };
        let (mut at, mut raw_at) = (0, 0);
        if content.is_empty() {
            continue;
        }
        for segment in segments {
            let stored = &got[at..at + segment.stored_bytes as usize];
            let raw = &content[raw_at..raw_at + segment.raw_bytes as usize];
            assert_eq!(segment.crc64, Crc64::of(stored));
            assert!(unpacked(stored) == raw, "each segment unpacks by itself");
            (at, raw_at) = (at + stored.len(), raw_at + raw.len());
        }
        assert_eq!((at, raw_at), (got.len(), content.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_is_made_of_the_one_before() {
    for gzip_level in [None, Some(1)] {
        // Compressed to a third, it is still several parts.
        let content = lines(if gzip_level.is_some() { 80 } else { 40 } * MIB);
        let rig = Rig::new(&content);
        let (old, _, _, end) = carried_out(rig.whole(gzip_level), &[]).await;
        let End::AsPlanned(segments) = end else {
            panic!("{end:?}")
        };
        let parts = Parts {
            version_id: VersionId::new("v"),
            etag: "e".into(),
            gzip: gzip_level.is_some(),
            segments,
        };
        let middle = content.len() / 2;
        let inserted = [&content[..middle], b"new;line\n", &content[middle..]].concat();
        let appended = [&content[..], b"new;line\n"].concat();
        for (name, new, sent_max) in [
            ("inserted", inserted, 11 * MIB),
            ("appended", appended, 6 * MIB),
        ] {
            let next = Rig::new(&new);
            let assembly = Assembly::with_old(&next.segments, &parts, PART_BYTES).unwrap();
            for proof in [Proof::Whole, Proof::EachPart] {
                let work = Work {
                    proof: Some(proof),
                    ..next.work(assembly.clone(), gzip_level)
                };
                let (got, sizes, sent, end) = carried_out(work, &old).await;
                let whole = if gzip_level.is_some() {
                    unpacked(&got)
                } else {
                    got
                };
                assert!(whole == new, "{name} {gzip_level:?}");
                assert!(sent <= sent_max, "{name} {gzip_level:?}: {sent}");
                let (_, but_last) = sizes.split_last().unwrap();
                assert!(but_last.iter().all(|size| *size >= PART_BYTES_MIN as usize));
                assert!(matches!(end, End::AsPlanned(_)), "{end:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_planned_end_the_work() {
    let content = noise(20 * MIB, 3);
    for gzip_level in [None, Some(1)] {
        for at in [0, 10 * MIB, 20 * MIB - 1] {
            let rig = Rig::new(&content);
            let work = rig.whole(gzip_level);
            let mut file = rig.writable();
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[!content[at]]).unwrap();
            let (_, _, _, end) = carried_out(work, &[]).await;
            assert_eq!(end, End::Changed, "{gzip_level:?} {at}");
        }
        let rig = Rig::new(&content);
        let work = rig.whole(gzip_level);
        rig.writable().set_len(rig.bytes - 1).unwrap();
        assert_eq!(carried_out(work, &[]).await.3, End::Changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_times_may_not_tell_what_is_copied_is_compared_as_well() {
    for gzip_level in [None, Some(1)] {
        let content = lines(if gzip_level.is_some() { 60 } else { 30 } * MIB);
        let rig = Rig::new(&content);
        let (old, _, _, end) = carried_out(rig.whole(gzip_level), &[]).await;
        let End::AsPlanned(segments) = end else {
            panic!("{end:?}")
        };
        let parts = Parts {
            version_id: VersionId::new("v"),
            etag: "e".into(),
            gzip: gzip_level.is_some(),
            segments,
        };
        let new = [&content[..], b"new;line\n"].concat();
        for changed_at in [None, Some(10 * MIB as u64)] {
            let next = Rig::new(&new);
            let assembly = Assembly::with_old(&next.segments, &parts, PART_BYTES).unwrap();
            if let Some(at) = changed_at {
                // Before it is opened: its times stay as they were then.
                let mut file = next.writable();
                file.seek(SeekFrom::Start(at)).unwrap();
                file.write_all(b"\0").unwrap();
            }
            let work = Work {
                racy: true,
                ..next.work(assembly, gzip_level)
            };
            let (got, _, sent, end) = carried_out(work, &old).await;
            assert!(sent <= 6 * MIB, "{gzip_level:?}: {sent}");
            match changed_at {
                Some(_) => assert_eq!(end, End::Changed, "{gzip_level:?}"),
                None => {
                    assert!(matches!(end, End::AsPlanned(_)), "{end:?}");
                    assert!(gzip_level.map_or(got.clone(), |_| unpacked(&got)) == new);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_rests_is_taken_as_it_is() {
    let content = noise(9 * MIB, 4);
    for gzip_level in [None, Some(1)] {
        let rig = Rig::new(&content);
        let mut now = content.clone();
        now[5 * MIB] ^= 1;
        std::fs::write(rig.dir.path().join("f"), &now).unwrap();
        let work = Work {
            is_torn: true,
            ..rig.whole(gzip_level)
        };
        let (got, _, _, end) = carried_out(work, &[]).await;
        let got = if gzip_level.is_some() {
            unpacked(&got)
        } else {
            got
        };
        assert!(got == now);
        assert_eq!(end, End::Unrested(ContentHash::of(&now)));
    }
}
