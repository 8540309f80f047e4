//! Does things outside, in steps and beside them, and waits in between.

use std::cell::Cell;
use std::time::Duration;

use goldenpath_sdk::http::Endpoint;
use goldenpath_sdk::prelude::*;

/// How to go about it.
#[input]
pub struct Way {
    /// The second step may be done twice.
    #[serde(default)]
    pub idempotent: bool,
    /// After the first step, wait for the portal to go down.
    #[serde(default)]
    pub pauses: bool,
    /// After the first step, fail once.
    #[serde(default)]
    pub fails: bool,
    /// Before the first step, do something outside of all.
    #[serde(default)]
    pub strays: bool,
    /// After the first step, sleep so many milliseconds.
    pub sleeps: Option<u64>,
}

/// What came of it.
#[output]
pub struct Came {
    /// What the server answered, or the codes of what was refused.
    pub of: Vec<String>,
}

/// Nothing to say.
#[input]
pub struct Nothing {}

fn post(ctx: &Context, api: &Endpoint, path: &str) -> Result<String, Failure> {
    let answer = ctx.http().send(&api.post(path))?.error_for_status()?;
    Ok(answer.text()?.to_owned())
}

/// Takes three steps, each of which tells the server.
#[action]
pub fn walks(way: Way, ctx: &Context) -> Result<Came, Failure> {
    let api = ctx.http().endpoint("api")?;
    if way.strays {
        post(ctx, &api, "/stray")?;
    }
    let is_first_time = Cell::new(false);
    let first = ctx.step("first", || {
        is_first_time.set(true);
        post(ctx, &api, "/first")
    })?;
    if is_first_time.get() && way.pauses {
        std::thread::sleep(Duration::from_secs(3_600));
    }
    if is_first_time.get() && way.fails {
        return Err(Failure::new("busy", "not now"));
    }
    if let Some(millis) = way.sleeps {
        ctx.sleep("a while", Duration::from_millis(millis))?;
    }
    let mut second = ctx.step_with("second").input(&first);
    if way.idempotent {
        second = second.idempotent();
    }
    let second = second.run(|_| post(ctx, &api, "/second"))?;
    let third = ctx.step("third", || post(ctx, &api, "/third"))?;
    Ok(Came {
        of: vec![first, second, third],
    })
}

/// Names its step by what the server says just now, which is another thing each time.
#[action]
pub fn wanders(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let api = ctx.http().endpoint("api")?;
    let name = post(ctx, &api, "/name")?;
    ctx.step(&name, || Ok(()))?;
    Err(Failure::new("busy", "not now"))
}

/// Takes steps that are none.
#[action]
pub fn stumbles(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let code = |failure: Failure| failure.code().to_owned();
    let nested = ctx.step("outer", || ctx.step("inner", || Ok(())));
    let long = ctx.step(&"x".repeat(101), || Ok(()));
    let endless = ctx.sleep("for ever", Duration::MAX);
    let last = (0..2_000).find_map(|number: u32| {
        let taken = ctx.step_with("one of many").input(&number).run(|_| Ok(()));
        taken.err()
    });
    let many = last.map(code).unwrap_or_default();
    let refused = [nested.err(), long.err(), endless.err()];
    let mut of: Vec<String> = refused.into_iter().flatten().map(code).collect();
    of.push(many);
    Ok(Came { of })
}

/// Takes a step with more of a result than is kept.
#[action]
pub fn overflows(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    let of = ctx.step("too much", || Ok(vec!["x".repeat(65 << 10)]))?;
    Ok(Came { of })
}

goldenpath_sdk::plugin!(walks, wanders, stumbles, overflows);
