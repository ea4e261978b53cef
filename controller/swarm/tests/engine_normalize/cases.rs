//! The values that each row of a table is tried with, and what has to stand around them.

use serde_json::{Value, json};
use skep_planner::diff::{set_at, value_at};
use skep_planner::normalize::{Absent, Field, Kind};

use crate::docker::{CONFIG, Docker, SECRET};

/// One value at one place.
pub(crate) struct Case {
    pub(crate) field: &'static Field,
    /// What kind of value it is.
    pub(crate) value: &'static str,
    /// The row's pointer with an element or a member in place of each `*`.
    pub(crate) place: String,
    pub(crate) sent: Value,
}

/// Every case of a table, each a change of a minimal object.
pub(crate) fn cases(tables: &[&'static [Field]], minimal: &Value, docker: &Docker) -> Vec<Case> {
    let fields = tables.iter().copied().flatten();
    let tried = fields.filter(|field| !field.pointer.ends_with("/*") || field.example().is_some());
    tried
        .flat_map(|field| {
            values(field).into_iter().map(move |(value, json)| {
                let place = place(tables, field.pointer);
                let mut sent = minimal.clone();
                surround(&mut sent, field.pointer, docker);
                assert!(set_at(&mut sent, &place, Some(json)), "{place}");
                Case { field, value, place, sent }
            })
        })
        .collect()
}

/// The kinds of values of a field.
fn values(field: &Field) -> Vec<(&'static str, Value)> {
    let mut values = Vec::new();
    let example = field.example();
    if let (Kind::Word(_), Some(word)) = (field.kind, example.as_ref().and_then(Value::as_str)) {
        values.push(("other case", json!(word.to_uppercase())));
        values.push(("unknown word", json!("nonsense")));
    }
    values.extend(example.map(|example| ("example", example)));
    values.extend(field.meaning().map(|default| ("default", default)));
    let empty = match field.kind {
        Kind::Object | Kind::Map => Some(json!({})),
        Kind::List => Some(json!([])),
        Kind::Text => Some(json!("")),
        Kind::Number | Kind::Nanos | Kind::Ratio => Some(json!(0)),
        Kind::Flag => Some(json!(false)),
        Kind::Tag | Kind::Word(_) => None,
    };
    // Where absence says something of its own, emptiness is another value, like a name of the engine's choice.
    if matches!(field.absent, Absent::Open) {
        return values;
    }
    values.extend(empty.map(|empty| ("empty", empty)));
    if matches!(field.kind, Kind::Object | Kind::Map | Kind::List) {
        values.push(("null", Value::Null));
    }
    values
}

/// A place that a row's pointer matches: the first element of each list, the member `a` of each map.
pub(crate) fn place(tables: &[&'static [Field]], pointer: &str) -> String {
    let mut row = String::new();
    let mut place = String::new();
    for token in pointer.split('/').skip(1) {
        let is_map = tables.iter().copied().flatten().any(|f| f.pointer == row && f.kind == Kind::Map);
        row = format!("{row}/{token}");
        let concrete = match token {
            "*" if is_map => "a",
            "*" => "0",
            name => name,
        };
        place = format!("{place}/{concrete}");
    }
    place
}

/// Puts what a row needs around it into a spec, where it is missing.
pub(crate) fn surround(spec: &mut Value, pointer: &str, docker: &Docker) {
    const CONTAINER: &str = "/TaskTemplate/ContainerSpec";
    const GENERIC: &str = "/TaskTemplate/Resources/Reservations/GenericResources";
    let file = json!({"Name": "token", "UID": "0", "GID": "0", "Mode": 292});
    let mut put = |of: &str, at: &str, value: Value| {
        if pointer.starts_with(of) && pointer != at && value_at(spec, at).is_none() {
            assert!(set_at(spec, at, Some(value)), "{at}");
        }
    };
    let named = json!([{"NamedResourceSpec": {"Kind": "GPU", "Value": "id-1"}}]);
    put(&format!("{GENERIC}/*/NamedResourceSpec"), GENERIC, named);
    put(GENERIC, GENERIC, json!([{"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}}]));
    for option in ["SwapBytes", "MemorySwappiness"] {
        let at = "/TaskTemplate/Resources/Limits/MemoryBytes";
        put(&format!("/TaskTemplate/Resources/{option}"), at, json!(67_108_864));
    }
    let spread = json!([{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]);
    put("/TaskTemplate/Placement/Preferences", "/TaskTemplate/Placement/Preferences", spread);
    let platforms = json!([{"Architecture": "amd64", "OS": "linux"}]);
    put("/TaskTemplate/Placement/Platforms", "/TaskTemplate/Placement/Platforms", platforms);
    put("/TaskTemplate/Networks", "/TaskTemplate/Networks", json!([{"Target": docker.network}]));
    put("/Networks", "/Networks", json!([{"Target": docker.network}]));
    put("/TaskTemplate/LogDriver/", "/TaskTemplate/LogDriver", json!({"Name": "json-file"}));
    for config in ["UpdateConfig", "RollbackConfig"] {
        put(&format!("/{config}/"), &format!("/{config}"), json!({"Parallelism": 1}));
    }
    put("/EndpointSpec/Ports", "/EndpointSpec/Ports", json!([{"TargetPort": 80, "PublishedPort": 18080}]));
    let credentials = format!("{CONTAINER}/Privileges/CredentialSpec");
    put(&format!("{credentials}/"), &credentials, json!({"File": "a.json"}));
    let seccomp = format!("{CONTAINER}/Privileges/Seccomp");
    put(&format!("{seccomp}/Profile"), &seccomp, json!({"Mode": "custom"}));
    let mounts = format!("{CONTAINER}/Mounts");
    let bind = json!([{"Type": "bind", "Source": "/tmp", "Target": "/data"}]);
    put(&format!("{mounts}/*/BindOptions"), &mounts, bind.clone());
    put(&format!("{mounts}/*/Type"), &mounts, bind);
    put(&format!("{mounts}/*/TmpfsOptions"), &mounts, json!([{"Type": "tmpfs", "Target": "/data"}]));
    put(&mounts, &mounts, json!([{"Type": "volume", "Source": "data", "Target": "/data"}]));
    let tmpfs_options = format!("{mounts}/0/TmpfsOptions/Options");
    put(&format!("{mounts}/*/TmpfsOptions/Options/*"), &tmpfs_options, json!([["noexec"]]));
    let secret = json!([{"File": file, "SecretID": docker.secret, "SecretName": SECRET}]);
    put(&format!("{CONTAINER}/Secrets"), &format!("{CONTAINER}/Secrets"), secret);
    let config = json!([{"File": file, "ConfigID": docker.config, "ConfigName": CONFIG}]);
    put(&format!("{CONTAINER}/Configs"), &format!("{CONTAINER}/Configs"), config);
    let ulimits = json!([{"Name": "nofile", "Soft": 1024, "Hard": 2048}]);
    put(&format!("{CONTAINER}/Ulimits"), &format!("{CONTAINER}/Ulimits"), ulimits);
    if pointer.starts_with("/Mode/ReplicatedJob") {
        spec["Mode"] = json!({"ReplicatedJob": {"TotalCompletions": 1}});
    }
    if pointer.starts_with("/EndpointSpec/Ports") && pointer != "/EndpointSpec/Mode" {
        spec["EndpointSpec"]["Mode"] = json!("vip");
    }
}
