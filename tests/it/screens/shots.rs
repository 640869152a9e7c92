//! Pictures of the screen, kept as files: `INSTA_UPDATE=always` writes them anew, reading the difference is the review.

use insta::assert_snapshot;

use super::harness::{Console, LARGE, MEDIUM, SMALL, screen};

macro_rules! shots {
    ($($name:ident: $world:literal, $size:ident, $keys:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_snapshot!(screen($world, $size, $keys));
            }
        )*
    };
}

shots! {
    demo_small_services: "demo", SMALL, "";
    demo_small_projects: "demo", SMALL, "1";
    demo_small_graphs: "demo", SMALL, "3";
    demo_small_logs: "demo", SMALL, "4";
    demo_small_timeline: "demo", SMALL, "5";
    demo_medium: "demo", MEDIUM, "";
    demo_large: "demo", LARGE, "";
    demo_medium_projects_focused: "demo", MEDIUM, "1";
    demo_medium_graphs_focused: "demo", MEDIUM, "3j";
    demo_medium_timeline_second_entry: "demo", MEDIUM, "5j";
    demo_tab_goes_round: "demo", MEDIUM, "<tab><tab><shift-tab>";
    demo_zoomed_services: "demo", MEDIUM, "z";
    demo_zoomed_graphs_large: "demo", LARGE, "3z";
    demo_zoomed_logs_large: "demo", LARGE, "4z";
    demo_zoomed_timeline_large: "demo", LARGE, "5z";
    demo_wider_and_shorter: "demo", MEDIUM, ">>>--";
    demo_narrower_and_taller: "demo", LARGE, "<lt><lt><lt>++";
    empty_small: "empty", SMALL, "";
    empty_medium: "empty", MEDIUM, "";
    empty_projects: "empty", SMALL, "1";
    empty_timeline: "empty", SMALL, "5";
    empty_logs: "empty", SMALL, "4";
    unborn_medium: "unborn", MEDIUM, "";
    two_down_small: "two_down", SMALL, "";
    two_down_medium_failed_selected: "two_down", MEDIUM, "j";
    two_down_detail_of_the_one_that_gave_up: "two_down", SMALL, "jjd";
    held_small: "held", SMALL, "";
    held_medium: "held", MEDIUM, "jj";
    held_large: "held", LARGE, "";
    held_detail_of_misconfigured: "held", MEDIUM, "Gd";
    thousand_medium: "thousand", MEDIUM, "";
    thousand_last: "thousand", MEDIUM, "G";
    thousand_half_pages: "thousand", SMALL, "<ctrl-d><ctrl-d><ctrl-d><ctrl-u>";
    thousand_filtered: "thousand", MEDIUM, "/failed<enter>";
    thousand_large: "thousand", LARGE, "<pgdn>";
    hostile_small: "hostile", SMALL, "";
    hostile_logs: "hostile", SMALL, "4";
    hostile_logs_all: "hostile", MEDIUM, "4Lz";
    hostile_logs_cut: "hostile", SMALL, "4<ctrl-w>";
    hostile_logs_scrolled_right: "hostile", SMALL, "4<ctrl-w><right><right>";
    hostile_detail: "hostile", MEDIUM, "d";
    hostile_entry: "hostile", MEDIUM, "5<enter>";
    hostile_large: "hostile", LARGE, "";
    refused_small: "refused", SMALL, "";
    refused_medium: "refused", MEDIUM, "";
    refused_problems: "refused", MEDIUM, "p";
    no_problems: "demo", SMALL, "p";
    retrying_medium: "retrying", MEDIUM, "";
    retrying_small: "retrying", SMALL, "";
    connected_autopilot_off: "connected", MEDIUM, "";
    marked_three: "demo", MEDIUM, "<space><space><space>";
    marked_all: "demo", SMALL, "*";
    marked_logs_merged: "demo", MEDIUM, "<space>jj<space>4";
    logs_all_with_times: "demo", MEDIUM, "4Ltz";
    logs_filtered: "demo", MEDIUM, "4/500|error<enter>";
    logs_filter_being_typed: "demo", SMALL, "4/error";
    logs_filter_not_a_regex: "demo", SMALL, "4/[5";
    logs_filter_inverted: "demo", SMALL, "4/!GET<enter>";
    logs_filter_in_context: "demo", SMALL, "4/error<enter>vn";
    logs_filter_without_match: "demo", SMALL, "4/nosuchthing<enter>";
    logs_pinned: "demo", SMALL, "4kkkk";
    logs_top: "demo", SMALL, "4g";
    logs_selection_of_lines: "demo", SMALL, "4kkk<space>kk";
    logs_runs_are_told_apart: "demo", SMALL, "jjjjj4";
    logs_line_read_whole: "demo", SMALL, "4k<enter>";
    services_filtered: "demo", SMALL, "/crash|leak<enter>";
    services_filter_smart_case: "demo", SMALL, "/API<enter>";
    timeline_filtered: "demo", MEDIUM, "5/crasher<enter>";
    timeline_entry_with_last_words: "demo", MEDIUM, "5j<enter>";
    detail_small: "demo", SMALL, "d";
    detail_medium: "demo", MEDIUM, "d";
    detail_scrolled: "demo", SMALL, "dG";
    help_small: "demo", SMALL, "?";
    help_medium: "demo", MEDIUM, "?";
    help_end: "demo", MEDIUM, "?G";
    palette_empty: "demo", MEDIUM, ":";
    palette_fuzzy: "demo", MEDIUM, ":rst";
    palette_services: "demo", MEDIUM, ":restart wo";
    palette_arguments: "demo", SMALL, ":stop api --";
    palette_signals: "demo", SMALL, ":signal ";
    palette_error: "demo", SMALL, ":stop<enter>";
    palette_completed: "demo", SMALL, ":aut<tab>";
    signal_picker: "demo", SMALL, "xjj";
    theme_picker: "demo", SMALL, "Tj";
    ward_small: "ward", SMALL, "";
    ward_large: "ward", LARGE, "";
    health_critical_small: "ward", SMALL, "h";
    health_critical_scrolled: "ward", SMALL, "hG";
    health_critical_large: "ward", LARGE, "h";
    health_warning_small: "ward", SMALL, "jh";
    health_warning_large: "ward", LARGE, "jh";
    health_good_small: "ward", SMALL, "jjh";
    health_good_large: "ward", LARGE, "jjh";
    health_of_what_could_not_be_looked_at: "ward", SMALL, "jjjh";
    health_of_no_kind: "demo", SMALL, "jh";
    why_a_service_waits_small: "ward", SMALL, "jjjjw";
    why_a_service_waits_large: "ward", LARGE, "jjjjw";
    why_a_service_gave_up: "ward", SMALL, "Gw";
    why_it_is_critical: "ward", MEDIUM, "w";
    why_an_entry: "ward", MEDIUM, "5jw";
    why_the_project: "ward", SMALL, "1w";
    why_the_project_large: "ward", LARGE, "1w";
    why_nothing_is_there: "empty", SMALL, "w";
    leave_asks: "demo", SMALL, "q";
    leave_asks_medium: "demo", MEDIUM, "q";
}

