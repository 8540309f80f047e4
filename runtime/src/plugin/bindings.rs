//! The host's side of `wit/v0.1`, generated. Nothing here is linked by itself: `linker.rs` picks interfaces.

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "goldenpath:plugin/action-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "goldenpath:plugin/files.reader": crate::plugin::capability::files::Reader,
            "goldenpath:plugin/files.writer": crate::plugin::capability::files::Writer,
        },
    });
}

pub(super) use generated::exports::goldenpath::plugin::action::{Call, Failure};
pub(super) use generated::exports::goldenpath::plugin::descriptor::Description;
pub(super) use generated::goldenpath::plugin::{
    actions, catalog, endpoints, files, log, secrets, state, steps, types,
};
pub(super) use generated::{ActionPlugin, ActionPluginPre};
