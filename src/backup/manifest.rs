//! The manifest: what the bucket has, written into the bucket after each full
//! comparison that came to its end, unless the last one says the same already.
//!
//! It is drawn from the index into a file in the state folder, page by page,
//! and sent from there like any other file, in parts when it is large: the
//! drawing waits for no line, and takes seconds. Invariants: memory does not
//! grow with the number of paths; what is stored or deleted while it is drawn
//! is said (see [`Trailer::quiet`]); a manifest that cannot be written is told,
//! and nothing else depends on it.

mod thin;

use crate::config::{OnDelete, S3Demands, StoreConfig};
use crate::files;
use crate::files::Pulse;
use crate::index::Activity;
use crate::manifest::{
    Demands, Header, Line, MANIFEST_VERSION, Settings, Trailer, Writing, Written, format,
};
use crate::os;
use crate::os::blocking::blocking;
use crate::s3::At;
use crate::source::{Context, on_disk};
use crate::status::ScanDone;
use crate::transfer;
use crate::transfer::{Job, Patience, Reading, Sent, Wire};
use crate::types::{
    Class, ContentHash, ETag, Fault, Kind, ObjectMeta, Operation, Record, RelKey, RelPath, chain,
    text,
};
use crate::work::Lane;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The standing warning when it cannot be written.
const WARNING: &str = "manifest";

/// The standing note when attributes of folders cannot be read.
const LOST: &str = "attributes of folders";

/// How often it is drawn again because something was stored or deleted
/// meanwhile: a million paths take seconds, and at night offices are quiet.
/// Where they are not, the last one stands and says so.
const DRAWINGS_MAX: u32 = 3;

/// Tries to send it; tomorrow brings the next one.
const SENDINGS_MAX: u32 = 3;

/// Between two of them.
const SENDING_PAUSE: Duration = Duration::from_secs(5);

/// The longest that sending may take: 100 MB over half a megabit.
const SENDING_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// gzip's quickest level that finds the repetition between the lines.
const GZIP_LEVEL: u32 = 4;

/// Write a manifest for each source whose comparison came to its end.
pub async fn write_all(ctx: &Arc<Context>, scans: &[Option<ScanDone>]) {
    for (number, scan) in scans.iter().enumerate() {
        let is_whole = |scan: &ScanDone| scan.complete() && scan.listed_whole;
        let is_ours = ctx.sources[number].destination.is_known_ours();
        if !is_ours || !scan.as_ref().is_some_and(is_whole) {
            continue;
        }
        let name = &ctx.sources[number].config.name;
        // On the heap: what sends a large file is a deep thing.
        match Box::pin(write(ctx, number)).await {
            Ok(written) => {
                ctx.board.warn(number, WARNING, None);
                match written {
                    Some((key, trailer)) => {
                        tracing::info!(source = %name, %key, lines = trailer.lines, quiet = trailer.quiet, "manifest written");
                    }
                    None => tracing::debug!(source = %name, "the last manifest says the same"),
                }
                if let Err(fault) = thin::thin(ctx, number).await {
                    // Too many are no harm.
                    tracing::info!(source = %name, "old manifests stay for now: {fault}");
                }
            }
            Err(fault) => {
                let text = format!(
                    "no manifest was written, so the list of what the bucket has is that of the last one (restoring works without): {fault}"
                );
                if ctx.board.warn(number, WARNING, Some(text.clone())) {
                    tracing::warn!(source = %name, "{text}");
                }
            }
        }
    }
}

/// A file that goes with whoever holds this.
struct Sheet {
    folder: PathBuf,
    name: String,
}

impl Sheet {
    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        // The next one is written over it.
        let _ = std::fs::remove_file(self.path());
    }
}

