//! `#[field(…)]`: what a schema says of a field beyond its type.

use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Error, Expr, ExprLit, ExprRange, ExprUnary, Lit, LitStr, RangeLimits, Result, UnOp,
};

/// Keyword and JSON text.
type Keyword = (&'static str, String);

/// The keywords of one field.
#[derive(Default)]
pub(crate) struct FieldKeywords {
    /// On the field's own schema.
    pub(crate) own: Vec<Keyword>,
    /// On the schema of single values: for a list, on its elements.
    pub(crate) element: Vec<Keyword>,
}

impl FieldKeywords {
    /// Reads the attributes and takes them off, as the compiler does not know them.
    pub(crate) fn take(attributes: &mut Vec<Attribute>) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("field"))
        {
            attribute.parse_nested_meta(|meta| found.read(&meta))?;
        }
        attributes.retain(|attribute| !attribute.path().is_ident("field"));
        Ok(found)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        match name.as_str() {
            "title" => self.own.push(("title", text(meta)?)),
            "pattern" => self.element.push(("pattern", text(meta)?)),
            "format" => self.element.push(("format", text(meta)?)),
            "entity" => {
                self.element.push(("format", json_string("entity")));
                self.element.push(("blueprint", text(meta)?));
            }
            "length" => self
                .element
                .extend(bounds(meta, "minLength", "maxLength", Number::Count)?),
            "range" => self
                .element
                .extend(bounds(meta, "minimum", "maximum", Number::Any)?),
            "items" => self
                .own
                .extend(bounds(meta, "minItems", "maxItems", Number::Count)?),
            _ => {
                return Err(meta.error(
                    "unknown; there is `title`, `pattern`, `format`, `entity` (a text each), `length`, `range`, `items` (a range each, such as `1..=9`)",
                ));
            }
        }
        Ok(())
    }
}

/// A JSON string.
pub(crate) fn json_string(text: &str) -> String {
    let mut json = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            control if control.is_control() => {
                json.push_str(&format!("\\u{:04x}", u32::from(control)))
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
    json
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let text: LitStr = meta.value()?.parse()?;
    if text.value().is_empty() {
        return Err(Error::new(text.span(), "this is not empty"));
    }
    Ok(json_string(&text.value()))
}

/// What the ends of a range may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Count,
    Any,
}

fn bounds(
    meta: &ParseNestedMeta<'_>,
    least: &'static str,
    most: &'static str,
    number: Number,
) -> Result<Vec<Keyword>> {
    let expression: Expr = meta.value()?.parse()?;
    let Expr::Range(ExprRange {
        start, limits, end, ..
    }) = &expression
    else {
        return Err(Error::new_spanned(
            &expression,
            "write a range: `1..=9`, `1..` or `..=9`",
        ));
    };
    if let (RangeLimits::HalfOpen(_), Some(end)) = (limits, end) {
        return Err(Error::new_spanned(
            end,
            "write `..=`: the end belongs to the range",
        ));
    }
    let mut found = Vec::new();
    for (keyword, end) in [(least, start), (most, end)] {
        if let Some(end) = end {
            found.push((keyword, literal(end, number)?));
        }
    }
    if found.is_empty() {
        return Err(Error::new_spanned(
            &expression,
            "this range has no end on either side",
        ));
    }
    Ok(found)
}

fn literal(expression: &Expr, number: Number) -> Result<String> {
    match (expression, number) {
        (
            Expr::Lit(ExprLit {
                lit: Lit::Int(value),
                ..
            }),
            _,
        ) => Ok(value.base10_digits().to_owned()),
        (
            Expr::Lit(ExprLit {
                lit: Lit::Float(value),
                ..
            }),
            Number::Any,
        ) => {
            // Rust takes `1.` where JSON does not.
            let digits = value.base10_digits();
            Ok(if digits.ends_with('.') {
                format!("{digits}0")
            } else {
                digits.to_owned()
            })
        }
        (
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_),
                expr,
                ..
            }),
            Number::Any,
        ) => Ok(format!("-{}", literal(expr, number)?)),
        (other, Number::Any) => Err(Error::new_spanned(other, "write a number")),
        (other, Number::Count) => Err(Error::new_spanned(other, "write a whole number")),
    }
}
