//! A plugin called by wasmtime and nothing else: no limits beside the interruption by epochs, no grant, no log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        inline: "
            package goldenpath:bench;
            world bare {
                import goldenpath:plugin/log@0.1.3;
                export goldenpath:plugin/descriptor@0.1.3;
                export goldenpath:plugin/action@0.1.3;
            }
        ",
        world: "goldenpath:bench/bare",
        imports: { default: async | trappable },
        exports: { default: async },
        require_store_data_send: true,
    });
}

use generated::exports::goldenpath::plugin::action::Call;
use generated::goldenpath::plugin::{log, types};
use generated::{Bare, BarePre};

pub(crate) struct BareHost {
    engine: Engine,
    compiled: PathBuf,
    pre: BarePre<Guest>,
}

struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    async fn write(&mut self, _: log::Level, message: String) -> wasmtime::Result<()> {
        std::hint::black_box(message);
        Ok(())
    }

    async fn progress(&mut self, _: u64, _: Option<u64>, _: String) -> wasmtime::Result<()> {
        Ok(())
    }

    async fn link(&mut self, _: String, _: String) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl BareHost {
    /// Takes the machine code from a file.
    pub(crate) fn load(compiled: &Path) -> Self {
        let engine = engine();
        tick(&engine);
        let component = deserialize(&engine, compiled);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        types::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        log::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        let pre = BarePre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self {
            engine,
            compiled: compiled.to_owned(),
            pre,
        }
    }

    /// Makes the machine code ready to run.
    pub(crate) fn deserialize(&self) -> Component {
        deserialize(&self.engine, &self.compiled)
    }

    /// Calls the plugin's function in an instance of its own.
    pub(crate) async fn call(&self, action: &str, input: &str) -> String {
        let guest = Guest {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, guest);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance: Bare = self.pre.instantiate_async(&mut store).await.unwrap();
        let call = Call {
            action: action.to_owned(),
            run_id: "r_0123456789abcdef".to_owned(),
            input: input.to_owned(),
            entity: None,
            requested_by: "somebody".to_owned(),
        };
        let action = instance.goldenpath_plugin_action();
        action.call_run(&mut store, &call).await.unwrap().unwrap()
    }
}

/// As the portal's own engine is set up: else it would refuse the portal's machine code, and the comparison would be
/// one of settings.
#[expect(clippy::disallowed_methods, reason = "the other engine is the point")]
fn engine() -> Engine {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(64)
        .total_core_instances(64 * 16)
        .total_memories(64 * 4)
        .total_tables(64 * 16)
        .total_stacks(64)
        .max_memory_size(1 << 30)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(256 << 10)
        .max_unused_warm_slots(8)
        .pagemap_scan(wasmtime::Enabled::Auto);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .shared_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).unwrap()
}

fn tick(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

#[expect(unsafe_code, reason = "to load compiled code is to trust it")]
fn deserialize(engine: &Engine, compiled: &Path) -> Component {
    // SAFETY: the portal under measurement made it a moment ago, and nobody else writes to this run's own folder.
    unsafe { Component::deserialize_file(engine, compiled) }.unwrap()
}
