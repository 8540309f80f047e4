//! `#[input]` and `#[output]`: the derives, with this crate's paths and the portal's own field attributes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Fields, Lit, LitStr, Meta, Path, Result,
    Token, parse_quote,
};

/// Which way a type travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Input,
    Output,
}

pub(crate) fn expand(role: Role, arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new(
            arguments.span(),
            "this attribute takes no arguments",
        ));
    }
    let mut item: DeriveInput = syn::parse2(item)?;
    if let Some(parameter) = item.generics.params.first() {
        return Err(Error::new(
            parameter.span(),
            "an input or output has no generic parameters: its JSON Schema is made from concrete types",
        ));
    }
    match &mut item.data {
        Data::Struct(data) => match &mut data.fields {
            Fields::Named(fields) => {
                for field in &mut fields.named {
                    expand_entity(&mut field.attrs)?;
                }
                if role == Role::Input {
                    item.attrs.push(parse_quote!(#[serde(deny_unknown_fields)]));
                }
            }
            other => {
                return Err(Error::new(
                    other.span(),
                    "an input or output struct has named fields: they are the JSON object's keys",
                ));
            }
        },
        Data::Enum(data) => {
            let plain = data
                .variants
                .iter()
                .all(|variant| matches!(variant.fields, Fields::Unit));
            if plain && !has_serde(&item.attrs, "rename_all")? {
                item.attrs
                    .push(parse_quote!(#[serde(rename_all = "kebab-case")]));
            }
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span(),
                "an input or output is a struct or an enum",
            ));
        }
    }

    let derived = derived_names(&item.attrs)?;
    let mut derives: Vec<Path> = Vec::new();
    for (name, path) in [
        ("Debug", parse_quote!(::core::fmt::Debug)),
        ("Clone", parse_quote!(::core::clone::Clone)),
        (
            "Serialize",
            parse_quote!(::goldenpath_sdk::serde::Serialize),
        ),
        (
            "Deserialize",
            parse_quote!(::goldenpath_sdk::serde::Deserialize),
        ),
        (
            "JsonSchema",
            parse_quote!(::goldenpath_sdk::schemars::JsonSchema),
        ),
    ] {
        if !derived.iter().any(|known| known == name) {
            derives.push(path);
        }
    }
    Ok(quote! {
        #[derive(#(#derives),*)]
        #[serde(crate = "::goldenpath_sdk::serde")]
        #[schemars(crate = "::goldenpath_sdk::schemars")]
        #item
    })
}

/// Turns `#[entity("System")]` into the schema keywords that the portal reads.
fn expand_entity(attributes: &mut [Attribute]) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident("entity") {
            let blueprint: LitStr = attribute.parse_args().map_err(|_| {
                Error::new(
                    attribute.span(),
                    "name the blueprint: `#[entity(\"System\")]`",
                )
            })?;
            if blueprint.value().is_empty() {
                return Err(Error::new(
                    blueprint.span(),
                    "a blueprint's identifier is not empty",
                ));
            }
            *attribute =
                parse_quote!(#[schemars(extend("format" = "entity", "blueprint" = #blueprint))]);
        }
    }
    Ok(())
}

fn has_serde(attributes: &[Attribute], key: &str) -> Result<bool> {
    let mut found = false;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        let metas = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        found |= metas.iter().any(|meta| meta.path().is_ident(key));
    }
    Ok(found)
}

/// The last segments of what the author derives by hand: deriving it twice would not compile.
fn derived_names(attributes: &[Attribute]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?;
        names.extend(
            paths
                .iter()
                .filter_map(|path| path.segments.last().map(|last| last.ident.to_string())),
        );
    }
    Ok(names)
}

/// The doc comment as one text: the markers' leading space off, paragraphs kept.
pub(crate) fn doc_text(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
        {
            lines.extend(
                text.value()
                    .split('\n')
                    .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()),
            );
        }
    }
    lines.join("\n").trim().to_owned()
}
