//! The file in which cas says things about itself. Never more than two of [`BYTES`], whoever writes and however long.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// A file that is larger makes way for the next one, and is kept beside it as `NAME.1`.
const BYTES: u64 = 4 * 1024 * 1024;

/// The file, opened again where somebody moved it. Several processes may write to it.
#[derive(Debug)]
pub(super) struct Diary {
    path: PathBuf,
    file: File,
}

impl Diary {
    /// Goes on behind what is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: append_to(path)? })
    }

    /// Lets go of a file that is full, or that is no longer the one of its name.
    fn turn(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        let named = fs::symlink_metadata(&self.path).ok();
        let is_it = named.is_some_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
        if is_it && own.len() < BYTES {
            return Ok(());
        }
        if is_it {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            fs::rename(&self.path, before)?;
        }
        self.file = append_to(&self.path)?;
        Ok(())
    }
}

impl Write for Diary {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where there can be no other file, this one grows rather than that nothing is said.
        let _same = self.turn();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or(0);
    File::options().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::{BYTES, Diary};

    #[test]
    fn it_never_grows_beyond_two_files_and_two_writers_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cas.log");
        let (mut one, mut other) = (Diary::open(&path).unwrap(), Diary::open(&path).unwrap());
        let line = vec![b'x'; 64 * 1024];
        for _ in 0..200 {
            one.write_all(&line).unwrap();
            other.write_all(&line).unwrap();
        }
        let sizes: Vec<u64> =
            fs::read_dir(dir.path()).unwrap().flatten().map(|f| f.metadata().unwrap().len()).collect();
        assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= BYTES + 64 * 1024), "{sizes:?}");
        one.write_all(b"last\n").unwrap();
        assert!(fs::read(&path).unwrap().ends_with(b"last\n"));
    }
}
