//! `#[field(…)]`: what a schema says of a field beyond its type.

use syn::meta::ParseNestedMeta;
use syn::{
    Error, Expr, ExprLit, ExprRange, ExprUnary, Field, GenericArgument, Lit, LitStr, PathArguments,
    RangeLimits, Result, Type, UnOp,
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
    pub(crate) fn take(field: &mut Field) -> Result<Self> {
        let mut found = Self::default();
        let shape = Shape::of(&field.ty);
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("field"))
        {
            attribute.parse_nested_meta(|meta| found.read(&meta, &shape))?;
        }
        field
            .attrs
            .retain(|attribute| !attribute.path().is_ident("field"));
        Ok(found)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>, shape: &Shape) -> Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        shape.check(&name).map_err(|message| meta.error(message))?;
        let (own, element) = (self.own.len(), self.element.len());
        self.read_one(&name, meta)?;
        let (own_before, own_now) = self.own.split_at(own);
        let (element_before, element_now) = self.element.split_at(element);
        let twice = |before: &[Keyword], now: &[Keyword]| {
            now.iter()
                .any(|(new, _)| before.iter().any(|(known, _)| known == new))
        };
        if twice(own_before, own_now) || twice(element_before, element_now) {
            return Err(meta.error(format!(
                "`{name}` says what this field has been told already"
            )));
        }
        Ok(())
    }

    fn read_one(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match name {
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

/// What a field's type is, as far as its text tells: a type of the author's own may be anything.
#[derive(Default)]
struct Shape {
    list: Option<bool>,
    /// The single value's type, without what wraps it.
    value: Option<String>,
}

impl Shape {
    fn of(kind: &Type) -> Self {
        let Type::Path(path) = kind else {
            return Self::default();
        };
        let Some(last) = path.path.segments.last() else {
            return Self::default();
        };
        let name = last.ident.to_string();
        let inner = match &last.arguments {
            PathArguments::AngleBracketed(generics) => generics.args.first(),
            _ => None,
        };
        match (name.as_str(), inner) {
            ("Option" | "Box", Some(GenericArgument::Type(inner))) => Self::of(inner),
            ("Vec", Some(GenericArgument::Type(inner))) => Self {
                list: Some(true),
                ..Self::of(inner)
            },
            _ => Self {
                list: TEXTS
                    .iter()
                    .chain(&NUMBERS)
                    .any(|known| name == *known)
                    .then_some(false),
                value: Some(name),
            },
        }
    }

    /// Refuses a keyword that says nothing about values of this type: a schema would carry it and check nothing.
    fn check(&self, keyword: &str) -> std::result::Result<(), String> {
        let is = |known: &[&str]| self.value.as_deref().is_some_and(|v| known.contains(&v));
        let misfit = match keyword {
            "pattern" | "format" | "entity" | "length" => is(&NUMBERS) || is(&["bool"]),
            "range" => is(&TEXTS),
            "items" => self.list == Some(false),
            _ => false,
        };
        let wanted = match keyword {
            "range" => "a number",
            "items" => "a list",
            _ => "text",
        };
        if misfit {
            return Err(format!(
                "`{keyword}` is a rule for {wanted}, which this field does not hold"
            ));
        }
        Ok(())
    }
}

const TEXTS: [&str; 3] = ["String", "char", "bool"];

const NUMBERS: [&str; 12] = [
    "f32", "f64", "i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize",
];

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
    let ends: Vec<f64> = found
        .iter()
        .filter_map(|(_, end)| end.parse().ok())
        .collect();
    match ends[..] {
        [] => Err(Error::new_spanned(
            &expression,
            "this range has no end on either side",
        )),
        [least, most] if least > most => Err(Error::new_spanned(
            &expression,
            "this range is empty: no value fits it",
        )),
        _ => Ok(found),
    }
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
