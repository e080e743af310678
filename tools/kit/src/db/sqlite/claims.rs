//! Which work a living process claims: a locked file each, beside the database file.
//!
//! The operating system lets go of the lock when the process ends, however it ends. A row in the database could not say
//! that, and a heartbeat would have to wait for the one writer.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Claims {
    /// The path of the database; claims add their id to it.
    database: PathBuf,
    held: Mutex<HashMap<Uuid, File>>,
}

impl Claims {
    pub(super) fn beside(database: &Path) -> Self {
        Self { database: database.to_owned(), held: Mutex::default() }
    }

    fn path(&self, work: Uuid) -> PathBuf {
        let mut path = self.database.clone().into_os_string();
        path.push(format!("-claim-{work}"));
        path.into()
    }

    pub(super) fn claim(&self, work: Uuid) -> Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path(work)).map_err(Error::internal)?;
        file.lock().map_err(Error::internal)?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(work, file);
        Ok(())
    }

    pub(super) fn release(&self, work: Uuid) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&work);
        // Removed while it is still locked, so that nobody finds it and takes it for one left behind.
        if held.is_some()
            && let Err(error) = std::fs::remove_file(self.path(work))
        {
            tracing::warn!(%error, %work, "the file of a claim could not be removed");
        }
    }

    pub(super) fn is_claimed(&self, work: Uuid) -> Result<bool> {
        let path = self.path(work);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::internal(error)),
        };
        match file.try_lock() {
            Ok(()) => {
                // Its process has gone. Two that find this at once remove it twice, which does no harm.
                let _ = std::fs::remove_file(path);
                Ok(false)
            }
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(Error::internal(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_claimed_until_it_is_released_or_its_process_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("bureau.db");
        let (one, other) = (Claims::beside(&database), Claims::beside(&database));
        let work = Uuid::from_u128(1);
        assert!(!one.is_claimed(work).unwrap());
        one.claim(work).unwrap();
        assert!(one.is_claimed(work).unwrap() && other.is_claimed(work).unwrap());
        other.release(work);
        assert!(other.is_claimed(work).unwrap(), "only its owner releases it");
        one.release(work);
        assert!(!one.is_claimed(work).unwrap() && !other.is_claimed(work).unwrap());
        one.claim(work).unwrap();
        // What the end of a process does: its files are closed, and stay.
        drop(one);
        assert!(other.path(work).exists());
        assert!(!other.is_claimed(work).unwrap());
        assert!(!other.path(work).exists(), "what was left behind is cleared away");
    }
}
