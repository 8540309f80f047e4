//! `#[input]` and `#[output]`: the serde derives with this crate's paths, and the JSON Schema.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Field, Fields, FieldsNamed, Path, Result, Token,
    parse_quote,
};

use crate::doc::doc_text;
use crate::field::{FieldKeywords, json_string};
use crate::naming::{Case, SerdeContainer, SerdeField};

const SHAPE: &str = "an input or output is a struct or an enum";

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
    let Ok(mut item) = syn::parse2::<DeriveInput>(item.clone()) else {
        return Err(Error::new_spanned(item, SHAPE));
    };
    if let Some(parameter) = item.generics.params.first() {
        return Err(Error::new(
            parameter.span(),
            "an input or output has no generic parameters: its JSON Schema is made from concrete types",
        ));
    }
    let container = SerdeContainer::read(&item.attrs)?;
    let keywords = match &mut item.data {
        Data::Struct(data) => match &mut data.fields {
            Fields::Named(fields) => {
                let keywords = struct_keywords(role, &container, fields)?;
                if role == Role::Input && !container.deny_unknown_fields {
                    item.attrs.push(parse_quote!(#[serde(deny_unknown_fields)]));
                }
                keywords
            }
            _ => {
                return Err(Error::new(
                    item.ident.span(),
                    "an input or output struct has named fields: they are the JSON object's keys",
                ));
            }
        },
        Data::Enum(data) => {
            if container.rename_all.is_none() {
                item.attrs
                    .push(parse_quote!(#[serde(rename_all = "kebab-case")]));
            }
            enum_keywords(&container, data)?
        }
        Data::Union(data) => {
            return Err(Error::new(data.union_token.span(), SHAPE));
        }
    };

    let derives = missing_derives(&item.attrs)?;
    let ident = &item.ident;
    let title = json_string(ident.to_string().trim_start_matches("r#"));
    let doc = doc_text(&item.attrs);
    let description = (!doc.is_empty())
        .then(|| json_string(&doc))
        .map(|doc| quote!(schema.set("description", #doc);));
    Ok(quote! {
        #[derive(#(#derives),*)]
        #[serde(crate = "::goldenpath_sdk::serde")]
        #item

        impl ::goldenpath_sdk::Schema for #ident {
            const TITLE: &'static str = #title;

            fn describe(schema: &mut ::goldenpath_sdk::Keywords) {
                #description
                #keywords
            }
        }
    })
}

/// The schema of a struct; takes the portal's own attributes off the fields.
fn struct_keywords(
    role: Role,
    container: &SerdeContainer,
    fields: &mut FieldsNamed,
) -> Result<TokenStream> {
    let mut statements = vec![quote!(schema.object();)];
    let mut wrong: Option<Error> = None;
    for field in &mut fields.named {
        match field_keywords(role, container, field) {
            Ok(statement) => statements.push(statement),
            // All of them at once: each costs its author another build.
            Err(error) => match &mut wrong {
                Some(wrong) => wrong.combine(error),
                None => wrong = Some(error),
            },
        }
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    if role == Role::Input || container.deny_unknown_fields {
        statements.push(quote!(schema.set("additionalProperties", "false");));
    }
    Ok(quote!(#(#statements)*))
}

/// The statement that puts one field into the schema.
fn field_keywords(
    role: Role,
    container: &SerdeContainer,
    field: &mut Field,
) -> Result<TokenStream> {
    let serde = SerdeField::read(&field.attrs)?;
    let name = serde.rename.unwrap_or_else(|| {
        let ident = field.ident.as_ref().map(ToString::to_string);
        container
            .rename_all
            .unwrap_or(Case::Snake)
            .field(ident.unwrap_or_default().trim_start_matches("r#"))
    });
    let name = json_string(&name);
    let mut own = Vec::new();
    let doc = doc_text(&field.attrs);
    if !doc.is_empty() {
        own.push(("description", json_string(&doc)));
    }
    let keywords = FieldKeywords::take(field)?;
    own.extend(keywords.own);
    let (own_names, own_values): (Vec<_>, Vec<_>) = own.into_iter().unzip();
    let (element_names, element_values): (Vec<_>, Vec<_>) = keywords.element.into_iter().unzip();

    let kind = &field.ty;
    let (optional, default) = match &serde.default {
        None => (quote!(false), quote!(::core::option::Option::None)),
        Some(None) => (
            quote!(true),
            quote!(::goldenpath_sdk::__private::default_text(&<#kind as ::core::default::Default>::default())),
        ),
        Some(Some(path)) => (
            quote!(true),
            quote!(::goldenpath_sdk::__private::default_text::<#kind>(&#path())),
        ),
    };
    let required = match role {
        Role::Input => quote!(!(#optional || <#kind as ::goldenpath_sdk::Schema>::OPTIONAL)),
        Role::Output if serde.may_be_skipped => quote!(false),
        Role::Output => quote!(true),
    };
    Ok(quote! {
        schema.field::<#kind>(::goldenpath_sdk::__private::Field {
            name: #name,
            required: #required,
            default: #default,
            own: &[#((#own_names, #own_values)),*],
            element: &[#((#element_names, #element_values)),*],
        });
    })
}

fn enum_keywords(container: &SerdeContainer, data: &DataEnum) -> Result<TokenStream> {
    let case = container.rename_all.unwrap_or(Case::Kebab);
    let mut names = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(
                variant.fields.span(),
                "a choice of an input or output carries no data: put optional fields beside it",
            ));
        }
        let serde = SerdeField::read(&variant.attrs)?;
        names.push(json_string(
            &serde
                .rename
                .unwrap_or_else(|| case.variant(&variant.ident.to_string())),
        ));
    }
    if names.is_empty() {
        return Err(Error::new(
            data.enum_token.span(),
            "a choice has at least one value",
        ));
    }
    let values = format!("[{}]", names.join(","));
    Ok(quote! {
        schema.set("type", "\"string\"");
        schema.set("enum", #values);
    })
}

/// What the author does not derive by hand: deriving it twice would not compile.
fn missing_derives(attributes: &[Attribute]) -> Result<Vec<Path>> {
    let mut derived = Vec::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?;
        derived.extend(
            paths
                .iter()
                .filter_map(|path| path.segments.last().map(|last| last.ident.to_string())),
        );
    }
    let all: [(&str, Path); 4] = [
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
    ];
    Ok(all
        .into_iter()
        .filter(|(name, _)| !derived.iter().any(|known| known == name))
        .map(|(_, path)| path)
        .collect())
}
