//! Guests that use up what they were given.

use serde_json::json;

use super::{misbehave, portal};

#[test]
fn a_loop_ends_at_the_processor_time_budget() {
    misbehave(&portal(), "loops-forever", &json!({}));
}

#[test]
fn a_sleeper_ends_at_the_wall_time_budget() {
    misbehave(&portal(), "sleeps-too-long", &json!({}));
}

#[test]
fn many_small_allocations_end_at_the_memory_budget() {
    misbehave(&portal(), "eats-memory", &json!({}));
}

#[test]
fn a_flood_of_host_calls_ends_at_their_budget() {
    misbehave(&portal(), "floods-the-host", &json!({}));
}

#[test]
fn an_answer_over_the_output_budget_is_refused() {
    misbehave(&portal(), "answers-huge", &json!({}));
}

#[test]
fn an_answer_that_nests_too_deep_is_refused() {
    misbehave(&portal(), "answers-deep", &json!({}));
}

#[test]
fn two_loops_at_once_leave_the_portal_answering() {
    let portal = portal();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| portal.admin().run("loops-forever", &json!({})));
        }
        portal.admin().get("/health").with_status(200);
    });
    super::assert_greets(portal.admin());
}
