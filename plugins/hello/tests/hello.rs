//! The action and its form, natively.

use ::hello::{Hello, hello};
use goldenpath_sdk::prelude::*;

#[test]
fn hello_greets_by_name_and_logs_one_line() {
    let ctx = FakeContext::new();
    let greeting = hello(
        Hello {
            name: "Ada".to_owned(),
        },
        &ctx,
    )
    .unwrap();
    assert_eq!(greeting.greeting, "Hello, Ada!");
    assert_eq!(ctx.messages(), ["greets Ada"]);
}

#[test]
fn hello_asks_for_a_name_of_sensible_length() {
    let described = goldenpath_sdk::describe::<hello>();
    assert_eq!(
        (described.name, described.description),
        ("hello", "Greets somebody.")
    );
    let name = described.input_schema.pointer("/properties/name").unwrap();
    assert_eq!(
        (&name["minLength"], &name["maxLength"], &name["description"]),
        (&1.into(), &100.into(), &"Whom to greet.".into())
    );
}
