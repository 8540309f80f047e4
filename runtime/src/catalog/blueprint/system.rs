//! Blueprints that are part of the portal: what they look like before anybody extends them.

use serde_json::json;

use crate::catalog::parse_blueprint;
use crate::model::{Blueprint, BlueprintId};

/// The blueprint of teams.
pub(in crate::catalog) const TEAM: &str = "_team";

/// The blueprint of users.
pub(in crate::catalog) const USER: &str = "_user";

/// The base shape of a system blueprint.
pub(in crate::catalog) fn structure(id: &BlueprintId) -> Option<Blueprint> {
    let document = match id.as_str() {
        TEAM => json!({
            "identifier": TEAM, "title": "Team", "icon": "Team",
            "description": "Teams; who is in one stands with its members",
            "schema": { "properties": {
                "description": { "type": "string", "title": "Description" },
            }, "required": [] },
            "relations": {},
        }),
        USER => json!({
            "identifier": USER, "title": "User", "icon": "User",
            "description": "People who may come in",
            "ownership": { "type": "Direct" },
            "schema": { "properties": {
                "status": {
                    "type": "string", "title": "Status", "enum": ["Active", "Disabled"],
                    "enumColors": { "Active": "green", "Disabled": "red" },
                },
                "port_role": {
                    "type": "string", "title": "Role",
                    "enum": ["developer", "reviewer", "platform-engineer", "admin"],
                },
                "port_type": {
                    "type": "string", "title": "Type", "enum": ["Standard", "Service Account"],
                },
            }, "required": [] },
            "relations": {},
        }),
        _ => return None,
    };
    parse_blueprint(document).ok()
}
