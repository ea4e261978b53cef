//! Finding objects: by id, by name, by labels.

use skep_planner::swarm::{ServiceId, TaskState};
use skep_swarm::{By, LabelFilter, LogQuery, LogTarget, TaskFilter};

use futures::StreamExt as _;

use super::cases;
use crate::arena::Act;
use crate::trial::{Trial, container};

cases!(
    a_whole_id_or_a_whole_name_finds,
    labels_find_by_value_and_by_presence_and_all_must_hold,
    tasks_are_found_by_service_and_by_what_is_wanted_of_them,
    tasks_of_the_latest_spec_are_told_from_others,
    the_log_of_a_service_says_which_task_wrote_what,
    the_node_and_the_engine_say_who_they_are,
);

async fn a_whole_id_or_a_whole_name_finds(trial: &Trial<'_>) {
    let spec = trial.service("web", Act::Runs, 0);
    let id = trial.create(&spec).await;
    let swarm = trial.swarm();
    let found = swarm.inspect_service(By::Name(&spec.name)).await.expect("an answer").expect("the service");
    assert_eq!(found.id, id);
    let part = &spec.name[..spec.name.len() - 1];
    assert_eq!(swarm.inspect_service(By::Name(part)).await.expect("an answer"), None);
    let part = ServiceId::new(&id.as_str()[..10]);
    assert_eq!(swarm.inspect_service(By::Id(&part)).await.expect("an answer"), None);
    assert_eq!(swarm.inspect_network(By::Name(&trial.name("net"))).await.expect("an answer"), None);
    assert_eq!(swarm.inspect_secret(By::Name(&trial.name("token"))).await.expect("an answer"), None);
}

async fn labels_find_by_value_and_by_presence_and_all_must_hold(trial: &Trial<'_>) {
    for (name, value) in [("one", "1"), ("two", "2")] {
        let mut spec = trial.service(name, Act::Runs, 0);
        spec.labels.insert("of".to_owned(), value.to_owned());
        if name == "one" {
            spec.labels.insert("first".to_owned(), String::new());
        }
        trial.create(&spec).await;
    }
    let find = async |filter: LabelFilter| {
        let found = trial.swarm().list_services(&filter).await.expect("services");
        let mut names: Vec<String> = found.into_iter().map(|service| service.spec.name).collect();
        names.sort();
        names
    };
    trial.note(format!("all {:?}", find(trial.own()).await));
    trial.note(format!("value {:?}", find(trial.own().with("of", "2")).await));
    trial.note(format!("presence {:?}", find(trial.own().having("first")).await));
    trial.note(format!("both {:?}", find(trial.own().having("first").with("of", "2")).await));
    trial.note(format!("empty value {:?}", find(trial.own().with("first", "")).await));
    trial.create_network("net", 0).await;
    let networks = trial.swarm().list_networks(&trial.own()).await.expect("networks");
    assert_eq!(networks.len(), 1);
    trial.create_secret("token").await;
    assert_eq!(trial.swarm().list_secrets(&trial.own()).await.expect("secrets").len(), 1);
}

async fn tasks_are_found_by_service_and_by_what_is_wanted_of_them(trial: &Trial<'_>) {
    let one = trial.create(&trial.service("one", Act::Runs, 1)).await;
    let two = trial.create(&trial.once("two", Act::Exits)).await;
    trial.running(&one, 1).await;
    trial.task_in(&two, TaskState::Failed).await;
    trial
        .until("the failed task to be given up", || async {
            let tasks = trial.tasks(&two).await;
            tasks.iter().all(|task| task.desired_state == Some(TaskState::Shutdown)).then_some(())
        })
        .await;
    let count = async |filter: TaskFilter| trial.swarm().list_tasks(&filter).await.expect("tasks").len();
    let of = |services: &[&ServiceId]| TaskFilter {
        services: services.iter().map(|id| (*id).clone()).collect(),
        ..TaskFilter::default()
    };
    let wanted = |state| TaskFilter { desired_states: vec![state], ..of(&[&one, &two]) };
    assert_eq!(count(of(&[&one, &two])).await, 2);
    assert_eq!(count(wanted(TaskState::Running)).await, 1);
    assert_eq!(count(wanted(TaskState::Shutdown)).await, 1);
    assert_eq!(count(TaskFilter::of_service("nonesuch".into())).await, 0);
    assert_eq!(count(of(&[&one, &"nonesuch".into()])).await, 1);
}

async fn tasks_of_the_latest_spec_are_told_from_others(trial: &Trial<'_>) {
    let mut spec = trial.service("web", Act::Runs, 1);
    let id = trial.create(&spec).await;
    trial.running(&id, 1).await;
    container(&mut spec).env = vec!["A=1".to_owned()];
    trial.update(&id, &spec).await;
    trial
        .until("one task of each spec", || async {
            let of = |up_to_date| TaskFilter {
                up_to_date: Some(up_to_date),
                ..TaskFilter::of_service(id.clone())
            };
            let new = trial.swarm().list_tasks(&of(true)).await.expect("tasks").len();
            let old = trial.swarm().list_tasks(&of(false)).await.expect("tasks").len();
            ((new, old) == (1, 1)).then_some(())
        })
        .await;
}

async fn the_log_of_a_service_says_which_task_wrote_what(trial: &Trial<'_>) {
    let id = trial.create(&trial.service("web", Act::Writes, 2)).await;
    let tasks = trial.running(&id, 2).await;
    let lines = trial
        .until("two lines", || async {
            let target = LogTarget::Service(id.clone());
            let lines = trial.swarm().logs(&target, &LogQuery::default()).await.expect("a log");
            let lines: Vec<_> = lines.filter_map(|line| std::future::ready(line.ok())).collect().await;
            (lines.len() == 2).then_some(lines)
        })
        .await;
    for line in lines {
        assert!(tasks.iter().any(|task| Some(&task.id) == line.task.as_ref()), "{line:?}");
        trial.note(format!("{:?} {:?}", line.source, line.message));
    }
    let answer = trial.swarm().logs(&LogTarget::Service("nonesuch".into()), &LogQuery::default()).await;
    trial.note_refusal("of nothing", answer.map(drop));
}

async fn the_node_and_the_engine_say_who_they_are(trial: &Trial<'_>) {
    trial.swarm().ping().await.expect("an answer");
    let info = trial.swarm().info().await.expect("info");
    trial.note(format!(
        "API {}, engine {}, manager {}",
        info.api_version, info.engine_version, info.is_manager
    ));
    let nodes = trial.swarm().list_nodes().await.expect("nodes");
    assert_eq!(nodes.iter().map(|node| Some(node.id.clone())).collect::<Vec<_>>(), [info.node_id]);
    let node = &nodes[0];
    trial.note(format!("{:?} {:?} {:?}", node.spec.role, node.spec.availability, node.status.state));
    trial.note(format!("{:?} {}", node.description.platform, node.description.engine.engine_version));
}
