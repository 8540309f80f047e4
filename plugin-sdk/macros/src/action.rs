//! `#[action]`: a type of the function's name that carries its name, texts and types.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, GenericArgument, ItemFn, LitStr, PathArguments, Result, ReturnType, Type};

use crate::doc::doc_text;

const SHAPE: &str = "an action is `fn(input: Input) -> Result<Output, Failure>` or `fn(input: Input, ctx: &Context) -> Result<Output, Failure>`";

/// Longest name that a manifest takes.
const MAX_NAME: usize = 63;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        let message = format!("`#[action]` stands on a function; {SHAPE}");
        return Err(Error::new_spanned(item, message));
    };
    let signature = &function.sig;
    for (found, what) in [
        (
            signature.asyncness.map(|t| t.span()),
            "an action is not `async`: the wrappers of this crate block, and a run has its own thread of execution",
        ),
        (
            signature.unsafety.map(|t| t.span()),
            "an action is not `unsafe`",
        ),
        (
            signature.generics.params.first().map(|p| p.span()),
            "an action has no generic parameters: its JSON Schema is made from concrete types",
        ),
    ] {
        if let Some(span) = found {
            return Err(Error::new(span, what));
        }
    }

    let name = match parse_name(arguments)? {
        Some(name) => name,
        None => LitStr::new(
            &signature
                .ident
                .to_string()
                .trim_start_matches("r#")
                .replace('_', "-"),
            signature.ident.span(),
        ),
    };
    check_name(&name)?;

    let (input, call) = input_of(&function)?;
    let (output, error) = output_of(&function)?;
    let description = doc_text(&function.attrs);
    let (ident, visibility) = (&signature.ident, &function.vis);

    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, clippy::allow_attributes, reason = "the type is found under the function's own name")]
        #visibility struct #ident {}

        impl ::goldenpath_sdk::Action for #ident {
            type Input = #input;
            type Output = #output;
            type Error = #error;
            const NAME: &'static str = #name;
            const DESCRIPTION: &'static str = #description;

            fn run(input: Self::Input, ctx: &::goldenpath_sdk::Context) -> ::core::result::Result<Self::Output, Self::Error> {
                #call
            }
        }
    })
}

fn parse_name(arguments: TokenStream) -> Result<Option<LitStr>> {
    const ONLY: &str = "the only argument of an action is `name = \"…\"`";
    match arguments.clone().into_iter().next() {
        None => return Ok(None),
        Some(TokenTree::Ident(_)) => {}
        Some(other) => return Err(Error::new(other.span(), ONLY)),
    }
    let mut name = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error(ONLY));
        }
        name = Some(meta.value()?.parse()?);
        Ok(())
    });
    syn::parse::Parser::parse2(parser, arguments)?;
    Ok(name)
}

fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let kebab = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.len() <= MAX_NAME;
    if kebab {
        return Ok(());
    }
    let message = format!(
        "`{text}` is no action name: a lower-case letter, then at most {} lower-case letters, digits and `-`",
        MAX_NAME - 1
    );
    Err(Error::new(name.span(), message))
}

/// The input's type, and the call that passes what the function takes.
fn input_of(function: &ItemFn) -> Result<(&Type, TokenStream)> {
    let ident = &function.sig.ident;
    let mut arguments = function.sig.inputs.iter();
    let (Some(FnArg::Typed(first)), second, None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(Error::new(function.sig.span(), SHAPE));
    };
    if matches!(*first.ty, Type::Reference(_)) {
        return Err(Error::new(
            first.ty.span(),
            "an action takes its input by value, and the context second",
        ));
    }
    match second {
        None => Ok((&first.ty, quote! { let _ = ctx; #ident(input) })),
        Some(FnArg::Typed(second)) if matches!(*second.ty, Type::Reference(_)) => {
            Ok((&first.ty, quote!(#ident(input, ctx))))
        }
        Some(other) => Err(Error::new(
            other.span(),
            "the second argument of an action is `ctx: &Context`",
        )),
    }
}

/// The two types inside `Result<Output, Error>`.
fn output_of(function: &ItemFn) -> Result<(&Type, &Type)> {
    let ReturnType::Type(_, answer) = &function.sig.output else {
        return Err(Error::new(function.sig.span(), SHAPE));
    };
    if let Type::Path(path) = &**answer
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(generics) = &last.arguments
    {
        let mut types = generics.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(one) => Some(one),
            _ => None,
        });
        if let (Some(output), Some(error), None) = (types.next(), types.next(), types.next()) {
            return Ok((output, error));
        }
    }
    Err(Error::new(answer.span(), SHAPE))
}
