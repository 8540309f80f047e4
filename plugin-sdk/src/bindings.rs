//! The contract as Rust, generated from `wit/`. Nothing outside `host` and `__private` sees it.

wit_bindgen::generate!({
    path: "../wit/v0.1",
    world: "action-plugin",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_action_plugin",
    default_bindings_module: "goldenpath_sdk::__private::bindings",
});
