//! Which place wins, and where a token never goes.

use super::*;
use crate::config::ConfigFile;

const FILE: &str = "
currentContext: prod
contexts:
  prod:
    server: https://prod.example.com
    token: prod-token
    org: acme
    ca: /etc/prod.pem
  local:
    server: http://127.0.0.1:7700
    token: local-token
";

fn config() -> ConfigFile {
    ConfigFile::parse(FILE, Path::new("config.yaml")).unwrap()
}

fn no_env(_: &str) -> Option<String> {
    None
}

fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn token(context: &Context) -> Option<&str> {
    context.token.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn without_anything_the_server_is_on_this_machine() {
    let context = resolve(Flags::default(), no_env, &ConfigFile::default()).unwrap();
    assert_eq!(context.server.to_string(), "http://127.0.0.1:7700");
    assert!(context.token.is_none() && context.org.is_none() && context.ca.is_none());
}

#[test]
fn the_current_context_of_the_file_answers_what_nobody_else_does() {
    let context = resolve(Flags::default(), no_env, &config()).unwrap();
    assert_eq!(context.server.to_string(), "https://prod.example.com");
    assert_eq!(token(&context), Some("prod-token"));
    assert_eq!(context.org.unwrap().as_str(), "acme");
    assert_eq!(context.ca.unwrap(), Path::new("/etc/prod.pem"));
}

#[test]
fn the_environment_goes_before_the_file_and_flags_go_before_both() {
    let vars = env(&[("SKEP_TOKEN", "env-token"), ("SKEP_ORG", "env-org"), ("SKEP_CA", "/env.pem")]);
    let from_env = resolve(Flags::default(), &vars, &config()).unwrap();
    assert_eq!(token(&from_env), Some("env-token"));
    assert_eq!(from_env.org.unwrap().as_str(), "env-org");
    assert_eq!(from_env.ca.unwrap(), Path::new("/env.pem"));
    let flags = Flags {
        token: Some("flag-token".to_owned().into()),
        org: Some("flag-org".parse().unwrap()),
        ca: Some("/flag.pem".into()),
        ..Flags::default()
    };
    let from_flags = resolve(flags, &vars, &config()).unwrap();
    assert_eq!(token(&from_flags), Some("flag-token"));
    assert_eq!(from_flags.org.unwrap().as_str(), "flag-org");
    assert_eq!(from_flags.ca.unwrap(), Path::new("/flag.pem"));
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let context =
        resolve(Flags::default(), env(&[("SKEP_SERVER", ""), ("SKEP_TOKEN", "")]), &config()).unwrap();
    assert_eq!(
        (context.server.to_string().as_str(), token(&context)),
        ("https://prod.example.com", Some("prod-token"))
    );
}

#[test]
fn the_token_of_a_context_never_goes_to_another_server() {
    let vars = env(&[("SKEP_SERVER", "https://elsewhere.example.com")]);
    let context = resolve(Flags::default(), vars, &config()).unwrap();
    assert!(context.token.is_none() && context.ca.is_none());
    let same = Flags { server: Some("https://prod.example.com/".into()), ..Flags::default() };
    assert_eq!(token(&resolve(same, no_env, &config()).unwrap()), Some("prod-token"));
}

#[test]
fn a_token_travels_in_the_clear_only_on_this_machine_or_when_asked() {
    let flags = |server: &str, insecure| Flags {
        server: Some(server.into()),
        token: Some("t".to_owned().into()),
        insecure,
        ..Flags::default()
    };
    let go = |server, insecure| resolve(flags(server, insecure), no_env, &ConfigFile::default());
    for server in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:7700", "https://skep.example.com"]
    {
        assert!(go(server, false).is_ok(), "{server}");
    }
    for server in ["http://10.0.0.1", "http://127.0.0.1.example.com", "http://localhost.example.com"] {
        assert!(matches!(go(server, false), Err(ContextError::Insecure { .. })), "{server}");
        assert!(go(server, true).is_ok(), "{server}");
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    for server in
        ["skep.example.com", "ftp://x", "https://x/path", "https://user@x", "https://", "https://x?y=1"]
    {
        let flags = Flags { server: Some(server.into()), ..Flags::default() };
        assert!(
            matches!(resolve(flags, no_env, &ConfigFile::default()), Err(ContextError::Server { .. })),
            "{server}"
        );
    }
}

#[test]
fn an_unknown_context_is_refused_with_the_names_that_exist() {
    let flags = Flags { context: Some("staging".into()), ..Flags::default() };
    let error = resolve(flags, no_env, &config()).unwrap_err().to_string();
    assert_eq!(error, "there is no context `staging`\nhelp: those that exist: local, prod");
}

#[test]
fn a_token_with_a_line_end_is_refused_and_not_shown() {
    let error =
        resolve(Flags::default(), env(&[("SKEP_TOKEN", "canary\n")]), &ConfigFile::default()).unwrap_err();
    assert!(matches!(error, ContextError::Token) && !error.to_string().contains("canary"));
}
