use std::io::{Read as _, Write as _};

use crate::catalog::{Error as CatalogError, Target};
use crate::files::{Error as FileError, Kind};
use crate::http::{Error as HttpError, Response};
use crate::log::Level;
use crate::prelude::*;
use crate::state::Error as StateError;

#[test]
fn catalog_writes_follow_their_mode() {
    let ctx = FakeContext::new().with_entity(Entity::new("System", "Cart"));
    let orders = Entity::new("Component", "orders")
        .property("type", "service")
        .relation("system", "Cart");
    assert_eq!(ctx.catalog().create(&orders).unwrap(), orders);
    assert!(matches!(
        ctx.catalog().create(&orders),
        Err(CatalogError::Conflict(_))
    ));

    let merged = ctx
        .catalog()
        .merge(
            &Entity::new("Component", "orders")
                .title("Orders")
                .clear_relation("system"),
        )
        .unwrap();
    assert_eq!(
        (
            merged.get::<String>("type").unwrap().as_deref(),
            merged.target("system")
        ),
        (Some("service"), None)
    );
    assert_eq!(merged.relations["system"], Target::None);

    let replaced = ctx
        .catalog()
        .replace(&Entity::new("Component", "orders"))
        .unwrap();
    assert_eq!((replaced.title, replaced.properties.len()), (None, 0));

    ctx.catalog().delete("Component", "orders").unwrap();
    assert!(matches!(
        ctx.catalog().delete("Component", "orders"),
        Err(CatalogError::NotFound(_))
    ));
    assert_eq!(ctx.catalog().find("Component", "orders").unwrap(), None);
}

#[test]
fn catalog_refuses_unknown_targets_and_what_is_denied() {
    let ctx = FakeContext::new().with_denied_blueprint("Secret");
    let lost = Entity::new("Component", "orders").relations("consumesApi", ["nowhere"]);
    assert!(matches!(
        ctx.catalog().create(&lost),
        Err(CatalogError::NotFound(_))
    ));
    let Err(CatalogError::Denied(denial)) = ctx.catalog().get("Secret", "x") else {
        panic!("granted")
    };
    assert_eq!(denial.missing, "catalog read Secret");
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let ctx = FakeContext::new().with_folder("work");
    let work = ctx.folder("work");
    let mut writer = work.writer("a/b.txt").unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(ctx.file_names("work"), [] as [&str; 0]);
    drop(writer);
    assert!(!work.exists("a/b.txt").unwrap());

    work.create("a/b.txt", "whole").unwrap();
    assert!(matches!(
        work.create("a/b.txt", "again"),
        Err(FileError::AlreadyExists(_))
    ));
    work.replace("a/b.txt", "again").unwrap();
    assert_eq!(work.read_to_string("a/b.txt").unwrap(), "again");
}

#[test]
fn folders_are_listed_renamed_and_removed_with_what_they_hold() {
    let ctx = FakeContext::new()
        .with_file("work", "a/b/c.txt", "c")
        .with_file("work", "a/d.txt", "d")
        .with_file("work", "ab.txt", "");
    let work = ctx.folder("work");
    let names: Vec<_> = work
        .list("a")
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.kind, entry.size))
        .collect();
    assert_eq!(
        names,
        [
            ("b".to_owned(), Kind::Directory, 0),
            ("d.txt".to_owned(), Kind::File, 1)
        ]
    );
    assert!(matches!(work.remove("a"), Err(FileError::WrongKind(_))));
    assert!(matches!(
        work.rename("a", "ab.txt"),
        Err(FileError::AlreadyExists(_))
    ));
    work.rename("a", "x/y").unwrap();
    assert_eq!(
        ctx.file_names("work"),
        ["ab.txt", "x/y/b/c.txt", "x/y/d.txt"]
    );
    work.remove_all("x").unwrap();
    assert_eq!(ctx.file_names("work"), ["ab.txt"]);
}

#[test]
fn paths_out_of_a_folder_are_refused() {
    let ctx = FakeContext::new().with_folder("work");
    for path in [
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "./a",
        "a\\b",
        "a\0",
    ] {
        assert!(
            matches!(
                ctx.folder("work").create(path, ""),
                Err(FileError::InvalidPath(_))
            ),
            "{path:?}"
        );
    }
    assert!(matches!(
        ctx.folder("other").exists("a"),
        Err(FileError::Denied(_))
    ));
}

