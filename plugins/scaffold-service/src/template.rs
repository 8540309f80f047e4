//! The files of a service: texts with `{{placeholders}}`, embedded in the plugin.

use crate::{Language, ScaffoldService};

/// A file's path in the service, and its text.
type Template = (&'static str, &'static str);

/// One file of `templates/`.
macro_rules! template {
    ($path:literal, $source:literal) => {
        (
            $path,
            include_str!(concat!("../templates/", $source, ".tmpl")),
        )
    };
}

/// What every service has.
const COMMON: &[Template] = &[
    template!("README.md", "common/README.md"),
    template!("CODEOWNERS", "common/CODEOWNERS"),
    template!("catalog-info.yaml", "common/catalog-info.yaml"),
    template!(".editorconfig", "common/editorconfig"),
];

const RUST: &[Template] = &[
    template!("Cargo.toml", "rust/Cargo.toml"),
    template!("src/main.rs", "rust/src/main.rs"),
    template!("Dockerfile", "rust/Dockerfile"),
    template!(".gitignore", "rust/gitignore"),
    template!(".github/workflows/ci.yml", "rust/ci.yml"),
];

const GO: &[Template] = &[
    template!("go.mod", "go/go.mod"),
    template!("main.go", "go/main.go"),
    template!("main_test.go", "go/main_test.go"),
    template!("Dockerfile", "go/Dockerfile"),
    template!(".gitignore", "go/gitignore"),
    template!(".github/workflows/ci.yml", "go/ci.yml"),
];

const PYTHON: &[Template] = &[
    template!("pyproject.toml", "python/pyproject.toml"),
    template!("server.py", "python/server.py"),
    template!("test_server.py", "python/test_server.py"),
    template!("Dockerfile", "python/Dockerfile"),
    template!(".gitignore", "python/gitignore"),
    template!(".github/workflows/ci.yml", "python/ci.yml"),
];

const TYPESCRIPT: &[Template] = &[
    template!("package.json", "typescript/package.json"),
    template!("tsconfig.json", "typescript/tsconfig.json"),
    template!("src/main.ts", "typescript/src/main.ts"),
    template!("src/server.ts", "typescript/src/server.ts"),
    template!("src/server.test.ts", "typescript/src/server.test.ts"),
    template!("Dockerfile", "typescript/Dockerfile"),
    template!(".gitignore", "typescript/gitignore"),
    template!(".github/workflows/ci.yml", "typescript/ci.yml"),
];

/// Every placeholder that a template may hold.
const NAMES: [&str; 11] = [
    "name",
    "system",
    "system_json",
    "owner",
    "team_json",
    "codeowners",
    "language",
    "description",
    "description_json",
    "run",
    "test",
];

// A template with a placeholder that nobody fills does not compile.
const _: () = {
    check(COMMON);
    check(RUST);
    check(GO);
    check(PYTHON);
    check(TYPESCRIPT);
};

impl Language {
    /// Its name in the catalog.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
            Self::TypeScript => "typescript",
        }
    }

    fn templates(self) -> &'static [Template] {
        match self {
            Self::Rust => RUST,
            Self::Go => GO,
            Self::Python => PYTHON,
            Self::TypeScript => TYPESCRIPT,
        }
    }

    /// The commands that run and test a service.
    fn commands(self) -> (&'static str, &'static str) {
        match self {
            Self::Rust => ("cargo run", "cargo test"),
            Self::Go => ("go run .", "go test ./..."),
            Self::Python => ("python server.py", "python -m unittest"),
            Self::TypeScript => ("npm install && npm run build && npm start", "npm test"),
        }
    }
}

/// Every file of the service: path and text.
pub(crate) fn render(input: &ScaffoldService) -> Vec<(String, String)> {
    let values = values(input);
    let templates = COMMON.iter().chain(input.language.templates());
    templates
        .map(|&(path, text)| (path.to_owned(), fill(text, &values)))
        .collect()
}

