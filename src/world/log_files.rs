//! Placeholder until its branch is merged.
