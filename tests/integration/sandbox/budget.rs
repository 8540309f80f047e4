//! Guests that use up what they were given.

use goldenpath_tests::{Evidence, Portal};
use serde_json::json;

use super::{ended, ended_as, misbehave, portal};

#[test]
pub(crate) fn a_loop_ends_at_the_processor_time_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "loops-forever", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn a_sleeper_ends_at_the_wall_time_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "sleeps-too-long", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn many_small_allocations_end_at_the_memory_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "eats-memory", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn a_flood_of_host_calls_ends_at_their_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "floods-the-host", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn an_answer_over_the_output_budget_is_refused() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "answers-huge", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn an_answer_that_nests_too_deep_is_refused() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "answers-deep", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn two_loops_at_once_leave_the_portal_answering() -> Evidence {
    let portal = portal();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| portal.admin().run("loops-forever", &json!({})));
        }
        portal.admin().get("/health").with_status(200);
    });
    super::assert_greets(portal.admin());
    Evidence::fired("Four loops ran")
        .seen("the portal was healthy meanwhile")
        .seen("the next guest answered")
}

#[test]
pub(crate) fn questions_for_the_time_end_at_the_processor_time_budget() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "asks-the-time-forever", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn all_memory_at_once_is_refused_and_none_of_it_taken() -> Evidence {
    let portal = portal();
    let before = memory_of(&portal);
    let run = misbehave(&portal, "grows-at-once", &json!({}));
    assert_eq!(run["output"]["of"], true, "{run}");
    let grown = memory_of(&portal).saturating_sub(before);
    assert!(grown < 256 << 10, "{grown} KiB more");
    ended(&portal, &run)
        .seen("the guest was told that there is none")
        .seen("the portal grew by less than 256 MiB of 3.7 GiB")
}

#[test]
pub(crate) fn memory_of_an_earlier_guest_is_empty_in_the_next() -> Evidence {
    let portal = portal();
    for _ in 0..16 {
        let run = misbehave(&portal, "leaves-a-pattern", &json!({}));
        assert_eq!(run["output"]["of"], 0, "{run}");
    }
    Evidence::fired("Sixteen guests each left a pattern in 4 MiB")
        .seen("each found nothing but zeros")
}

#[test]
pub(crate) fn more_randomness_than_one_call_may_have_ends_the_run() -> Evidence {
    let portal = portal();
    let run = misbehave(&portal, "reads-much-randomness", &json!({}));
    ended(&portal, &run)
}

#[test]
pub(crate) fn the_end_of_a_run_is_audited_with_what_it_used_up() {
    let portal = portal();
    for action in [
        "answers-huge",
        "eats-memory",
        "fills-the-folder",
        "floods-the-host",
        "floods-the-log",
        "loops-forever",
        "sleeps-too-long",
    ] {
        let run = misbehave(&portal, action, &json!({}));
        let failure = ended_as(&portal, &run);
        assert_eq!(
            failure["code"], run["failure"]["code"],
            "{action}: {failure}"
        );
    }
}

/// What the portal's process has in memory, in KiB.
#[expect(clippy::disallowed_methods, reason = "what the system says of it")]
fn memory_of(portal: &Portal) -> u64 {
    let id = portal.process_id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its size");
    let kib = line.trim().trim_end_matches(" kB");
    kib.parse().expect("a number")
}
