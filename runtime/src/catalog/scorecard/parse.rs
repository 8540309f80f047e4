//! From JSON to a scorecard, with every rule that it has to keep.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::blueprint::STAMP;
use super::super::blueprint::property::check_name;
use super::super::derived::COLORS;
use super::super::query::parse_conditions;
use super::super::schema::{MAX_DEPTH, is_deeper, join, shorten};
use crate::catalog::Error;
use crate::model::{BlueprintId, Level, Scorecard, ScorecardRule, Violation};

/// Rules of one scorecard.
const MAX_RULES: usize = 200;

/// Levels of one scorecard.
const MAX_LEVELS: usize = 20;

/// Bytes of the JSON of one scorecard.
const MAX_DOCUMENT: usize = 512 * 1024;

/// The levels of a scorecard that names none.
const LEVELS: [(&str, &str); 4] = [
    ("Basic", "paleBlue"),
    ("Bronze", "bronze"),
    ("Silver", "silver"),
    ("Gold", "gold"),
];

/// Reads a scorecard of a blueprint.
///
/// # Errors
/// [`Error::Invalid`] with every broken rule. Whether the properties that it names exist is checked when it is stored.
pub fn parse_scorecard(value: Value, blueprint: &BlueprintId) -> Result<Scorecard, Error> {
    let mut faults = Faults::default();
    let scorecard = faults.scorecard(value, blueprint);
    match scorecard {
        Some(scorecard) if faults.found.is_empty() => Ok(scorecard),
        _ => Err(Error::Invalid {
            subject: faults.subject,
            violations: faults.found,
        }),
    }
}

struct Faults {
    subject: String,
    found: Vec<Violation>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            subject: "scorecard".to_owned(),
            found: Vec::new(),
        }
    }
}

impl Faults {
    fn push(&mut self, path: impl Into<String>, rule: &str, message: impl Into<String>) {
        self.found.push(Violation::new(path, rule, message));
    }

