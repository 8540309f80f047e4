struct Hello;

goldenpath_sdk::plugin!();
goldenpath_sdk::plugin!(Hello);
goldenpath_sdk::plugin!("hello");

fn main() {}
