//! Granted folders in memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Shared, World, denial};
use crate::Context;
use crate::files::{Entry, Error, Kind, WriteMode};

/// A folder in memory: path to file, or to nothing for a folder.
#[derive(Debug, Default)]
pub(crate) struct FakeFolder {
    nodes: BTreeMap<String, Option<Vec<u8>>>,
}

#[derive(Debug)]
pub(crate) struct RawReader {
    bytes: Vec<u8>,
    at: usize,
}

impl RawReader {
    pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let chunk = rest.get(..max as usize).unwrap_or(rest).to_vec();
        self.at += chunk.len();
        Ok(chunk)
    }
}

#[derive(Debug)]
pub(crate) struct RawWriter {
    world: Shared,
    folder: String,
    path: String,
    mode: WriteMode,
    bytes: Vec<u8>,
}

impl RawWriter {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        let mut world = self.world.borrow_mut();
        take_fault(&mut world)?;
        folder_mut(&mut world, &self.folder)?.place(
            &self.path,
            self.bytes,
            self.mode == WriteMode::Replace,
        )
    }
}

pub(crate) fn open_reader(ctx: &Context, folder: &str, path: &str) -> Result<RawReader, Error> {
    let mut world = ctx.world.borrow_mut();
    let folder = folder_mut(&mut world, folder)?;
    check_path(path)?;
    match folder.nodes.get(path) {
        Some(Some(bytes)) => Ok(RawReader {
            bytes: bytes.clone(),
            at: 0,
        }),
        Some(None) => Err(Error::WrongKind(format!("`{path}` is a folder"))),
        None => Err(Error::NotFound(path.to_owned())),
    }
}

pub(crate) fn open_writer(
    ctx: &Context,
    folder: &str,
    path: &str,
    mode: WriteMode,
) -> Result<RawWriter, Error> {
    let mut world = ctx.world.borrow_mut();
    let granted = folder_mut(&mut world, folder)?;
    check_path(path)?;
    match (granted.nodes.get(path), mode) {
        (Some(_), WriteMode::Create) => return Err(Error::AlreadyExists(path.to_owned())),
        (Some(None), WriteMode::Replace) => {
            return Err(Error::WrongKind(format!("`{path}` is a folder")));
        }
        (Some(Some(_)) | None, _) => granted.make_parents(path)?,
    }
    Ok(RawWriter {
        world: Rc::clone(&ctx.world),
        folder: folder.to_owned(),
        path: path.to_owned(),
        mode,
        bytes: Vec::new(),
    })
}

pub(crate) fn stat(ctx: &Context, folder: &str, path: &str) -> Result<Entry, Error> {
    let mut world = ctx.world.borrow_mut();
    let folder = folder_mut(&mut world, folder)?;
    if path.is_empty() {
        return Ok(Entry {
            name: String::new(),
            kind: Kind::Directory,
            size: 0,
        });
    }
    check_path(path)?;
    folder
        .nodes
        .get(path)
        .map(|node| entry(path, node))
        .ok_or_else(|| Error::NotFound(path.to_owned()))
}

pub(crate) fn list(ctx: &Context, folder: &str, path: &str) -> Result<Vec<Entry>, Error> {
    let mut world = ctx.world.borrow_mut();
    let folder = folder_mut(&mut world, folder)?;
    if !path.is_empty() {
        check_path(path)?;
        match folder.nodes.get(path) {
            Some(None) => {}
            Some(Some(_)) => return Err(Error::WrongKind(format!("`{path}` is a file"))),
            None => return Err(Error::NotFound(path.to_owned())),
        }
    }
    let children = folder.nodes.iter().filter(|(name, _)| parent(name) == path);
    Ok(children.map(|(name, node)| entry(name, node)).collect())
}

pub(crate) fn remove(ctx: &Context, folder: &str, path: &str) -> Result<(), Error> {
    let mut world = ctx.world.borrow_mut();
    let folder = folder_mut(&mut world, folder)?;
    check_path(path)?;
    if folder.nodes.keys().any(|name| is_inside(name, path)) {
        return Err(Error::WrongKind(format!(
            "`{path}` is a folder that is not empty"
        )));
    }
    folder
        .nodes
        .remove(path)
        .map(|_| ())
        .ok_or_else(|| Error::NotFound(path.to_owned()))
}

