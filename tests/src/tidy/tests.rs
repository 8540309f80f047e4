//! Samples on which the checks must fail, and samples that they must leave alone.

use super::*;

fn lines(file: &str, source: &str) -> Vec<usize> {
    check_floors(Path::new(file), source)
        .into_iter()
        .map(|breach| breach.line)
        .collect()
}

#[test]
fn an_upward_import_is_a_breach() {
    assert_eq!(
        lines(
            "store/entity.rs",
            "//! x\nuse crate::model::Entity;\nuse crate::catalog::Catalog;\n"
        ),
        [3]
    );
}

#[test]
fn an_upward_path_in_the_middle_of_code_is_a_breach() {
    assert_eq!(
        lines(
            "plugin/mod.rs",
            "fn f() {\n    crate::action::start();\n}\n"
        ),
        [2]
    );
}

#[test]
fn an_upward_import_in_braces_is_a_breach() {
    let source = "use crate::{\n    model::{Actor, Run},\n    api::router,\n};\n";
    assert_eq!(lines("action/run.rs", source), [3]);
}

#[test]
fn a_path_that_climbs_out_of_its_floor_is_a_breach() {
    assert_eq!(lines("store/mod.rs", "use super::catalog::Catalog;\n"), [1]);
    assert_eq!(
        lines("store/run.rs", "use super::super::catalog::Catalog;\n"),
        [1]
    );
}

#[test]
fn a_path_within_its_floor_is_no_breach() {
    assert!(lines("store/run.rs", "use super::Store;\n").is_empty());
    assert!(lines("store/mod.rs", "mod tests {\n    use super::*;\n}\n").is_empty());
}

#[test]
fn a_crate_outside_its_home_is_a_breach() {
    assert_eq!(lines("catalog/mod.rs", "use rusqlite::Row;\n"), [1]);
    assert_eq!(lines("app/mod.rs", "fn f() -> wasmtime::Engine {}\n"), [1]);
    assert_eq!(lines("cli/run.rs", "use axum::Router;\n"), [1]);
    assert_eq!(lines("api/mod.rs", "let x = std::env::var(name);\n"), [1]);
    assert!(lines("plugin/mod.rs", "use wasmtime::Engine;\n").is_empty());
}

#[test]
fn a_door_knows_the_other_only_where_the_server_starts() {
    assert!(lines("cli/serve/mod.rs", "use crate::api;\n").is_empty());
    assert_eq!(lines("cli/run.rs", "use crate::api;\n"), [1]);
    assert_eq!(lines("api/mod.rs", "use crate::cli;\n"), [1]);
    assert_eq!(lines("api/mod.rs", "use crate::store::Store;\n"), [1]);
}

#[test]
fn a_module_without_a_floor_is_a_breach() {
    assert_eq!(lines("helpers.rs", ""), [0]);
}

#[test]
fn prose_and_strings_are_not_code() {
    let source = "//! crate::api is above.\n/* use crate::api; */\nconst A: &str = \"crate::api\";\nconst B: char = '\"';\nconst C: &str = r#\"crate::api \"\"#;\n";
    assert!(lines("store/run.rs", source).is_empty());
    assert_eq!(
        lines("store/run.rs", &format!("{source}use crate::api;\n")),
        [6]
    );
}

#[test]
fn a_long_file_is_a_breach() {
    let source = "//! x\n".to_owned() + &"\n".repeat(MAX_LINES);
    assert_eq!(check_file(Path::new("a.rs"), &source).len(), 1);
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_a_breach() {
    assert_eq!(check_file(Path::new("a.rs"), "use std::fmt;\n").len(), 1);
    assert!(check_file(Path::new("a.rs"), "//! Things.\n").is_empty());
}

#[test]
fn a_path_of_one_machine_is_a_breach() {
    let text = format!("see\n{}{}\n", "/wo", "rk/main");
    assert_eq!(check_text(Path::new("a.md"), &text)[0].line, 2);
    let text = format!("cp \"$there{}x\" .\n", "/ro".to_owned() + "ot/");
    assert!(check_text(Path::new("a.sh"), &text).is_empty());
}
