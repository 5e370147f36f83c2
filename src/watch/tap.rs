//! A tap between the system's watcher and the debouncer.
//!
//! notify-debouncer-full holds back the events of a path, and an overflow, for as long as
//! newer events come: it would never name a file that is written without pause. The tap
//! passes every event to a listener at once, and to the debouncer as well.

use notify::event::Event;
use notify::{
    Config, Error, EventHandler, RecommendedWatcher, RecursiveMode, Result, WatchPathConfig,
    Watcher, WatcherKind,
};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hears every event. It must not block.
pub(crate) type Listener = Box<dyn FnMut(&Result<Event>) + Send>;

/// Silences watches, as the kernel may: with it a test kills a watch under the running
/// daemon. The program has none.
#[derive(Debug, Clone, Default)]
pub struct Silencer(Arc<AtomicU64>);

impl Silencer {
    /// Silence the watches that there are; one that is set up later works.
    pub fn kill(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Silence all watches, old and new; `false` lets new ones work again.
    pub fn kill_all(&self, on: bool) {
        self.0
            .store(if on { u64::MAX } else { 1 }, Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the next watcher gets.
struct Next {
    listener: Listener,
    /// With the silencer's count when the watch was made: another count now means that it
    /// was killed.
    silencer: Option<(Silencer, u64)>,
}

impl Next {
    fn is_silent(&self) -> bool {
        self.silencer.as_ref().is_some_and(|(silencer, born)| {
            let now = silencer.now();
            now == u64::MAX || now != *born
        })
    }
}

thread_local! {
    /// For the next watcher that this thread makes: the debouncer makes its watcher itself,
    /// on the calling thread, and takes no arguments for it.
    static NEXT: RefCell<Option<Next>> = const { RefCell::new(None) };
}

/// Run `make`, which makes a [`RawEventTee`] on this thread, and give that this listener.
pub(crate) fn with_listener<T>(
    listener: Listener,
    silencer: Option<&Silencer>,
    make: impl FnOnce() -> T,
) -> T {
    let silencer = silencer.map(|silencer| (silencer.clone(), silencer.now()));
    NEXT.set(Some(Next { listener, silencer }));
    let made = make();
    NEXT.set(None);
    made
}

/// The system's watcher with a tap, or the error that it could not be made with. `watch`
/// returns that error: a debouncer whose watcher fails to be made leaves its thread behind
/// for ever.
pub(crate) struct RawEventTee(std::result::Result<RecommendedWatcher, Option<Error>>);

impl RawEventTee {
    fn inner(&mut self) -> Result<&mut RecommendedWatcher> {
        match &mut self.0 {
            Ok(inner) => Ok(inner),
            Err(error) => Err(error.take().unwrap_or_else(Error::watch_not_found)),
        }
    }
}

impl Watcher for RawEventTee {
    fn new<F: EventHandler>(mut handler: F, config: Config) -> Result<Self> {
        let mut next = NEXT.take();
        let tee = move |event: Result<Event>| {
            if let Some(next) = &mut next {
                if next.is_silent() {
                    return;
                }
                (next.listener)(&event);
            }
            handler.handle_event(event);
        };
        Ok(Self(RecommendedWatcher::new(tee, config).map_err(Some)))
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> Result<()> {
        self.inner()?.watch(path, mode)
    }

    fn watch_with(&mut self, path: &Path, config: WatchPathConfig) -> Result<()> {
        self.inner()?.watch_with(path, config)
    }

    fn unwatch(&mut self, path: &Path) -> Result<()> {
        self.inner()?.unwatch(path)
    }

    fn configure(&mut self, option: Config) -> Result<bool> {
        self.inner()?.configure(option)
    }

    fn watched_paths(&self) -> Result<Vec<(PathBuf, RecursiveMode)>> {
        self.0
            .as_ref()
            .map_or_else(|_| Ok(Vec::new()), Watcher::watched_paths)
    }

    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}
