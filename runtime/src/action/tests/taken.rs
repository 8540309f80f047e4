//! A run as a worker has it.

use serde_json::Map;

use crate::model::{ActionId, Role, Run, RunId, RunState, Timestamp};

/// A run that a worker has just taken.
pub(in crate::action) fn run() -> Run {
    Run {
        id: RunId::parse("r_1").unwrap(),
        action: ActionId::parse("a").unwrap(),
        blueprint: None,
        entity: None,
        state: RunState::Running,
        properties: Map::new(),
        output: None,
        failure: None,
        links: Vec::new(),
        attempts: 1,
        created_by: "ada".to_owned(),
        created_by_teams: Vec::new(),
        created_by_role: Role::Developer,
        parent: None,
        retry_of: None,
        version: None,
        due_at: None,
        deadline_at: None,
        cancelled_by: None,
        updated_by: None,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        ended_at: None,
    }
}
