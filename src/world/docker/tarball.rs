//! The directory of a build as a tar archive (POSIX ustar with GNU's long names: <https://www.gnu.org/software/tar/manual/html_node/Standard.html>), streamed.
//! Promise: what `.dockerignore` names stays here. Never: is in memory whole, or follows a link out of the directory.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use futures_util::Stream;
use hyper::body::Bytes;
use ignore::{
    WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};
use tokio::sync::mpsc;

use super::call::quoted;

const BLOCK: usize = 512;
const CHUNK: usize = 64 * 1024;
/// Names longer than this have a header of their own.
const SHORT_NAME: usize = 100;
/// Chunks that wait for Docker.
const WAITING: usize = 16;

/// The archive of a directory, piece by piece.
///
/// # Errors
/// A sentence, where there is no such directory or its `.dockerignore` cannot be understood.
pub(super) fn of_directory(
    directory: &Path,
    dockerfile: Option<&str>,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<>, String> {
    let shown = quoted(&directory.display().to_string());
    if !directory.is_dir() {
        return Err(format!("there is no directory {shown} to build from"));
    }
    let file = directory.join(".dockerignore");
    let mut rules = GitignoreBuilder::new(directory);
    if file.exists()
        && let Some(error) = rules.add(&file)
    {
        return Err(format!("{shown}/.dockerignore: {}", quoted(&error.to_string())));
    }
    // Docker needs both, whatever the rules say.
    for needed in [dockerfile.unwrap_or("Dockerfile"), ".dockerignore"] {
        let _kept = rules.add_line(None, &format!("!/{}", needed.trim_start_matches("./")));
    }
    let rules = rules.build().map_err(|error| format!("{shown}/.dockerignore: {}", quoted(&error.to_string())))?;
    let (chunks, inbox) = mpsc::channel(WAITING);
    let root = directory.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut archive = Archive { chunks, pending: Vec::with_capacity(CHUNK) };
        if let Err(error) = archive.add_all(&root, &rules) {
            // An error means that Docker takes no more.
            let _gone = archive.chunks.blocking_send(Err(error));
        }
    });
    Ok(futures_util::stream::unfold(inbox, |mut inbox| async move { Some((inbox.recv().await?, inbox)) }))
}

struct Archive {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    pending: Vec<u8>,
}

impl Archive {
    fn add_all(&mut self, root: &Path, rules: &Gitignore) -> io::Result<()> {
        let below = root.to_owned();
        let walk = WalkBuilder::new(root)
            .standard_filters(false)
            .follow_links(false)
            .sort_by_file_name(std::ffi::OsStr::cmp)
            // A directory is looked into even where it is left out: a later rule may take something of it back.
            .build();
        for entry in walk {
            let entry = entry.map_err(io::Error::other)?;
            let Ok(name) = entry.path().strip_prefix(&below) else { continue };
            if name.as_os_str().is_empty() {
                continue;
            }
            let about = entry.path().symlink_metadata()?;
            let is_left_out = rules.matched_path_or_any_parents(name, about.is_dir()).is_ignore();
            if !is_left_out {
                self.add(entry.path(), name, &about)?;
            }
        }
        self.write(&[0; 2 * BLOCK])?;
        self.flush()
    }

    fn add(&mut self, path: &Path, name: &Path, about: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let mut bytes = name.as_os_str().as_bytes().to_vec();
        let (kind, size, link) = if about.is_dir() {
            bytes.push(b'/');
            (b'5', 0, Vec::new())
        } else if about.is_symlink() {
            (b'2', 0, fs::read_link(path)?.as_os_str().as_bytes().to_vec())
        } else if about.is_file() {
            (b'0', about.len(), Vec::new())
        } else {
            // Sockets, FIFOs and devices mean nothing elsewhere.
            return Ok(());
        };
        for (kind, long) in [(b'L', &bytes), (b'K', &link)] {
            if long.len() > SHORT_NAME {
                self.header(b"././@LongLink", kind, long.len() as u64 + 1, 0o644, 0, &[])?;
                self.write(long)?;
                self.write(&[0])?;
                self.pad(long.len() as u64 + 1)?;
            }
        }
        self.header(&bytes, kind, size, about.mode() & 0o7777, about.mtime().max(0).cast_unsigned(), &link)?;
        if kind == b'0' {
            self.contents(path, size)?;
            self.pad(size)?;
        }
        Ok(())
    }

    /// So many bytes, whatever became of the file meanwhile.
    fn contents(&mut self, path: &Path, size: u64) -> io::Result<()> {
        let mut left = size;
        let mut file = fs::File::open(path)?.take(size);
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.write(&buffer[..read])?;
            left -= read as u64;
        }
        while left > 0 {
            let zeros = left.min(CHUNK as u64) as usize;
            self.write(&vec![0; zeros])?;
            left -= zeros as u64;
        }
        Ok(())
    }

    fn header(&mut self, name: &[u8], kind: u8, size: u64, mode: u32, mtime: u64, link: &[u8]) -> io::Result<()> {
        let mut block = [0_u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &name[..name.len().min(SHORT_NAME)]);
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000");
        put(116, b"0000000");
        if size < 0o777_7777_7777 {
            put(124, format!("{size:011o}").as_bytes());
        } else {
            // GNU's base 256.
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
        put(136, format!("{:011o}", mtime.min(0o777_7777_7777)).as_bytes());
        put(148, b"        ");
        put(156, &[kind]);
        put(157, &link[..link.len().min(SHORT_NAME)]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.write(&block)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 { self.write(&vec![0; BLOCK - over]) } else { Ok(()) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.pending);
        self.chunks.blocking_send(Ok(Bytes::from(bytes))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