#[test]
fn confirm_shows_the_plan() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys("K").ask_consent();
    assert_snapshot!(console.text());
}

#[test]
fn confirm_of_a_long_plan_is_cut() {
    let mut console = Console::open("demo", SMALL);
    console.keys("X");
    let request = console.requests().pop().unwrap();
    let plan = cas::model::policy::Plan {
        title: "stop all 120 services of demo".to_owned(),
        steps: (0..120).map(|number| format!("stop worker-{number:03} (SIGTERM, 10 s, then SIGKILL)")).collect(),
        risk: cas::model::policy::Risk::Disruptive,
        fingerprint: 1,
        revision: 0,
    };
    console.say(cas::tui::Message::Replied { request, reply: Ok(cas::model::policy::Reply::NeedsConsent { plan }) });
    assert_snapshot!(console.text());
}

#[test]
fn a_refusal_is_shown_with_its_hint() {
    let mut console = Console::open("demo", MEDIUM);
    console.keys(":start api<enter>").reply(cas::model::policy::Reply::Refused {
        reason: "api is ambiguous: demo/api, shop/api".to_owned(),
        hint: Some("say which: start demo/api".to_owned()),
    });
    assert_snapshot!(console.text());
}

#[test]
fn sizes_between_show_two_panes() {
    assert_snapshot!(screen("demo", (90, 40), "4"));
}

#[test]
fn too_small_says_so() {
    assert_snapshot!(screen("demo", (20, 5), ""));
}
