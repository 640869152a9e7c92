//! The pseudo-terminal of a service, for whoever attaches to it: what is typed goes to the shim, what comes is read from the
//! segments as it is written, byte for byte.
//!
//! Never interprets a byte.

use std::{
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

use super::handle::TtyInput;
use crate::{model::ids::RunId, world::World};

/// How often the newest segment is looked at while somebody is attached: about a frame.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// How much of what came before is shown on attaching, bytes: about a screen.
const BEFORE: u64 = 4096;

/// Most that is read at once, bytes.
const PIECE: usize = 16 * 1024;

/// Carries bytes both ways until either side goes or the run ends.
pub(super) async fn carry(
    world: World,
    run: RunId,
    slot: PathBuf,
    mut input: mpsc::Receiver<TtyInput>,
    output: mpsc::Sender<Vec<u8>>,
) {
    let mut tail = Tail::begin(&slot);
    loop {
        while let Some(bytes) = tail.as_mut().and_then(|tail| tail.read(&slot)) {
            if output.send(bytes).await.is_err() {
                return;
            }
        }
        tail = tail.or_else(|| Tail::begin(&slot));
        let is_over = !world.runs().iter().any(|(other, _)| *other == run);
        tokio::select! {
            typed = input.recv() => {
                let sent = match typed {
                    Some(TtyInput::Bytes(bytes)) => world.write_tty(run, &bytes),
                    Some(TtyInput::Resize { rows, cols }) => world.resize_tty(run, rows, cols),
                    None => return,
                };
                if let Err(why) = sent {
                    tracing::debug!(why, "a terminal does not take what was typed");
                }
            }
            () = tokio::time::sleep(LOOK_AGAIN) => if is_over { return },
            () = output.closed() => return,
        }
    }
}

/// A place in the newest segment.
struct Tail {
    number: u64,
    file: File,
    offset: u64,
}

impl Tail {
    fn begin(slot: &Path) -> Option<Self> {
        let number = newest(slot)?;
        let file = open(slot, number)?;
        let offset = file.metadata().ok()?.size().saturating_sub(BEFORE);
        Some(Self { number, file, offset })
    }

    /// What has come since; none where nothing has.
    fn read(&mut self, slot: &Path) -> Option<Vec<u8>> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = self.file.read_at(&mut piece, self.offset).ok()?;
            if read > 0 {
                self.offset += read as u64;
                piece.truncate(read);
                return Some(piece);
            }
            // A segment that has a successor gets no more.
            self.file = open(slot, self.number + 1)?;
            self.number += 1;
            self.offset = 0;
        }
    }
}

fn open(slot: &Path, number: u64) -> Option<File> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let path = slot.join(format!("log.{number:06}"));
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok().map(File::from)
}

fn newest(slot: &Path) -> Option<u64> {
    let names = std::fs::read_dir(slot).ok()?.flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("log.")?.parse().ok()).max()
}
