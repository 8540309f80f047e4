//! Compiled components on disk. Loading one is running it, so only what this host wrote itself is loaded: every file
//! carries a keyed hash over its name and content, and the key never leaves the data folder.

use std::hash::{Hash as _, Hasher};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{
    Dir, DirBuilder, DirBuilderExt as _, File, MetadataExt as _, OpenOptions, OpenOptionsExt as _,
    Permissions, PermissionsExt as _,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::model::Digest;
use crate::plugin::error::StartError;

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// The largest compiled component that is read back: machine code is some times larger than its source.
const MAX_FILE: u64 = 512 << 20;

/// The folder `cache/components/<compatibility>/` of a data folder.
pub(super) struct Cache {
    dir: Dir,
    /// Holds the key.
    keyed: Hmac<Sha256>,
    compatibility: Digest,
}

impl Cache {
    pub(super) fn open(data_dir: &Path, engine: &Engine) -> Result<Self, StartError> {
        let folder: PathBuf = data_dir.join("cache/components");
        let failed = |source| StartError::Folder {
            folder: folder.clone(),
            source,
        };
        let data = Dir::open_ambient_dir(data_dir, ambient_authority()).map_err(failed)?;
        let root = private_folder(&data, "cache")
            .and_then(|cache| private_folder(&cache, "components"))
            .map_err(failed)?;
        let me = rustix::process::geteuid().as_raw();
        let keyed = read_or_make_key(&root, me)
            .and_then(|key| Hmac::new_from_slice(&key).map_err(std::io::Error::other))
            .map_err(failed)?;
        let compatibility = compatibility(engine);
        let name = compatibility.hex();
        let dir = private_folder(&root, &name).map_err(failed)?;
        Ok(Self {
            dir,
            keyed,
            compatibility,
        })
    }

    /// A component that this host compiled before; `None` where there is none, or it is not as it was written.
    pub(super) fn find(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let name = file_name(digest);
        let mut file = self.dir.open(&name).ok()?;
        if file.metadata().ok()?.len() > MAX_FILE {
            return None;
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        let (mac, code) = content.split_at_checked(MAC_BYTES)?;
        if self.mac(digest, code).verify_slice(mac).is_err() {
            tracing::warn!(component = %digest, "a compiled component on disk was changed or cut off; compiling it again");
            return None;
        }
        // The hash covers the code, the component's digest and the engine's compatibility hash under a key that only
        // this host has: these are the bytes that `insert` wrote, for this engine.
        match run_compiled(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(component = %digest, %error, "a compiled component on disk cannot be loaded; compiling it again");
                None
            }
        }
    }

    /// Keeps a compiled component. The cache is an economy: where the disk refuses, the next start compiles again.
    pub(super) fn insert(&self, code: &[u8], digest: Digest) {
        if let Err(error) = self.write(code, digest) {
            tracing::warn!(component = %digest, %error, "a compiled component could not be kept on disk");
        }
    }

    fn write(&self, code: &[u8], digest: Digest) -> std::io::Result<()> {
        let name = file_name(digest);
        let partial = format!("{name}.partial");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = self.dir.open_with(&partial, &options)?;
        file.write_all(&self.mac(digest, code).finalize().into_bytes())?;
        file.write_all(code)?;
        drop(file);
        self.dir.rename(&partial, &self.dir, &name)
    }

    /// HMAC-SHA-256 over what the file is for and what is in it.
    fn mac(&self, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let keyed = self.keyed.clone();
        keyed
            .chain_update(self.compatibility.hex())
            .chain_update(digest.hex())
            .chain_update(code)
    }
}

/// Makes compiled code ready to run. It must come from the compiler of this host and no one else: loading it is
/// running it.
pub(super) fn run_compiled(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "both callers have the code from this host's own compiler"
    )]
    // SAFETY: `deserialize` trusts its input to be what an engine has compiled. One caller got it over a pipe from a
    // process of this very program, or from its own engine; the other proves by a keyed hash that it wrote the code
    // itself. Whether the engine was a compatible one, `deserialize` checks.
    let component = unsafe { Component::deserialize(engine, code) }?;
    component.initialize_copy_on_write_image()?;
    Ok(component)
}

fn file_name(digest: Digest) -> String {
    format!("{}.cwasm", digest.hex())
}

/// Opens a folder that only this user may enter, making it where it is missing.
fn private_folder(parent: &Dir, name: &str) -> std::io::Result<Dir> {
    match parent.create_dir_with(name, DirBuilder::new().mode(0o700)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let folder = parent.open_dir(name)?;
    // One that was made by hand, or by an unpacked archive, may let others in.
    if folder.dir_metadata()?.permissions().mode() & 0o077 != 0 {
        parent.set_permissions(name, Permissions::from_mode(0o700))?;
    }
    Ok(folder)
}

/// The key, if the user who runs this wrote it; else a new one.
fn read_or_make_key(root: &Dir, user: u32) -> std::io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if let Ok(mut file) = root.open(KEY_FILE)
        && is_private(&file, user)?
    {
        // A key of the wrong length was cut off by a crash; a new one only costs compiling again.
        let mut content = Vec::new();
        std::io::Read::take(&mut file, KEY_BYTES as u64 + 1).read_to_end(&mut content)?;
        if let Ok(found) = <[u8; KEY_BYTES]>::try_from(content) {
            return Ok(found);
        }
    }
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    // What is there would keep its permissions.
    match root.remove_file(KEY_FILE) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    root.open_with(KEY_FILE, &options)?.write_all(&key)?;
    Ok(key)
}

