use goldenpath_sdk::prelude::*;

#[input]
fn function() {}

#[input]
struct Pair(String, String);

#[input]
struct Unit;

#[output]
struct Any<T> {
    value: T,
}

#[input]
union Either {
    one: u8,
    other: i8,
}

#[input]
enum Shape {
    Circle { radius: f64 },
    Dot,
}

#[output]
enum Never {}

#[input(strict)]
struct Strict {
    name: String,
}

fn main() {}
