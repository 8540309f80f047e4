#![expect(
    clippy::disallowed_methods,
    reason = "the tests arrange what no plugin can"
)]

use std::sync::Arc;

use super::folder::{Existing, Folder, Folders};
use super::path::FilePath;
use super::{Kind, Refusal};
use crate::model::PluginName;

struct Place {
    dir: tempfile::TempDir,
    folders: Folders,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::new(dir.path(), "one".to_owned());
        Self { dir, folders }
    }

    fn open(&self, max_bytes: u64, max_files: u64) -> Arc<Folder> {
        let plugin = PluginName::parse("demo").unwrap();
        self.folders
            .open(&plugin, "out", None, max_bytes, max_files)
            .unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("files/demo/out").join(name)
    }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn put(folder: &Arc<Folder>, name: &str, bytes: &[u8], existing: Existing) -> Result<(), Refusal> {
    let writer = Folder::open_writer(folder, &path(name), existing)?;
    writer.write(bytes)?;
    writer.finish()
}

fn listed(folder: &Folder, name: &str) -> Vec<String> {
    let entries = folder.list(&FilePath::parse_folder(name).unwrap()).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn file_appears_whole_with_finish_and_is_read_back() {
    let place = Place::new();
    let folder = place.open(1_000, 10);
    let writer = Folder::open_writer(&folder, &path("a/b/c.txt"), Existing::Keep).unwrap();
    writer.write(b"hello ").unwrap();
    assert!(
        listed(&folder, "a/b").is_empty(),
        "an unfinished file is not seen"
    );
    writer.write(b"world").unwrap();
    writer.finish().unwrap();
    assert!(matches!(writer.finish(), Err(Refusal::WrongKind(_))));
    assert_eq!(listed(&folder, "a/b"), ["c.txt"]);
    let reader = folder.open_reader(&path("a/b/c.txt")).unwrap();
    assert_eq!(reader.read(6).unwrap(), b"hello ");
    assert_eq!(reader.read(100).unwrap(), b"world");
    assert!(reader.read(100).unwrap().is_empty());
    assert_eq!(folder.stat(&path("a/b")).unwrap().kind, Kind::Directory);
    assert_eq!(folder.stat(&path("a/b/c.txt")).unwrap().size, 11);
}

#[test]
fn file_that_is_not_finished_leaves_nothing() {
    let place = Place::new();
    let folder = place.open(10, 3);
    for _ in 0..5 {
        let writer = Folder::open_writer(&folder, &path("a.txt"), Existing::Keep).unwrap();
        writer.write(b"0123456789").unwrap();
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
    put(&folder, "a.txt", b"0123456789", Existing::Keep).unwrap();
}

#[test]
fn existing_file_is_kept_or_replaced_as_asked() {
    let place = Place::new();
    let folder = place.open(10, 3);
    put(&folder, "a", b"12345678", Existing::Keep).unwrap();
    assert_eq!(
        put(&folder, "a", b"x", Existing::Keep),
        Err(Refusal::AlreadyExists("a".to_owned()))
    );
    // One that comes in between is not replaced either.
    let late = Folder::open_writer(&folder, &path("b"), Existing::Keep).unwrap();
    put(&folder, "b", b"1", Existing::Keep).unwrap();
    assert_eq!(late.finish(), Err(Refusal::AlreadyExists("b".to_owned())));
    drop(late);
    put(&folder, "b", b"2", Existing::Replace).unwrap();
    assert_eq!(
        folder.open_reader(&path("b")).unwrap().read(10).unwrap(),
        b"2"
    );
    put(&folder, "c/d", b"", Existing::Keep).unwrap_err();
    assert!(matches!(
        put(&folder, "b/d", b"", Existing::Keep),
        Err(Refusal::WrongKind(_))
    ));
}

#[test]
fn quotas_of_bytes_and_files_hold_across_everything_that_is_open() {
    let place = Place::new();
    let (one, two) = (place.open(10, 3), place.open(10, 3));
    put(&one, "a", b"123456", Existing::Keep).unwrap();
    assert!(matches!(
        put(&two, "b", b"12345", Existing::Keep),
        Err(Refusal::Quota(_))
    ));
    put(&two, "b", b"1234", Existing::Keep).unwrap();
    assert!(
        matches!(
            put(&one, "d/e", b"", Existing::Keep),
            Err(Refusal::Quota(_))
        ),
        "a folder counts as well"
    );
    one.remove_all(&path("d")).unwrap();
    put(&one, "a", b"1234", Existing::Replace).unwrap_err();
    one.remove(&path("a")).unwrap();
    put(&two, "a", b"123456", Existing::Keep).unwrap();
    drop((one, two));
    // Counted anew by the next call that opens it.
    let later = place.open(10, 3);
    assert!(matches!(
        put(&later, "f", b"1", Existing::Keep),
        Err(Refusal::Quota(_))
    ));
}

#[test]
fn links_are_never_followed() {
    let place = Place::new();
    let folder = place.open(1_000, 100);
    let outside = place.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "s").unwrap();
    std::os::unix::fs::symlink(&outside, place.path("dir")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), place.path("file")).unwrap();
    assert!(matches!(
        folder.open_reader(&path("dir/secret")),
        Err(Refusal::WrongKind(_))
    ));
    assert!(matches!(
        folder.open_reader(&path("file")),
        Err(Refusal::WrongKind(_))
    ));
    assert!(put(&folder, "dir/new", b"x", Existing::Replace).is_err());
    assert!(put(&folder, "file", b"x", Existing::Replace).is_err());
    assert!(matches!(
        folder.list(&path("dir")),
        Err(Refusal::WrongKind(_))
    ));
    assert_eq!(folder.stat(&path("dir")).unwrap().kind, Kind::Other);
    folder.remove_all(&path("dir")).unwrap();
    folder.remove(&path("file")).unwrap();
    assert_eq!(
        std::fs::read_to_string(outside.join("secret")).unwrap(),
        "s"
    );
}

