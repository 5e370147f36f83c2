//! Finds the line of the file in which a key is.
//!
//! figment knows which file a value came from but not where in it. So the text is parsed once
//! more by the same parser, which keeps positions. Never used for values.

use super::key::Key;
use super::problem::Problem;
use toml_edit::{ImDocument, Item, TableLike, Value};

/// The positions of all keys of one file.
#[derive(Debug)]
pub(super) struct LineNumbers<'t> {
    document: ImDocument<&'t str>,
}

impl<'t> LineNumbers<'t> {
    /// Parse a file's text.
    ///
    /// # Errors
    /// What is wrong with its TOML, beginning with the line. The text itself is
    /// not repeated, as the line may hold anything.
    pub(super) fn parse(text: &'t str) -> Result<Self, Problem> {
        ImDocument::parse(text)
            .map(|document| Self { document })
            .map_err(|error| {
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                let Some(span) = error.span() else {
                    return Problem::new(
                        format!("this is not TOML: {message}"),
                        remedy_for(&message, ""),
                    );
                };
                let (line, column) = position(text, span.start);
                let remedy = remedy_for(&message, text.lines().nth(line - 1).unwrap_or(""));
                let place = format!("line {line}, column {column}: ");
                Problem::new(format!("{place}this is not TOML: {message}"), remedy)
            })
    }

    /// The line of a key, or of the nearest table around it that is there.
    pub(super) fn line_of(&self, key: &Key) -> Option<usize> {
        let mut place = Node::Table(self.document.as_table());
        let mut start = None;
        for part in &key.0 {
            let Some((next, at)) = place.step(part) else {
                break;
            };
            start = at.or(start);
            place = next;
        }
        start.map(|offset| position(self.document.raw(), offset).0)
    }
}

/// A node of the document on the way to a key.
enum Node<'d> {
    Table(&'d dyn TableLike),
    Tables(&'d toml_edit::ArrayOfTables),
    List(&'d toml_edit::Array),
    Leaf,
}

impl<'d> Node<'d> {
    /// One step towards a key: what is there, and where it starts.
    fn step(&self, part: &str) -> Option<(Node<'d>, Option<usize>)> {
        match self {
            Self::Table(table) => {
                let (key, item) = table.get_key_value(part)?;
                let span = key.span().or_else(|| item.span());
                Some((Self::of_item(item), span.map(|span| span.start)))
            }
            Self::Tables(tables) => {
                let table = tables.get(part.parse().ok()?)?;
                Some((Self::Table(table), table.span().map(|span| span.start)))
            }
            Self::List(list) => {
                let value = list.get(part.parse().ok()?)?;
                let start = value.span().map(|span| span.start);
                Some((Self::of_value(value), start))
            }
            Self::Leaf => None,
        }
    }

    fn of_item(item: &'d Item) -> Self {
        match item {
            Item::None => Self::Leaf,
            Item::Table(table) => Self::Table(table),
            Item::ArrayOfTables(tables) => Self::Tables(tables),
            Item::Value(value) => Self::of_value(value),
        }
    }

    fn of_value(value: &'d Value) -> Self {
        match value {
            Value::InlineTable(table) => Self::Table(table),
            Value::Array(list) => Self::List(list),
            _ => Self::Leaf,
        }
    }
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

fn remedy_for(message: &str, line: &str) -> &'static str {
    if line.contains('"') && line.contains('\\') {
        "in \"double quotes\" a backslash is special: write a Windows path in 'single quotes', or with /"
    } else if message.contains("duplicate key") {
        "the same key or table stands there twice: keep one (several folders need [[source]] with two brackets)"
    } else {
        "text belongs in \"quotes\", lists in [ ], and every key needs = and a value"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[limits]\nworkers = 4\n\n[[source]]\nname = \"a\"\n\n[[source]]\nname = \"b\"\ncompress = [\n  \"*.csv\",\n  \"*.txt\",\n]\n";

    #[test]
    fn every_key_has_its_line() {
        let lines = LineNumbers::parse(TEXT).unwrap();
        for (key, line) in [
            (Key::of("limits", "workers"), Some(2)),
            (Key::of("limits", "absent"), Some(1)),
            (Key::table("limits"), Some(1)),
            (Key::source(0, "name"), Some(5)),
            (Key::source(1, "name"), Some(8)),
            (Key::source(1, "bucket"), Some(7)),
            (Key::source(1, "compress").item(1), Some(11)),
            (Key::of("notify", "topic_arn"), None),
            (Key::default(), None),
        ] {
            assert_eq!(lines.line_of(&key), line, "{key}");
        }
    }

    #[test]
    fn inline_tables_have_lines_too() {
        let lines = LineNumbers::parse("source = [\n  { name = \"a\" },\n  { name = \"b\" },\n]\n")
            .unwrap();
        assert_eq!(lines.line_of(&Key::source(1, "name")), Some(3));
    }

    #[test]
    fn broken_toml_is_not_repeated() {
        let wrong = LineNumbers::parse("[s3]\nsecret_access_key = hunter2hunter2\n").unwrap_err();
        assert!(wrong.what.starts_with("line 2, column "), "{}", wrong.what);
        assert!(!wrong.what.contains("hunter2"), "{}", wrong.what);
    }

    #[test]
    fn windows_paths_get_their_own_remedy() {
        let wrong = LineNumbers::parse("path = \"C:\\Users\\office\"\n").unwrap_err();
        assert!(wrong.remedy.contains("single quotes"), "{}", wrong.remedy);
    }
}
