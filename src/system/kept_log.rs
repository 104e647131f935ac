//! The warnings of one thread, for tests of what is logged and how often.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    /// `None` while no test on this thread keeps its warnings.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps warnings and errors; each test has a thread of its own.
struct Keeper;

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(line);
            }
        });
    }

    fn flush(&self) {}
}

/// The warnings and errors that `act` logs on this thread.
pub(crate) fn warnings(act: impl FnOnce()) -> Vec<String> {
    // It fails if another test of this process was first, which has set the same one.
    drop(log::set_logger(&Keeper));
    log::set_max_level(LevelFilter::Warn);
    LINES.set(Some(Vec::new()));
    act();
    LINES.take().unwrap_or_default()
}
