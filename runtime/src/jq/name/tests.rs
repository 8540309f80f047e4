use super::*;

fn entity() -> Shape {
    Shape::field("properties", Shape::Renamed)
}

fn rename(filter: &str, input: &Shape, from: &str, to: &str) -> Result<String, Unfollowed> {
    let (filter, input) = (filter.to_owned(), input.clone());
    let (from, to) = (from.to_owned(), to.to_owned());
    let followed = apart(filter.len(), move |renamer| {
        renamer.rename(&filter, &input, &from, &to)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(followed).unwrap()
}

fn renamed(filter: &str) -> Result<String, Unfollowed> {
    rename(filter, &entity(), "tier", "level")
}

#[test]
fn whatever_surely_reads_the_key_is_renamed() {
    for (filter, expected) in [
        (".properties.tier", ".properties.level"),
        (".properties.tier + 1", ".properties.level + 1"),
        (".properties?.tier?", ".properties?.level?"),
        (".properties | .tier", ".properties | .level"),
        (".[\"properties\"].tier", ".[\"properties\"].level"),
        (".\"properties\"[\"tier\"]", ".\"properties\"[\"level\"]"),
        (
            "if .properties.tier>1 then .properties[\"tier\"] else .properties.\"tier\" end",
            "if .properties.level>1 then .properties[\"level\"] else .properties.\"level\" end",
        ),
        (
            "(.properties // {}) | select(.tier > 1) | .tier",
            "(.properties // {}) | select(.level > 1) | .level",
        ),
        (
            ".properties as $p | $p.tier + $p.other",
            ".properties as $p | $p.level + $p.other",
        ),
        (
            ".properties as {tier: $t, other: [$o]} | $t + $o",
            ".properties as {level: $t, other: [$o]} | $t + $o",
        ),
        (
            "{p: .properties, tier: 1} | .p.tier + .tier",
            "{p: .properties, tier: 1} | .p.level + .tier",
        ),
        (
            ".properties | {tier, a: 1}",
            ".properties | {tier: .level, a: 1}",
        ),
        (
            "[.properties, .properties] | map(.tier) | add",
            "[.properties, .properties] | map(.level) | add",
        ),
        (
            ".properties | has(\"tier\") and (.tier | length > 0)",
            ".properties | has(\"level\") and (.level | length > 0)",
        ),
        (
            "try .properties.tier catch 0",
            "try .properties.level catch 0",
        ),
        (
            "reduce .properties.list[] as $x (0; . + $x.tier) + .properties.tier",
            "reduce .properties.list[] as $x (0; . + $x.tier) + .properties.level",
        ),
        (
            r#""t-\(.properties.tier) \((1) + .properties.tier)" + .properties.tier"#,
            r#""t-\(.properties.level) \((1) + .properties.level)" + .properties.level"#,
        ),
        (
            "1 # \" .properties.tier\n+ .properties.tier",
            "1 # \" .properties.tier\n+ .properties.level",
        ),
        (
            "\"größe\" + .properties.tier",
            "\"größe\" + .properties.level",
        ),
        (".properties.tier |= . + 1", ".properties.level |= . + 1"),
        ("del(.properties.tier)", "del(.properties.level)"),
        (
            ".properties as $p | reduce (1, 2) as $i (0; . + $p.tier)",
            ".properties as $p | reduce (1, 2) as $i (0; . + $p.level)",
        ),
        (
            r#"{"t-\(.properties.tier)": .properties.tier}"#,
            r#"{"t-\(.properties.level)": .properties.level}"#,
        ),
    ] {
        assert_eq!(renamed(filter).as_deref(), Ok(expected), "{filter}");
    }
    let to = |filter: &str, to: &str| rename(filter, &entity(), "a-b", to);
    assert_eq!(
        to(".properties[\"a-b\"] - .properties.a-b", "c").as_deref(),
        Ok(".properties[\"c\"] - .properties.a-b")
    );
    assert_eq!(
        rename(".properties.tier", &entity(), "tier", "b-c").as_deref(),
        Ok(".properties.\"b-c\"")
    );
}

#[test]
fn whatever_surely_is_something_else_stays() {
    for filter in [
        ".properties.tiers + .properties.tier_two",
        "\".properties.tier\"",
        ".relations.tier + .tier",
        ".properties.other.tier",
        ".properties.list | map(.tier)",
        ".properties.list[] | select(.tier == \"tier\") | .tier",
        ".properties.kind == \"tier\"",
        ".title | test(\"tier\")",
        "{tier: 1} | .tier",
        ".properties.list | group_by(.tier)",
        ".properties.list | with_entries(.tier = 1)",
    ] {
        assert_eq!(renamed(filter).as_deref(), Ok(filter), "{filter}");
    }
}

#[test]
fn what_may_read_the_key_is_refused_with_its_place() {
    for (before, after) in [
        (".properties | to_entries[] | select(.key == \"", "tier\")"),
        (".[] | .", "tier"),
        (".. | .", "tier?"),
        ("getpath([\"properties\", \"", "tier\"])"),
        ("\"", "tier\" as $x | .properties[$x]"),
        ("def f: .", "tier; .properties | f"),
        ("def f($x): $x.", "tier; f(.properties)"),
        ("try (.properties | error) catch .", "tier"),
        (".properties as {$", "tier} | $tier"),
        (".properties + {} | .", "tier"),
        ("if .a then .properties else {tier: 2} end | .", "tier"),
        (
            ".properties as $p | reduce (1, 2) as $i (null; $p) | .",
            "tier",
        ),
        (
            ".properties as $p | foreach (1, 2) as $i (null; 1; $p) | .",
            "tier",
        ),
        (
            ".properties as $p | reduce (1, 2) as $i (null; .",
            "tier, $p)",
        ),
        (".properties as $x | reduce 1 as $x ($x; .) | .", "tier"),
        ("def f: .properties; reduce 1 as $i (null; f) | .", "tier"),
        (r#""\(.properties)" | fromjson | ."#, "tier"),
        (r#"@json "\(.properties)" | fromjson | ."#, "tier"),
        (r#"{"\(.properties)": 1} | keys[0] | fromjson | ."#, "tier"),
        ("try (.properties | error | empty) catch .", "tier"),
        (
            ".properties as $p | 1 | try ($p | error | empty) catch .",
            "tier",
        ),
        (".\"größe\", (.properties | with_entries(.)) | .", "tier"),
        // It is spelt with escapes: where, is not told.
        ("", r#".properties["\u0074ier"]"#),
    ] {
        let at = NonZeroUsize::MIN.saturating_add(before.chars().count());
        let filter = format!("{before}{after}");
        assert_eq!(renamed(&filter), Err(Unfollowed::Mention(at)), "{filter}");
    }
    for filter in [".properties.tier +", "\"open .properties.tier"] {
        assert_eq!(renamed(filter), Err(Unfollowed::Unreadable), "{filter}");
    }
}

#[test]
fn nested_entities_are_known_by_where_they_stand() {
    let input = Shape::Fields(vec![
        ("entity".to_owned(), entity()),
        (
            "inputs".to_owned(),
            Shape::field("services", Shape::Each(Box::new(entity()))),
        ),
    ]);
    let renamed = |filter: &str| rename(filter, &input, "tier", "level");
    for (filter, expected) in [
        (".entity.properties.tier", ".entity.properties.level"),
        (".inputs.tier", ".inputs.tier"),
        (
            ".inputs.services[0].properties.tier",
            ".inputs.services[0].properties.level",
        ),
        (
            ".inputs.services | map(.properties.tier) | join(\",\")",
            ".inputs.services | map(.properties.level) | join(\",\")",
        ),
    ] {
        assert_eq!(renamed(filter).as_deref(), Ok(expected), "{filter}");
    }
    // These see more than the elements.
    for (before, after) in [
        (
            ".inputs.services | walk(if type == \"object\" then del(.",
            "tier) else . end)",
        ),
        (".inputs.services | [recurse | .", "tier?]"),
        (".inputs.services | [recurse(.[]?) | .", "tier?]"),
        (".inputs.services | [recurse(.[]?; .", "tier? != 1)]"),
        (".inputs.services | [paths(.", "tier?)]"),
        (
            ".inputs.services | with_entries(.value.properties.",
            "tier)",
        ),
        (".inputs.services | any(.[].properties; .", "tier > 1)"),
        (".inputs.services | until(.; .[0].properties.", "tier)"),
    ] {
        let at = NonZeroUsize::MIN.saturating_add(before.chars().count());
        let filter = format!("{before}{after}");
        assert_eq!(renamed(&filter), Err(Unfollowed::Mention(at)), "{filter}");
    }
    for (filter, expected) in [
        (
            ".inputs.services | sort_by(.properties.tier)",
            ".inputs.services | sort_by(.properties.level)",
        ),
        (
            ".inputs.services | any(.properties.tier > 1)",
            ".inputs.services | any(.properties.level > 1)",
        ),
    ] {
        assert_eq!(renamed(filter).as_deref(), Ok(expected), "{filter}");
    }
}

#[test]
fn a_filter_for_which_the_stack_may_not_suffice_is_not_read() {
    let followed = apart(3, |renamer| {
        renamer.rename(".properties.tier", &entity(), "tier", "level")
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let followed = runtime.unwrap().block_on(followed);
    assert_eq!(followed, Some(Err(Unfollowed::Unreadable)));
}

#[test]
fn hostile_text_takes_no_stack_but_its_own() {
    let deep = |text: &str, times: usize| format!(".properties.tier | {}", text.repeat(times));
    for filter in [
        deep("[", 10_000),
        deep("-", 10_000),
        deep("try ", 2_500),
        deep("if ", 3_300),
        deep("def f: ", 1_400),
        deep(". as $x | ", 1_000),
        deep("\"\\(", 3_300),
        format!("{}.tier", "{a: ., b: .} | ".repeat(600)),
        format!("{}.tier{}", "[".repeat(5_000), "]".repeat(5_000)),
        format!(".{}", ".tier".repeat(2_000).trim_start_matches('.')),
    ] {
        let shown: String = filter.chars().take(40).collect();
        // All that matters is that there is an answer.
        let answer = renamed(&filter);
        assert!(answer.is_err() || answer.is_ok(), "{shown}");
    }
}
