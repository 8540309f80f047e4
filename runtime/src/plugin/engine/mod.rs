//! The one engine: how guest code is compiled, cached and interrupted.

mod cache;
pub mod worker;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use self::cache::{Cache, run_compiled};
use self::worker::CompilerProgram;
use super::budget::Budget;
use super::error::StartError;
use super::limits::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES, TICK};
use crate::model::Digest;

/// Guests at a time; the pool has a slot for each, so that none is turned away.
pub(super) const GUESTS: u32 = 64;

/// Stack of guest code. Deeper recursion is a bug of the guest.
const GUEST_STACK: usize = 512 << 10;

/// Stack of the fiber that a guest runs on: its own and that of the host functions it calls.
const FIBER_STACK: usize = 2 << 20;

/// Memory of a slot that stays mapped after a call: a small guest then needs no system call to start.
const KEEP_RESIDENT: usize = 256 << 10;

/// The part of a fiber's stack, from its top, that stays mapped and is zeroed by hand. Calls reach no deeper as a rule,
/// and having it back costs a small guest a system call and a fault for each page.
const KEEP_STACK: usize = 32 << 10;

/// Compiles components and owns the thread that interrupts them.
#[derive(Clone)]
pub(super) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    /// `None`: compiles in this process, where only the package's author can be hurt by it.
    program: Option<CompilerProgram>,
    /// Compiling is the most expensive thing that a package can make the host do.
    one_at_a_time: Arc<Semaphore>,
    pooled: bool,
}

impl Compiler {
    /// An engine with its cache in the data folder.
    pub(super) fn open(
        data_dir: &Path,
        program: Option<CompilerProgram>,
    ) -> Result<Self, StartError> {
        let (engine, pooled) = match build(true) {
            Ok(engine) => (engine, true),
            // Too little address space, for example in a container with a limit.
            Err(error) => {
                tracing::warn!(%error, "guests start slower: the memory pool cannot be reserved");
                (
                    build(false).map_err(|e| StartError::Engine(e.to_string()))?,
                    false,
                )
            }
        };
        let cache = Cache::open(data_dir, &engine)?;
        Self::with(engine, Some(Arc::new(cache)), program, pooled)
    }

    /// An engine for a single call: no pool, no cache.
    pub(super) fn throwaway() -> Result<Self, StartError> {
        let engine = build(false).map_err(|e| StartError::Engine(e.to_string()))?;
        Self::with(engine, None, None, false)
    }

    fn with(
        engine: Engine,
        cache: Option<Arc<Cache>>,
        program: Option<CompilerProgram>,
        pooled: bool,
    ) -> Result<Self, StartError> {
        start_ticker(engine.weak())?;
        Ok(Self {
            engine,
            cache,
            program,
            one_at_a_time: Arc::new(Semaphore::new(1)),
            pooled,
        })
    }

    /// Whether guests get their memory from a pool.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Compiles a component, or takes it from the cache. The error text is wasmtime's own, for people.
    pub(super) async fn load(&self, bytes: Arc<[u8]>, digest: Digest) -> Result<Component, String> {
        if let Some(component) = self.find(digest).await {
            return Ok(component);
        }
        let _turn = self
            .one_at_a_time
            .acquire()
            .await
            .map_err(|_| "the host is stopping".to_owned())?;
        // Whoever had the turn before may have compiled the same.
        if let Some(component) = self.find(digest).await {
            return Ok(component);
        }
        let code = match &self.program {
            Some(program) => Some(program.compile(&bytes).await?),
            None => None,
        };
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        blocking(move || {
            let code = match code {
                Some(code) => code,
                None => engine
                    .precompile_component(&bytes)
                    .map_err(|e| summary(&e))?,
            };
            let component = run_compiled(&engine, &code).map_err(|e| summary(&e))?;
            if let Some(cache) = cache {
                cache.insert(&code, digest);
            }
            Ok(component)
        })
        .await
        .unwrap_or_else(|| Err("the compiler panicked".to_owned()))
    }

    /// A component that was compiled before.
    async fn find(&self, digest: Digest) -> Option<Component> {
        let (engine, cache) = (self.engine.clone(), Arc::clone(self.cache.as_ref()?));
        blocking(move || cache.find(&engine, digest)).await?
    }
}

/// Does long work where it holds up nobody; `None` where it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler")
            .field("pooled", &self.pooled)
            .finish_non_exhaustive()
    }
}

/// One line of an error that may carry a lot of context.
pub(super) fn summary(error: &wasmtime::Error) -> String {
    let text: Vec<String> = error.chain().map(ToString::to_string).collect();
    text.join(": ")
        .chars()
        .take(600)
        .flat_map(|c| if c == '\n' { vec![' '] } else { vec![c] })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes the engine"
)]
fn build(pooled: bool) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        // Host functions leave what they handle on this stack; the next guest gets it.
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        // Results must not depend on the machine.
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        // Everything that a `wasm32-wasip2` component does not use is code that could have a hole.
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .shared_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .concurrency_support(false);
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(GUESTS)
            .max_core_instances_per_component(INSTANCES)
            .max_memories_per_component(MEMORIES)
            .max_tables_per_component(TABLES)
            .max_memories_per_module(1)
            .max_tables_per_module(4)
            .total_core_instances(GUESTS * INSTANCES)
            .total_memories(GUESTS * MEMORIES)
            .total_tables(GUESTS * TABLES)
            .total_stacks(GUESTS)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(usize::try_from(Budget::Memory.most()).unwrap_or(usize::MAX))
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(KEEP_RESIDENT)
            .async_stack_keep_resident(KEEP_STACK)
            // Idle slots give their memory back to the machine, all but a few.
            .max_unused_warm_slots(8)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    Engine::new(&config)
}

/// Counts the epoch on a thread of its own: a timer of the async runtime could be held up by the very guest that it
/// has to interrupt. The thread ends with the engine.
fn start_ticker(engine: EngineWeak) -> Result<(), StartError> {
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    let started = std::thread::Builder::new()
        .name("epoch-ticker".to_owned())
        .spawn(tick);
    started
        .map(drop)
        .map_err(|e| StartError::Engine(format!("no thread for interrupting guests: {e}")))
}
