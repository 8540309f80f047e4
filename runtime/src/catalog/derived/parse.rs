//! From a blueprint's document to its derived properties, with every rule that needs nothing but the document.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::super::blueprint::property::{SPECS, check_name};
use super::super::format;
use super::super::query::parse_conditions;
use super::super::schema::{join, shorten};
use crate::model::{
    Aggregation, Blueprint, BlueprintId, Calculation, DerivedProperties, Field, Figure, Function,
    Meta, Mirror, Pace, PropertyType, Query, RelationPath, Span, Violation,
};

/// Key of the mirrors in a blueprint's document.
pub(super) const MIRRORS: &str = "mirrorProperties";

/// Key of the calculations.
pub(super) const CALCULATIONS: &str = "calculationProperties";

/// Key of the aggregations.
pub(super) const AGGREGATIONS: &str = "aggregationProperties";

/// Derived properties of one kind that a blueprint may have.
const MAX_DERIVED: usize = 200;

/// Relations on the way of one path.
pub(super) const MAX_STEPS: usize = 20;

/// Characters of one jq filter.
const MAX_FILTER: usize = 10_000;

/// Colours of the portal.
pub(in crate::catalog) const COLORS: &[&str] = &[
    "blue",
    "turquoise",
    "orange",
    "purple",
    "pink",
    "yellow",
    "green",
    "red",
    "gold",
    "silver",
    "paleBlue",
    "darkGray",
    "lightGray",
    "bronze",
    "lime",
    "olive",
    "brown",
];

/// Reads the derived properties of a blueprint. What is wrong is left out and told.
pub(in crate::catalog) fn parse(blueprint: &Blueprint) -> (DerivedProperties, Vec<Violation>) {
    let mut faults = Faults::default();
    let mut derived = DerivedProperties::default();
    for (name, fields, path) in faults.definitions(blueprint, MIRRORS) {
        if let Some(mirror) = faults.mirror(&path, fields) {
            derived.mirrors.insert(name.clone(), mirror);
        }
    }
    for (name, fields, path) in faults.definitions(blueprint, CALCULATIONS) {
        if let Some(calculation) = faults.calculation(&path, fields) {
            derived.calculations.insert(name.clone(), calculation);
        }
    }
    for (name, fields, path) in faults.definitions(blueprint, AGGREGATIONS) {
        if let Some(aggregation) = faults.aggregation(&path, fields) {
            derived.aggregations.insert(name.clone(), aggregation);
        }
    }
    faults.unique(blueprint);
    (derived, faults.found)
}

#[derive(Default)]
struct Faults {
    found: Vec<Violation>,
}

impl Faults {
    fn push(&mut self, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        self.found.push(Violation::new(path, rule, message));
    }