/// The values, in the order of [`NAMES`].
fn values(input: &ScaffoldService) -> [String; NAMES.len()] {
    let (run, test) = input.language.commands();
    let owner = input.owner.as_deref();
    let description = input
        .description
        .clone()
        .unwrap_or_else(|| format!("The service {}.", input.name));
    [
        input.name.clone(),
        input.system.clone(),
        json(&input.system),
        owner.unwrap_or("nobody yet").to_owned(),
        owner.map_or_else(|| "[]".to_owned(), |team| format!("[{}]", json(team))),
        owner.map_or_else(
            || "# * @the-owning-team".to_owned(),
            |team| format!("* @{team}"),
        ),
        input.language.as_str().to_owned(),
        description.clone(),
        json(&description),
        run.to_owned(),
        test.to_owned(),
    ]
}

/// A quoted string that JSON, YAML and TOML all read alike, whatever is in it.
fn json(text: &str) -> String {
    goldenpath_sdk::serde_json::Value::from(text).to_string()
}

/// Replaces every placeholder. What a value holds is not looked at again.
fn fill(template: &str, values: &[String; NAMES.len()]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        filled.extend(
            NAMES
                .iter()
                .zip(values)
                .find(|(known, _)| **known == name)
                .map(|(_, value)| value.as_str()),
        );
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only, where there is no `get`"
)]
const fn check(templates: &[Template]) {
    let mut index = 0;
    while index < templates.len() {
        check_text(templates[index].1.as_bytes());
        index += 1;
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only, where there is no `get`"
)]
const fn check_text(text: &[u8]) {
    let mut at = 0;
    while at + 1 < text.len() {
        if text[at] == b'{' && text[at + 1] == b'{' {
            let mut known = false;
            let mut index = 0;
            while index < NAMES.len() {
                known |= stands_at(text, at + 2, NAMES[index].as_bytes());
                index += 1;
            }
            assert!(known, "a template holds a placeholder that has no value");
        }
        at += 1;
    }
}

/// Whether `name}}` stands at a place of the text.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only, where there is no `get`"
)]
const fn stands_at(text: &[u8], at: usize, name: &[u8]) -> bool {
    let end = at + name.len();
    if end + 1 >= text.len() || text[end] != b'}' || text[end + 1] != b'}' {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        if text[at + index] != name[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use goldenpath_sdk::serde_json::{Value, from_str};

    fn service(language: Language) -> ScaffoldService {
        ScaffoldService {
            name: "orders-api".to_owned(),
            system: "Cart".to_owned(),
            language,
            owner: None,
            description: Some(r#"Says "{{name}}" \ and more"#.to_owned()),
            portal_url: None,
        }
    }

    fn text<'a>(files: &'a [(String, String)], path: &str) -> &'a str {
        &files.iter().find(|(known, _)| known == path).unwrap().1
    }

    #[test]
    fn every_language_has_its_health_check_image_and_pipeline() {
        for language in [
            Language::Rust,
            Language::Go,
            Language::Python,
            Language::TypeScript,
        ] {
            let files = render(&service(language));
            assert!(
                text(&files, "Dockerfile").starts_with("FROM "),
                "{language:?}"
            );
            assert!(
                text(&files, ".github/workflows/ci.yml").contains("docker build -t orders-api ."),
                "{language:?}"
            );
            assert!(
                files
                    .iter()
                    .any(|(_, text)| text.contains("/health") && text.contains("404")
                        || text.contains("StatusNotFound"))
            );
            assert!(
                files.iter().all(|(_, text)| text.ends_with('\n')),
                "{language:?}"
            );
        }
    }

    #[test]
    fn values_are_quoted_where_the_format_asks_for_it() {
        let files = render(&service(Language::TypeScript));
        let package: Value = from_str(text(&files, "package.json")).unwrap();
        assert_eq!(package["description"], r#"Says "{{name}}" \ and more"#);
        assert!(text(&files, "catalog-info.yaml").contains("system: \"Cart\"\n"));
    }

    #[test]
    fn values_are_not_templates_themselves() {
        let files = render(&service(Language::Go));
        assert!(text(&files, "README.md").contains(r#"Says "{{name}}" \ and more"#));
    }

    #[test]
    fn owners_review_their_service() {
        let owned = ScaffoldService {
            owner: Some("payments".to_owned()),
            ..service(Language::Go)
        };
        let files = render(&owned);
        assert!(text(&files, "CODEOWNERS").ends_with("\n* @payments\n"));
        assert!(text(&files, "catalog-info.yaml").contains("team: [\"payments\"]\n"));
    }
}
