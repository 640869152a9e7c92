//! What can be read with no engine: the registry, the timeline and the output on disk.
