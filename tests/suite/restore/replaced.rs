//! A name that was a file's and is a folder's now.

use super::bench::{Bench, Object};
use super::command::{run, text};

/// Named after the bug: what was asked for by that name was the file alone, as it was
/// before it was deleted; of the folder nothing came, and all was well.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_not_left_out_for_a_deleted_file_that_had_its_name() {
    let bench = Bench::new();
    bench.put("archive", &Object::file(b"one file")).await;
    bench.delete("archive").await;
    bench.put("archive/a.txt", &Object::file(b"a")).await;
    bench.put("other", &Object::file(b"gone")).await;
    bench.delete("other").await;
    bench.put("other/b.txt", &Object::file(b"b")).await;
    bench.delete("other/b.txt").await;
    let vault = bench.vault();
    let restore = |what: &str| {
        let out = bench.folder(what);
        let arguments = ["restore", what, "--vault", text(&vault), "--to", text(&out)];
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!(code, 0, "{stdout}{stderr}");
        (out, stderr)
    };
    let (out, said) = restore("archive");
    let back = std::fs::read(out.join("archive/a.txt")).unwrap();
    assert_eq!(back, b"a", "{said}");
    assert!(!said.contains("was deleted"), "{said}");
    // Nothing is there any more by that name: the file is what was meant.
    let (out, said) = restore("other");
    assert_eq!(std::fs::read(out.join("other")).unwrap(), b"gone");
    assert!(said.contains("other was deleted"), "{said}");
}
