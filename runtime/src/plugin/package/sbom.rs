//! What a package was built from, as a document of CycloneDX 1.5, and back.
//!
//! What is written has no time, no serial number and no path: the same parts give the same bytes. What is read comes
//! from a stranger: every count and every length is bounded, and what is not asked for is left aside.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::error::InstallError;
use super::super::manifest::Manifest;
use super::unusable;
use crate::model::{Sbom, SbomComponent, SbomOrigin, SbomScope, SbomTool};

/// Some thousand libraries; a plugin has some dozens.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Libraries that are read.
const MAX_COMPONENTS: usize = 4_000;

/// Tools that are read; two are written.
const MAX_TOOLS: usize = 32;

/// Characters of a name, a version, a licence: people read them.
const MAX_CHARS: usize = 256;

/// The name of the property that says where a library came from.
const ORIGIN: &str = "goldenpath:origin";

/// The document for a plugin.
pub(super) fn write(manifest: &Manifest, sbom: &Sbom) -> Value {
    let (name, version) = (manifest.name.as_str(), manifest.version.to_string());
    let mut tools = sbom.tools.clone();
    tools.sort_unstable();
    let tools = tools
        .into_iter()
        .map(|tool| json!({"type": "application", "name": tool.name, "version": tool.version}));
    let mut components = sbom.components.clone();
    components.sort_unstable();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {"components": tools.collect::<Vec<_>>()},
            "component": {"type": "application", "name": name, "version": version},
        },
        "components": components.into_iter().map(component).collect::<Vec<_>>(),
    })
}

