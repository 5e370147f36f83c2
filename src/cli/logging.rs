//! Log lines for people: on the terminal and in one file a day.
//!
//! One event is one line, whatever a file is called: control characters in
//! logged values are escaped, so that no name can forge a line. Logging never
//! ends the program; when the folder cannot be written, it says so once and
//! tries again with every line. Libraries are never logged more closely than `debug`, as
//! their `trace` prints whole requests with their headers.

mod daily;
mod plain;

use crate::config::LogConfig;
use crate::types::Fatal;
use anstream::{AutoStream, ColorChoice};
use daily::DailyFile;
use plain::{LocalTime, PlainLines};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Lines that may wait for the disk; then whoever logs waits, too. At 200
/// bytes a line this is 2 MB, and a disk needs milliseconds for it.
const FILE_LINES_WAITING_MAX: usize = 10_000;

/// Lines that may wait for the terminal; then lines are left out there (the
/// file has them), as a terminal that was stopped with Ctrl-S must not stop
/// the backup.
const TERMINAL_LINES_WAITING_MAX: usize = 1_000;

/// The crate's own name in targets.
const OWN_TARGET: &str = "keepwatch";

/// Keeps logging alive; dropping it writes what is still waiting.
#[derive(Debug)]
#[must_use = "logging stops when the guard is dropped"]
pub struct LogGuard {
    _writers: Vec<WorkerGuard>,
}

/// Start logging for the whole process: to a file of the day in the
/// configured folder and, if asked, to the terminal (standard error).
///
/// `quiet` leaves only warnings and errors on the terminal. A folder that
/// cannot be written is reported there, and the program goes on.
pub fn init(config: &LogConfig, terminal: bool, quiet: bool) -> LogGuard {
    let mut writers = Vec::new();
    let (file, trouble) = DailyFile::open(&config.dir);
    let builder = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(FILE_LINES_WAITING_MAX)
        .thread_name("log-file");
    let file = Some(keep(builder.finish(file), &mut writers));
    let screen = terminal.then(|| {
        let builder = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(TERMINAL_LINES_WAITING_MAX)
            .thread_name("log-terminal");
        let floor = if quiet {
            LevelFilter::WARN
        } else {
            LevelFilter::TRACE
        };
        let terminal = AutoStream::auto(std::io::stderr());
        let is_coloured = terminal.current_choice() != ColorChoice::Never;
        let writer = keep(builder.finish(terminal), &mut writers);
        (writer, floor, is_coloured)
    });
    if let Some(fatal) = trouble {
        report(&fatal);
    }
    // Fails only when a subscriber is there already; that one then goes on.
    let _ = subscriber(config, screen, file).try_init();
    LogGuard { _writers: writers }
}

fn keep(
    (writer, guard): (NonBlocking, WorkerGuard),
    writers: &mut Vec<WorkerGuard>,
) -> NonBlocking {
    writers.push(guard);
    writer
}

/// Logging itself is in trouble, so this goes straight to the terminal.
fn report(fatal: &Fatal) {
    let words = plain::one_line(&fatal.to_string().replace("\n  ", "; "));
    eprintln!("WARN {words}");
}

fn subscriber<S, F>(
    config: &LogConfig,
    screen: Option<(S, LevelFilter, bool)>,
    file: Option<F>,
) -> impl Subscriber + Send + Sync + use<S, F>
where
    S: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    F: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let json = config.json;
    let screen = screen.map(|(writer, floor, is_coloured)| {
        let is_coloured = is_coloured && !json;
        lines(
            PlainLines {
                writer,
                is_coloured,
            },
            json,
        )
        .with_filter(floor)
    });
    let is_coloured = false;
    let file = file.map(|writer| {
        lines(
            PlainLines {
                writer,
                is_coloured,
            },
            json,
        )
    });
    Registry::default()
        .with(filter(&config.level))
        .with(FilterFn::new(nothing_too_close))
        .with(screen)
        .with(file)
}

fn lines<S, W>(writer: PlainLines<W>, json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer()
        .with_ansi(false)
        .with_timer(LocalTime)
        .with_writer(writer);
    if json {
        Box::new(layer.json().flatten_event(true))
    } else {
        Box::new(layer.fmt_fields(debug_fn(plain::field).delimited(" ")))
    }
}

/// What libraries say of what is told otherwise: files of keys that are not there, by
/// `aws` when it matters; refusals of the vault, by whoever asked it, in words (of a disk
/// that is unplugged there would be two lines of XML for each request).
const TOLD_OTHERWISE: &str = "aws_runtime=error,aws_config=error,s3s=off,aws_smithy_runtime::client::http::connection_poisoning=off";

/// A plain level is meant for Keepwatch; libraries then only warn.
fn filter(level: &str) -> EnvFilter {
    let directives = match level.parse::<LevelFilter>() {
        Ok(LevelFilter::OFF) => "off".to_owned(),
        Ok(LevelFilter::ERROR) => format!("error,{TOLD_OTHERWISE}"),
        Ok(level) => format!("warn,{TOLD_OTHERWISE},{OWN_TARGET}={level}"),
        Err(_) => level.to_owned(),
    };
    // The configuration has checked it; one that slipped through logs as usual.
    EnvFilter::builder()
        .parse(&directives)
        .unwrap_or_else(|_| EnvFilter::new("info"))
}

