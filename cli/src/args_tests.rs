//! What command lines mean, and which mean nothing.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("skep").chain(line.split(' ')))
}

#[test]
fn the_declarations_do_not_contradict_each_other() {
    Cli::command().debug_assert();
}

#[test]
fn the_documented_command_lines_are_understood() {
    for line in [
        "apply -f a.yaml -f dir -f - --wait --timeout 5m --dry-run=false",
        "apply -f a.yaml --wait",
        "apply -f a.yaml --dry-run -o json",
        "diff -f examples",
        "plan -f - -o json",
        "get env",
        "get environments shop -o yaml -n acme",
        "get env -l app=shop,!canary --all-orgs -o wide -w",
        "get acme/Environment/shop -o name",
        "describe env shop",
        "delete env shop --wait",
        "delete -f dir",
        "wait env shop --timeout 90s",
        "wait env shop --for ready --timeout 90s",
        "wait env shop --for deleted",
        "wait env shop --for condition=Stalled",
        "events",
        "events env shop -w",
        "config get shop",
        "config get shop STAGE",
        "config set shop STAGE=live EMPTY=",
        "config unset env/shop STAGE DEBUG",
        "config import shop .env",
        "config export acme/Environment/shop",
        "logs shop -f --process web --instance 2 --tail 10 --since 5m",
        "drift",
        "drift env",
        "drift env/shop --all -o json",
        "drift --past -o yaml -n acme",
        "drift acme/Environment/shop -w",
        "rollback shop v41 --wait --timeout 2m",
        "rollback env/shop --end",
        "pause env/shop --reason disk --for 2h",
        "pause organization acme --reason audit",
        "resume env shop",
        "owner app shop",
        "owner acme/App/shop --set api",
        "owner app/shop --set infra --of-platform",
        "apply --plan plan.json --take-over",
        "diff -f examples --take-over",
        "plan -f - --take-over -o plan.json",
        "retry acme/Environment/shop",
        "cancel shop v3",
        "deployments shop --before v3",
        "schedules shop -o json",
        "member list --org acme",
        "member set alice@example.com --role owner --platform",
        "member remove Alice@Example.com",
        "invite create alice@example.com --role deployer --expires-in 72h",
        "invite list -o json",
        "invite revoke 7",
        "invite accept skepi_x",
        "person list",
        "person create alice@example.com --display-name Alice",
        "person session alice@example.com --expires-in 12h",
        "person remove alice@example.com",
        "login",
        "login --no-browser --expires-in 8h --context work",
        "logout",
        "session list",
        "session end 7",
        "import compose compose.yaml compose.prod.yaml -p shop --profile debug --image web=ghcr.io/acme/shop:1 --host web=shop.example.com --name web=shop -f -",
        "export compose",
        "export compose shop blog -p acme -f compose.yaml",
        "features",
        "features -n acme -o json",
        "explain SK0104",
        "completion bash",
        "version",
        "config view",
        "config use-context prod",
        "--server https://x --org acme get apps",
        "get apps --server https://x --org acme",
    ] {
        let line = line.replace(" --dry-run=false", "");
        if let Err(error) = parse(&line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn command_lines_that_mean_nothing_are_refused() {
    for line in [
        "apply",
        "diff",
        "get",
        "get pods",
        "import",
        "import compose",
        "import compose a.yaml --host shop.example.com",
        "get env -o csv",
        "owner app shop --of-platform",
        "owner app shop --set acme/web",
        "wait env shop --for nothing",
        "wait env shop --for condition=Unknown",
        "delete",
        "delete env shop -f a.yaml",
        "apply -f a --timeout 5",
        "apply -f a --wait --dry-run",
        "logs shop --since yesterday",
        "logs shop --instance ../1",
        "config set shop STAGE",
        "config set shop",
        "config get shop STAGE -o json",
        "get env -l =x",
        "get env shop -l a=b",
        "completion csh",
        "config",
        "drift --all --past",
        "drift -o wide",
        "drift pods",
        "pause env/shop",
        "pause --reason disk",
        "resume",
        "member set alice --role owner",
        "member set alice@example.com",
        "invite create alice@example.com --role root",
        "retry",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_token_is_never_part_of_what_a_command_line_shows_of_itself() {
    let cli = parse("--token canary-4711 get apps").unwrap();
    assert!(!format!("{cli:?}").contains("canary"));
}

#[test]
fn the_server_has_no_default_for_what_must_be_chosen() {
    let Command::Serve(serve) = parse("serve").unwrap().command else { panic!("not serve") };
    let error = serve.into_config(|_| None).unwrap_err().to_string();
    assert!(error.contains("no key is given"), "{error}");
}
