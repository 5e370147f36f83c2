//! Writing and reading a manifest line by line, with its proof: order, counts and
//! the hash of all lines.

use super::{Header, MANIFEST_VERSION, ManifestEntry, Trailer};
use crate::types::{Hasher, WallMs, shown_bytes};
use serde::{Deserialize, Serialize};

/// Counts and hashes lines, whichever way they go.
#[derive(Default)]
struct Sum {
    hasher: Hasher,
    trailer: Trailer,
    last: String,
}

impl Sum {
    /// Count a path.
    fn count(&mut self, line: &ManifestEntry) -> Result<(), String> {
        if self.trailer.lines > 0 && line.path <= self.last {
            return Err("its paths are not in order".into());
        }
        self.last.clone_from(&line.path);
        let trailer = &mut self.trailer;
        let counter = match line.kind.as_str() {
            "symlink" => &mut trailer.links,
            "folder" => &mut trailer.folders,
            _ => &mut trailer.files,
        };
        *counter += 1;
        trailer.lines += 1;
        trailer.bytes = trailer.bytes.saturating_add(line.size);
        trailer.stored_bytes = trailer.stored_bytes.saturating_add(line.stored_bytes);
        Ok(())
    }
}

/// Writes a manifest, a line at a time.
#[derive(Default)]
pub struct Writing(Sum);

impl Writing {
    /// The first line, with its line end.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn header(&mut self, header: &Header) -> Result<Vec<u8>, String> {
        self.hashed(encode(header)?)
    }

    /// The next path's.
    ///
    /// # Errors
    /// Its path does not come after the one before.
    pub fn line(&mut self, line: &ManifestEntry) -> Result<Vec<u8>, String> {
        self.0.count(line)?;
        self.hashed(encode(line)?)
    }

    /// The last one.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn trailer(self, ended_ms: WallMs, quiet: bool) -> Result<(Vec<u8>, Trailer), String> {
        let trailer = Trailer {
            ended_ms,
            quiet,
            sha256: self.0.hasher.finish().to_hex(),
            ..self.0.trailer
        };
        Ok((encode(&trailer)?, trailer))
    }

    fn hashed(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        self.0.hasher.update(&bytes);
        Ok(bytes)
    }
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a line of a manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The first one.
    Header(Box<Header>),
    /// A path.
    Entry(Box<ManifestEntry>),
    /// The last one: all before it are proved.
    End(Trailer),
}

/// Reads a manifest, a line at a time, and proves it.
#[derive(Default)]
pub struct Reading {
    sum: Sum,
    begun: bool,
    ended: bool,
}

impl Reading {
    /// The next line, without its line end.
    ///
    /// # Errors
    /// What is wrong with the manifest, in words; nothing of it is to be used.
    pub fn row(&mut self, bytes: &[u8]) -> Result<Row, String> {
        if self.ended {
            return Err("something follows its last line".into());
        }
        if !self.begun {
            let header: Header = parse(bytes, "its first line")?;
            if header.keepwatch_manifest != MANIFEST_VERSION {
                return Err(format!(
                    "its format is {}, and this program knows {MANIFEST_VERSION}",
                    header.keepwatch_manifest
                ));
            }
            self.begun = true;
            self.hash(bytes);
            return Ok(Row::Header(Box::new(header)));
        }
        // Entries begin with their path, the trailer does not.
        if bytes.starts_with(b"{\"path\"") {
            let line: ManifestEntry = parse(bytes, "a line")?;
            let sane = line.rel_key().is_some() && line.fingerprint().is_some();
            let proved = line.sha256.is_none() || line.content().is_some();
            if !sane || !proved {
                return Err(format!("a line cannot be understood: {}", excerpt(bytes)));
            }
            self.sum.count(&line)?;
            self.hash(bytes);
            return Ok(Row::Entry(Box::new(line)));
        }
        let trailer: Trailer = parse(bytes, "its last line")?;
        let sum = std::mem::take(&mut self.sum);
        let counted = Trailer {
            ended_ms: trailer.ended_ms,
            quiet: trailer.quiet,
            sha256: sum.hasher.finish().to_hex(),
            ..sum.trailer
        };
        if counted != trailer {
            return Err("its lines are not those that its last line counts".into());
        }
        self.ended = true;
        Ok(Row::End(trailer))
    }

    /// At the end of the file.
    ///
    /// # Errors
    /// It was cut.
    pub fn finish(&self) -> Result<(), String> {
        match self.ended {
            true => Ok(()),
            false => Err("it is cut: its last line is missing".into()),
        }
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.sum.hasher.update(bytes);
        self.sum.hasher.update(b"\n");
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{what} cannot be read: {error}"))
}

/// The beginning of a line, for messages.
fn excerpt(bytes: &[u8]) -> String {
    shown_bytes(bytes).chars().take(80).collect()
}
