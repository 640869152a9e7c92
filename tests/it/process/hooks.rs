//! Hooks with real children.
#![expect(clippy::wildcard_enum_match_arm, reason = "one event is looked for")]

use std::{sync::Arc, time::Duration};

use cas::model::{
    effect::Effect,
    event::Event,
    hooks::{Failure, HookCommand, HookKind, HookOutcome, HookResult, HookRound, Hooks},
    ids::RunId,
    phase::Exit,
    service::{CommandLine, ServiceSpec},
};

use super::rig::Rig;

const RUN: RunId = RunId(900);

fn commands(lines: &[&str], timeout: Duration) -> Vec<HookCommand> {
    lines.iter().map(|line| HookCommand { command: CommandLine::Shell((*line).to_owned()), timeout }).collect()
}

fn spec(rig: &Rig, hooks: Hooks) -> ServiceSpec {
    let mut spec = rig.spec("web", CommandLine::Shell("sleep 1000".to_owned()));
    spec.environment.insert("COLOUR".to_owned(), "teal".to_owned());
    ServiceSpec { hooks, ..spec }
}

fn ask(rig: &Rig, run: RunId, hook: HookKind, spec: ServiceSpec, failure: Option<Failure>) {
    let round = HookRound { run, hook, spec: Arc::new(spec), limit: None, failure };
    rig.world.perform(Effect::RunHook(round));
}

async fn ended(rig: &mut Rig, asked: HookKind) -> HookResult {
    rig.event("the hook ended", |event| match event {
        Event::HookEnded { hook, result, .. } if *hook == asked => Some(result.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_order_where_and_as_the_service_runs_and_know_why() {
    let mut rig = Rig::new();
    let lines = [
        "echo $COLOUR $CAS_SERVICE $CAS_PROJECT $CAS_HOOK run=$CAS_RUN; pwd -P",
        "echo $CAS_REASON, $CAS_EXIT_CODE, $CAS_SIGNAL",
    ];
    let on_failure = commands(&lines, Duration::from_secs(50));
    let spec = spec(&rig, Hooks { on_failure, ..Hooks::default() });
    let (id, directory) = (spec.id.clone(), rig.path().canonicalize().unwrap());
    let failure = Failure { reason: "web ended: exit code 3".to_owned(), exit: Exit::Code(3) };
    ask(&rig, RUN, HookKind::OnFailure, spec, Some(failure));
    let result = ended(&mut rig, HookKind::OnFailure).await;
    assert_eq!(result.outcome, HookOutcome::Passed);
    let expected = [
        format!("teal {id} {} on_failure run=", id.project),
        directory.display().to_string(),
        "web ended: exit code 3, 3,".to_owned(),
    ];
    assert_eq!(result.output, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_command_that_fails_is_the_last_and_the_end_of_its_output_is_kept() {
    let mut rig = Rig::new();
    let pre_start = commands(&["seq 1 5000; exit 4", "touch second"], Duration::from_secs(50));
    let spec = spec(&rig, Hooks { pre_start, ..Hooks::default() });
    ask(&rig, RUN, HookKind::PreStart, spec, None);
    let result = ended(&mut rig, HookKind::PreStart).await;
    assert_eq!(result.outcome, HookOutcome::Failed("seq 1 5000; exit 4: exit code 4".to_owned()));
    let last: Vec<String> = (4981..=5000).map(|number| number.to_string()).collect();
    assert_eq!(result.output, last);
    assert!(!rig.path().join("second").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_takes_too_long_is_ended_with_all_that_it_began() {
    let mut rig = Rig::new();
    let pre_start = commands(&["sleep 1000 & echo $!; wait"], Duration::from_millis(1500));
    let spec = spec(&rig, Hooks { pre_start, ..Hooks::default() });
    ask(&rig, RUN, HookKind::PreStart, spec, None);
    let result = ended(&mut rig, HookKind::PreStart).await;
    let HookOutcome::Failed(why) = &result.outcome else { panic!("{result:?}") };
    assert!(why.contains("not over within 1.5 s; it was ended"), "{why}");
    let sleeper: u32 = result.output[0].parse().unwrap();
    assert!(is_gone(sleeper), "{sleeper} is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_called_off_by_order_and_by_the_end_of_its_run() {
    let mut rig = Rig::new();
    let slow = || commands(&["touch begun; sleep 1000"], Duration::from_mins(15));
    let ordered = spec(&rig, Hooks { pre_start: slow(), ..Hooks::default() });
    ask(&rig, RUN, HookKind::PreStart, ordered, None);
    crate::support::eventually("it has begun", || rig.path().join("begun").exists());
    rig.world.perform(Effect::EndHook { run: RUN, hook: HookKind::PreStart });
    assert_eq!(ended(&mut rig, HookKind::PreStart).await.outcome, HookOutcome::CalledOff);

    std::fs::remove_file(rig.path().join("begun")).unwrap();
    let own = spec(&rig, Hooks { post_start: slow(), ..Hooks::default() });
    let run = rig.start_spec(own.clone());
    rig.spawned(run).await;
    ask(&rig, run, HookKind::PostStart, own, None);
    crate::support::eventually("it has begun", || rig.path().join("begun").exists());
    rig.end(run, Duration::ZERO).await;
    assert_eq!(ended(&mut rig, HookKind::PostStart).await.outcome, HookOutcome::CalledOff);
}

/// Gone, or dead and not yet waited for.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with('Z'))
}
