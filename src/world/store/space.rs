//! Space on the file system of the database, and the file that holds some of it in reserve: when nothing is left, the reserve is
//! given up so that the log of the database can be written back, and taken again when there is space.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use super::{holder::beside, private};

/// Bytes held in reserve.
const RESERVE: u64 = 256 << 10;
/// Less than this part of the file system free is little …
const LOW_PART: u64 = 50;
/// … but not more than this much, on a large one.
const LOW_AT_MOST: u64 = 1 << 30;
/// Less than this cannot be worked with: the index of the log grows by as much.
const USED_UP: u64 = 64 << 10;

/// A file system's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    /// Free for this user.
    pub(super) free: u64,
    total: u64,
}

impl Space {
    /// Of the file system that holds `path`'s directory; none where it cannot be asked.
    pub(super) fn around(path: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(path.parent()?).ok()?;
        Some(Self { free: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }

    fn low(self) -> u64 {
        (self.total / LOW_PART).min(LOW_AT_MOST)
    }

    /// Less than 2 % is free, and less than 1 GiB.
    pub(super) fn is_low(self) -> bool {
        self.free < self.low()
    }

    /// Not even a few pages are free.
    pub(super) fn is_used_up(self) -> bool {
        self.total > 0 && self.free < USED_UP
    }

    /// Whether there would still be twice as much as is little when `bytes` more are taken.
    pub(super) fn has_room_for(self, bytes: u64) -> bool {
        self.free.saturating_sub(bytes) >= self.low() * 2
    }
}

/// The reserve.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(super) fn of(database: &Path) -> Self {
        Self { path: beside(database, ".ballast") }
    }

    /// What is free for all others: the reserve counts as used also while it is given up, so that it is not taken and given up in
    /// turns.
    pub(super) fn without(&self, space: Space) -> Space {
        if self.is_held() { space } else { Space { free: space.free.saturating_sub(RESERVE), ..space } }
    }

    fn is_held(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == RESERVE)
    }

    /// Gives the space back; true where there was some.
    pub(super) fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    /// Takes it, unless it is held or there is not enough for everybody. A failure leaves nothing behind.
    pub(super) fn take(&self, space: Space) {
        if self.is_held() || !self.without(space).has_room_for(0) {
            return;
        }
        if self.path.symlink_metadata().is_err() || self.release() {
            // Without a reserve all goes on; it is tried again after the next write.
            let _later = self.fill().inspect_err(|_| _ = self.release());
        }
    }

    /// Bytes that no file system compresses away.
    fn fill(&self) -> io::Result<()> {
        let mut file = private::options().write(true).create_new(true).open(&self.path)?;
        let mut noise = fastrand::Rng::new();
        let mut block = [0; 4096];
        for _ in 0..RESERVE / 4096 {
            noise.fill(&mut block);
            file.write_all(&block)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn little_is_two_percent_but_at_most_a_gibibyte() {
        let space = |free, total| Space { free, total };
        assert!(space(40 << 10, 2 << 20).is_low());
        assert!(!space(42 << 10, 2 << 20).is_low());
        assert!(!space(2 << 30, 10 << 40).is_low(), "two gibibytes are enough, whatever the size of the disk");
        assert!(space(1 << 29, 10 << 40).is_low());
        assert!(!space(0, 0).is_low(), "a file system that knows no size");
        assert!(space(100 << 10, 2 << 20).has_room_for(10 << 10));
        assert!(!space(100 << 10, 2 << 20).has_room_for(60 << 10));
    }
}
