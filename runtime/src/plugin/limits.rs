//! What one call may use up: memory, processor time, host calls, host-side tables. Each number says why.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiterAsync;

use super::budget::{Budget, Limits};
use crate::model::Timestamp;

/// Core instances of a component: the toolchain makes four (program, shims, fix-ups).
pub(super) const INSTANCES: u32 = 16;
/// Linear memories of a component: a composed one has a few.
pub(super) const MEMORIES: u32 = 4;
/// Tables of a component: one of functions for each core instance.
pub(super) const TABLES: u32 = 16;
/// Elements of one table, and of all together: a large program has some thousand function pointers.
pub(super) const TABLE_ELEMENTS: usize = 20_000;
/// Host objects (streams, readers, pollables) that a guest may hold at a time.
pub(super) const HOST_OBJECTS: usize = 4_096;
/// Component-model handles that a guest may hold at a time.
pub(super) const HANDLES: usize = 4_096;
/// Bytes that one host call, or one result, may make the host copy out of guest memory. Twice the largest output, so
/// that one that is only too large is told so.
pub(super) const LIFTED_BYTES: usize = 16 << 20;
/// Bytes that one call for randomness may ask for.
pub(super) const RANDOM_BYTES: u64 = 64 << 10;
/// Memory of one set of HTTP headers, as the host keeps it: more than servers accept.
pub(super) const HEADER_BYTES: usize = 32 << 10;
/// Between two looks at the budgets while guest code runs.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Why the host ended a guest, carried through wasmtime as the error of the host function or check that saw it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// The processor-time budget is used up.
    #[error("the processor-time budget is used up")]
    CpuTime,
    /// The wall-time budget is used up.
    #[error("the wall-time budget is used up")]
    WallTime,
    /// The host-call budget is used up.
    #[error("the host-call budget is used up")]
    HostCalls,
    /// Something that was not granted was called, and the interface has no way to say so.
    #[error("`{missing}` was not granted")]
    Denied {
        /// The line that would allow it.
        missing: &'static str,
    },
    /// It took its steps in another way than an earlier attempt did.
    #[error("{0}")]
    StepMismatch(String),
    /// It asked to go on later.
    #[error("the run sleeps")]
    Sleeping(Timestamp),
}

/// Counts linear memory and tables over the whole store: the built-in limits are per memory.
#[derive(Debug)]
pub(super) struct Ceiling {
    memory_limit: usize,
    memory: usize,
    last_growth: usize,
    elements: usize,
    /// Whether the last growth of memory that the guest asked for was refused.
    pub(super) refused: bool,
}

impl Ceiling {
    pub(super) fn new(limits: &Limits) -> Self {
        let memory_limit = usize::try_from(limits.get(Budget::Memory)).unwrap_or(usize::MAX);
        Self {
            memory_limit,
            memory: 0,
            last_growth: 0,
            elements: 0,
            refused: false,
        }
    }
}

impl Ceiling {
    /// The most memory that was taken: what a guest has it keeps. More than it may have where it wanted more.
    pub(super) fn spent(&self) -> u64 {
        let wanted = if self.refused {
            self.memory_limit
        } else {
            self.memory
        };
        u64::try_from(wanted).unwrap_or(u64::MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl ResourceLimiterAsync for Ceiling {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.memory.saturating_add(growth);
        self.refused = total > self.memory_limit;
        if !self.refused {
            self.memory = total;
            self.last_growth = growth;
        }
        Ok(!self.refused)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self
            .memory
            .saturating_sub(std::mem::take(&mut self.last_growth));
        self.refused = true;
        Ok(())
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .elements
            .saturating_add(desired.saturating_sub(current));
        let fits = total <= TABLE_ELEMENTS;
        if fits {
            self.elements = total;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

/// Measures the processor time of a call, and knows when its time is up. Shared between the task that polls the guest
/// and the check that runs inside it, both on the same thread.
#[derive(Debug)]
pub(super) struct Meter {
    cpu_limit: u64,
    started: Instant,
    deadline: Instant,
    used: AtomicU64,
    /// Thread time at which the current poll began.
    entered: AtomicU64,
    calls_left: AtomicU64,
    requests_left: AtomicU64,
    http_bytes_left: AtomicU64,
    /// Set where the host-call budget ran out in a place that cannot end the guest itself.
    exhausted: AtomicBool,
}

impl Meter {
    /// Starts the wall clock.
    pub(super) fn start(limits: &Limits) -> Self {
        let started = Instant::now();
        Self {
            started,
            cpu_limit: nanoseconds(limits.time(Budget::CpuTime)),
            deadline: started + limits.time(Budget::WallTime),
            used: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            calls_left: AtomicU64::new(limits.get(Budget::HostCalls)),
            requests_left: AtomicU64::new(limits.get(Budget::HttpRequests)),
            http_bytes_left: AtomicU64::new(limits.get(Budget::HttpBytes)),
            exhausted: AtomicBool::new(false),
        }
    }

    /// Counts one host call; `false` once there are none left, and then the guest ends with the next tick.
    pub(super) fn take_call(&self) -> bool {
        let taken = take(&self.calls_left, 1);
        if !taken {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// Counts one HTTP request; `false` once there are none left.
    pub(super) fn take_request(&self) -> bool {
        take(&self.requests_left, 1)
    }

    /// Counts bytes of an HTTP body; `false` once there are none left.
    pub(super) fn take_http_bytes(&self, bytes: u64) -> bool {
        take(&self.http_bytes_left, bytes)
    }

    /// The guest gets the thread.
    pub(super) fn enter(&self) {
        self.entered.store(thread_time(), Ordering::Relaxed);
    }

    /// The guest gives the thread back.
    pub(super) fn leave(&self) {
        self.used.fetch_add(self.current(), Ordering::Relaxed);
    }

    /// Looked at on every tick, from inside the guest.
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.exhausted.load(Ordering::Relaxed) {
            return Err(Stop::HostCalls);
        }
        if self
            .used
            .load(Ordering::Relaxed)
            .saturating_add(self.current())
            > self.cpu_limit
        {
            return Err(Stop::CpuTime);
        }
        // The timer of the runtime also watches it; this one works while no thread is free to serve timers.
        if Instant::now() > self.deadline {
            return Err(Stop::WallTime);
        }
        Ok(())
    }

    /// Whether the call has taken less than a millisecond: its processor time is then told by the clock on the wall.
    pub(super) fn is_brief(&self) -> bool {
        self.started.elapsed() < Duration::from_millis(1)
    }

    /// What was taken of the budgets that are counted here, each in its own unit.
    pub(super) fn spent(&self, limits: &Limits) -> [(Budget, u64); 5] {
        let wall = milliseconds(nanoseconds(self.started.elapsed()));
        let cpu = milliseconds(self.used.load(Ordering::Relaxed)).max(1);
        let taken = |budget: Budget, left: &AtomicU64| {
            let left = left.load(Ordering::Relaxed);
            (budget, limits.get(budget).saturating_sub(left))
        };
        [
            (Budget::WallTime, wall),
            (Budget::CpuTime, cpu),
            taken(Budget::HostCalls, &self.calls_left),
            taken(Budget::HttpRequests, &self.requests_left),
            taken(Budget::HttpBytes, &self.http_bytes_left),
        ]
    }

    fn current(&self) -> u64 {
        thread_time().saturating_sub(self.entered.load(Ordering::Relaxed))
    }
}

fn take(left: &AtomicU64, amount: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(amount)
    })
    .is_ok()
}

/// Begun ones count.
fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Processor time of this thread: unlike a wall clock it does not charge a guest for its neighbours.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
