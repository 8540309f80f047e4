//! The golden path over a portal in memory: what it makes, what it refuses, what it takes back.

#![expect(clippy::unwrap_used, reason = "a test ends where its helper fails")]

use ::scaffold_service::{Language, ScaffoldService, Scaffolded, scaffold_service};
use goldenpath_sdk::catalog::Error as CatalogError;
use goldenpath_sdk::files::Error as FileError;
use goldenpath_sdk::prelude::*;
use goldenpath_sdk::serde_json::{self, json};

fn portal() -> FakeContext {
    FakeContext::new()
        .with_folder("services")
        .with_entity(Entity::new("System", "Cart"))
}

fn orders(ctx: &FakeContext) -> Result<Scaffolded, Failure> {
    let input: ScaffoldService =
        serde_json::from_value(json!({"name": "orders-api", "system": "Cart"})).unwrap();
    scaffold_service(input, ctx)
}

fn refused(ctx: &FakeContext) -> String {
    orders(ctx).unwrap_err().code().to_owned()
}

#[test]
fn service_is_written_and_registered() {
    let ctx = portal();
    let made = orders(&ctx).unwrap();
    let files = [
        ".editorconfig",
        ".github/workflows/ci.yml",
        ".gitignore",
        "CODEOWNERS",
        "Cargo.toml",
        "Dockerfile",
        "README.md",
        "catalog-info.yaml",
        "src/main.rs",
    ];
    assert_eq!(
        ctx.file_names("services"),
        files.map(|file| format!("orders-api/{file}"))
    );
    assert_eq!(
        (made.path.as_str(), made.files, made.entity.as_str()),
        ("orders-api", 9, "orders-api")
    );
    assert_eq!(
        made.links[0].url,
        "/v1/blueprints/Component/entities/orders-api"
    );

    let entity = ctx.entity_of("Component", "orders-api").unwrap();
    assert_eq!(
        serde_json::Value::from(entity.properties.clone()),
        json!({"type": "service", "language": "rust"})
    );
    assert_eq!(
        (entity.target("system"), entity.team.len()),
        (Some("Cart"), 0)
    );
}

#[test]
fn progress_counts_every_file() {
    let ctx = portal();
    orders(&ctx).unwrap();
    let done = ctx
        .log_events()
        .into_iter()
        .filter_map(|event| match event {
            LogEvent::Progress { done, total, .. } => Some((done, total)),
            LogEvent::Line { .. } | LogEvent::Link { .. } => None,
        });
    assert_eq!(
        done.collect::<Vec<_>>(),
        (1..=9).map(|done| (done, Some(9))).collect::<Vec<_>>()
    );
}

#[test]
fn owner_language_and_portal_are_optional() {
    let ctx = portal();
    let input = ScaffoldService {
        name: "orders-api".to_owned(),
        system: "Cart".to_owned(),
        language: Language::TypeScript,
        owner: Some("payments".to_owned()),
        description: Some("Takes orders.".to_owned()),
        portal_url: Some("https://portal.example.com".to_owned()),
    };
    scaffold_service(input, &ctx).unwrap();
    let entity = ctx.entity_of("Component", "orders-api").unwrap();
    assert_eq!(
        (entity.team, &entity.properties["language"]),
        (vec!["payments".to_owned()], &json!("typescript"))
    );
    let url = "https://portal.example.com/v1/blueprints/Component/entities/orders-api".to_owned();
    assert!(ctx.log_events().contains(&LogEvent::Link {
        url,
        title: "Catalog entity".to_owned()
    }));
}

#[test]
fn unknown_system_is_refused() {
    let ctx = FakeContext::new().with_folder("services");
    assert_eq!(refused(&ctx), "unknown_system");
    assert_eq!(ctx.file_names("services"), [] as [&str; 0]);
}

#[test]
fn service_in_the_catalog_is_refused() {
    let ctx = portal().with_entity(Entity::new("Component", "orders-api"));
    assert_eq!(refused(&ctx), "service_exists");
    assert_eq!(ctx.file_names("services"), [] as [&str; 0]);
}

#[test]
fn service_on_disk_is_refused_and_kept() {
    let ctx = portal().with_file("services", "orders-api/notes.txt", "mine");
    assert_eq!(refused(&ctx), "service_exists");
    assert_eq!(ctx.file_names("services"), ["orders-api/notes.txt"]);
    assert_eq!(ctx.entity_of("Component", "orders-api"), None);
}

#[test]
fn nothing_is_left_when_a_file_cannot_be_written() {
    // The ninth change is the last file, the tenth gives the folder its name.
    for nth in [0, 5, 8, 9] {
        let ctx = portal().with_file_fault(nth, FileError::Quota("the folder is full".to_owned()));
        assert_eq!(refused(&ctx), "quota", "change {nth}");
        assert!(
            !ctx.folder("services").exists(".partial-r_fake").unwrap(),
            "change {nth}"
        );
        assert_eq!(
            (
                ctx.file_names("services").len(),
                ctx.entity_of("Component", "orders-api")
            ),
            (0, None),
            "change {nth}"
        );
    }
}

#[test]
fn nothing_is_left_when_the_catalog_refuses() {
    for (fault, code) in [
        (
            CatalogError::Conflict("orders-api".to_owned()),
            "service_exists",
        ),
        (CatalogError::Unavailable("busy".to_owned()), "unavailable"),
    ] {
        let ctx = portal().with_catalog_fault(fault);
        assert_eq!(refused(&ctx), code);
        assert!(ctx.folder("services").list("").unwrap().is_empty());
        assert_eq!(ctx.entity_of("Component", "orders-api"), None);
    }
}

#[test]
fn folder_that_was_taken_meanwhile_is_not_touched() {
    let ctx = portal().with_file_fault(9, FileError::AlreadyExists("orders-api".to_owned()));
    assert_eq!(refused(&ctx), "service_exists");
    assert!(ctx.folder("services").list("").unwrap().is_empty());
}

#[test]
fn form_of_the_action_fits_the_plugin() {
    let action: serde_json::Value =
        serde_json::from_str(include_str!("../actions/scaffold-service.json")).unwrap();
    let form = &action["trigger"]["userInputs"]["properties"];
    let schema = goldenpath_sdk::describe::<scaffold_service>().input_schema;
    let inputs = action["invocationMethod"]["inputs"].as_object().unwrap();
    for name in inputs.keys() {
        let property = schema.pointer(&format!("/properties/{name}")).unwrap();
        for keyword in [
            "description",
            "enum",
            "default",
            "blueprint",
            "minLength",
            "maxLength",
        ] {
            if name != "owner" {
                assert_eq!(
                    form[name][keyword], property[keyword],
                    "{keyword} of {name}"
                );
            }
        }
    }
    assert_eq!(
        form["name"]["pattern"],
        *schema.pointer("/properties/name/pattern").unwrap()
    );
}
