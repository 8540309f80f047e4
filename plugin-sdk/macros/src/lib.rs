//! The attribute macros of `goldenpath-sdk`, documented there and re-exported by its prelude.

mod action;
mod data;
mod doc;
mod field;
mod naming;
mod plugin;

use proc_macro::TokenStream;

/// Makes a struct or enum an action's input, or a part of one.
///
/// Doc comments become descriptions in the JSON Schema; unknown fields are refused.
#[proc_macro_attribute]
pub fn input(arguments: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(data::Role::Input, arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct or enum an action's output, or a part of one.
///
/// Doc comments become descriptions in the JSON Schema.
#[proc_macro_attribute]
pub fn output(arguments: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(data::Role::Output, arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a function an action: `fn(Input)` or `fn(Input, &Context)`, answering `Result<Output, Failure>`.
///
/// The action's name is the function's in kebab-case, or the one given: `#[action(name = "other-name")]`.
#[proc_macro_attribute]
pub fn action(arguments: TokenStream, item: TokenStream) -> TokenStream {
    action::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Exports the named actions from the component: `plugin!(first_action, second_action);`, once in a crate.
#[proc_macro]
pub fn plugin(actions: TokenStream) -> TokenStream {
    plugin::expand(actions.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
