//! `plugin!`: the component's exports, on the guest target only.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Error, Path, Result, Token};

pub(crate) fn expand(actions: TokenStream) -> Result<TokenStream> {
    let actions = Punctuated::<Path, Token![,]>::parse_terminated.parse2(actions)?;
    if actions.is_empty() {
        return Err(Error::new(
            Span::call_site(),
            "name at least one action: `plugin!(my_action);`",
        ));
    }
    let actions: Vec<_> = actions.iter().collect();
    Ok(quote! {
        // Checked on every target, so that a wrong name shows in `cargo test` already.
        const _: () = {
            #(const _: &str = <#actions as ::goldenpath_sdk::Action>::NAME;)*
        };

        #[cfg(target_arch = "wasm32")]
        ::goldenpath_sdk::__private::export_plugin!(#(#actions),*);
    })
}
