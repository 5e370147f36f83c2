//! Which paths are left out.

use super::chain::{Chain, Decided};
use super::rule_file;
use super::rule_file::{RULE_FILE_NAME, RuleFile, of_config};
use crate::files::marker::MARKER_FILE_NAME;
use crate::files::temp::is_temporary;
use crate::os;
use crate::os::{Dir, Trouble};
use crate::types::{Fatal, Fingerprint, RelPath};
use ignore::Match;
use ignore::gitignore::Gitignore;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Parsed rule files kept; offices have a handful. Beyond, one is dropped.
const RULE_FILES_CACHED_MAX: usize = 256;

/// A rule file touched so recently may change again within the clock's grain
/// without looking changed (FAT counts in 2 s): it is not kept.
const RULE_FILE_SETTLED_NS: i64 = 2_000_000_000;

/// What is left out of one source.
#[derive(Debug)]
pub struct Rules {
    root: PathBuf,
    config: Gitignore,
    /// Rule files count; they do not for whoever wants to see everything.
    with_files: bool,
    cache: Mutex<HashMap<RelPath, (Fingerprint, Arc<RuleFile>)>>,
}

/// A file of Keepwatch's own, in whatever folder: another source's, or another
/// account's, may lie within this one, under whatever spelling.
fn is_marker(name: &[u8]) -> bool {
    name == MARKER_FILE_NAME.as_bytes()
}

impl Rules {
    /// The rules of the source at `root`; `exclude` are the configuration's.
    ///
    /// # Errors
    /// [`Fatal`] (usage) when a pattern is no pattern.
    pub fn new(root: &Path, exclude: &[String]) -> Result<Self, Fatal> {
        Ok(Self {
            root: root.to_owned(),
            config: of_config("exclude", exclude, os::NAMES_FOLD_CASE)?,
            with_files: true,
            cache: Mutex::default(),
        })
    }

    /// Rules that leave out nothing but Keepwatch's own files.
    pub fn none(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            config: Gitignore::empty(),
            with_files: false,
            cache: Mutex::default(),
        }
    }

    /// True when `path`, or a folder that it is in, is left out. Looks for rule
    /// files in the folders above it. Blocks.
    ///
    /// A rule file that cannot be read counts as empty here; the walk reports it.
    pub fn excluded(&self, path: &RelPath, is_folder: bool) -> bool {
        let mut rules = Chain::default();
        let mut folder = RelPath::root();
        // Below a folder that is not there (any more) no rule file counts.
        let mut dir = Dir::open(&self.root).ok();
        let mut names = path.components().peekable();
        while let Some(name) = names.next() {
            if let Some(file) = dir.as_ref().and_then(|dir| self.load(dir, &folder)) {
                rules.push(&folder, file);
            }
            let Ok(next) = folder.join(name) else {
                return false;
            };
            let is_last = names.peek().is_none();
            if self.leaves_out(&rules, next.as_bytes(), is_folder || !is_last) {
                return true;
            }
            dir = dir.and_then(|dir| dir.open_dir(name).ok());
            folder = next;
        }
        false
    }

    /// True when the rules of a path's folder leave out the path itself; the
    /// folders above it are known to be in.
    pub(crate) fn leaves_out(&self, rules: &Chain, path: &[u8], is_folder: bool) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        if !is_folder && (is_temporary(name) || is_marker(name)) {
            return true;
        }
        self.decided(rules, path, is_folder)
            .is_some_and(|decided| !decided.takes_in)
    }

    /// The rule that decides about the path, if any has a say: the nearest rule
    /// file's, the configuration's last.
    pub(crate) fn decided<'c>(
        &'c self,
        rules: &'c Chain,
        path: &[u8],
        is_folder: bool,
    ) -> Option<Decided<'c>> {
        let near = rules.links.iter().rev().map(|(start, file)| {
            let inner = os::path_for_patterns(&path[*start..]);
            (Some(*start), file.patterns.matched(inner, is_folder))
        });
        let far = std::iter::once_with(|| {
            let path = os::path_for_patterns(path);
            (None, self.config.matched(path, is_folder))
        });
        near.chain(far).find_map(|(file, verdict)| {
            let (rule, takes_in) = match verdict {
                Match::None => return None,
                Match::Ignore(glob) => (glob.original(), false),
                Match::Whitelist(glob) => (glob.original(), true),
            };
            Some(Decided {
                file,
                rule,
                takes_in,
            })
        })
    }

    /// Whether any pattern counts here; without one a name's folder does not matter.
    pub(crate) fn have_patterns(&self, rules: &Chain) -> bool {
        rules.len() > 0 || !self.config.is_empty()
    }

    /// The rule file of the open folder `dir`, if it has one. Blocks.
    pub(crate) fn load(&self, dir: &Dir, folder: &RelPath) -> Option<Arc<RuleFile>> {
        if !self.with_files {
            return None;
        }
        self.load_at(dir, folder, SystemTime::now())
    }

    fn load_at(&self, dir: &Dir, folder: &RelPath, now: SystemTime) -> Option<Arc<RuleFile>> {
        let seen = match dir.stat(RULE_FILE_NAME.as_bytes()) {
            Ok(found) => found.fingerprint,
            Err(error) => {
                self.cache.lock().remove(folder);
                return match os::trouble(&error) {
                    Trouble::Missing | Trouble::NotFolder => None,
                    // The folder may not be looked into: its own fault says so.
                    Trouble::Denied => None,
                    _ => Some(Arc::new(rule_file::unknown(folder, &error))),
                };
            }
        };
        if let Some((known, file)) = self.cache.lock().get(folder)
            && *known == seen
        {
            return Some(Arc::clone(file));
        }
        let file = Arc::new(rule_file::read(&self.root, dir, folder, seen.kind));
        let mut cache = self.cache.lock();
        if is_settled(&seen, now) {
            if cache.len() >= RULE_FILES_CACHED_MAX
                && !cache.contains_key(folder)
                && let Some(any) = cache.keys().next().cloned()
            {
                cache.remove(&any);
            }
            cache.insert(folder.clone(), (seen, Arc::clone(&file)));
        } else {
            cache.remove(folder);
        }
        Some(file)
    }
}

fn is_settled(seen: &Fingerprint, now: SystemTime) -> bool {
    let touched = os::time_of_ns(seen.mtime_ns.max(seen.ctime_ns.into()));
    now.duration_since(touched)
        .is_ok_and(|age| age.as_nanos() >= RULE_FILE_SETTLED_NS as u128)
}

#[cfg(test)]
#[path = "excluded_tests.rs"]
mod tests;
