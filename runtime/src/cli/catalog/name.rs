//! File names for identifiers: safe on every file system, and still to be read by people.

use std::collections::HashSet;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Bytes of a name before its end, which is a hash where something had to be cut. File systems take 255.
const MAX_BYTES: usize = 120;

/// Names that mean a device on some systems, whatever stands behind a dot.
const DEVICES: &[&str] = &["aux", "con", "nul", "prn"];

/// Names that tell the kind of what lies below.
const KINDS: &[&str] = &[
    "actions",
    "blueprints",
    "entities",
    "integrations",
    "scorecards",
    "teams",
    "users",
    "webhooks",
];

/// The names of one folder.
///
/// Two names never differ by their case alone: of two identifiers that do, the second one gets a mark of its own. What
/// is kept of each name is eight bytes, so that a million of them have room.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<u64>,
}

impl Names {
    /// The name of the file or folder for an identifier, without an ending.
    pub(super) fn name(&mut self, identifier: &str) -> String {
        let name = encode(identifier);
        if self.take(&name) {
            return name;
        }
        let name = marked(&name, identifier);
        self.take(&name);
        name
    }

    fn take(&mut self, name: &str) -> bool {
        let hash = Sha256::digest(name.to_ascii_lowercase());
        let first = hash
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes));
        self.taken.insert(first)
    }
}

/// Everything but letters and digits of ASCII and a few marks becomes `%` and the bytes' numbers, as in URLs.
fn encode(identifier: &str) -> String {
    let mut name = String::new();
    for (index, c) in identifier.char_indices() {
        let first_or_last = index == 0 || index + c.len_utf8() == identifier.len();
        // A name that begins with a dot is hidden, one that ends with it cannot be on some systems.
        if c.is_ascii_alphanumeric() || "_-+=@".contains(c) || (c == '.' && !first_or_last) {
            name.push(c);
        } else {
            escape(&mut name, c);
        }
    }
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let port = stem.len() == 4
        && (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.ends_with(|c: char| c.is_ascii_digit());
    if port
        || DEVICES.contains(&stem.as_str())
        || KINDS.contains(&name.to_ascii_lowercase().as_str())
    {
        let mut other = String::new();
        let mut rest = name.chars();
        if let Some(first) = rest.next() {
            escape(&mut other, first);
        }
        name = other + rest.as_str();
    }
    if name.len() > MAX_BYTES {
        marked(&name, identifier)
    } else {
        name
    }
}

fn escape(name: &mut String, c: char) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        name.push_str(&format!("%{byte:02X}"));
    }
}

/// A name that no other identifier has: `~` stands in none of them.
fn marked(name: &str, identifier: &str) -> String {
    let mut cut = name.len().min(MAX_BYTES);
    // Half an escape would say something else.
    let start = name.get(..cut).and_then(|part| part.rfind('%'));
    if let Some(start) = start.filter(|start| start + 3 > cut) {
        cut = start;
    }
    let hash = HEXLOWER.encode(&Sha256::digest(identifier));
    let (name, hash) = (
        name.get(..cut).unwrap_or_default(),
        hash.get(..12).unwrap_or_default(),
    );
    format!("{name}~{hash}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(identifier: &str) -> String {
        Names::default().name(identifier)
    }

    #[test]
    fn an_ordinary_identifier_is_its_own_name() {
        for identifier in ["cart-service", "CartService", "a.b_c+d=e@f-1", "v1.2.3"] {
            assert_eq!(name(identifier), identifier);
        }
    }

    #[test]
    fn what_a_file_system_would_take_otherwise_is_escaped() {
        for (identifier, safe) in [
            ("a/b", "a%2Fb"),
            ("..\\x", "%2E.%5Cx"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            (".hidden", "%2Ehidden"),
            ("end.", "end%2E"),
            ("a:b", "a%3Ab"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("CON", "%43ON"),
            ("nul.txt", "%6Eul.txt"),
            ("com1", "%63om1"),
            ("console", "console"),
            ("entities", "%65ntities"),
            ("Teams", "%54eams"),
        ] {
            assert_eq!(name(identifier), safe);
        }
    }

    #[test]
    fn names_that_differ_by_case_alone_are_told_apart() {
        let mut names = Names::default();
        let given: Vec<String> = ["Cart", "cart", "CART", "other"]
            .iter()
            .map(|identifier| names.name(identifier))
            .collect();
        assert_eq!((given[0].as_str(), given[3].as_str()), ("Cart", "other"));
        assert!(given[1].starts_with("cart~") && given[2].starts_with("CART~"));
        let folded: HashSet<String> = given.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert_eq!(folded.len(), 4);
    }

    #[test]
    fn a_long_identifier_is_cut_and_marked() {
        let (one, other) = ("ö".repeat(1_000), format!("{}x", "ö".repeat(999)));
        let (one, other) = (name(&one), name(&other));
        assert!(one.len() < 150 && one != other, "{one}");
        assert!(one.split('~').next().unwrap().ends_with("%C3%B6"), "{one}");
    }

    proptest! {
        #[test]
        fn no_two_identifiers_share_a_name(identifiers in proptest::collection::hash_set("[a-cA-C./\\\\:ö]{1,6}", 1..40)) {
            let mut names = Names::default();
            let given: HashSet<String> = identifiers
                .iter()
                .map(|identifier| names.name(identifier).to_ascii_lowercase())
                .collect();
            prop_assert_eq!(given.len(), identifiers.len());
            for name in given {
                prop_assert!(!name.starts_with('.') && !name.ends_with('.'));
                prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "%._-+=@~".contains(c)), "{}", name);
            }
        }
    }
}
