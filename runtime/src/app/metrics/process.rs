//! What the process takes of its machine, under the names that every program uses for it.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::config;

/// What the kernel says of a process is a page of text.
const MAX_STATUS_BYTES: u64 = 64 << 10;

/// Memory and files of this process. Where the machine does not tell, they stay 0.
#[derive(Clone, Debug)]
pub(super) struct ProcessMetrics {
    memory: Gauge,
    files: Gauge,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            memory: Gauge::default(),
            files: Gauge::default(),
        };
        registry.register(
            "process_resident_memory_bytes",
            "Memory that the process has in use",
            metrics.memory.clone(),
        );
        registry.register(
            "process_open_fds",
            "Files and connections that are open",
            metrics.files.clone(),
        );
        metrics
    }

    /// Looks again. The kernel makes the answer up in memory: nothing here waits for a disk.
    pub(super) fn measure(&self) {
        if let Some(bytes) = resident_bytes() {
            self.memory.set(bytes);
        }
        if let Some(files) = open_files() {
            self.files.set(files);
        }
    }
}

fn resident_bytes() -> Option<i64> {
    let status = config::read_file(Path::new("/proc/self/status"), MAX_STATUS_BYTES).ok()?;
    let status = String::from_utf8(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn open_files() -> Option<i64> {
    let open = Dir::open_ambient_dir("/proc/self/fd", ambient_authority()).ok()?;
    // One of them is the look itself.
    let count = open.entries().ok()?.count().saturating_sub(1);
    i64::try_from(count).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_its_memory_and_its_files() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(open_files().unwrap() > 2);
    }
}
