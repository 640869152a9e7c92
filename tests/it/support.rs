//! What several tests share.

use std::time::Duration;

/// Asks `holds` again and again until it says yes; fails with `what` after a generous minute.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place that polls")]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never came true: {what}");
}

/// The same inside a runtime.
pub(crate) async fn eventually_async<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..12_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}
