//! Starts other actions: those that it may, those that it may not, in chains, in circles and in floods.

use goldenpath_sdk::actions::{Error, Status};
use goldenpath_sdk::prelude::*;
use goldenpath_sdk::serde_json::{Value, json};

/// What to start.
#[input]
pub struct Chain {
    /// The first is started, with the rest as its own chain.
    pub chain: Vec<String>,
    /// So many times.
    pub times: Option<u32>,
    /// On an entity.
    pub entity: Option<String>,
    /// Hand this secret on to what is started.
    pub tell: Option<String>,
    /// Ask how far this run is, which somebody else started.
    pub ask: Option<String>,
}

/// What came of it.
#[output]
pub struct Started {
    /// The runs that were started.
    pub runs: Vec<String>,
    /// How far the first of them is.
    pub known: Option<bool>,
    /// The code of the first error.
    pub error: Option<String>,
    /// Its text.
    pub message: Option<String>,
}

/// Starts the first action of a chain.
#[action]
pub fn starts(input: Chain, ctx: &Context) -> Result<Started, Failure> {
    let mut started = Started {
        runs: Vec::new(),
        known: None,
        error: None,
        message: None,
    };
    if let Some(run) = &input.ask {
        note(
            &mut started,
            ctx.actions().status(run).map(|_| String::new()),
        );
        return Ok(started);
    }
    let Some((first, rest)) = input.chain.split_first() else {
        return Ok(started);
    };
    let name = match &input.tell {
        Some(secret) => ctx.secrets().get(secret)?.expose().to_owned(),
        None => "Ada".to_owned(),
    };
    let properties: Value = match first.as_str() {
        "hello" => json!({ "name": name }),
        _ => json!({ "chain": rest }),
    };
    for _ in 0..input.times.unwrap_or(1) {
        let actions = ctx.actions();
        let run = match &input.entity {
            Some(entity) => actions.start_on(first, entity, &properties),
            None => actions.start(first, &properties),
        };
        note(&mut started, run);
        if started.error.is_some() {
            break;
        }
    }
    if let Some(run) = started.runs.first() {
        let status = ctx.actions().status(run)?;
        started.known = Some(matches!(status, Status::InProgress | Status::Succeeded));
    }
    Ok(started)
}

fn note(started: &mut Started, run: Result<String, Error>) {
    match run {
        Ok(run) => started.runs.push(run),
        Err(error) => {
            started.error = Some(error.code().to_owned());
            started.message = Some(error.to_string());
        }
    }
}

goldenpath_sdk::plugin!(starts);