fn nothing_too_close(metadata: &Metadata<'_>) -> bool {
    let own = metadata
        .target()
        .strip_prefix(OWN_TARGET)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    own || *metadata.level() <= Level::DEBUG
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io::Write;
    use std::sync::Arc;

    /// A writer whose text can be read back.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Memory {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn config(level: &str, json: bool) -> LogConfig {
        LogConfig {
            dir: "/nowhere".into(),
            level: level.into(),
            json,
        }
    }

    /// What the terminal and the file show of what `work` logs.
    fn logged(
        level: &str,
        json: bool,
        floor: LevelFilter,
        work: impl FnOnce(),
    ) -> (String, String) {
        let (screen, file) = (Memory::default(), Memory::default());
        let subscriber = subscriber(
            &config(level, json),
            Some((screen.clone(), floor, false)),
            Some(file.clone()),
        );
        tracing::subscriber::with_default(subscriber, work);
        (screen.text(), file.text())
    }

    fn every_level() {
        tracing::error!("own error");
        tracing::info!("own info");
        tracing::debug!("own debug");
        tracing::trace!("own trace");
        tracing::error!(target: "aws_sdk", "library error");
        tracing::info!(target: "aws_sdk", "library info");
        tracing::trace!(target: "aws_sdk", "library trace");
        tracing::trace!(target: "keepwatcher", "stranger trace");
    }

    #[test]
    fn levels_are_meant_for_keepwatch_and_libraries_never_trace() {
        for (level, shown) in [
            ("off", &[][..]),
            ("error", &["own error", "library error"]),
            ("info", &["own error", "own info", "library error"]),
            (
                "trace",
                &[
                    "own error",
                    "own info",
                    "own debug",
                    "own trace",
                    "library error",
                ],
            ),
            (
                "aws_sdk=trace,keepwatcher=trace",
                &["library error", "library info"],
            ),
        ] {
            let (_, file) = logged(level, false, LevelFilter::TRACE, every_level);
            let found: Vec<&str> = file
                .lines()
                .filter_map(|line| line.rsplit_once(": ").map(|(_, message)| message))
                .collect();
            assert_eq!(found, shown, "{level}");
        }
    }

    #[test]
    fn what_the_vault_refuses_is_said_by_who_asked_it_alone() {
        let work = || {
            tracing::error!(target: "s3s", "<Error><Code>ServiceUnavailable</Code>");
            tracing::error!(
                target: "aws_smithy_runtime::client::http::connection_poisoning",
                "unable to mark the connection"
            );
            tracing::error!("the vault is not there");
        };
        for level in ["error", "info", "debug"] {
            let (_, file) = logged(level, false, LevelFilter::TRACE, work);
            assert_eq!(file.lines().count(), 1, "{level}: {file}");
        }
    }

    #[test]
    fn quiet_is_for_the_terminal_only() {
        let (screen, file) = logged("info", false, LevelFilter::WARN, every_level);
        assert!(
            screen.contains("own error") && !screen.contains("own info"),
            "{screen}"
        );
        assert!(file.contains("own info"), "{file}");
    }

    #[test]
    fn a_files_name_cannot_forge_a_line() {
        let name = "a\n2026-11-23T10:00:00.000+01:00  INFO all is well\r\u{1b}[2J\u{2028}\u{202e}";
        let (_, file) = logged("info", false, LevelFilter::TRACE, || {
            tracing::info!(path = %name, debug = ?name, "stored {name}");
        });
        assert_eq!(file.lines().count(), 1, "{file}");
        assert!(file.ends_with('\n'));
        let hidden =
            |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}'));
        assert!(!file.contains(hidden), "{file:?}");
        assert!(file.contains("all is well"), "{file}");
    }

    #[test]
    fn a_name_with_a_blank_is_one_value() {
        let (_, file) = logged("info", false, LevelFilter::TRACE, || {
            tracing::info!(source = "my office", path = %"invoices 2026.csv", bytes = 7, "stored");
            tracing::info!(path = %"plain.csv", debug = ?Some(1), "stored");
        });
        let mut lines = file.lines();
        let first = lines.next().unwrap();
        assert!(
            first.ends_with("stored source=\"my office\" path=\"invoices 2026.csv\" bytes=7"),
            "{first}"
        );
        let second = lines.next().unwrap();
        assert!(
            second.ends_with("stored path=plain.csv debug=Some(1)"),
            "{second}"
        );
    }

    #[test]
    fn json_lines_are_json() {
        let (_, file) = logged("info", true, LevelFilter::TRACE, || {
            tracing::info!(path = %"a\nb\u{202e}", bytes = 7, "stored");
        });
        let line: serde_json::Value = serde_json::from_str(file.trim_end()).unwrap();
        assert_eq!(line["message"], "stored");
        assert_eq!(line["bytes"], 7);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["path"], "a\nb\u{202e}");
        assert_eq!(file.lines().count(), 1);
    }

    #[test]
    fn without_a_folder_the_terminal_still_logs() {
        let screen = Memory::default();
        let terminal = Some((screen.clone(), LevelFilter::TRACE, false));
        let subscriber = subscriber(&config("info", false), terminal, None::<Memory>);
        tracing::subscriber::with_default(subscriber, || tracing::info!("still here"));
        assert!(screen.text().contains("still here"));
    }
}
