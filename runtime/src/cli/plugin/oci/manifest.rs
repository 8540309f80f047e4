//! The two small documents around a package in a registry, in the layout that other WebAssembly tools use: an image
//! manifest with one layer, and a configuration that says what the component imports and exports.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::Digest;
use crate::plugin::Inspection;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// A manifest of one layer has some hundred bytes.
pub(super) const MAX_BYTES: u64 = 64 << 10;

/// A package as a registry keeps it.
pub(super) struct Artifact {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl Artifact {
    /// The same package gives the same documents.
    pub(super) fn of(package: &[u8], inspection: &Inspection) -> Self {
        let config = json!({
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [inspection.digest],
            "component": {"exports": inspection.exports, "imports": inspection.imports},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": [descriptor(LAYER, package)],
            "annotations": {
                "org.opencontainers.image.title": inspection.name,
                "org.opencontainers.image.version": inspection.version,
            },
        });
        Self {
            config,
            manifest: manifest.to_string().into_bytes(),
        }
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content), "size": content.len()})
}

/// The one layer of a manifest: what to fetch, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Other places where the content may be (`urls`) are left aside: what is fetched comes from the registry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Finds the package in a manifest of whoever it was that pushed it.
pub(super) fn read(manifest: &[u8], most: u64) -> Result<Layer, String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| format!("its manifest is none of one image: {error}"))?;
    let media_type = manifest.media_type.as_deref();
    if manifest.schema_version != 2 || media_type.is_some_and(|of| of != MANIFEST) {
        return Err("its manifest is not of the kind that holds one image".to_owned());
    }
    if manifest.config.media_type != CONFIG {
        return Err(format!(
            "its configuration is `{}`; that of a WebAssembly component is `{CONFIG}`",
            shown(&manifest.config.media_type)
        ));
    }
    let [layer] = &manifest.layers[..] else {
        let count = manifest.layers.len();
        return Err(format!("it has {count} layers; a plugin is exactly one"));
    };
    if layer.media_type != LAYER {
        return Err(format!(
            "its layer is `{}`; a plugin is `{LAYER}`",
            shown(&layer.media_type)
        ));
    }
    if layer.size > most {
        let size = layer.size;
        return Err(format!(
            "its layer has {size} bytes; a plugin has at most {most}"
        ));
    }
    let digest = Digest::parse(&layer.digest)
        .ok_or_else(|| "the digest of its layer is not a SHA-256".to_owned())?;
    Ok(Layer {
        digest,
        size: layer.size,
    })
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1_000;

    fn layer(size: u64) -> Value {
        json!({"mediaType": LAYER, "digest": Digest::of(b"x"), "size": size})
    }

    fn manifest(layers: &Value) -> Value {
        let config = json!({"mediaType": CONFIG, "digest": Digest::of(b"c"), "size": 1});
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
    }

    #[test]
    fn one_layer_of_the_right_kind_is_found() {
        let found = read(manifest(&json!([layer(MOST)])).to_string().as_bytes(), MOST);
        let wanted = Layer {
            digest: Digest::of(b"x"),
            size: MOST,
        };
        assert_eq!(found, Ok(wanted));
    }

    #[test]
    fn everything_else_is_refused_by_what_it_is() {
        let good = manifest(&json!([layer(1)]));
        let changed = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []});
        for (manifest, part) in [
            (json!([]), "none of one image"),
            (index, "none of one image"),
            (
                changed(
                    "/mediaType",
                    json!("application/vnd.oci.image.index.v1+json"),
                ),
                "not of the kind",
            ),
            (changed("/schemaVersion", json!(1)), "not of the kind"),
            (
                changed(
                    "/config/mediaType",
                    json!("application/vnd.oci.image.config.v1+json"),
                ),
                "configuration",
            ),
            (manifest(&json!([])), "0 layers"),
            (manifest(&json!([layer(1), layer(1)])), "2 layers"),
            (manifest(&json!([layer(MOST + 1)])), "at most 1000"),
            (
                changed("/layers/0/mediaType", json!("application/gzip")),
                "application/gzip",
            ),
            (changed("/layers/0/digest", json!("md5:1")), "SHA-256"),
            (changed("/layers/0/size", json!(-1)), "none of one image"),
        ] {
            let refused = read(manifest.to_string().as_bytes(), MOST).unwrap_err();
            assert!(refused.contains(part), "`{part}`: {refused}");
        }
    }
}
