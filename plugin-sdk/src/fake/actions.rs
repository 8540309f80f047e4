//! Runs that were started, in memory.

use crate::Context;
use crate::actions::{Error, Status};

/// A run that a plugin started in a test.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedAction {
    /// Its identifier.
    pub run_id: String,
    /// Of which action.
    pub action: String,
    /// With which inputs.
    pub properties: serde_json::Value,
    /// On which entity.
    pub entity: Option<String>,
}

pub(crate) fn start(
    ctx: &Context,
    action: &str,
    properties: String,
    entity: Option<&str>,
) -> Result<String, Error> {
    let mut world = ctx.world.borrow_mut();
    if !world.startable.contains(action) {
        let denial = super::denial(format!("run-action {action}"));
        return Err(Error::Denied(denial));
    }
    if let Some(fault) = world.start_fault.take() {
        return Err(fault);
    }
    let properties =
        serde_json::from_str(&properties).map_err(|error| Error::Format(error.to_string()))?;
    let run_id = format!("{}_{}", ctx.run_id, world.started.len() + 1);
    world.started.push(StartedAction {
        run_id: run_id.clone(),
        action: action.to_owned(),
        properties,
        entity: entity.map(str::to_owned),
    });
    Ok(run_id)
}

pub(crate) fn status(ctx: &Context, run_id: &str) -> Result<Status, Error> {
    let world = ctx.world.borrow();
    match world.started.iter().any(|started| started.run_id == run_id) {
        true => Ok(Status::InProgress),
        false => Err(Error::NotFound(format!("run `{run_id}` of this call"))),
    }
}
