use goldenpath_sdk::prelude::*;

#[input]
struct Name {
    name: String,
}

#[output]
struct Done {}

#[action]
async fn waits(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
unsafe fn dares(_: Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn takes_anything<T>(_: T) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn takes_nothing() -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn takes_three(_: Name, _: &Context, _: u8) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn borrows_its_input(_: &Name) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn owns_its_context(_: Name, _: Context) -> Result<Done, Failure> {
    Ok(Done {})
}

#[action]
fn answers_nothing(_: Name) {}

#[action]
fn cannot_fail(_: Name) -> Done {
    Done {}
}

fn main() {}
