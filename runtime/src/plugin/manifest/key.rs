//! The list of what a manifest can ask for.

/// Every key of `plugin.toml` that gives power to a plugin or bounds it, sorted: `reason` aside, all keys below
/// `capabilities` and `limits`. A table without any other key stands for itself.
pub const MANIFEST_KEYS: &[&str] = &[
    "capabilities.catalog.access",
    "capabilities.catalog.blueprint",
    "capabilities.catalog.properties",
    "capabilities.clock",
    "capabilities.files.access",
    "capabilities.files.max-bytes",
    "capabilities.files.max-files",
    "capabilities.files.name",
    "capabilities.http.endpoint",
    "capabilities.http.methods",
    "capabilities.http.paths",
    "capabilities.http.query",
    "capabilities.http.secret.format",
    "capabilities.http.secret.header",
    "capabilities.http.secret.name",
    "capabilities.random",
    "capabilities.run-action.action",
    "capabilities.secret.name",
    "capabilities.state",
    "limits.cpu-time",
    "limits.host-calls",
    "limits.http-bytes",
    "limits.http-requests",
    "limits.log",
    "limits.memory",
    "limits.output",
    "limits.wall-time",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::de::value::Error;
    use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
    use serde::forward_to_deserialize_any;

    use super::super::raw;
    use super::*;

    /// A document that only remembers by which keys it was asked.
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("only a table has keys"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            keys: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = keys;
            Err(Error::custom("that was all"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    /// The keys that a table may have.
    fn keys<'de, T: Deserialize<'de>>() -> BTreeSet<String> {
        let mut keys: &[&str] = &[];
        assert!(T::deserialize(Asked(&mut keys)).is_err());
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn every_key_that_is_read_is_in_the_list() {
        let document = keys::<raw::Document>();
        let known = ["actions", "capabilities", "endpoints", "limits", "plugin"];
        assert_eq!(document, known.map(str::to_owned).into());

        let kinds = [
            ("catalog", keys::<raw::Catalog>()),
            ("clock", keys::<raw::Switch>()),
            ("files", keys::<raw::Files>()),
            ("http", keys::<raw::Http>()),
            ("random", keys::<raw::Switch>()),
            ("run-action", keys::<raw::RunAction>()),
            ("secret", keys::<raw::ReadSecret>()),
            ("state", keys::<raw::Switch>()),
        ];
        let names: BTreeSet<String> = kinds.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names, keys::<raw::Capabilities>());

        let mut found = BTreeSet::new();
        for (kind, mut keys_of) in kinds {
            let table = format!("capabilities.{kind}");
            keys_of.remove("reason");
            if kind == "http" && keys_of.remove("secret") {
                let secret = keys::<raw::Secret>();
                found.extend(secret.iter().map(|key| format!("{table}.secret.{key}")));
            }
            if keys_of.is_empty() {
                found.insert(table);
            } else {
                found.extend(keys_of.iter().map(|key| format!("{table}.{key}")));
            }
        }
        let limits = keys::<raw::Limits>();
        found.extend(limits.iter().map(|key| format!("limits.{key}")));
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, MANIFEST_KEYS);
    }
}
