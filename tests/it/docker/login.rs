//! Images of a registry that lets in only whom it knows: a real docker-registry with passwords.
