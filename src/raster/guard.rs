//! The one place where a panic of a foreign codec ends: hostile data makes it an error, not the end of the
//! program.

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which calls `codec` on data that may be hostile.
///
/// # Errors
/// What `work` returns; `Format` with the codec's reason when it panics.
pub(super) fn guarded<T>(codec: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    silence_hook();
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    result.unwrap_or_else(|panic| {
        Err(Error::format(format!("damaged data: {codec} gave up ({})", reason(panic.as_ref()))))
    })
}

/// Makes the panic hook pass over panics that end in [`guarded`].
fn silence_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
}

fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_panic_becomes_one_line_and_the_next_one_is_heard() {
        let at = 7;
        let error =
            guarded("the codec", || -> Result<()> { panic!("index {at}\nout of bounds") }).unwrap_err();
        assert_eq!(error.kind(), Kind::Format);
        assert_eq!(error.to_string(), "damaged data: the codec gave up (index 7 out of bounds)");
        assert!(!QUIET.get());
    }

    #[test]
    fn results_pass_through() {
        assert_eq!(guarded("the codec", || Ok(3)).unwrap(), 3);
        let error = guarded("the codec", || Err::<(), _>(Error::limit("too much"))).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Limit, "too much"));
    }
}
