//! Fills a running portal with a generated catalog, and says how fast that went.
//!
//! `goldenpath-load [ENTITIES] [SEED]`, with `GOLDENPATH_URL`, `GOLDENPATH_CLIENT_ID` and `GOLDENPATH_CLIENT_SECRET`
//! as for any other command. `derived` as a third argument adds mirrors, calculations and aggregations.

use goldenpath_tests::generator::Generator;
use goldenpath_tests::{Client, LoadSettings, load};

#[expect(
    clippy::disallowed_methods,
    reason = "a tool of the tests, not a setting of the product"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| {
        let given = arguments.get(index);
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let entities = usize::try_from(number(0, 10_000)).expect("a number that fits");
    let generator = Generator::new(number(1, 1), entities);
    let client = Client::log_in(
        &variable("GOLDENPATH_URL"),
        &variable("GOLDENPATH_CLIENT_ID"),
        &variable("GOLDENPATH_CLIENT_SECRET"),
    );
    let derived = arguments.get(2).is_some_and(|word| word == "derived");
    let blueprints = if derived {
        generator.blueprints_with_derived()
    } else {
        generator.blueprints()
    };
    let loaded = load(&client, &generator, &blueprints, LoadSettings::default());
    println!(
        "{} entities in {:.1} s: {:.0} entities/s",
        loaded.entities,
        loaded.time.as_secs_f64(),
        loaded.rate()
    );
}
