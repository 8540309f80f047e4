//! What a component file holds, before any part of it is understood.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{Encoding, Parser, Payload};

use super::{SECTIONS, unusable};
use crate::plugin::error::InstallError;

/// A component before its parts are understood.
#[derive(Default)]
pub(super) struct Outline<'a> {
    pub(super) sections: BTreeMap<&'static str, &'a [u8]>,
    pub(super) imports: BTreeSet<String>,
    pub(super) exports: BTreeSet<String>,
}

impl<'a> Outline<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, InstallError> {
        let broken = |e: wasmparser::BinaryReaderError| {
            unusable(format!(
                "the component is damaged or cut off at byte {}: {}",
                e.offset(),
                e.message()
            ))
        };
        let mut outline = Self::default();
        // 0 outside, 1 in the component itself, more in what is nested inside: only our own level speaks for us.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(broken)? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    if depth == 1 && encoding != Encoding::Component {
                        return Err(unusable(
                            "the file is a core WebAssembly module, not a component",
                        ));
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 1 => {
                    outline.keep(section.name(), section.data())?
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        outline
                            .imports
                            .insert(import.map_err(broken)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        outline
                            .exports
                            .insert(export.map_err(broken)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn keep(&mut self, name: &str, data: &'a [u8]) -> Result<(), InstallError> {
        let Some((name, most)) = SECTIONS.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        if data.len() > *most {
            return Err(unusable(format!(
                "section `{name}` has {} bytes; at most {most} are allowed",
                data.len()
            )));
        }
        match self.sections.insert(name, data) {
            // Two readers could take different ones for the truth.
            Some(_) => Err(unusable(format!("section `{name}` is there twice"))),
            None => Ok(()),
        }
    }

    /// One of our sections as text, where there is one.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, InstallError> {
        let decoded = self
            .sections
            .get(name)
            .map(|bytes| std::str::from_utf8(bytes))
            .transpose();
        decoded.map_err(|e| {
            unusable(format!(
                "section `{name}` is not UTF-8 at byte {}",
                e.valid_up_to()
            ))
        })
    }
}
