//! Draws a manifest from the index, page by page, into a file.

use super::header::header;
use super::local_file::unwritable;
use crate::clock::Clock;
use crate::config::Config;
use crate::files;
use crate::files::Pulse;
use crate::index::Index;
use crate::manifest::{Header, ManifestEntry, Trailer, Writing};
use crate::os;
use crate::source::SourceRuntime;
use crate::types::{ContentHash, Fault, Kind, Record, RelKey, RelPath, WallMs, chain, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

/// The standing note when attributes of folders cannot be read.
const LOST: &str = "attributes of folders";

/// gzip's quickest level that finds the repetition between the lines.
const GZIP_LEVEL: u32 = 4;

/// Draws manifests.
pub(crate) struct ManifestDrawer {
    pub(crate) config: Arc<Config>,
    pub(crate) index: Index,
    pub(crate) clock: Clock,
}

impl ManifestDrawer {
    /// Write the file. What it says besides its moment, as a hash. Blocking.
    pub(crate) fn draw(
        &self,
        source: &SourceRuntime,
        moment_ms: WallMs,
        to: &Path,
        pulse: &Pulse,
    ) -> Result<(Trailer, ContentHash), Fault> {
        pulse.rest(); // the state folder and the index are another disk
        let Self {
            config,
            index,
            clock,
        } = self;
        let before = index.activity(source.id);
        let file = os::create_private_file(to).map_err(|error| unwritable(to, &chain(&error)))?;
        let mut draft = ManifestDraft {
            source,
            to,
            pulse,
            out: GzEncoder::new(BufWriter::new(file), Compression::new(GZIP_LEVEL)),
            writing: Writing::default(),
            ahead_ms: clock.server_now_ms() - clock.now_ms(),
            last: String::new(),
            says: ContentHash::of(b""),
            lost: (0, None),
        };
        let counts = index.counts(source.id);
        let host = os::computer_name();
        let header = header(config, &source.config, &counts, host, moment_ms);
        draft.say(&Header {
            moment: String::new(),
            moment_ms: WallMs::default(),
            ..header.clone()
        })?;
        let bytes = draft.writing.header(&header);
        draft.put(bytes)?;
        for entry in index.range(source.id, "", None) {
            let (rel, record) = entry?;
            draft.record(&rel, &record)?;
        }
        let quiet = index.activity(source.id) == before;
        let says = draft.says;
        source.status.note(LOST, draft.lost());
        let trailer = draft.end(clock.server_now_ms(), quiet)?;
        Ok((trailer, says))
    }
}

/// A manifest on its way to the disk.
struct ManifestDraft<'a> {
    source: &'a SourceRuntime,
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

impl ManifestDraft<'_> {
    fn record(&mut self, rel: &RelKey, record: &Record) -> Result<(), Fault> {
        let source = &self.source.config;
        let target = match record.fingerprint.kind {
            Kind::Symlink => self.link_target(&rel.path(), record.content),
            _ => None,
        };
        let Some(mut line) = ManifestEntry::of(rel, record, &source.prefix, target.as_deref())
        else {
            return Ok(());
        };
        // By the index's clock: how far that is from the server's is guessed anew.
        self.say(&line)?;
        if line.stored_at_ms > WallMs::default() {
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
            let root = &self.source.config.path;
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
                let line =
                    ManifestEntry::without_object(&key, &seen).with_attributes(&kept.attributes);
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
        let target = files::read_link(&self.source.config.path, path);
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

    fn line(&mut self, line: &ManifestEntry) -> Result<(), Fault> {
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

    fn end(mut self, ended_ms: WallMs, quiet: bool) -> Result<Trailer, Fault> {
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
