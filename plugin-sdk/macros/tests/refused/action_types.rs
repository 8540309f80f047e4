use goldenpath_sdk::prelude::*;

struct Plain {
    name: String,
}

#[input]
struct Name {
    name: String,
}

#[output]
struct Done {}

#[action]
fn takes_a_plain_struct(_: Plain) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn answers_a_plain_struct(_: Name) -> Result<Plain, Failure> {
    Ok(Plain { name: String::new() })
}

#[action]
fn fails_with_what_is_no_failure(_: Name) -> Result<Done, Plain> {
    Ok(Done {})
}

#[action]
fn takes_another_context(_: Name, _: &str) -> Result<Done, Failure> {
    Ok(Done {})
}

fn main() {}