fn component(of: SbomComponent) -> Value {
    let mut written = Map::new();
    let mut put = |key: &str, value: Value| {
        written.insert(key.to_owned(), value);
    };
    put("type", json!("library"));
    put("name", json!(of.name));
    put("version", json!(of.version));
    put("scope", json!(of.scope));
    if let Some(checksum) = of.checksum {
        put("hashes", json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if let Some(license) = of.license {
        put("licenses", json!([{"expression": license}]));
    }
    if let Some(purl) = of.purl {
        put("purl", json!(purl));
    }
    if let Some(origin) = of.origin {
        put(
            "properties",
            json!([{"name": ORIGIN, "value": origin.as_str()}]),
        );
    }
    Value::Object(written)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: String,
    spec_version: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Part>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// An object since version 1.5 of the format; the list that older ones have here is not read.
    #[serde(default)]
    tools: Value,
}

#[derive(Default, Deserialize)]
struct Tools {
    #[serde(default)]
    components: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    name: String,
    #[serde(default)]
    version: String,
    scope: Option<String>,
    #[serde(default)]
    hashes: Vec<Hash>,
    #[serde(default)]
    licenses: Vec<Licence>,
    purl: Option<String>,
    #[serde(default)]
    properties: Vec<Property>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

#[derive(Deserialize)]
struct Licence {
    expression: Option<String>,
    license: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    value: Option<String>,
}

/// Reads a document that somebody else may have written.
pub(super) fn read(text: &str) -> Result<Sbom, InstallError> {
    let section = super::SBOM;
    let odd = |why: String| {
        unusable(format!(
            "section `{section}` is no CycloneDX document that this host reads: {why}"
        ))
    };
    let value = super::super::json::parse(text).map_err(|error| odd(error.to_string()))?;
    let document = Document::deserialize(&value).map_err(|error| odd(error.to_string()))?;
    if document.bom_format != "CycloneDX" {
        return Err(odd("its `bomFormat` is another one".to_owned()));
    }
    if !document.spec_version.starts_with("1.") {
        return Err(odd("its `specVersion` is not 1.x".to_owned()));
    }
    let tools = &document.metadata.tools;
    let tools = match tools.is_object() {
        true => Tools::deserialize(tools).map_err(|error| odd(error.to_string()))?,
        false => Tools::default(),
    };
    let (tools, parts) = (tools.components, document.components);
    for (what, found, most) in [
        ("components", parts.len(), MAX_COMPONENTS),
        ("tools", tools.len(), MAX_TOOLS),
    ] {
        if found > most {
            return Err(odd(format!(
                "it has {found} {what}; at most {most} are read"
            )));
        }
    }
    let tools = tools.into_iter().map(|tool| {
        Ok(SbomTool {
            name: bounded(tool.name)?,
            version: bounded(tool.version)?,
        })
    });
    let mut tools = tools.collect::<Result<Vec<_>, String>>().map_err(odd)?;
    let parts = parts.into_iter().map(taken);
    let mut components = parts.collect::<Result<Vec<_>, String>>().map_err(odd)?;
    tools.sort_unstable();
    components.sort_unstable();
    Ok(Sbom { tools, components })
}

fn taken(part: Part) -> Result<SbomComponent, String> {
    let sha256 = part.hashes.into_iter().find(|hash| hash.alg == "SHA-256");
    let checksum = sha256.map(|hash| bounded(hash.content)).transpose()?;
    let hexadecimal =
        |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if checksum.as_ref().is_some_and(|text| !hexadecimal(text)) {
        return Err("a SHA-256 hash has 64 hexadecimal digits".to_owned());
    }
    let licences = part.licenses.into_iter().filter_map(|licence| {
        let named = licence.license;
        let named = || named.and_then(|named| named.id.or(named.name));
        licence.expression.or_else(named)
    });
    let licences: Vec<String> = licences.collect();
    let license = (!licences.is_empty()).then(|| shortened(&licences.join(" AND ")));
    let mut properties = part.properties.into_iter();
    let origin = properties.find(|property| property.name == ORIGIN);
    Ok(SbomComponent {
        name: bounded(part.name)?,
        version: bounded(part.version)?,
        purl: part.purl.map(bounded).transpose()?,
        license: license.map(bounded).transpose()?,
        checksum: checksum.map(|text| text.to_ascii_lowercase()),
        origin: origin
            .and_then(|property| property.value)
            .and_then(|word| SbomOrigin::parse(&word)),
        scope: match part.scope.as_deref() {
            Some("excluded") => SbomScope::Excluded,
            _ => SbomScope::Required,
        },
    })
}

/// As much of a text as is kept of one: a choice of many licences is no reason to refuse a package.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some(_) => text.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// A text that can be shown as it is.
fn bounded(text: String) -> Result<String, String> {
    if text.chars().count() > MAX_CHARS {
        return Err(format!(
            "one of its texts has more than {MAX_CHARS} characters"
        ));
    }
    match text.chars().any(char::is_control) {
        true => Err("one of its texts has control characters".to_owned()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TOML, build, plugin};
    use super::super::{Package, append, embed_sbom};
    use super::*;

    fn library(name: &str, version: &str) -> SbomComponent {
        SbomComponent {
            name: name.to_owned(),
            version: version.to_owned(),
            purl: Some(format!("pkg:cargo/{name}@{version}")),
            license: Some("MIT OR Apache-2.0".to_owned()),
            checksum: Some("ab".repeat(32)),
            origin: Some(SbomOrigin::Registry),
            scope: SbomScope::Required,
        }
    }

    fn sbom(components: Vec<SbomComponent>) -> Sbom {
        let tool = |name: &str| SbomTool {
            name: name.to_owned(),
            version: "1".to_owned(),
        };
        Sbom {
            tools: vec![tool("rustc"), tool("goldenpath")],
            components,
        }
    }

    fn package() -> Vec<u8> {
        build(&plugin(&[]), TOML).unwrap()
    }

    #[test]
    fn what_is_embedded_is_read_back_in_one_order() {
        let macros = SbomComponent {
            scope: SbomScope::Excluded,
            checksum: None,
            origin: Some(SbomOrigin::Path),
            license: None,
            ..library("macros", "0.1.0")
        };
        let (a, b) = (library("a", "1.0.0"), library("b", "2.0.0"));
        let one = embed_sbom(
            &package(),
            &sbom(vec![b.clone(), macros.clone(), a.clone()]),
        )
        .unwrap();
        let other = embed_sbom(
            &package(),
            &sbom(vec![a.clone(), b.clone(), macros.clone()]),
        )
        .unwrap();
        assert_eq!(one, other);
        let read = Package::read(&one).unwrap().sbom.unwrap();
        assert_eq!(read.components, [a, b, macros]);
        assert_eq!(
            read.to_string(),
            "2 dependencies, 1 more for the build; built by goldenpath 1, rustc 1 (as it says itself)"
        );
        assert_eq!(Package::read(&package()).unwrap().sbom, None);
        let twice = embed_sbom(&one, &sbom(Vec::new())).unwrap_err();
        assert!(twice.to_string().contains("twice"), "{twice}");
    }

    #[test]
    fn documents_of_other_tools_are_read_as_far_as_they_are_understood() {
        let text = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.4", "serialNumber": "urn:uuid:1",
            "metadata": {"tools": [{"vendor": "x", "name": "lister", "version": "1"}]},
            "components": [{
                "name": "x", "version": "1", "type": "library", "bom-ref": "1",
                "hashes": [{"alg": "MD5", "content": "?"}],
                "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "Own"}}],
            }, {
                "name": "y", "licenses": [{"expression": "MIT OR ".repeat(99)}],
            }],
        });
        let read = read(&text.to_string()).unwrap();
        assert!(read.tools.is_empty());
        let cut = read.components[1].license.as_deref().unwrap();
        assert_eq!(cut.chars().count(), MAX_CHARS);
        assert!(cut.ends_with('…'), "{cut}");
        assert_eq!(read.components[0].license.as_deref(), Some("MIT AND Own"));
        assert_eq!(read.components[0].checksum, None);
    }

    #[test]
    fn hostile_documents_are_refused() {
        let document = |components: Value| json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components});
        let many = vec![json!({"name": "x"}); MAX_COMPONENTS + 1];
        for (text, part) in [
            ("{".to_owned(), "EOF"),
            ("[]".to_owned(), "expected"),
            (
                json!({"bomFormat": "SPDX", "specVersion": "1.5"}).to_string(),
                "bomFormat",
            ),
            (
                json!({"bomFormat": "CycloneDX", "specVersion": "2.0"}).to_string(),
                "1.x",
            ),
            (document(json!(many)).to_string(), "at most 4000"),
            (
                document(json!([{"name": "x".repeat(257)}])).to_string(),
                "256 characters",
            ),
            (
                document(json!([{"name": "x\u{1b}[2J"}])).to_string(),
                "control",
            ),
            (
                document(json!([{"name": "x", "hashes": [{"alg": "SHA-256", "content": "ab"}]}]))
                    .to_string(),
                "64 hexadecimal",
            ),
        ] {
            let refused = read(&text).unwrap_err().to_string();
            assert!(refused.contains(part), "`{part}`: {refused}");
        }
        let mut package = package();
        append(&mut package, super::super::SBOM, &vec![b' '; MAX_BYTES + 1]);
        let refused = Package::read(&package).unwrap_err().to_string();
        assert!(refused.contains("at most 1048576"), "{refused}");
    }
}
