//! The terminal of a container, for whoever types into it. Promise: all that is typed goes in, in order, or whoever typed hears that it did not. Never: reads
//! it; its output comes as that of any container does.

use std::sync::Arc;

use bollard::query_parameters::{AttachContainerOptions, ResizeContainerTTYOptions};
use tokio::{
    io::AsyncWriteExt,
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Docker, call::ANSWER, keeper::Keeper};
use crate::world::Shared;

/// Pieces that wait for Docker to take them.
const CAPACITY: usize = 16;
/// Docker itself lets go by the keys ctrl-p ctrl-q, which are the container's here: these nobody types.
const NO_KEYS: &str = "ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^";

/// A piece, and who waits for it.
type Piece = (Vec<u8>, oneshot::Sender<()>);

/// A way in, until it is dropped.
#[derive(Debug)]
pub(super) struct Typing {
    pieces: mpsc::Sender<Piece>,
    _task: AbortOnDropHandle<()>,
}

impl Typing {
    fn begin(shared: &Arc<Shared>, container: &str) -> Self {
        let (pieces, inbox) = mpsc::channel(CAPACITY);
        let (shared, container) = (Arc::clone(shared), container.to_owned());
        let task = tokio::spawn(async move {
            if let Err(why) = carry(&shared.docker, &container, inbox).await {
                tracing::debug!(why, container, "what is typed does not reach a container");
            }
        });
        Self { pieces, _task: AbortOnDropHandle::new(task) }
    }
}

/// Until nobody types any more, or the container takes no more: who waits then hears that by the end of its channel.
async fn carry(docker: &Docker, container: &str, mut inbox: mpsc::Receiver<Piece>) -> Result<(), String> {
    let options = AttachContainerOptions {
        stdin: true,
        stream: true,
        detach_keys: Some(NO_KEYS.to_owned()),
        ..AttachContainerOptions::default()
    };
    let id = container.to_owned();
    let attached = docker.call(ANSWER, |docker| async move { docker.attach_container(&id, Some(options)).await }).await;
    let mut input = attached.map_err(|failure| failure.told())?.input;
    while let Some((bytes, typed)) = inbox.recv().await {
        input.write_all(&bytes).await.map_err(|error| error.to_string())?;
        input.flush().await.map_err(|error| error.to_string())?;
        // An error means that nobody waits.
        let _gone = typed.send(());
    }
    Ok(())
}

impl Keeper {
    /// Gives the container what was typed; `typed` is dropped where it cannot have it.
    pub(super) fn type_in(&mut self, bytes: Vec<u8>, typed: oneshot::Sender<()>) {
        let Some(run) = self.run.as_mut().filter(|run| !run.container.is_empty()) else { return };
        // One that has ended, as the engine was away, is begun again.
        let is_open = run.typing.as_ref().is_some_and(|typing| !typing.pieces.is_closed());
        if !is_open {
            run.typing = None;
        }
        let typing = run.typing.get_or_insert_with(|| Typing::begin(&self.shared, &run.container));
        // Where there is no room whoever typed hears that: it is far ahead of the container.
        let _full = typing.pieces.try_send((bytes, typed));
    }

    /// Its terminal has another size.
    pub(super) fn resize(&self, rows: u16, columns: u16) {
        let Some(run) = self.run.as_ref().filter(|run| !run.container.is_empty()) else { return };
        let (shared, id) = (Arc::clone(&self.shared), run.container.clone());
        let size = ResizeContainerTTYOptions { h: i32::from(rows), w: i32::from(columns) };
        tokio::spawn(async move {
            // One that has just ended has no size.
            let _gone =
                shared.docker.call(ANSWER, |docker| async move { docker.resize_container_tty(&id, size).await }).await;
        });
    }
}
