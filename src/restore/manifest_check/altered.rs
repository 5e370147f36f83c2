//! Files that came back otherwise than a manifest remembers them, although the
//! bucket has the very version: what the bucket says of it was altered.
//!
//! Only what stands otherwise in the target is asked about (HEAD): a disk that
//! does not take a mode or a time is none of the bucket's doing, and a bounded
//! number of questions in vain ends the asking. Nothing is changed here.

use crate::history::head_at;
use crate::manifest::ManifestEntry;
use crate::os::blocking::blocking_on;
use crate::restore::context::RestoreContext;
use crate::retry::{Stop, advise_rerun};
use crate::s3::At;
use crate::types::{Class, Fault, Fingerprint, Kind, MetaRefused, ObjectMeta, RelPath, command};
use futures::{StreamExt as _, stream};
use std::sync::Arc;

/// Files whose look is compared at a time: one change of thread for each lot.
const LOT: usize = 256;

/// Questions under way at once.
const ASKED_AT_ONCE: usize = 16;

/// Questions in a row that may find nothing: then it is the disk that differs.
const IN_VAIN_MAX: usize = 512;

/// A file whose version is the one of its line.
struct File {
    path: RelPath,
    key: String,
    line: ManifestEntry,
}

/// The comparison as it goes.
pub(crate) struct Altered {
    ctx: Arc<RestoreContext>,
    /// When the manifest was drawn, for people.
    moment: String,
    lot: Vec<File>,
    in_vain: usize,
}

/// What is wrong with one.
enum Wrong {
    /// It did not come back, or as something else.
    Content(&'static str),
    /// Its mode or time. Its owner has other numbers when another computer has
    /// gone on with the backup.
    Looks(String),
}

impl Altered {
    pub(crate) fn new(ctx: &Arc<RestoreContext>, moment: &str) -> Self {
        Self {
            ctx: ctx.clone(),
            moment: moment.to_owned(),
            lot: Vec::new(),
            in_vain: 0,
        }
    }

    /// One more file that should be there as its line says.
    pub(crate) async fn add(
        &mut self,
        path: &RelPath,
        key: String,
        line: &ManifestEntry,
        stop: &mut Stop,
    ) -> Result<(), Fault> {
        if self.in_vain >= IN_VAIN_MAX {
            return Ok(());
        }
        self.lot.push(File {
            path: path.clone(),
            key,
            line: line.clone(),
        });
        match self.lot.len() < LOT {
            true => Ok(()),
            false => self.finish(stop).await,
        }
    }

    /// Those that are left.
    pub(crate) async fn finish(&mut self, stop: &Stop) -> Result<(), Fault> {
        let (ctx, lot) = (self.ctx.clone(), std::mem::take(&mut self.lot));
        let differ = move || -> Vec<(File, bool)> {
            let other = lot.into_iter().filter_map(|file| {
                // What cannot be looked at was told when it was written.
                let existing = ctx.target.existing(&file.path).ok()?;
                let then = file.line.fingerprint()?;
                let is_other = existing.as_ref().is_none_or(|now| !looks_like(now, &then));
                is_other.then_some((file, existing.is_some()))
            });
            other.collect()
        };
        let differ = blocking_on("compare", "the files", || Ok(differ())).await?;
        let asked = differ.into_iter().map(|(file, is_there)| {
            let (ctx, stop) = (self.ctx.clone(), stop.clone());
            async move {
                let wrong = ask(&ctx, &file, is_there, stop).await;
                (file, wrong)
            }
        });
        let answers: Vec<_> = stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await;
        for (file, wrong) in answers {
            let fault = |why: String| {
                Fault::new(Class::Damaged, "restore", file.path.to_string(), why)
                    .hint(format!("what the bucket says of this version is not what was backed up: compare the file with another version (`{}`), and find out who can write to the bucket", command::on_copies("versions FILE")))
            };
            match wrong.map_err(|fault| advise_rerun(fault).about(file.path.to_string()))? {
                None => self.in_vain += 1,
                Some(Wrong::Content(what)) => {
                    self.in_vain = 0;
                    let why = format!("the manifest of {} has it otherwise: {what}", self.moment);
                    self.ctx.stats.failed(fault(why));
                }
                Some(Wrong::Looks(fields)) => {
                    self.in_vain = 0;
                    let why = format!("the manifest of {} has it otherwise: {fields}", self.moment);
                    self.ctx.stats.left_out(fault(why));
                }
            }
        }
        Ok(())
    }
}

/// What stands there looks as it did then.
fn looks_like(now: &Fingerprint, then: &Fingerprint) -> bool {
    let is_file = then.kind == Kind::File;
    let has_mode = then.kind != Kind::Symlink;
    now.kind == then.kind
        && (!is_file || now.size_bytes == then.size_bytes)
        && (!has_mode || now.mode == then.mode)
        // A folder's time changes with what is in it.
        && (then.kind == Kind::Folder || now.mtime_ns == then.mtime_ns)
}

async fn ask(
    ctx: &RestoreContext,
    file: &File,
    is_there: bool,
    mut stop: Stop,
) -> Result<Option<Wrong>, Fault> {
    let at = At {
        bucket: &ctx.origin.bucket,
        key: &file.key,
    };
    let head = head_at(&ctx.store, at, file.line.version_id.as_ref(), &mut stop).await?;
    Ok(match head.map(|head| head.meta) {
        Some(Ok(meta)) => by_metadata(&file.line, &meta, is_there),
        Some(Err(MetaRefused::Foreign)) if !is_there => Some(Wrong::Content(
            "it does not say any more that Keepwatch wrote it (kw-format is gone), and was left alone",
        )),
        // Gone since it was listed, or told when it should have been written.
        Some(Err(_)) | None => None,
    })
}

/// What the object says of itself against its line.
fn by_metadata(line: &ManifestEntry, meta: &ObjectMeta, is_there: bool) -> Option<Wrong> {
    let then = line.fingerprint()?;
    if !is_there {
        // It failed, and that was told; or somebody has taken it away again.
        return None;
    }
    if then.kind != meta.kind {
        return Some(Wrong::Content("it was another kind of thing (kw-kind)"));
    }
    let is_other = meta.content.is_some() && meta.content != line.content();
    if is_other {
        return Some(Wrong::Content("it had another content (kw-sha256)"));
    }
    let has_time = then.kind != Kind::Folder;
    let mut fields = Vec::new();
    if then.mode != meta.mode {
        fields.push(format!("mode {:o}, and not {:o}", then.mode, meta.mode));
    }
    if has_time && then.mtime_ns != meta.mtime_ns {
        fields.push("another modification time".to_owned());
    }
    (!fields.is_empty()).then(|| Wrong::Looks(fields.join(", ")))
}