/// Draw it and send it: its key and what it counts. `None` when the last one says the
/// same.
async fn write(ctx: &Arc<Context>, number: usize) -> Result<Option<(String, Trailer)>, Fault> {
    let sheet = Arc::new(Sheet {
        folder: ctx.config.state_dir.clone(),
        name: format!("keepwatch-manifest-{number}.jsonl.gz"),
    });
    let mut drawing = 1;
    let (moment_ms, trailer, says) = loop {
        // By the clock that the bucket's times are by.
        let moment_ms = ctx.server_now_ms();
        let (shared, to) = (Arc::clone(ctx), Arc::clone(&sheet));
        let pulse = Pulse::default();
        let beat = pulse.clone();
        let work = move || draw(&shared, number, moment_ms, &to.path(), &beat);
        let (trailer, says) = on_disk(ctx, number, &pulse, work).await?;
        if trailer.quiet || drawing == DRAWINGS_MAX {
            break (moment_ms, trailer, says.to_hex());
        }
        drawing += 1;
    };
    let key = format::key(&ctx.sources[number].config.prefix, moment_ms);
    let says = trailer.quiet.then_some(says);
    if says.is_some() && is_said(ctx, number, &key, says.as_deref()).await? {
        return Ok(None);
    }
    // Noted before and after, so that `verify` knows it for ours whenever a kill comes.
    note(ctx, number, &key, ETag::default(), None).await?;
    let sending = send_again(ctx, number, &sheet, &key);
    let sent = tokio::time::timeout(SENDING_TIME_MAX, sending).await;
    let etag = sent.unwrap_or_else(|_| {
        let why = "it took too long";
        Err(Fault::new(Class::Transient, Operation::Upload, &key, why))
    })?;
    note(ctx, number, &key, etag, says).await?;
    Ok(Some((key, trailer)))
}

/// Whether the last one that was written says the same, comes before `key`, and is
/// in the bucket as it was stored. Who may not ask for it writes another.
async fn is_said(
    ctx: &Arc<Context>,
    number: usize,
    key: &str,
    says: Option<&str>,
) -> Result<bool, Fault> {
    let last = {
        let ctx = Arc::clone(ctx);
        blocking(move || newest(&ctx, number)).await?
    };
    let is_same = |last: &Written| last.says.as_deref() == says && *last.key < *key;
    let Some(last) = last.filter(is_same) else {
        return Ok(false);
    };
    let at = At {
        bucket: &ctx.sources[number].config.bucket,
        key: &last.key,
    };
    let head = ctx.store.head(at, None).await;
    Ok(matches!(head, Ok(Some(head)) if head.etag == last.etag))
}

/// The newest one that this computer wrote. Blocking.
fn newest(ctx: &Context, number: usize) -> Result<Option<Written>, Fault> {
    let id = ctx.sources[number].id;
    let value = ctx.index.source_state_get(id, Written::NAME)?;
    Ok(value.and_then(|value| Written::from_value(&value)))
}

/// Remember it as the newest one.
async fn note(
    ctx: &Arc<Context>,
    number: usize,
    key: &str,
    etag: ETag,
    says: Option<String>,
) -> Result<(), Fault> {
    let (ctx, key) = (Arc::clone(ctx), key.to_owned());
    blocking(move || {
        let id = ctx.sources[number].id;
        let written = Written {
            says,
            ..Written::after(newest(&ctx, number)?, key, etag)
        };
        ctx.index
            .source_state_set(id, Written::NAME, &written.to_value())
    })
    .await
}

/// What was done to the source's objects so far.
fn activity(ctx: &Context, number: usize) -> Activity {
    ctx.index.activity(ctx.sources[number].id)
}

/// Write the file; what it says besides its moment, as a hash. Blocking.
fn draw(
    ctx: &Context,
    number: usize,
    moment_ms: i64,
    to: &Path,
    pulse: &Pulse,
) -> Result<(Trailer, ContentHash), Fault> {
    pulse.rest(); // the state folder and the index are another disk
    let before = activity(ctx, number);
    let file = os::create_private_file(to).map_err(|error| unwritable(to, &chain(&error)))?;
    let mut drawing = Drawing {
        ctx,
        number,
        to,
        pulse,
        out: GzEncoder::new(BufWriter::new(file), Compression::new(GZIP_LEVEL)),
        writing: Writing::default(),
        ahead_ms: ctx.server_now_ms() - ctx.now_ms(),
        last: String::new(),
        says: ContentHash::of(b""),
        lost: (0, None),
    };
    let header = header(ctx, number, moment_ms);
    drawing.say(&Header {
        moment: String::new(),
        moment_ms: 0,
        ..header.clone()
    })?;
    let bytes = drawing.writing.header(&header);
    drawing.put(bytes)?;
    for entry in ctx.index.range(ctx.sources[number].id, "", None) {
        let (rel, record) = entry?;
        drawing.record(&rel, &record)?;
    }
    let quiet = activity(ctx, number) == before;
    let says = drawing.says;
    ctx.board.note(number, LOST, drawing.lost());
    let trailer = drawing.end(ctx.server_now_ms(), quiet)?;
    Ok((trailer, says))
}

fn unwritable(to: &Path, cause: &str) -> Fault {
    Fault::new(Class::Local, "write", to.display().to_string(), cause)
        .hint("see whether the state folder's disk is full")
}

