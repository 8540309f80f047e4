//! What the allocator takes from the system, and when it gives it back.

/// Has threads share a few arenas, and gives back what they no longer use. By itself glibc gives an arena to each
/// thread, up to eight for each core, and what was freed in one no other can have: a catalog that is filled by a dozen
/// threads then holds twice as much as it needs, and goes on holding it.
///
/// To be called once, before there are other threads.
#[cfg(target_env = "gnu")]
pub(in crate::cli) fn keep_little() {
    glibc::share_arenas();
    let started = std::thread::Builder::new()
        .name("memory".to_owned())
        .spawn(glibc::give_back_for_ever);
    if let Err(error) = started {
        tracing::warn!(%error, "memory that is no longer used is not given back");
    }
}

/// Other C libraries have one arena, or a rule of their own.
#[cfg(not(target_env = "gnu"))]
pub(in crate::cli) fn keep_little() {}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the allocator is the C library's")]
mod glibc {
    use std::time::Duration;

    /// Arenas on a machine of any size.
    const MOST_ARENAS: i32 = 4;

    /// How often to look at what the process holds.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Pages of 4 KiB by which the process has to have grown since memory was last given back. To take a page again
    /// costs a fault, and while the allocator looks for what is free others wait for it.
    const GROWN: u64 = 8 << 8;

    pub(super) fn share_arenas() {
        // Threads that run at the same time are as many as the cores, and few of those allocate at the same instant.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores / 2)
            .unwrap_or(MOST_ARENAS)
            .clamp(1, MOST_ARENAS);
        // SAFETY: it takes two numbers and changes nothing but the allocator's settings.
        let taken = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
        if taken == 0 {
            tracing::warn!(arenas, "the allocator does not take a number of arenas");
        }
    }

    /// Gives back what was freed, once the process has stopped growing: not in the middle of a burst that will take it
    /// again.
    pub(super) fn give_back_for_ever() {
        let (mut kept, mut before) = (0, 0);
        loop {
            std::thread::sleep(INTERVAL);
            let Some(held) = resident() else { return };
            if held <= before && held > kept + GROWN {
                // SAFETY: it takes a number, and gives back only pages that no allocation is on.
                unsafe { libc::malloc_trim(0) };
                kept = resident().unwrap_or(held);
            }
            kept = kept.min(held);
            before = held;
        }
    }

    /// Pages in memory, as the kernel counts them; `None` where it does not say.
    #[expect(clippy::disallowed_methods, reason = "the kernel's own account")]
    fn resident() -> Option<u64> {
        let account = std::fs::read_to_string("/proc/self/statm").ok()?;
        account.split_whitespace().nth(1)?.parse().ok()
    }
}
