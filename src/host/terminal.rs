//! The pseudo-terminal of a service, for whoever attaches to it: what is typed goes to the shim, what comes is read from the
//! segments as it is written, byte for byte.
//!
//! Promise: who comes late sees the last of what was written before, in a terminal as the service wants it, and a service that draws
//! its screen draws it again. Neither side waits for the other: who types and does not look, or looks and does not read, stops
//! only itself. Never changes a byte of what comes while somebody looks.

use std::{path::PathBuf, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::handle::TtyInput;
use crate::{
    model::{ids::RunId, tty::Past},
    world::{World, log_files::Tail},
};

/// How often the newest segment is looked at while somebody is attached: about a frame.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// How much of what came before is looked through for how the service wants its terminal, bytes.
const LOOKED_THROUGH: u64 = 1024 * 1024;

/// How much text of that is shown, bytes: about a screen.
const SHOWN: usize = 4096;

/// What somebody typed before leaving is read by then, or lost.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// A window that was a line smaller for so long has been seen by who draws in it.
const SMALLER_FOR: Duration = Duration::from_millis(60);

/// Carries bytes both ways until either side goes or the run ends.
pub(super) async fn carry(
    world: World,
    run: RunId,
    slot: PathBuf,
    input: mpsc::Receiver<TtyInput>,
    output: mpsc::Sender<Vec<u8>>,
) {
    let looked_back = tokio::task::spawn_blocking(move || look_back(&slot, run));
    // An error means that reading has panicked, which was said.
    let Ok((tail, past)) = looked_back.await else { return };
    let window = Window { must_draw: past.must_draw(), size: (0, 0), due: None };
    let looks = output.clone();
    let shown = show(&world, run, tail, past.show().into_bytes(), output);
    tokio::select! {
        () = take(&world, run, window, input, looks) => {}
        () = shown => {}
    }
}

/// Shows what the service writes, until it has ended. Where nobody looks any more, that is for [`take`] to see.
async fn show(world: &World, run: RunId, mut tail: Tail, mut ready: Vec<u8>, output: mpsc::Sender<Vec<u8>>) {
    loop {
        // Asked before reading: what is read then is all there is.
        let is_over = world.is_over(run);
        if is_over {
            tail.settle();
        }
        if ready.is_empty() {
            ready.extend_from_slice(tail.read());
        }
        if !ready.is_empty() {
            if output.send(std::mem::take(&mut ready)).await.is_err() {
                return std::future::pending().await;
            }
        } else if is_over {
            return;
        } else {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Takes what is typed, all of it, until nobody types any more. Where the service does not read, not much longer than somebody looks.
async fn take(
    world: &World,
    run: RunId,
    mut window: Window,
    mut input: mpsc::Receiver<TtyInput>,
    looks: mpsc::Sender<Vec<u8>>,
) {
    let has_left = async {
        looks.closed().await;
        tokio::time::sleep(READ_WITHIN).await;
    };
    tokio::pin!(has_left);
    loop {
        tokio::select! {
            typed = input.recv() => match typed {
                Some(TtyInput::Bytes(bytes)) => {
                    let typed = tokio::select! {
                        typed = world.type_in(run, &bytes) => typed,
                        () = &mut has_left => return,
                    };
                    if let Err(why) = typed {
                        tracing::debug!(why, "a terminal does not take what was typed");
                    }
                }
                Some(TtyInput::Resize { rows, cols }) => window.resize(world, run, (rows, cols)),
                None => return,
            },
            () = tokio::time::sleep_until(window.due.unwrap_or_else(Instant::now)), if window.due.is_some() => {
                window.become_whole(world, run);
            }
        }
    }
}

/// What was written before, and the place behind it.
fn look_back(slot: &std::path::Path, run: RunId) -> (Tail, Past) {
    let mut tail = Tail::begin(slot, run, LOOKED_THROUGH);
    let mut past = Past::new(SHOWN);
    loop {
        let came = tail.read();
        if came.is_empty() {
            return (tail, past);
        }
        past.saw(came);
    }
}

/// The window of the service. One that already has its size would not be drawn again, so it is a line smaller for a moment.
struct Window {
    must_draw: bool,
    size: (u16, u16),
    /// When it gets its size.
    due: Option<Instant>,
}

impl Window {
    fn resize(&mut self, world: &World, run: RunId, size: (u16, u16)) {
        self.size = size;
        let (rows, cols) = size;
        if std::mem::take(&mut self.must_draw) && rows > 1 {
            self.due = Some(Instant::now() + SMALLER_FOR);
            tell(world, run, (rows - 1, cols));
        } else if self.due.is_none() {
            tell(world, run, size);
        }
    }

    fn become_whole(&mut self, world: &World, run: RunId) {
        self.due = None;
        tell(world, run, self.size);
    }
}

fn tell(world: &World, run: RunId, (rows, cols): (u16, u16)) {
    if let Err(why) = world.resize_tty(run, rows, cols) {
        tracing::debug!(why, "a terminal does not take its size");
    }
}