fn header(ctx: &Context, number: usize, moment_ms: i64) -> Header {
    let source = &ctx.sources[number].config;
    let counts = ctx.index.counts(ctx.sources[number].id);
    let at = Timestamp::from_millisecond(moment_ms).unwrap_or_default();
    Header {
        keepwatch_manifest: MANIFEST_VERSION,
        source: source.name.clone(),
        root: source.path.display().to_string(),
        bucket: source.bucket.clone(),
        prefix: source.prefix.clone(),
        moment: at.to_string(),
        moment_ms,
        host: os::computer_name(),
        keepwatch: env!("CARGO_PKG_VERSION").to_owned(),
        files: counts.protected(),
        bytes: counts.bytes,
        settings: Settings {
            compress: source.compress.clone(),
            compress_level: source.compress_level,
            exclude: source.exclude.clone(),
            marks_deletions: source.on_delete == OnDelete::Mark,
            sentinel: source.sentinel,
            min_version_interval_ms: source.min_version_interval_ms,
            versions_per_hour_max: source.versions_per_hour_max,
            topic_arn: ctx.config.notify.topic_arn.clone(),
            notify_endpoint_url: ctx.config.notify.endpoint_url.clone(),
            s3: demands(&ctx.config.store),
        },
    }
}

fn demands(store: &StoreConfig) -> Demands {
    let StoreConfig::S3(s3) = store else {
        return Demands::default();
    };
    let S3Demands {
        encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    } = s3.demands.clone();
    Demands {
        server_side_encryption: encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    }
}

/// A manifest on its way to the disk.
struct Drawing<'a> {
    ctx: &'a Context,
    number: usize,
    to: &'a Path,
    pulse: &'a Pulse,
    out: GzEncoder<BufWriter<File>>,
    writing: Writing,
    /// How far the server's clock is ahead of the one that the index's times are by.
    ahead_ms: i64,
    /// The path of the last line.
    last: String,
    /// All that it says so far besides its moment: the hash of each thing behind that
    /// of what came before it.
    says: ContentHash,
    /// Folders whose attributes cannot be read, and which one was the first.
    lost: (u64, Option<String>),
}

impl Drawing<'_> {
    fn record(&mut self, rel: &RelKey, record: &Record) -> Result<(), Fault> {
        let source = &self.ctx.sources[self.number].config;
        let target = match record.fingerprint.kind {
            Kind::Symlink => self.link_target(&rel.path(), record.content),
            _ => None,
        };
        let Some(mut line) = Line::of(rel, record, &source.prefix, target.as_deref()) else {
            return Ok(());
        };
        // By the index's clock: how far that is from the server's is guessed anew.
        self.say(&line)?;
        if line.stored_at_ms > 0 {
            line.stored_at_ms += self.ahead_ms;
        }
        self.folders_of(rel)?;
        self.line(&line)
    }

    /// The folders that a path lies in, once each: all that is in a folder comes
    /// in a row. They have no objects, so their mode and owner are the disk's.
    fn folders_of(&mut self, rel: &RelKey) -> Result<(), Fault> {
        let text = rel.as_str();
        let inner = text.strip_suffix('/').unwrap_or(text);
        for (slash, _) in inner.match_indices('/') {
            let folder = &text[..=slash];
            if self.last.starts_with(folder) {
                continue;
            }
            let Ok(key) = RelKey::parse_full(folder) else {
                continue;
            };
            self.pulse.beat();
            let root = &self.ctx.sources[self.number].config.path;
            let seen = files::stat(root, &key.path());
            let kept = files::folder_attributes(root, &key.path());
            self.pulse.rest();
            // One that is gone or cannot be looked at has no line: nobody knows
            // its mode.
            if let Ok(Some(seen)) = seen
                && seen.kind == Kind::Folder
            {
                let kept = kept.unwrap_or_default();
                if let Some(why) = &kept.lost {
                    let first = || format!("{}: {why}", key.path());
                    self.lost.0 += 1;
                    self.lost.1.get_or_insert_with(first);
                }
                let line = Line::without_object(&key, &seen).with_attributes(&kept.attributes);
                self.say(&line)?;
                self.line(&line)?;
            }
        }
        Ok(())
    }

    /// What is said of folders whose attributes cannot be read.
    fn lost(&self) -> Option<String> {
        let (count, first) = &self.lost;
        let first = first.as_ref()?;
        Some(format!(
            "attributes and access control lists of {} are not kept, the first is {first}",
            text::amount(*count, "folder")
        ))
    }

    /// Where a link leads, if it still leads there.
    fn link_target(&self, path: &RelPath, content: Option<ContentHash>) -> Option<Vec<u8>> {
        self.pulse.beat();
        let target = files::read_link(&self.ctx.sources[self.number].config.path, path);
        self.pulse.rest();
        target
            .ok()
            .filter(|target| content == Some(ContentHash::of(target)))
    }

    fn say(&mut self, what: &impl Serialize) -> Result<(), Fault> {
        let text = serde_json::to_vec(what).map_err(|e| unwritable(self.to, &chain(&e)))?;
        self.says = ContentHash::of(&[&self.says.0[..], &text].concat());
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), Fault> {
        let bytes = self.writing.line(line);
        self.put(bytes)?;
        self.last.clone_from(&line.path);
        Ok(())
    }

    fn put(&mut self, bytes: Result<Vec<u8>, String>) -> Result<(), Fault> {
        let bytes = bytes.map_err(|why| unwritable(self.to, &why))?;
        let written = self.out.write_all(&bytes);
        written.map_err(|error| unwritable(self.to, &chain(&error)))
    }

    fn end(mut self, ended_ms: i64, quiet: bool) -> Result<Trailer, Fault> {
        let writing = std::mem::take(&mut self.writing);
        let (bytes, trailer) = writing
            .trailer(ended_ms, quiet)
            .map_err(|why| unwritable(self.to, &why))?;
        self.put(Ok(bytes))?;
        let to = self.to;
        let done = self.out.finish().and_then(|mut file| file.flush());
        done.map_err(|error| unwritable(to, &chain(&error)))?;
        Ok(trailer)
    }
}

