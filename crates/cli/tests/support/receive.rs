//! Receive calls with a timeout.

use std::io::{self, ErrorKind};

/// Calls `receive` until no signal interrupts it.
///
/// The kernel restarts no receive call with a timeout. It interrupts the call even where a process without a handler was
/// only stopped and continued, for example by a machine that is saved and restored (`signal(7)`).
pub(crate) fn uninterrupted<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[test]
fn an_interrupted_call_is_made_again() {
    let mut outcomes =
        [Err(ErrorKind::Interrupted), Err(ErrorKind::Interrupted), Ok(7), Err(ErrorKind::TimedOut)].into_iter();
    let mut receive = || uninterrupted(|| outcomes.next().expect("one outcome per call").map_err(io::Error::from));
    assert_eq!(receive().expect("the third call succeeds"), 7);
    assert_eq!(receive().expect_err("another error ends the call").kind(), ErrorKind::TimedOut);
}
