//! Command lines that messages suggest. Only this file knows how the reader of a message calls
//! the program, and where the copies are.
//!
//! A process sets that once: a command by what was typed ([`crate::cli`]), the service by how
//! it was started (`source::commands`). Until then the plain program name is used. Every text
//! that names a command gets it here (the test `layers` enforces that). Invariant: it never
//! contains a secret.

use parking_lot::RwLock;

/// How whoever reads the messages of this process calls the program. What is not
/// empty, of the options, begins with a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The program, with what stands before it.
    pub program: String,
    /// The option that names the configuration; empty where the usual one is found.
    pub config: String,
    /// Options that say where the copies are, in place of a configuration.
    pub place: String,
    /// The option that chooses a source.
    pub source: String,
}

static READER: RwLock<Option<Reader>> = RwLock::new(None);

impl Default for Reader {
    fn default() -> Self {
        Self {
            program: "keepwatch".to_owned(),
            config: String::new(),
            place: String::new(),
            source: String::new(),
        }
    }
}

impl Reader {
    /// A command that works on the copies: `restore`, `versions`, `verify`, `moments`.
    fn on_copies(&self, words: &str) -> String {
        let place = match self.place.is_empty() {
            true => &self.config,
            false => &self.place,
        };
        format!("{} {words}{place}{}", self.program, self.source)
    }

    /// A command that needs a configuration: `check`, `status`, `--reconcile`.
    fn with_configuration(&self, words: &str) -> String {
        let config = match self.place.is_empty() {
            true => &self.config,
            // No configuration was needed so far, and which one is not known.
            false => " --config FILE",
        };
        format!("{}{config} {words}", self.program)
    }
}

/// What commands begin with, up to the program's own name.
pub fn program() -> String {
    reader().program
}

/// From now on commands are meant for this reader.
pub fn set(reader: Reader) {
    *READER.write() = Some(reader);
}

fn reader() -> Reader {
    let reader = READER.read();
    reader.clone().unwrap_or_default()
}

/// `restore`, `versions`, `verify` or `moments` with these words, for this place.
pub fn on_copies(words: &str) -> String {
    reader().on_copies(words)
}

/// A command that needs a configuration, with these words.
pub fn with_configuration(words: &str) -> String {
    reader().with_configuration(words)
}

/// How things stand: of a trial, too, which has no configuration.
pub fn status() -> String {
    let reader = reader();
    match reader.place.is_empty() {
        true => reader.with_configuration("status"),
        false => bare("status"),
    }
}

/// The service by hand, with this configuration (a word of the shell) where there is one.
pub fn service(file: Option<&str>) -> String {
    let reader = reader();
    match file {
        Some(file) if reader.config.is_empty() && reader.place.is_empty() => {
            format!("{} --config {file}", reader.program)
        }
        _ => reader.with_configuration("").trim_end().to_owned(),
    }
}

/// A command that needs neither.
pub fn bare(words: &str) -> String {
    format!("{} {words}", reader().program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_again_what_its_reader_has_said() {
        let plain = Reader::default();
        assert_eq!(plain.on_copies("versions a"), "keepwatch versions a");
        assert_eq!(plain.with_configuration("check"), "keepwatch check");
        let configured = Reader {
            program: "/opt/keepwatch".to_owned(),
            config: " --config /etc/k.toml".to_owned(),
            source: " --source docs".to_owned(),
            ..Reader::default()
        };
        assert_eq!(
            configured.on_copies("restore a --to FOLDER"),
            "/opt/keepwatch restore a --to FOLDER --config /etc/k.toml --source docs"
        );
        assert_eq!(
            configured.with_configuration("check"),
            "/opt/keepwatch --config /etc/k.toml check"
        );
        let of_bucket = Reader {
            place: " --bucket b-1".to_owned(),
            ..Reader::default()
        };
        assert_eq!(
            of_bucket.on_copies("versions a"),
            "keepwatch versions a --bucket b-1"
        );
        assert_eq!(
            of_bucket.with_configuration("check"),
            "keepwatch --config FILE check"
        );
    }
}
