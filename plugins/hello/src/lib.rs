#![doc = include_str!("../README.md")]
use goldenpath_sdk::prelude::*;
#[input]
pub struct Hello {
    /// Whom to greet.
    #[field(length = 1..=100)]
    pub name: String,
}
#[output]
pub struct Greeting {
    pub greeting: String,
}
/// Greets somebody.
#[action]
pub fn hello(input: Hello, ctx: &Context) -> Result<Greeting, Failure> {
    ctx.log().info(format!("greets {}", input.name));
    let greeting = format!("Hello, {}!", input.name);
    Ok(Greeting { greeting })
}
goldenpath_sdk::plugin!(hello);