/// Whether a file is a user's own, and nobody else can read it. Whoever knows the key could have written what passes for
/// compiled code.
fn is_private(file: &File, user: u32) -> std::io::Result<bool> {
    let metadata = file.metadata()?;
    Ok(metadata.uid() == user && metadata.permissions().mode() & 0o077 == 0)
}

/// What compiled code depends on: version and settings of the compiler, features of the processor.
fn compatibility(engine: &Engine) -> Digest {
    struct Bytes(Vec<u8>);
    impl Hasher for Bytes {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }
    let mut bytes = Bytes(Vec::new());
    engine.precompile_compatibility_hash().hash(&mut bytes);
    Digest::of(&bytes.0)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests play the attacker who edits files"
)]
mod tests {
    use super::*;
    use crate::plugin::engine::Compiler;

    struct Place {
        dir: tempfile::TempDir,
        engine: Engine,
        digest: Digest,
    }

    impl Place {
        fn new() -> Self {
            let engine = Compiler::throwaway().unwrap().engine;
            Self {
                dir: tempfile::tempdir().unwrap(),
                engine,
                digest: Digest::of(b"component"),
            }
        }

        fn cache(&self) -> Cache {
            Cache::open(self.dir.path(), &self.engine).unwrap()
        }

        fn filled(&self) -> (Cache, PathBuf) {
            let cache = self.cache();
            let code = self
                .engine
                .precompile_component(b"\0asm\x0d\0\x01\0")
                .unwrap();
            cache.insert(&code, self.digest);
            let file = self
                .dir
                .path()
                .join("cache/components")
                .join(cache.compatibility.hex())
                .join(file_name(self.digest));
            assert!(file.exists());
            (cache, file)
        }
    }

    #[test]
    fn compiled_component_survives_a_restart() {
        let place = Place::new();
        drop(place.filled());
        assert!(place.cache().find(&place.engine, place.digest).is_some());
        assert!(
            place
                .cache()
                .find(&place.engine, Digest::of(b"another"))
                .is_none()
        );
    }

    #[test]
    fn changed_or_cut_off_file_is_not_loaded() {
        let place = Place::new();
        let (cache, file) = place.filled();
        let written = std::fs::read(&file).unwrap();
        let mut changed = written.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bytes in [
            &changed[..],
            &written[..written.len() - 1],
            &written[..20],
            &[],
        ] {
            std::fs::write(&file, bytes).unwrap();
            assert!(cache.find(&place.engine, place.digest).is_none());
        }
        std::fs::write(&file, &written).unwrap();
        assert!(cache.find(&place.engine, place.digest).is_some());
    }

    #[test]
    fn compiled_code_of_another_engine_is_not_loaded() {
        let place = Place::new();
        let (cache, file) = place.filled();
        let of_another = Cache {
            dir: cache.dir.try_clone().unwrap(),
            keyed: cache.keyed.clone(),
            compatibility: Digest::of(b"another version of the compiler"),
        };
        let code = std::fs::read(&file).unwrap().split_off(MAC_BYTES);
        of_another.insert(&code, place.digest);
        assert!(cache.find(&place.engine, place.digest).is_none());
        // The same code under its own name is: what differs is whom it was compiled for.
        cache.insert(&code, place.digest);
        assert!(cache.find(&place.engine, place.digest).is_some());
    }

    #[test]
    fn nobody_else_reads_the_cache_and_a_key_that_others_could_read_is_replaced() {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt as _;
        let place = Place::new();
        let (_, file) = place.filled();
        let root = place.dir.path().join("cache/components");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let key = root.join(KEY_FILE);
        assert_eq!(
            (mode(&key), mode(&file), mode(&root)),
            (0o600, 0o600, 0o700)
        );
        let before = std::fs::read(&key).unwrap();
        for (path, open) in [(&key, 0o644), (&root, 0o755)] {
            std::fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        }
        assert!(place.cache().find(&place.engine, place.digest).is_none());
        assert_ne!(std::fs::read(&key).unwrap(), before);
        assert_eq!((mode(&key), mode(&root)), (0o600, 0o700));
    }

    #[test]
    fn key_that_another_user_wrote_is_replaced() {
        let place = Place::new();
        let root = Dir::open_ambient_dir(place.dir.path(), ambient_authority()).unwrap();
        let me = rustix::process::geteuid().as_raw();
        let key = read_or_make_key(&root, me).unwrap();
        assert_eq!(read_or_make_key(&root, me).unwrap(), key);
        // To anybody else it is a stranger's.
        assert_ne!(read_or_make_key(&root, me ^ 1).unwrap(), key);
    }

    #[test]
    fn compiled_code_is_refused_as_a_package() {
        let place = Place::new();
        let (_, file) = place.filled();
        let code = std::fs::read(&file).unwrap().split_off(MAC_BYTES);
        for bytes in [code, std::fs::read(&file).unwrap()] {
            let refused = crate::plugin::inspect(&bytes).unwrap_err().to_string();
            let words = ["precompiled", "not WebAssembly"];
            assert!(words.iter().any(|word| refused.contains(word)), "{refused}");
        }
    }

    #[test]
    fn file_of_another_component_or_another_key_is_not_loaded() {
        let place = Place::new();
        let (cache, file) = place.filled();
        let other = Digest::of(b"another");
        std::fs::copy(&file, file.with_file_name(file_name(other))).unwrap();
        assert!(cache.find(&place.engine, other).is_none());
        std::fs::write(
            place.dir.path().join("cache/components/key"),
            [7; KEY_BYTES],
        )
        .unwrap();
        assert!(place.cache().find(&place.engine, place.digest).is_none());
    }
}
