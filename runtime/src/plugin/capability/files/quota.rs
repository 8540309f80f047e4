//! How much of a folder is used. Counted by the host: once by looking, from then on with every change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Refusal;
use crate::plugin::budget::render_size;

/// Bytes, and files and folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// The usage of one folder, shared by every call that has it open.
#[derive(Debug, Default)]
pub(super) struct Quota {
    used: Mutex<Usage>,
}

impl Quota {
    pub(super) fn new(used: Usage) -> Self {
        Self {
            used: Mutex::new(used),
        }
    }

    /// Takes room before it is used.
    pub(super) fn take(&self, wanted: Usage, most: Usage) -> Result<(), Refusal> {
        let mut used = self.lock();
        let bytes = used.bytes.saturating_add(wanted.bytes);
        let files = used.files.saturating_add(wanted.files);
        if wanted.bytes > 0 && bytes > most.bytes {
            let left = render_size(most.bytes.saturating_sub(used.bytes));
            return Err(Refusal::Quota(format!(
                "the folder holds {} at most; {left} are left",
                render_size(most.bytes)
            )));
        }
        if wanted.files > 0 && files > most.files {
            let left = most.files.saturating_sub(used.files);
            return Err(Refusal::Quota(format!(
                "the folder holds {} files and folders at most; {left} are left",
                most.files
            )));
        }
        *used = Usage { bytes, files };
        Ok(())
    }

    /// Gives room back.
    pub(super) fn give_back(&self, freed: Usage) {
        let mut used = self.lock();
        used.bytes = used.bytes.saturating_sub(freed.bytes);
        used.files = used.files.saturating_sub(freed.files);
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
