//! A tap between the system's watcher and the debouncer.
//!
//! notify-debouncer-full holds the events of a path back for as long as newer
//! ones come, and the news of an overflow as well. A file that is written
//! without pause would never be named. The tap lets somebody hear every event
//! as it comes; the debouncer gets it all the same.

use notify::event::Event;
use notify::{
    Config, EventHandler, RecommendedWatcher, RecursiveMode, Result, WatchPathConfig, Watcher,
    WatcherKind,
};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Hears every event; must not block.
pub(super) type Ear = Box<dyn FnMut(&Result<Event>) + Send>;

thread_local! {
    /// The ear of the next watcher that this thread makes: the debouncer makes
    /// its watcher itself, on the calling thread, and passes nothing through.
    static NEXT: RefCell<Option<Ear>> = const { RefCell::new(None) };
}

/// Make something that makes a [`Tapped`] watcher on this thread, with this ear.
pub(super) fn with_ear<T>(ear: Ear, make: impl FnOnce() -> T) -> T {
    NEXT.set(Some(ear));
    let made = make();
    NEXT.set(None);
    made
}

/// The system's watcher with a tap.
pub(super) struct Tapped(RecommendedWatcher);

impl Watcher for Tapped {
    fn new<F: EventHandler>(mut handler: F, config: Config) -> Result<Self> {
        let mut ear = NEXT.take();
        let tee = move |event: Result<Event>| {
            if let Some(ear) = &mut ear {
                ear(&event);
            }
            handler.handle_event(event);
        };
        RecommendedWatcher::new(tee, config).map(Self)
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<()> {
        self.0.watch(path, mode)
    }

    fn watch_with(&mut self, path: &Path, config: WatchPathConfig) -> Result<()> {
        self.0.watch_with(path, config)
    }

    fn unwatch(&mut self, path: &Path) -> Result<()> {
        self.0.unwatch(path)
    }

    fn configure(&mut self, option: Config) -> Result<bool> {
        self.0.configure(option)
    }

    fn watched_paths(&self) -> Result<Vec<(PathBuf, RecursiveMode)>> {
        self.0.watched_paths()
    }

    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}