#[test]
fn readers_stream_in_order() {
    let text = "0123456789".repeat(1000);
    let ctx = FakeContext::new().with_file("work", "big", text.clone());
    let mut reader = ctx.folder("work").open("big").unwrap();
    let mut start = [0; 5];
    reader.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"01234");
    let mut rest = reader.read_chunk().unwrap();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, text.as_bytes()[5..]);

    let mut writer = ctx.folder("work").writer("copy").unwrap();
    write!(writer, "{}", 42).unwrap();
    writer.finish().unwrap();
    assert_eq!(ctx.file("work", "copy").unwrap(), b"42");
}

#[test]
fn state_keeps_values_within_its_limits() {
    let ctx = FakeContext::new();
    ctx.state().set("cursor/a", "1").unwrap();
    ctx.state().set("other", &2).unwrap();
    assert_eq!(ctx.state().keys("cursor/").unwrap(), ["cursor/a"]);
    assert!(matches!(
        ctx.state().get::<u8>("cursor/a"),
        Err(StateError::Format(_))
    ));
    assert!(matches!(
        ctx.state().set("", &1),
        Err(StateError::InvalidKey(_))
    ));
    assert!(matches!(
        ctx.state().set_bytes("big", &vec![0; 65_537]),
        Err(StateError::Quota(_))
    ));
    ctx.state().delete("cursor/a").unwrap();
    assert_eq!(ctx.state().get::<String>("cursor/a").unwrap(), None);
}

#[test]
fn http_answers_as_scripted_and_keeps_the_requests() {
    let ctx = FakeContext::new()
        .with_response(Response::new(200).with_body("12345"))
        .with_http_fault(HttpError::Timeout);
    let request = Request::post("https://a.example/x")
        .json(&[1, 2])
        .unwrap()
        .max_body_bytes(4);
    assert_eq!(
        ctx.http().send(&request),
        Err(HttpError::TooLarge { limit: 4 })
    );
    assert_eq!(ctx.http().send(&request), Err(HttpError::Timeout));
    assert!(matches!(
        ctx.http().send(&request),
        Err(HttpError::Denied(_))
    ));
    assert_eq!(ctx.requests()[0].body_bytes(), b"[1,2]");
}

#[test]
fn log_keeps_lines_progress_and_sound_links() {
    let ctx = FakeContext::new();
    ctx.log().warn("one\ntwo");
    ctx.log().progress(1, None, "starts");
    ctx.log().link("javascript:alert(1)", "bad");
    ctx.log().link("https://a.example/", "good");
    let events = ctx.log_events();
    assert_eq!(
        events[0],
        LogEvent::Line {
            level: Level::Warn,
            message: "one".to_owned()
        }
    );
    assert_eq!(
        events[2],
        LogEvent::Progress {
            done: 1,
            total: None,
            message: "starts".to_owned()
        }
    );
    assert_eq!(
        events[4],
        LogEvent::Link {
            url: "https://a.example/".to_owned(),
            title: "good".to_owned()
        }
    );
    assert_eq!(ctx.messages().len(), 3);
}

#[test]
fn every_error_turns_into_a_failure_with_its_code() {
    fn reads() -> Result<(), Failure> {
        FakeContext::new().catalog().get("Component", "nothing")?;
        Ok(())
    }
    let failure = reads().unwrap_err();
    assert_eq!(
        (failure.code(), failure.message()),
        ("not_found", "entity `nothing` of blueprint `Component`")
    );
}

#[test]
fn a_secret_is_read_only_where_it_was_given() {
    let ctx = FakeContext::new()
        .with_secret("key", "hunter2-hunter2")
        .with_unset_secret("other");
    assert_eq!(
        ctx.secrets().get("key").unwrap().expose(),
        "hunter2-hunter2"
    );
    let code = |name: &str| ctx.secrets().get(name).unwrap_err().code();
    assert_eq!((code("other"), code("third")), ("secret_unset", "denied"));
}

#[test]
fn an_action_is_started_only_where_it_may_be_and_faults_are_scripted() {
    use crate::actions::{Error, Status};
    let ctx = FakeContext::new()
        .with_startable_action("notify")
        .with_start_fault(Error::Refused("too many".to_owned()));
    let text = serde_json::json!({ "text": "hello" });
    let code = |name: &str| ctx.actions().start(name, &text).unwrap_err().code();
    assert_eq!((code("other"), code("notify")), ("denied", "refused"));
    let run = ctx.actions().start_on("notify", "orders", &text).unwrap();
    assert_eq!(ctx.actions().status(&run), Ok(Status::InProgress));
    assert!(ctx.actions().status("r_other").is_err());
    let started = ctx.started();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].entity.as_deref(), Some("orders"));
    assert_eq!(started[0].properties, text);
}
