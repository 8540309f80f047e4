//! The sandbox in this process, beside wasmtime alone.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use goldenpath::catalog::Catalog;
use goldenpath::model::{Actor, EventBody, PluginName, RunId, Timestamp};
use goldenpath::plugin::{ActionCall, EgressSettings, EventSink, PluginHost, PluginSettings};
use goldenpath::store::Store;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::bare::BareHost;
use crate::table::{Figure, Table, Target, measure as timed};

/// Bytes in front of the machine code in a file of the portal's cache.
const SEAL: usize = 32;

/// The machine code of `hello` is written to a file for wasmtime alone.
pub(crate) fn measure(criterion: &mut Criterion, table: &mut Table, data: &Path, file: &Path) {
    let runtime = Runtime::new().unwrap();
    let store = Store::open(data).unwrap();
    let catalog = Catalog::new(store.clone());
    let open = || {
        let settings = PluginSettings {
            data_dir: data.to_owned(),
            egress: EgressSettings::default(),
            ceiling: Vec::new(),
            upgrades: goldenpath::model::UpgradePolicy::Activate,
            four_eyes: false,
            own_listener: None,
            compiler: None,
        };
        PluginHost::new(store.clone(), catalog.clone(), settings).unwrap()
    };
    let hello = PluginName::parse("hello").unwrap();
    copy_compiled(&runtime, &open(), data, file);
    let bare = BareHost::load(file);

    let host = open();
    let prepared = runtime.block_on(host.prepare(&hello, None)).unwrap();
    let raw = |times| {
        runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..times {
                black_box(bare.call("hello", r#"{"name":"Ada"}"#).await);
            }
            started.elapsed()
        })
    };
    let ours = |times| {
        runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..times {
                let done = host.call_prepared(&prepared, call(&hello));
                black_box(done.await.unwrap());
            }
            started.elapsed()
        })
    };
    let called = timed(criterion, "call", ours, raw);
    table.add(
        "`hello`: fresh instance and typed call (raw: wasmtime alone)",
        called,
        &[Target::Ratio(1.5), Target::AtMost(Figure::Seconds(100e-6))],
    );
    let ours = |times| {
        runtime.block_on(async {
            let started = Instant::now();
            for _ in 0..times {
                black_box(host.call_action(call(&hello)).await.unwrap());
            }
            started.elapsed()
        })
    };
    let called = timed(criterion, "call with lookup", ours, raw);
    table.add(
        "the same, with version and grant read from the database",
        called,
        &[],
    );

    let ours = |times| {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            let host = open();
            let started = Instant::now();
            black_box(runtime.block_on(host.prepare(&hello, None)).is_ok());
            taken += started.elapsed();
        }
        taken
    };
    let raw = |times| {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            let started = Instant::now();
            let component = bare.deserialize();
            taken += started.elapsed();
            drop(component);
        }
        taken
    };
    let loaded = timed(criterion, "load", ours, raw);
    table.add(
        "component load from the cache, package checked (raw: `Component::deserialize_file`)",
        loaded,
        &[Target::AtMost(Figure::Seconds(2e-3))],
    );
}

fn call(plugin: &PluginName) -> ActionCall {
    ActionCall {
        plugin: plugin.clone(),
        version: None,
        action: "hello".to_owned(),
        input: json!({"name": "Ada"}),
        entity: None,
        run: RunId::parse("r_0123456789abcdef").unwrap(),
        actor: Actor::system(),
        at: Timestamp::now(),
        sink: Arc::new(Unheard),
        runs: None,
        journal: None,
        interrupts: None,
    }
}

/// Takes what a guest says and keeps nothing.
struct Unheard;

impl EventSink for Unheard {
    fn emit(&self, event: EventBody) {
        black_box(event);
    }
}

/// Takes the machine code of `hello` out of the portal's own cache.
#[expect(clippy::disallowed_methods, reason = "a file of the benchmark's own")]
fn copy_compiled(runtime: &Runtime, host: &PluginHost, data: &Path, file: &Path) {
    let hello = PluginName::parse("hello").unwrap();
    let versions = runtime.block_on(host.list_versions(Some(&hello))).unwrap();
    let name = format!("{}.cwasm", versions[0].digest.hex());
    let cache = data.join("cache/components").read_dir().unwrap();
    let kept = cache.map(|entry| entry.unwrap().path().join(&name));
    let kept = kept.into_iter().find(|kept| kept.is_file()).unwrap();
    std::fs::write(file, &std::fs::read(kept).unwrap()[SEAL..]).unwrap();
}
