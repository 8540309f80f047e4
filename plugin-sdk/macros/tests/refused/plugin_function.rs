fn hello() {}

goldenpath_sdk::plugin!(hello);

fn main() {}