    fn object(&mut self, path: &str, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Object(fields) => Some(fields),
            _ => {
                self.push(path, "type", "must be an object");
                None
            }
        }
    }

    fn list(&mut self, path: &str, value: Option<Value>, most: usize) -> Option<Vec<Value>> {
        match value {
            Some(Value::Array(list)) if list.len() <= most => return Some(list),
            Some(Value::Array(list)) => {
                let message = format!("must have at most {most} entries, not {}", list.len());
                self.push(path, "maxItems", message);
            }
            Some(_) => self.push(path, "type", "must be a list"),
            None => self.push(path, "required", "is required"),
        }
        None
    }

    fn text(
        &mut self,
        fields: &mut Map<String, Value>,
        at: &str,
        key: &str,
        most: usize,
    ) -> Option<String> {
        let path = join(at, key);
        match fields.shift_remove(key) {
            Some(Value::String(text)) if (1..=most).contains(&text.chars().count()) => {
                return Some(text);
            }
            None | Some(Value::Null) => self.push(path, "required", format!("`{key}` is required")),
            Some(_) => {
                let message = format!("must be a string of 1 to {most} characters");
                self.push(path, "length", message);
            }
        }
        None
    }

    fn identifier(&mut self, fields: &mut Map<String, Value>, at: &str) -> Option<String> {
        let identifier = self.text(fields, at, "identifier", 100)?;
        let before = self.found.len();
        check_name(&join(at, "identifier"), &identifier, &mut self.found);
        (self.found.len() == before).then_some(identifier)
    }

    fn scorecard(&mut self, value: Value, blueprint: &BlueprintId) -> Option<Scorecard> {
        if is_deeper(&value, MAX_DEPTH) {
            let message = format!("is nested deeper than {MAX_DEPTH} levels");
            self.push("", "depth", message);
            return None;
        }
        if value.to_string().len() > MAX_DOCUMENT {
            let message = format!("must have at most {MAX_DOCUMENT} bytes of JSON");
            self.push("", "size", message);
            return None;
        }
        let mut fields = self.object("", value)?;
        let identifier = self.identifier(&mut fields, "");
        if let Some(identifier) = &identifier {
            self.subject = format!("scorecard `{identifier}` of blueprint `{blueprint}`");
        }
        let title = self.text(&mut fields, "", "title", 100);
        match fields.shift_remove("blueprint") {
            None | Some(Value::Null) => {}
            Some(Value::String(named)) if named == blueprint.as_str() => {}
            Some(other) => {
                let message = format!(
                    "has to be `{blueprint}`, not {}",
                    shorten(&other.to_string())
                );
                self.push("/blueprint", "const", message);
            }
        }
        let filter = fields
            .shift_remove("filter")
            .filter(|filter| !filter.is_null());
        if let Some(filter) = &filter {
            self.conditions("/filter", filter);
        }
        let levels = self.levels(fields.shift_remove("levels"));
        let rules = self.rules(fields.shift_remove("rules"), levels.as_deref());
        for key in STAMP.iter().chain(&["id"]) {
            fields.shift_remove(*key);
        }
        Some(Scorecard {
            identifier: identifier?,
            title: title?,
            blueprint: blueprint.clone(),
            filter,
            levels: levels?,
            rules: rules?,
            extra: fields,
        })
    }

    fn conditions(&mut self, path: &str, value: &Value) {
        if let Err(refused) = parse_conditions(value, path) {
            self.found.extend(refused);
        }
    }

    fn levels(&mut self, value: Option<Value>) -> Option<Vec<Level>> {
        let value = value.filter(|value| !value.is_null());
        let Some(value) = value else {
            let level = |(title, color): (&str, &str)| Level {
                title: title.to_owned(),
                color: color.to_owned(),
            };
            return Some(LEVELS.map(level).to_vec());
        };
        let before = self.found.len();
        let list = self.list("/levels", Some(value), MAX_LEVELS)?;
        if list.is_empty() {
            self.push("/levels", "minItems", "must have at least one level");
        }
        let mut levels: Vec<Level> = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let at = format!("/levels/{index}");
            let Some(mut fields) = self.object(&at, value) else {
                continue;
            };
            let title = self.text(&mut fields, &at, "title", 100);
            let color = self.text(&mut fields, &at, "color", 100);
            if let Some(color) = &color
                && !COLORS.contains(&color.as_str())
            {
                let message = format!(
                    "`{}` is not a colour; use one of {}",
                    shorten(color),
                    COLORS.join(", ")
                );
                self.push(join(&at, "color"), "enum", message);
            }
            if let (Some(title), Some(color)) = (title, color) {
                if levels.iter().any(|known| known.title == title) {
                    self.push(
                        join(&at, "title"),
                        "unique",
                        "another level has the same title",
                    );
                }
                levels.push(Level { title, color });
            }
        }
        (self.found.len() == before).then_some(levels)
    }

    fn rules(
        &mut self,
        value: Option<Value>,
        levels: Option<&[Level]>,
    ) -> Option<Vec<ScorecardRule>> {
        let list = self.list("/rules", value, MAX_RULES)?;
        let mut seen = HashSet::new();
        let mut rules = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let at = format!("/rules/{index}");
            let Some(mut fields) = self.object(&at, value) else {
                continue;
            };
            let identifier = self.identifier(&mut fields, &at);
            if let Some(identifier) = &identifier
                && !seen.insert(identifier.clone())
            {
                let message = "another rule has the same identifier";
                self.push(join(&at, "identifier"), "unique", message);
            }
            let title = match fields.get("title") {
                // Port's own clients leave it out; people still have to call it something.
                None | Some(Value::Null) => {
                    fields.shift_remove("title");
                    identifier.clone()
                }
                Some(_) => self.text(&mut fields, &at, "title", 200),
            };
            let description = match fields.shift_remove("description") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) if text.chars().count() <= 2_000 => Some(text),
                Some(_) => {
                    let message = "must be a string of at most 2000 characters";
                    self.push(join(&at, "description"), "length", message);
                    None
                }
            };
            let level = self.text(&mut fields, &at, "level", 100);
            if let (Some(level), Some(levels)) = (&level, levels) {
                self.level(&join(&at, "level"), level, levels);
            }
            let query = fields.shift_remove("query").unwrap_or(Value::Null);
            self.conditions(&join(&at, "query"), &query);
            if let (Some(identifier), Some(title), Some(level)) = (identifier, title, level) {
                rules.push(ScorecardRule {
                    identifier,
                    title,
                    description,
                    level,
                    query,
                    extra: fields,
                });
            }
        }
        Some(rules)
    }

    fn level(&mut self, path: &str, level: &str, levels: &[Level]) {
        let names: Vec<&str> = levels
            .iter()
            .skip(1)
            .map(|level| level.title.as_str())
            .collect();
        if !names.contains(&level) {
            let first = levels.first().is_some_and(|first| first.title == level);
            let what = match first {
                true => "is the lowest level, which every entity has without any rule",
                false => "is not a level of this scorecard",
            };
            let message = format!(
                "`{}` {what}; use one of {}",
                shorten(level),
                names.join(", ")
            );
            self.push(path, "level", message);
        }
    }
}