#[test]
fn whole_trees_are_moved_and_removed() {
    let place = Place::new();
    let folder = place.open(1_000, 7);
    put(&folder, "x/one", b"1", Existing::Keep).unwrap();
    put(&folder, "x/y/two", b"22", Existing::Keep).unwrap();
    put(&folder, "taken", b"", Existing::Keep).unwrap();
    assert!(matches!(
        folder.rename(&path("x"), &path("x/z")),
        Err(Refusal::InvalidPath(_))
    ));
    assert!(matches!(
        folder.rename(&path("x"), &path("taken")),
        Err(Refusal::AlreadyExists(_))
    ));
    assert!(matches!(
        folder.rename(&path("gone"), &path("new")),
        Err(Refusal::NotFound(_))
    ));
    folder.rename(&path("x"), &path("p/q")).unwrap();
    assert_eq!(listed(&folder, ""), ["p", "taken"]);
    assert_eq!(listed(&folder, "p/q"), ["one", "y"]);
    assert!(matches!(
        folder.remove(&path("p")),
        Err(Refusal::WrongKind(_))
    ));
    folder.remove_all(&path("p")).unwrap();
    for name in ["1", "2", "3", "4", "5", "6"] {
        put(&folder, name, b"", Existing::Keep).unwrap();
    }
    assert!(matches!(
        put(&folder, "7", b"", Existing::Keep),
        Err(Refusal::Quota(_))
    ));
}

#[test]
fn leftovers_of_an_earlier_process_are_removed() {
    let place = Place::new();
    drop(place.open(1, 1));
    std::fs::write(place.path(".goldenpath-partial-zero-1"), "left").unwrap();
    std::fs::write(place.path(".goldenpath-partial-one-7"), "busy").unwrap();
    drop(place.open(1, 1));
    assert!(!place.path(".goldenpath-partial-zero-1").exists());
    assert!(
        place.path(".goldenpath-partial-one-7").exists(),
        "it could be another call's of this process"
    );
}

#[test]
fn pipe_in_the_folder_is_refused_without_waiting() {
    let place = Place::new();
    let folder = place.open(1, 10);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    assert!(matches!(
        folder.open_reader(&path("pipe")),
        Err(Refusal::WrongKind(_))
    ));
}

#[test]
fn bound_folder_is_outside_the_data_folder_or_below_its_files_whatever_it_is_called() {
    let around = tempfile::tempdir().unwrap();
    let data = around.path().join("data");
    for folder in ["data/files/demo/out", "data/cache", "elsewhere/in"] {
        std::fs::create_dir_all(around.path().join(folder)).unwrap();
    }
    std::os::unix::fs::symlink(&data, around.path().join("link")).unwrap();
    let folders = Folders::new(&data, "one".to_owned());
    let plugin = PluginName::parse("demo").unwrap();
    let open = |path: &str| folders.open(&plugin, "in", Some(path), 1, 1).is_ok();
    for (below, allowed) in [
        ("elsewhere", true),
        ("elsewhere/in", true),
        ("data/files/demo/out", true),
        ("link/files/demo", true),
        ("data/files", false),
        ("data/cache", false),
        ("data", false),
        ("link", false),
        ("link/cache", false),
        ("", false),
    ] {
        let path = around.path().join(below);
        let path = path.to_str().unwrap();
        assert_eq!(folders.check(path).is_ok(), allowed, "{path}");
        assert_eq!(open(path), allowed, "{path}");
    }
    assert!(!open("/"));
    for (absent, allowed) in [
        ("elsewhere/later/on", true),
        ("data/files/later", true),
        ("data/later", false),
        ("link/later", false),
    ] {
        let path = around.path().join(absent);
        let checked = folders.check(path.to_str().unwrap());
        assert_eq!(checked.is_ok(), allowed, "{absent}: {checked:?}");
    }
    for path in ["relative", "/srv/../etc", "/a\0b", ""] {
        assert!(Folders::check_form(path).is_err(), "{path}");
    }
}

#[test]
fn folder_that_came_to_lead_into_the_data_folder_is_not_opened() {
    let around = tempfile::tempdir().unwrap();
    let (data, bound) = (around.path().join("data"), around.path().join("bound"));
    std::fs::create_dir_all(&data).unwrap();
    let folders = Folders::new(&data, "one".to_owned());
    let path = bound.to_str().unwrap();
    folders.check(path).unwrap();
    std::os::unix::fs::symlink(&data, &bound).unwrap();
    let plugin = PluginName::parse("demo").unwrap();
    let opened = folders.open(&plugin, "in", Some(path), 1, 1);
    assert!(matches!(opened, Err(Refusal::Unavailable(_))));
}
