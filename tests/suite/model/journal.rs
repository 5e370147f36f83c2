//! What was done and when, for whoever has to understand a failure.

use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Lines with the milliseconds since the run began. Clones are one journal.
#[derive(Clone)]
pub struct Journal {
    began: Instant,
    lines: Arc<Mutex<Vec<(u128, String)>>>,
}

impl Journal {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            lines: Arc::default(),
        }
    }

    pub fn note(&self, text: impl Into<String>) {
        let line = (self.began.elapsed().as_millis(), text.into());
        self.lines.lock().unwrap().push(line);
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let text = lines
            .iter()
            .map(|(ms, text)| format!("{ms:>7} ms  {text}\n"));
        text.collect()
    }
}
