use goldenpath_sdk::prelude::*;

#[action]
struct Hello {
    name: String,
}

fn main() {}