pub(crate) fn remove_all(ctx: &Context, folder: &str, path: &str) -> Result<(), Error> {
    let mut world = ctx.world.borrow_mut();
    let folder = folder_mut(&mut world, folder)?;
    check_path(path)?;
    folder
        .nodes
        .remove(path)
        .ok_or_else(|| Error::NotFound(path.to_owned()))?;
    folder.nodes.retain(|name, _| !is_inside(name, path));
    Ok(())
}

pub(crate) fn rename(ctx: &Context, folder: &str, from: &str, to: &str) -> Result<(), Error> {
    let mut world = ctx.world.borrow_mut();
    take_fault(&mut world)?;
    let folder = folder_mut(&mut world, folder)?;
    check_path(from)?;
    check_path(to)?;
    if folder.nodes.contains_key(to) {
        return Err(Error::AlreadyExists(to.to_owned()));
    }
    if is_inside(to, from) {
        return Err(Error::WrongKind(format!("`{to}` is inside of `{from}`")));
    }
    let node = folder
        .nodes
        .remove(from)
        .ok_or_else(|| Error::NotFound(from.to_owned()))?;
    folder.make_parents(to)?;
    folder.nodes.insert(to.to_owned(), node);
    let inside: Vec<_> = folder
        .nodes
        .keys()
        .filter(|name| is_inside(name, from))
        .cloned()
        .collect();
    for name in inside {
        if let (Some(node), Some(rest)) = (folder.nodes.remove(&name), name.strip_prefix(from)) {
            folder.nodes.insert(format!("{to}{rest}"), node);
        }
    }
    Ok(())
}

impl FakeFolder {
    pub(crate) fn file(&self, path: &str) -> Option<&[u8]> {
        self.nodes.get(path)?.as_deref()
    }

    pub(crate) fn file_names(&self) -> Vec<String> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(crate) fn place(&mut self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<(), Error> {
        check_path(path)?;
        self.make_parents(path)?;
        match self.nodes.get(path) {
            Some(None) => return Err(Error::WrongKind(format!("`{path}` is a folder"))),
            Some(Some(_)) if !replace => return Err(Error::AlreadyExists(path.to_owned())),
            Some(Some(_)) | None => {}
        }
        self.nodes.insert(path.to_owned(), Some(bytes));
        Ok(())
    }

    fn make_parents(&mut self, path: &str) -> Result<(), Error> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        for folder in ends.filter_map(|end| path.get(..end)) {
            match self.nodes.get(folder) {
                Some(Some(_)) => return Err(Error::WrongKind(format!("`{folder}` is a file"))),
                Some(None) => {}
                None => _ = self.nodes.insert(folder.to_owned(), None),
            }
        }
        Ok(())
    }
}

fn take_fault(world: &mut World) -> Result<(), Error> {
    match world.file_write_fault.take() {
        Some((0, error)) => return Err(error),
        Some((nth, error)) => world.file_write_fault = Some((nth - 1, error)),
        None => {}
    }
    Ok(())
}

fn folder_mut<'a>(world: &'a mut World, name: &str) -> Result<&'a mut FakeFolder, Error> {
    world
        .folders
        .get_mut(name)
        .ok_or_else(|| Error::Denied(denial(format!("files {name}"))))
}

fn check_path(path: &str) -> Result<(), Error> {
    let why = if path.is_empty() {
        "the empty path is the folder itself"
    } else if path.contains(['\\', '\0']) {
        "backslashes and NUL are refused"
    } else if path
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        "empty segments, `.`, `..` and a leading `/` are refused"
    } else {
        return Ok(());
    };
    Err(Error::InvalidPath(format!("`{path}`: {why}")))
}

fn entry(path: &str, node: &Option<Vec<u8>>) -> Entry {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    match node {
        Some(bytes) => Entry {
            name,
            kind: Kind::File,
            size: bytes.len() as u64,
        },
        None => Entry {
            name,
            kind: Kind::Directory,
            size: 0,
        },
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn is_inside(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}
