//! The blueprints of the generated catalog.

use serde_json::{Value, json};

use super::words;

fn text() -> Value {
    json!({"type": "string"})
}

fn choice(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn one(target: &str, required: bool) -> Value {
    json!({"target": target, "required": required, "many": false})
}

fn many(target: &str) -> Value {
    json!({"target": target, "required": false, "many": true})
}

fn blueprint(identifier: &str, properties: Value, relations: Value) -> Value {
    json!({
        "identifier": identifier,
        "title": identifier.trim_start_matches('_'),
        "schema": {"properties": properties, "required": []},
        "relations": relations,
    })
}

/// In an order in which each points only at those before it.
pub(super) fn plain() -> Vec<Value> {
    let types: Vec<&str> = [words::SERVICE_TYPES, words::LIBRARY_TYPES].concat();
    vec![
        blueprint(
            "_team",
            json!({"description": text(), "email": {"type": "string", "format": "email"}}),
            json!({}),
        ),
        blueprint(
            "Environment",
            json!({"stage": text(), "region": text()}),
            json!({}),
        ),
        blueprint("Domain", json!({"description": text()}), json!({})),
        blueprint(
            "System",
            json!({"description": text(), "criticality": choice(words::CRITICALITIES)}),
            json!({"domain": one("Domain", true)}),
        ),
        blueprint(
            "Resource",
            json!({
                "type": choice(words::RESOURCE_TYPES), "version": text(), "sizeGiB": {"type": "number", "minimum": 1},
                "encrypted": {"type": "boolean"}, "createdOn": {"type": "string", "format": "date-time"},
            }),
            json!({"system": one("System", false)}),
        ),
        blueprint(
            "API",
            json!({
                "type": choice(words::API_TYPES), "version": text(), "description": text(),
                "public": {"type": "boolean"},
            }),
            json!({"system": one("System", false)}),
        ),
        blueprint(
            "Component",
            json!({
                "type": choice(&types), "language": choice(words::LANGUAGES), "lifecycle": choice(words::LIFECYCLES),
                "tier": {"type": "number", "minimum": 1, "maximum": 4}, "description": text(),
                "repository": {"type": "string", "format": "url"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "coverage": {"type": "number", "minimum": 0, "maximum": 100},
                "openIncidents": {"type": "number"}, "onCall": {"type": "string", "format": "email"},
                "lastCommit": {"type": "string", "format": "date-time"}, "publicFacing": {"type": "boolean"},
            }),
            json!({
                "system": one("System", true), "providesApis": many("API"), "consumesApis": many("API"),
                "dependsOn": many("Component"), "resources": many("Resource"),
            }),
        ),
        blueprint(
            "Deployment",
            json!({
                "version": text(), "replicas": {"type": "number", "minimum": 0}, "healthy": {"type": "boolean"},
                "deployedAt": {"type": "string", "format": "date-time"}, "image": text(),
            }),
            json!({"component": one("Component", true), "environment": one("Environment", true)}),
        ),
    ]
}

/// The same with what is derived from values and relations.
pub(super) fn derived() -> Vec<Value> {
    let mut blueprints = plain();
    for blueprint in &mut blueprints {
        let (key, properties) = match blueprint["identifier"].as_str() {
            Some("Component") => (
                "mirrorProperties",
                json!({
                    "domain": {"title": "Domain", "path": "system.domain.$title"},
                    "criticality": {"title": "Criticality", "path": "system.criticality"},
                }),
            ),
            Some("API") => (
                "calculationProperties",
                json!({"label": {"title": "Label", "type": "string", "calculation": ".identifier + \" \" + .properties.version"}}),
            ),
            Some("System") => (
                "aggregationProperties",
                json!({"components": {
                    "title": "Components", "target": "Component",
                    "calculationSpec": {"calculationBy": "entities", "func": "count"},
                }}),
            ),
            _ => continue,
        };
        blueprint[key] = properties;
    }
    blueprints
}

pub(super) fn scorecards() -> Vec<(&'static str, Value)> {
    let rule = |id: &str, level: &str, condition: Value| {
        json!({
            "identifier": id, "title": id, "level": level,
            "query": {"combinator": "and", "conditions": [condition]},
        })
    };
    let card = json!({
        "identifier": "readiness", "title": "Production readiness",
        "filter": {"combinator": "and", "conditions": [{"property": "lifecycle", "operator": "=", "value": "production"}]},
        "rules": [
            rule("owned", "Bronze", json!({"property": "$team", "operator": "isNotEmpty"})),
            rule("described", "Bronze", json!({"property": "description", "operator": "isNotEmpty"})),
            rule("tested", "Silver", json!({"property": "coverage", "operator": ">=", "value": 60})),
            rule("calm", "Gold", json!({"property": "openIncidents", "operator": "<", "value": 3})),
        ],
    });
    vec![("Component", card)]
}
