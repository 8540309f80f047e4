//! The host's side of `wit/v0.1`, generated. Nothing here is linked by itself: `linker.rs` picks interfaces.

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::large_futures,
    clippy::too_long_first_doc_paragraph,
    clippy::uninlined_format_args,
    reason = "generated from the contract"
)]
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
pub(super) use generated::goldenpath::plugin::{catalog, files, log, state, types};
pub(super) use generated::{ActionPlugin, ActionPluginPre};
