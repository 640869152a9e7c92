//! Files and directories that nobody but the user can read: 0600 and 0700 from the first moment.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Makes a directory and those above it that are missing, each 0700. What is there stays as it is.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// How a private file is opened: made 0600 if it is made.
pub(crate) fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Makes an empty file unless there is one, and takes everybody else's permissions from one that is there and ours.
pub(crate) fn create_file(path: &Path) -> io::Result<()> {
    match options().write(true).create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut permissions = std::fs::metadata(path)?.permissions();
            if permissions.mode() & 0o077 != 0 {
                permissions.set_mode(permissions.mode() & !0o077);
                // It may be somebody else's, on purpose: then it stays as it is.
                let _kept = std::fs::set_permissions(path, permissions);
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}