async fn send_again(
    ctx: &Arc<Context>,
    number: usize,
    sheet: &Arc<Sheet>,
    key: &str,
) -> Result<ETag, Fault> {
    let mut sending = 1;
    loop {
        match Box::pin(send(ctx, number, sheet, key)).await {
            Err(fault) if fault.class.is_transient() && sending < SENDINGS_MAX => {
                tracing::debug!("the manifest is sent again: {fault}");
                tokio::time::sleep(SENDING_PAUSE * sending).await;
                sending += 1;
            }
            done => return done,
        }
    }
}

/// Send it as what it is: a file. Gives its ETag.
async fn send(
    ctx: &Arc<Context>,
    number: usize,
    sheet: &Arc<Sheet>,
    key: &str,
) -> Result<ETag, Fault> {
    let path = RelPath::from_bytes(sheet.name.as_bytes())
        .map_err(|error| unwritable(&sheet.path(), &chain(&error)))?;
    // It is small or read as a stream; either way one at a time.
    let _memory = ctx
        .budget
        .take(Lane::Backlog, transfer::SMALL_BYTES_MAX)
        .await;
    let (folder, read) = (sheet.folder.clone(), path.clone());
    let reading =
        blocking(move || transfer::read(&folder, &read, Patience::Strict, &Pulse::default()));
    let changed = || unwritable(&sheet.path(), "somebody else writes to it");
    let Reading::Steady(content) = reading.await? else {
        return Err(changed());
    };
    let job = job(ctx, number, sheet, path, key);
    let meta = ObjectMeta::of(&content.fingerprint, Some(content.hash));
    let sent = match &content.bytes {
        Some(bytes) => transfer::send_small(&job, bytes.clone(), meta, content.hash).await?,
        None => transfer::send_large(&job, &content, meta, None).await?,
    };
    match sent {
        Sent::Stored(done) => Ok(done.stored.etag),
        Sent::Changed => Err(changed()),
    }
}

fn job(ctx: &Arc<Context>, number: usize, sheet: &Sheet, path: RelPath, key: &str) -> Job {
    let source = &ctx.sources[number];
    let shared = Arc::clone(ctx);
    Job {
        store: ctx.store.clone(),
        index: ctx.index.clone(),
        source: source.id,
        root: sheet.folder.clone(),
        // An upload in parts that is cut off is noted under a name that no file
        // of the source has at that key, so it is aborted and not gone on with.
        key: RelKey::of_file(&path),
        path,
        bucket: source.config.bucket.clone(),
        bucket_key: key.to_owned(),
        gzip_level: None,
        lane: Lane::Backlog,
        budget: ctx.budget.clone(),
        wire: Wire {
            works: Arc::new(|| {}),
            slowed: Arc::new(|| {}),
            at_once: Arc::new(move || shared.gates.at_once(number)),
        },
        pulse: Pulse::default(),
        uploads: ctx.uploads.clone(),
    }
}
