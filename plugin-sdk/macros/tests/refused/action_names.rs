use goldenpath_sdk::prelude::*;

#[input]
struct Name {
    name: String,
}

#[output]
struct Done {}

#[action(name = "Say Hello")]
fn hello(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action(nmae = "hello")]
fn misspelt(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action("hello")]
fn unnamed(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn sayHello(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

fn main() {}
