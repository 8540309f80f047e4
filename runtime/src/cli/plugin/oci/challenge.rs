//! What a registry asks for before it answers, as it says it.

/// What a registry asks for before it answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads a `www-authenticate` header: one way, and for tokens the parameters of it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (way, rest) = text.split_once(' ').unwrap_or((text, ""));
        if way.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !way.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest;
        // Scopes have commas within their quotes.
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, next) = after.split_once('"')?;
            let value = Some(value.to_owned());
            match name.trim_matches([' ', ',']) {
                "realm" => realm = value,
                "service" => service = value,
                "scope" => scope = value,
                _ => {}
            }
            rest = next;
        }
        Some(Self::Bearer {
            realm: realm?,
            service,
            scope,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_with_commas_in_their_quotes() {
        let text = r#"Bearer realm="https://auth.example/token",service="r", scope="repository:a/b:pull,push""#;
        let wanted = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("r".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(Challenge::parse(text), Some(wanted));
        assert_eq!(
            Challenge::parse("Basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        for odd in ["", "Digest realm=\"x\"", "Bearer", "Bearer realm=\"x"] {
            assert_eq!(Challenge::parse(odd), None, "{odd}");
        }
    }
}
