//! What serde's attributes say of names and of what may be left out. Whatever else they say, a schema cannot follow.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Path, Result};

/// A convention for names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    fn parse(name: &LitStr) -> Result<Self> {
        Ok(match name.value().as_str() {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => {
                return Err(syn::Error::new(
                    name.span(),
                    "unknown convention; for example `camelCase` or `kebab-case`",
                ));
            }
        })
    }

    /// The name of a field, which is written in `snake_case`.
    pub(crate) fn field(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => name.split('_').map(capitalized).collect(),
            Self::Camel => {
                let pascal = Self::Pascal.field(name);
                let mut letters = pascal.chars();
                letters
                    .next()
                    .into_iter()
                    .map(|first| first.to_ascii_lowercase())
                    .chain(letters)
                    .collect()
            }
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// The name of a variant, which is written in `PascalCase`.
    pub(crate) fn variant(self, name: &str) -> String {
        let mut snake = String::new();
        for (index, letter) in name.char_indices() {
            if index > 0 && letter.is_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => {
                let mut letters = name.chars();
                letters
                    .next()
                    .into_iter()
                    .map(|first| first.to_ascii_lowercase())
                    .chain(letters)
                    .collect()
            }
            Self::Snake | Self::ScreamingSnake | Self::Kebab | Self::ScreamingKebab => {
                self.field(&snake)
            }
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .into_iter()
        .map(|first| first.to_ascii_uppercase())
        .chain(letters)
        .collect()
}

/// `#[serde(…)]` on a struct or enum.
#[derive(Default)]
pub(crate) struct SerdeContainer {
    pub(crate) rename_all: Option<Case>,
    pub(crate) deny_unknown_fields: bool,
}

impl SerdeContainer {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("rename_all") {
                found.rename_all = Some(Case::parse(&meta.value()?.parse()?)?);
            } else if meta.path.is_ident("deny_unknown_fields") {
                found.deny_unknown_fields = true;
            } else {
                return Err(meta.error("the JSON Schema cannot follow this; a type of an input or output takes `rename_all`"));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// `#[serde(…)]` on a field or variant.
#[derive(Default)]
pub(crate) struct SerdeField {
    pub(crate) rename: Option<String>,
    /// `Some(None)`: the type's own default.
    pub(crate) default: Option<Option<Path>>,
    pub(crate) may_be_skipped: bool,
}

impl SerdeField {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("rename") {
                found.rename = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("default") {
                let path = match meta.value() {
                    Ok(value) => Some(value.parse::<LitStr>()?.parse()?),
                    Err(_) => None,
                };
                found.default = Some(path);
            } else if meta.path.is_ident("skip_serializing_if") {
                meta.value()?.parse::<LitStr>()?;
                found.may_be_skipped = true;
            } else {
                return Err(meta.error(
                    "the JSON Schema cannot follow this; a field of an input or output takes `rename`, `default` and `skip_serializing_if`",
                ));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut read))
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn names_follow_the_conventions_of_serde() {
        for (case, field, variant) in [
            (Case::Lower, "portal_url", "typescript"),
            (Case::Upper, "PORTAL_URL", "TYPESCRIPT"),
            (Case::Pascal, "PortalUrl", "TypeScript"),
            (Case::Camel, "portalUrl", "typeScript"),
            (Case::Snake, "portal_url", "type_script"),
            (Case::ScreamingSnake, "PORTAL_URL", "TYPE_SCRIPT"),
            (Case::Kebab, "portal-url", "type-script"),
            (Case::ScreamingKebab, "PORTAL-URL", "TYPE-SCRIPT"),
        ] {
            assert_eq!(
                (
                    case.field("portal_url").as_str(),
                    case.variant("TypeScript").as_str()
                ),
                (field, variant)
            );
        }
    }
}
