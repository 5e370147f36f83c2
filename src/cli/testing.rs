//! A terminal for tests of what is drawn on one.

use indicatif::TermLike;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

#[derive(Debug, Default)]
struct Drawn {
    /// All that was ever written.
    written: Vec<String>,
    /// What stands on it now: a bar takes one line.
    shown: String,
}

/// A terminal of some columns that remembers what is written into it. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    columns: u16,
    drawn: Arc<Mutex<Drawn>>,
}

impl Screen {
    pub(super) fn of(columns: u16) -> Self {
        Self {
            columns,
            drawn: Arc::default(),
        }
    }

    /// What stands on it now.
    pub(super) fn text(&self) -> String {
        self.drawn.lock().shown.trim().to_owned()
    }

    /// All that was ever written.
    pub(super) fn written(&self) -> Vec<String> {
        self.drawn.lock().written.clone()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.columns
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut drawn = self.drawn.lock();
        drawn.written.push(text.to_owned());
        drawn.shown.push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.drawn.lock().shown.clear();
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
