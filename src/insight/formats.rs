//! The formats that a user has described, as they were read from his file.

use super::entry::{Formats, UserFormat};
use crate::model::log::LogFormat;

impl Formats {
    /// Those that are built in, and before them those of a user that can be used; the others were told when his file was read.
    #[must_use]
    pub fn of(user: &[LogFormat]) -> Self {
        let described = |format: &LogFormat| UserFormat {
            name: format.name.clone(),
            pattern: format.pattern.clone(),
            time: format.time.clone(),
        };
        let usable: Vec<UserFormat> =
            user.iter().map(described).filter(|format| Self::with(std::slice::from_ref(format)).is_ok()).collect();
        Self::with(&usable).unwrap_or_default()
    }
}
