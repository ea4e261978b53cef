//! Every reason why nothing is happening, every kind of step, what each costs, and every policy of roll-outs is told by some case,
//! in its own words.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use skep_planner::blocked::one_of_each;
use skep_planner::{Blocked, Cost, Op, PullAs, ReleaseVersion};
use skep_schemas::Uid;
use skep_schemas::kind::RolloutOrder;

/// Stands for whatever a case has there; no sentence of ours contains it.
const WORD: &str = "\u{1}";
const NUMBER: u32 = 987_654_321;
const TIME: Timestamp = Timestamp::UNIX_EPOCH;

/// What never changes of a sentence: the word for programs, and the parts between the blanks.
fn shape(blocked: &Blocked) -> Vec<String> {
    let sentence = blocked.to_string().replace(&NUMBER.to_string(), WORD).replace(&TIME.to_string(), WORD);
    let parts = sentence.split(WORD).map(str::to_owned).filter(|part| !part.is_empty());
    std::iter::once(format!("{:?}", blocked.reason())).chain(parts).collect()
}

/// Are all parts in the line, one after the other?
fn tells(line: &str, shape: &[String]) -> bool {
    let rest = shape.iter().try_fold(line, |rest, part| rest.split_once(part.as_str()).map(|(_, rest)| rest));
    line.starts_with('>') && rest.is_some()
}

/// The cases by their names.
fn recorded() -> Result<BTreeMap<String, String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            cases.insert(path.display().to_string(), text);
        }
    }
    Ok(cases)
}

/// What a case says of steps that were carried out: `resource: verb object …`.
fn does(line: &str, what: &str) -> bool {
    let step = line.strip_prefix("> ").and_then(|said| said.split_once(": "));
    step.is_some_and(|(_, step)| step.starts_with(what))
}

/// One step of each kind. Whoever adds a kind is brought here by the match, which says how many there are.
fn one_step_of_each_kind() -> Vec<Op> {
    let kinds = |op: &Op| match op {
        Op::CreateNetwork { .. }
        | Op::RemoveNetwork { .. }
        | Op::CreateSecret { .. }
        | Op::UpdateSecret { .. }
        | Op::RemoveSecret { .. }
        | Op::CreateService { .. }
        | Op::UpdateService { .. }
        | Op::RemoveService { .. }
        | Op::ConnectEdge { .. }
        | Op::DisconnectEdge { .. } => 10,
    };
    let id = || "x".to_owned();
    let version = skep_planner::swarm::Version { index: 1 };
    let steps = vec![
        Op::CreateNetwork { spec: Box::default() },
        Op::RemoveNetwork { id: id().into() },
        Op::CreateSecret { spec: Box::default(), secret: Uid::from_uuid(uuid::Uuid::nil()), version: 1 },
        Op::UpdateSecret { id: id().into(), version, spec: Box::default() },
        Op::RemoveSecret { id: id().into() },
        Op::CreateService {
            spec: Box::default(),
            release: Some(ReleaseVersion::FIRST),
            pull: PullAs::Nobody,
        },
        Op::UpdateService {
            id: id().into(),
            version,
            spec: Box::default(),
            release: None,
            pull: PullAs::Nobody,
        },
        Op::RemoveService { id: id().into() },
        Op::ConnectEdge { network: id().into(), container: id().into(), address: Ipv4Addr::LOCALHOST },
        Op::DisconnectEdge { network: id().into(), container: id().into() },
    ];
    assert!(steps.iter().all(|step| kinds(step) == steps.len()));
    steps
}

#[test]
fn every_kind_of_step_is_carried_out_by_a_case() -> Result<()> {
    let recorded = recorded()?;
    let mut kinds = one_step_of_each_kind().iter().map(kind).collect::<Vec<_>>();
    let untold =
        |kind: &String| !recorded.values().flat_map(|text| text.lines()).any(|line| does(line, kind));
    kinds.retain(untold);
    assert!(kinds.is_empty(), "no case does {kinds:#?}");
    Ok(())
}

fn kind(op: &Op) -> String {
    format!("{} {} ", op.verb(), op.object_kind())
}

#[test]
fn every_cost_of_a_change_is_told_by_a_case() -> Result<()> {
    let recorded = recorded()?;
    // How making and removing look is told by the kinds of steps.
    let costs = [Cost::NoRestart, Cost::Scale { from: 2, to: 3 }, Cost::RollingRestart { tasks: 2 }];
    let mut untold = costs.map(|cost| format!("[{cost}]")).to_vec();
    untold.retain(|shape| {
        let told = |line: &str| does(line, "update ") && line.contains(shape.as_str());
        !recorded.values().flat_map(|text| text.lines()).any(told)
    });
    assert!(untold.is_empty(), "no case has an update that is {untold:#?}");
    Ok(())
}

/// What a manifest can say of roll-outs: how a case asks for it, and how it sees that it came about.
fn policies() -> Vec<(String, &'static str)> {
    let order = |order: RolloutOrder| match order {
        RolloutOrder::Auto => ("auto", "> /UpdateConfig/Order: \"start-first\""),
        RolloutOrder::StartFirst => ("start-first", "> /UpdateConfig/Order: \"start-first\""),
        RolloutOrder::StopFirst => ("stop-first", "> /UpdateConfig/Order: \"stop-first\""),
    };
    let orders = [RolloutOrder::Auto, RolloutOrder::StartFirst, RolloutOrder::StopFirst].map(order);
    let asked = |field: &str, value: &str| format!("edit Environment/prod spec.rollout.{field} = {value}");
    let others = [
        (asked("parallelism", "2"), "> /UpdateConfig/Parallelism: 2"),
        (asked("deadline", "2m"), "rolled back: not done after 2m"),
    ];
    orders.into_iter().map(|(word, seen)| (asked("order", word), seen)).chain(others).collect()
}

#[test]
fn every_policy_of_roll_outs_is_asked_for_by_a_case_and_seen_at_work() -> Result<()> {
    let recorded = recorded()?;
    let mut untold = policies();
    untold.retain(|(asked, seen)| {
        let tells = |text: &String| {
            let mut lines = text.lines();
            lines.any(|line| line == asked) && lines.any(|line| line.starts_with('>') && line.contains(seen))
        };
        !recorded.values().any(tells)
    });
    assert!(untold.is_empty(), "no case asks for and sees {untold:#?}");
    Ok(())
}

#[test]
fn every_reason_is_told_by_a_case_with_what_to_do() -> Result<()> {
    let recorded = recorded()?;
    let examples = one_of_each(WORD, NUMBER, TIME);
    let shapes = examples.iter().map(shape);
    let untold: Vec<Vec<String>> = shapes
        .filter(|shape| !recorded.values().flat_map(|text| text.lines()).any(|line| tells(line, shape)))
        .collect();
    assert!(untold.is_empty(), "no case tells {untold:#?}");
    Ok(())
}

#[test]
fn a_sentence_of_another_reason_or_without_what_to_do_does_not_count() {
    let shape = shape(&Blocked::SecretMissing { name: WORD.to_owned() });
    let said = Blocked::SecretMissing { name: "token".to_owned() }.to_string();
    let half = said.split_once(';').map_or("", |(half, _)| half);
    assert!(tells(&format!("> Stalled (SecretMissing): {said}"), &shape));
    assert!(!tells(&format!("> Stalled (Paused): {said}"), &shape));
    assert!(!tells(&format!("> Stalled (SecretMissing): {half}"), &shape));
    assert!(!tells(&format!("# Stalled (SecretMissing): {said}"), &shape));
}
