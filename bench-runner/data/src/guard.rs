//! One guard for every parser that we did not write: a panic within it is a finding about the input, not a
//! crash of the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is within [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a parser; `None` when it panicked. Nothing of such a panic is printed: the caller names the file.
///
/// ```
/// let digits = |text: &str| text.parse::<u32>().expect("digits");
/// assert_eq!(bench_data::guarded(|| digits("12")), Some(12));
/// assert_eq!(bench_data::guarded(|| digits("twelve")), None);
/// ```
pub fn guarded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    silence_guarded_panics();
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(parse));
    GUARDED.set(before);
    result.ok()
}

/// Panics elsewhere are printed as before.
fn silence_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            // Polars' own threads read nothing but what `guarded` asked for, and pass their panics on to it.
            let thread = std::thread::current();
            let polars = thread
                .name()
                .is_some_and(|name| name.starts_with("polars-"));
            if !polars && !GUARDED.get() {
                print(panic);
            }
        }));
    });
}
