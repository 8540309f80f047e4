//! The rules that follow relations.

use serde_json::{Map, Value};

use super::{Dialect, Parser};
use crate::catalog::schema::join;
use crate::model::{BlueprintId, Direction, EntityId, Identifiers, PathMatch, Related, Step};

/// Steps of one path.
const MAX_STEPS: usize = 15;

/// Times that one step may be taken.
const MAX_HOPS: u64 = 15;

impl Parser {
    pub(super) fn related(&mut self, fields: &Map<String, Value>, path: &str) -> Option<Related> {
        self.allow_walks(path)?;
        let blueprint = match fields.get("blueprint").and_then(Value::as_str) {
            Some(text) => match BlueprintId::parse(text) {
                Ok(id) => Some(id),
                Err(error) => {
                    self.refuse(&join(path, "blueprint"), "identifier", error.to_string())
                }
            },
            None => {
                let message = "`blueprint` is required: that of the entities in `value`";
                self.refuse(path, "required", message)
            }
        };
        let start = self.identifiers(fields, path);
        // Known clients send the switch as text.
        let required = match fields.get("required") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(required)) => Some(*required),
            Some(Value::String(text)) if text == "true" => Some(true),
            Some(Value::String(text)) if text == "false" => Some(false),
            Some(_) => {
                return self.refuse(&join(path, "required"), "type", "must be true or false");
            }
        };
        let direction = match fields.get("direction").map(Value::as_str) {
            None => None,
            Some(Some("upstream")) => Some(Direction::Upstream),
            Some(Some("downstream")) => Some(Direction::Downstream),
            Some(_) => {
                let message = "must be `upstream` or `downstream`";
                return self.refuse(&join(path, "direction"), "enum", message);
            }
        };
        Some(Related {
            blueprint: blueprint?,
            start: start?,
            required,
            direction,
        })
    }

    pub(super) fn path_match(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
    ) -> Option<PathMatch> {
        self.allow_walks(path)?;
        let ends = self.identifiers(fields, path);
        let path = join(path, "property");
        let property = fields.get("property").unwrap_or(&Value::Null);
        let Some(steps) = property.get("path").and_then(Value::as_array) else {
            let message = "`matchAny` needs an object with `path`, a list of relations";
            return self.refuse(&path, "type", message);
        };
        if !(1..=MAX_STEPS).contains(&steps.len()) {
            let message = format!("a path has 1 to {MAX_STEPS} steps");
            return self.refuse(&join(&path, "path"), "maxItems", message);
        }
        let mut parsed = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            parsed.push(self.step(step, &format!("{path}/path/{index}"))?);
        }
        if parsed.iter().filter(|step| step.max_hops.is_some()).count() > 1 {
            let message = "`maxHops` may stand once in a path";
            return self.refuse(&join(&path, "path"), "maxHops", message);
        }
        let from_blueprint = match property.get("fromBlueprint") {
            None | Some(Value::Null) => None,
            Some(text) => match BlueprintId::parse(text.as_str().unwrap_or_default()) {
                Ok(id) => Some(id),
                Err(error) => {
                    let path = join(&path, "fromBlueprint");
                    return self.refuse(&path, "identifier", error.to_string());
                }
            },
        };
        Some(PathMatch {
            path: parsed,
            from_blueprint,
            ends: ends?,
        })
    }

    fn step(&mut self, step: &Value, path: &str) -> Option<Step> {
        if step.is_string() {
            let relation = self.name(step, path)?;
            return Some(Step {
                relation,
                max_hops: None,
            });
        }
        let relation = step.get("relation").unwrap_or(&Value::Null);
        let relation = self.name(relation, &join(path, "relation"))?;
        let max_hops = match step.get("maxHops") {
            None | Some(Value::Null) => None,
            Some(hops) => {
                let hops = hops.as_u64().filter(|hops| (1..=MAX_HOPS).contains(hops));
                let hops = hops.and_then(|hops| u8::try_from(hops).ok());
                if hops.is_none() {
                    let message = format!("must be a whole number from 1 to {MAX_HOPS}");
                    return self.refuse(&join(path, "maxHops"), "maximum", message);
                }
                hops
            }
        };
        Some(Step { relation, max_hops })
    }

    fn allow_walks(&mut self, path: &str) -> Option<()> {
        if self.dialect == Dialect::Search {
            return Some(());
        }
        let message = "walks along relations are for searches; compare a property or a relation";
        self.refuse(&join(path, "operator"), "unsupported", message)
    }

    /// The entities that a walk names: one identifier, or a list.
    fn identifiers(&mut self, fields: &Map<String, Value>, path: &str) -> Option<Identifiers> {
        let Some(value) = fields.get("value") else {
            return self.refuse(
                path,
                "required",
                "`value` is required: an identifier or a list",
            );
        };
        let path = join(path, "value");
        self.bounded(value, &path)?;
        if value.is_object() {
            return self.context(value, &path).map(Identifiers::Context);
        }
        let listed = value.as_array().map(Vec::as_slice);
        let mut ids = Vec::new();
        for (index, one) in listed
            .unwrap_or(std::slice::from_ref(value))
            .iter()
            .enumerate()
        {
            match EntityId::parse(one.as_str().unwrap_or_default()) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    let path = match listed {
                        Some(_) => format!("{path}/{index}"),
                        None => path.clone(),
                    };
                    return self.refuse(&path, "identifier", error.to_string());
                }
            }
        }
        Some(Identifiers::Named(ids))
    }
}
