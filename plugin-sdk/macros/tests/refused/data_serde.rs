use goldenpath_sdk::prelude::*;

#[input]
struct Inner {
    name: String,
}

#[input]
struct Flat {
    #[serde(flatten)]
    inner: Inner,
}

#[input]
#[serde(rename_all = "Title Case")]
struct Renamed {
    name: String,
}

#[input]
#[serde(untagged)]
enum Either {
    One,
    Other,
}

fn main() {}
