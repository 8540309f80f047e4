use goldenpath_sdk::prelude::*;

#[input]
struct Keywords {
    #[field(minimum = 3)]
    unknown: u8,
    #[field(pattern = 7)]
    not_a_text: String,
    #[field(title = "")]
    empty: String,
    #[field(title = "Name", title = "Name")]
    twice: String,
    #[field]
    bare: String,
}

#[input]
struct Ranges {
    #[field(length = 3..40)]
    without_its_end: String,
    #[field(length = 3)]
    no_range: String,
    #[field(items = ..)]
    no_ends: Vec<String>,
    #[field(length = 0.5..=2.5)]
    fractions: String,
    #[field(range = "a"..="z")]
    letters: String,
    #[field(range = 9..=1)]
    backwards: u8,
}

#[output]
struct Misfits {
    #[field(length = 1..=9)]
    number: Option<u32>,
    #[field(entity = "System")]
    switch: bool,
    #[field(range = 1..)]
    text: Vec<String>,
    #[field(items = 1..)]
    single: String,
}

fn main() {}
