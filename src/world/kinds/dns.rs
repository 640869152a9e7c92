//! To be written.

use crate::model::exam::{Reading, Target, Trouble};

pub(super) async fn ready(target: &Target) -> Result<(), Trouble> {
    super::wire::connect(target).await.map(|_connection| ())
}

pub(super) async fn look(target: &Target) -> Result<Reading, Trouble> {
    ready(target).await.map(|()| Reading::default())
}
