//! The names of projects that are taken in this engine: of one name one project is opened, open, or being closed.
//!
//! Never: two at a time that open or close under one name; a name that is kept by nobody.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::model::{ids::ProjectName, project::ProjectSpec};

/// What holds a name.
#[derive(Debug)]
enum Standing {
    /// It is being opened or closed: whoever wants the name waits.
    Moving,
    /// It is open.
    Open(Arc<ProjectSpec>),
}

/// All names that are taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<watch::Sender<BTreeMap<ProjectName, Standing>>>);

/// A name, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    names: Names,
    name: ProjectName,
}

impl Names {
    /// Takes a name, once what is opening or closing under it has done so.
    ///
    /// # Errors
    /// The project that is open under it.
    pub(super) async fn claim(&self, name: &ProjectName) -> Result<Claim, Arc<ProjectSpec>> {
        let mut changes = self.0.subscribe();
        loop {
            let mut open = None;
            let is_ours = self.0.send_if_modified(|names| match names.get(name) {
                None => names.insert(name.clone(), Standing::Moving).is_none(),
                Some(Standing::Open(spec)) => {
                    open = Some(Arc::clone(spec));
                    false
                }
                Some(Standing::Moving) => false,
            });
            if is_ours {
                return Ok(Claim { names: self.clone(), name: name.clone() });
            }
            if let Some(spec) = open {
                return Err(spec);
            }
            // An error would mean that the sender is gone: it is ours.
            let _changed = changes.changed().await;
        }
    }
}

impl Claim {
    /// It is open, or its file was read again.
    pub(super) fn has_opened(&self, spec: &Arc<ProjectSpec>) {
        self.stand(Standing::Open(Arc::clone(spec)));
    }

    /// It is being closed.
    pub(super) fn is_closing(&self) {
        self.stand(Standing::Moving);
    }

    fn stand(&self, standing: Standing) {
        self.names.0.send_modify(|names| {
            names.insert(self.name.clone(), standing);
        });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.names.0.send_modify(|names| {
            names.remove(&self.name);
        });
    }
}