    /// The definitions under a key, with their names and places.
    fn definitions<'a>(
        &mut self,
        blueprint: &'a Blueprint,
        key: &str,
    ) -> Vec<(&'a String, &'a Map<String, Value>, String)> {
        let at = join("", key);
        let fields = match blueprint.extra.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.push(at, "type", "must be an object of definitions by name");
                return Vec::new();
            }
        };
        if fields.len() > MAX_DERIVED {
            let message = format!(
                "must have at most {MAX_DERIVED} entries, not {}",
                fields.len()
            );
            self.push(at, "maxProperties", message);
            return Vec::new();
        }
        let mut found = Vec::new();
        for (name, value) in fields {
            let path = join(&at, name);
            check_name(&path, name, &mut self.found);
            match value {
                Value::Object(fields) => {
                    self.title(&path, fields);
                    found.push((name, fields, path));
                }
                _ => self.push(path, "type", "must be an object"),
            }
        }
        found
    }

    /// No two properties of a blueprint have one name, however they come by their values.
    fn unique(&mut self, blueprint: &Blueprint) {
        let mut known: HashMap<&str, &str> = HashMap::new();
        for name in blueprint.schema.properties.keys() {
            known.insert(name, "schema/properties");
        }
        for key in [MIRRORS, CALCULATIONS, AGGREGATIONS] {
            let Some(Value::Object(fields)) = blueprint.extra.get(key) else {
                continue;
            };
            for name in fields.keys() {
                if let Some(place) = known.insert(name, key) {
                    let name_shown = shorten(name);
                    let message = format!(
                        "`{name_shown}` is in `{place}` already; a name stands for one property only"
                    );
                    self.push(join(&join("", key), name), "unique", message);
                }
            }
        }
    }

    fn title(&mut self, path: &str, fields: &Map<String, Value>) {
        for (key, longest) in [("title", 100), ("description", 2_000), ("icon", 100)] {
            match fields.get(key) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.chars().count() <= longest => {}
                Some(_) => {
                    let message = format!("must be a string of at most {longest} characters");
                    self.push(join(path, key), "length", message);
                }
            }
        }
    }

    fn text<'a>(
        &mut self,
        path: &str,
        fields: &'a Map<String, Value>,
        key: &str,
    ) -> Option<&'a str> {
        match fields.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return Some(text),
            None | Some(Value::Null) => {
                self.push(join(path, key), "required", format!("`{key}` is required"));
            }
            Some(_) => self.push(
                join(path, key),
                "type",
                "must be a string that is not empty",
            ),
        }
        None
    }

    /// One of several words.
    fn word<T: Copy>(&mut self, path: &str, text: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("`{}` is none of {}", shorten(text), known.join(", "));
            self.push(path, "enum", message);
        }
        found.map(|(_, value)| *value)
    }

    fn mirror(&mut self, path: &str, fields: &Map<String, Value>) -> Option<Mirror> {
        let text = self.text(path, fields, "path")?;
        let at = join(path, "path");
        let mut steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        let last = steps.pop().unwrap_or_default();
        if steps.is_empty() || steps.len() > MAX_STEPS || steps.iter().any(String::is_empty) {
            let message = format!(
                "must be 1 to {MAX_STEPS} relations and a property, such as `system.domain.$title`"
            );
            self.push(at, "path", message);
            return None;
        }
        let field = self.field(&at, &last)?;
        Some(Mirror {
            relations: steps,
            field,
        })
    }

    fn field(&mut self, path: &str, name: &str) -> Option<Field> {
        let field = Field::parse(name).filter(|field| !field.as_str().is_empty());
        if field.is_none() {
            let known: Vec<&str> = Meta::ALL.iter().map(|meta| meta.as_str()).collect();
            let message = format!(
                "`{}` is no meta-property; they are {}",
                shorten(name),
                known.join(", ")
            );
            self.push(path, "path", message);
        }
        field
    }

    fn calculation(&mut self, path: &str, fields: &Map<String, Value>) -> Option<Calculation> {
        let kind = self.text(path, fields, "type");
        let kind = kind.and_then(|word| self.word(&join(path, "type"), word, &PropertyType::ALL));
        let format = match fields.get("format") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if format::type_of(name).is_some() => Some(name.clone()),
            Some(other) => {
                let message = format!(
                    "{} is not a known format; use one of {}",
                    shorten(&other.to_string()),
                    format::names()
                );
                self.push(join(path, "format"), "format", message);
                None
            }
        };
        match fields.get("spec") {
            None | Some(Value::Null) => {}
            Some(Value::String(spec)) if SPECS.iter().any(|(name, _)| name == spec) => {}
            Some(_) => {
                let names: Vec<_> = SPECS.iter().map(|(name, _)| *name).collect();
                let message = format!("must be one of {}", names.join(", "));
                self.push(join(path, "spec"), "enum", message);
            }
        }
        if !matches!(
            fields.get("colorized"),
            None | Some(Value::Null | Value::Bool(_))
        ) {
            self.push(join(path, "colorized"), "type", "must be true or false");
        }
        self.colors(&join(path, "colors"), fields.get("colors"));
        if !matches!(
            fields.get("items"),
            None | Some(Value::Null | Value::Object(_))
        ) {
            self.push(join(path, "items"), "type", "must be an object");
        }
        let filter = self.text(path, fields, "calculation")?;
        if filter.chars().count() > MAX_FILTER {
            let message = format!("must have at most {MAX_FILTER} characters");
            self.push(join(path, "calculation"), "length", message);
            return None;
        }
        Some(Calculation {
            kind: kind?,
            format,
            filter: filter.to_owned(),
        })
    }

    fn colors(&mut self, path: &str, colors: Option<&Value>) {
        let colors = match colors {
            None | Some(Value::Null) => return,
            Some(Value::Object(colors)) => colors,
            Some(_) => return self.push(path, "type", "must be an object of colours by value"),
        };
        for (value, color) in colors {
            if !color.as_str().is_some_and(|color| COLORS.contains(&color)) {
                let message = format!(
                    "{} is not a colour; use one of {}",
                    shorten(&color.to_string()),
                    COLORS.join(", ")
                );
                self.push(join(path, value), "enum", message);
            }
        }
    }

    fn aggregation(&mut self, path: &str, fields: &Map<String, Value>) -> Option<Aggregation> {
        let target = self.text(path, fields, "target");
        let target = target.and_then(|text| self.identifier(&join(path, "target"), text));
        let query = match fields.get("query") {
            None | Some(Value::Null) => None,
            Some(query) => self.query(&join(path, "query"), query),
        };
        let relation_path = self.path_filter(
            &join(path, "pathFilter"),
            fields.get("pathFilter"),
            target.as_ref(),
        );
        let spec = match fields.get("calculationSpec") {
            Some(Value::Object(spec)) => self.figure(&join(path, "calculationSpec"), spec),
            _ => {
                let message = "`calculationSpec` is required: {\"calculationBy\": \"entities\", \"func\": \"count\"} is the smallest";
                self.push(join(path, "calculationSpec"), "required", message);
                None
            }
        };
        Some(Aggregation {
            target: target?,
            figure: spec?,
            query,
            path: relation_path,
        })
    }

    fn query(&mut self, path: &str, query: &Value) -> Option<Query> {
        parse_conditions(query, path)
            .map_err(|refused| self.found.extend(refused))
            .ok()
    }

    fn identifier(&mut self, path: &str, text: &str) -> Option<BlueprintId> {
        let parsed = BlueprintId::parse(text);
        parsed
            .map_err(|error| self.push(path, "identifier", error.to_string()))
            .ok()
    }

    fn figure(&mut self, path: &str, spec: &Map<String, Value>) -> Option<Figure> {
        let by = self.text(path, spec, "calculationBy");
        let func = self.text(path, spec, "func")?;
        let func_at = join(path, "func");
        match by? {
            "entities" => {
                match self.word(&func_at, func, &[("count", false), ("average", true)])? {
                    false => Some(Figure::Count),
                    true => Some(match self.pace(path, spec, true)? {
                        Some(pace) => Figure::CountPer(pace),
                        None => Figure::Count,
                    }),
                }
            }
            "property" => {
                let function = self.word(&func_at, func, &Function::ALL);
                let property = self.text(path, spec, "property")?.to_owned();
                let function = function?;
                let pace = match function {
                    Function::Average => self.pace(path, spec, false)?,
                    _ => None,
                };
                Some(match pace {
                    Some(pace) => Figure::SumPer(pace, property),
                    None => Figure::Of(function, property),
                })
            }
            other => {
                let message = format!("`{}` is none of entities, property", shorten(other));
                self.push(join(path, "calculationBy"), "enum", message);
                None
            }
        }
    }

    /// How often; `Some(None)` means over the whole time.
    #[expect(clippy::option_option, reason = "wrong, all of the time, or a pace")]
    fn pace(
        &mut self,
        path: &str,
        spec: &Map<String, Value>,
        required: bool,
    ) -> Option<Option<Pace>> {
        let span = match spec.get("averageOf") {
            None | Some(Value::Null) if !required => return Some(None),
            _ => self.text(path, spec, "averageOf")?,
        };
        let mut words: Vec<(&str, Option<Span>)> =
            Span::ALL.map(|(word, span)| (word, Some(span))).to_vec();
        words.push(("total", None));
        let span = self.word(&join(path, "averageOf"), span, &words)?;
        let instant = match spec.get("measureTimeBy") {
            None | Some(Value::Null) => Field::Meta(Meta::CreatedAt),
            _ => {
                let text = self.text(path, spec, "measureTimeBy")?;
                self.field(&join(path, "measureTimeBy"), text)?
            }
        };
        Some(span.map(|span| Pace { span, instant }))
    }

    fn path_filter(
        &mut self,
        path: &str,
        filter: Option<&Value>,
        target: Option<&BlueprintId>,
    ) -> Option<RelationPath> {
        let filters = match filter {
            None | Some(Value::Null) => return None,
            Some(Value::Array(filters)) => filters,
            Some(_) => {
                self.push(path, "type", "must be a list of at most one path");
                return None;
            }
        };
        if filters.len() > 1 {
            self.push(path, "maxItems", "must be a list of at most one path");
        }
        let one = filters.first()?;
        let at = join(path, "0");
        let relations = one.get("path").and_then(Value::as_array);
        let relations: Option<Vec<String>> = relations.and_then(|steps| {
            let steps = steps.iter().map(|step| step.as_str().map(str::to_owned));
            steps.collect()
        });
        let Some(relations) =
            relations.filter(|steps| !steps.is_empty() && steps.len() <= MAX_STEPS)
        else {
            let message = format!("must be a list of 1 to {MAX_STEPS} names of relations");
            self.push(join(&at, "path"), "type", message);
            return None;
        };
        let from = match one.get("fromBlueprint") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => self.identifier(&join(&at, "fromBlueprint"), text),
            Some(_) => {
                self.push(join(&at, "fromBlueprint"), "type", "must be a string");
                None
            }
        };
        if let (Some(from), Some(target)) = (&from, target)
            && from != target
        {
            let message = format!(
                "must be the target `{target}`, from which the path then leads to this blueprint, or be left out"
            );
            self.push(join(&at, "fromBlueprint"), "const", message);
        }
        Some(RelationPath {
            relations,
            from_target: from.is_some(),
        })
    }
}

/// Whether a blueprint derives a property of a name.
pub(in crate::catalog) fn is_derived(blueprint: &Blueprint, name: &str) -> bool {
    [MIRRORS, CALCULATIONS, AGGREGATIONS].iter().any(|key| {
        let definitions = blueprint.extra.get(*key).and_then(Value::as_object);
        definitions.is_some_and(|definitions| definitions.contains_key(name))
    })
}

/// The jq filters of a blueprint's document or of a part of it, with their places.
pub(in crate::catalog) fn filters(extra: &Map<String, Value>) -> IndexMap<String, String> {
    let calculations = extra.get(CALCULATIONS).and_then(Value::as_object);
    let mut found = IndexMap::new();
    for (name, definition) in calculations.into_iter().flatten() {
        if let Some(filter) = definition.get("calculation").and_then(Value::as_str)
            && filter.chars().count() <= MAX_FILTER
        {
            let path = join(&join(&join("", CALCULATIONS), name), "calculation");
            found.insert(path, filter.to_owned());
        }
    }
    found
}
