//! Sparse files.

use super::{reconcile, restore, said};
use crate::harness::Rig;
use crate::restore::bench::{Bench, Object};
use keepwatch::files::Target;
use std::fs;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// A file of that size with a few bytes here and there.
fn sparse(path: &Path, bytes: u64, written: &[u64]) {
    let file = File::create(path).unwrap();
    file.set_len(bytes).unwrap();
    for at in written {
        file.write_all_at(b"some bytes", *at).unwrap();
    }
}

fn on_disk(path: &Path) -> u64 {
    path.metadata().unwrap().blocks() * 512
}

/// Small, large and packed ones come back with holes, and one that was filled on
/// purpose comes back filled.
#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_file_comes_back_sparse_and_a_filled_one_filled() {
    let rig = Rig::new();
    sparse(&rig.path("small.img"), 3 * MIB, &[0, MIB + 5]);
    sparse(
        &rig.path("large.img"),
        40 * MIB,
        &[17 * MIB + 3, 40 * MIB - 10],
    );
    sparse(&rig.path("packed.csv"), 12 * MIB, &[6 * MIB]);
    sparse(&rig.path("empty.img"), 2 * MIB, &[]);
    fs::write(rig.path("filled.img"), vec![0; 2 * MIB as usize]).unwrap();
    File::open(rig.path("filled.img"))
        .unwrap()
        .sync_all()
        .unwrap();
    let names = ["small.img", "large.img", "packed.csv", "empty.img"];
    for name in names {
        let taken = on_disk(&rig.path(name));
        assert!(
            taken <= 64 << 10,
            "{name} takes {taken} here: no holes on this disk"
        );
    }
    reconcile(&rig);
    let to = rig.dir.path().join("back");
    let output = restore(&rig, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for name in names {
        let taken = on_disk(&to.join(name));
        assert!(taken <= 64 << 10, "{name} takes {taken}");
    }
    assert!(on_disk(&to.join("filled.img")) >= 2 * MIB);
    for name in names.iter().chain(&["filled.img"]) {
        let same = fs::read(to.join(name)).unwrap() == fs::read(rig.path(name)).unwrap();
        assert!(same, "{name}");
    }
}

/// What a sparse file needs is what it took, before the start and for itself; also
/// when it is stored packed.
#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_file_needs_the_room_that_it_took() {
    let bytes = 24 * MIB;
    let content = vec![0; bytes as usize];
    for is_packed in [false, true] {
        for (sparse_bytes, fits) in [
            (Some(8192), true),
            (Some(bytes - 4096), false),
            (None, false),
        ] {
            let bench = Bench::new();
            let mut object = Object::file(&content);
            object.meta.sparse_bytes = sparse_bytes;
            if is_packed {
                object = object.gzip();
            }
            bench.put("disk.img", &object).await;
            // 16 MiB are left free by every restore.
            let target = Target::open(&bench.folder("out")).unwrap();
            let done = bench.restore_with("out", |request| {
                request.target = Arc::new(target.with_free_bytes(17 * MIB));
            });
            let name = format!("{sparse_bytes:?}, packed: {is_packed}");
            match done.await {
                Ok(restored) => {
                    assert_eq!(restored.failed.total == 0, fits, "{name}: {restored:?}");
                    assert!(!fits || on_disk(&bench.folder("out").join("disk.img")) <= 8192);
                }
                Err(fatal) => assert!(!fits, "{name}: {fatal}"),
            }
        }
    }
}
