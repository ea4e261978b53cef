//! `skep init`: the manifests that a new application begins with, made of a template.
//!
//! Templates are the server's. Whoever has no server yet, or cannot reach it, gets those that Skep comes with; which of the two is said.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use skep_schemas::kind::{TemplateSpec, TlsMode};
use skep_schemas::manifest::{Batch, ReadOptions, SourcedManifest};
use skep_schemas::template::{Application, TemplateError};
use skep_schemas::{AnySpec, Host, ImageRef, Kind, Manifest, ResourceName};

use super::{Outcome, Session, manifest_file};
use crate::output::table::{Cell, render};
use crate::output::{print, stdout_style};

/// The templates that Skep comes with.
const STARTERS: &str = include_str!("../../../manifests/catalog/templates.yaml");

/// `skep init`
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent to a server: what is written is for you to change, and for `skep apply` to apply."
)]
pub(crate) struct InitArgs {
    /// Name of the application.
    #[arg(value_name = "APP", required_unless_present = "list")]
    app: Option<ResourceName>,
    /// What it begins with; see --list.
    #[arg(long, short, value_name = "TEMPLATE", default_value = "web")]
    template: ResourceName,
    /// Image of the application.
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageRef>,
    /// Host name at which it is to be reached.
    #[arg(long, value_name = "HOST")]
    host: Option<Host>,
    /// Let it be reached without encryption.
    #[arg(long, requires = "host")]
    no_tls: bool,
    /// Name of its environment [default: APP-production].
    #[arg(long, value_name = "NAME")]
    environment: Option<ResourceName>,
    /// File to write, which must not be there yet, or `-` for standard output.
    #[arg(long = "filename", short = 'f', value_name = "FILE|-", default_value = "skep.yaml")]
    file: PathBuf,
    /// List the templates that there are.
    #[arg(long, conflicts_with_all = ["app", "image", "host", "environment"])]
    list: bool,
}

/// A template and its name.
struct Template {
    name: ResourceName,
    spec: TemplateSpec,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: InitArgs) -> Result<Outcome> {
    let templates = templates(session).await?;
    let Some(app) = args.app.clone().filter(|_| !args.list) else {
        print(&table(&templates))?;
        return Ok(Outcome::Done);
    };
    let template = chosen(&templates, &args.template)?;
    let Some(org) = session.org.clone() else {
        bail!("of which organisation is it?\nhelp: name one with --org");
    };
    let environment = match args.environment {
        Some(name) => name,
        None => format!("{app}-production").parse().map_err(|why: skep_schemas::ScalarError| {
            anyhow::anyhow!(
                "its environment cannot be called `{app}-production`: {}\nhelp: name it with --environment",
                why.problem
            )
        })?,
    };
    let tls = if args.no_tls { TlsMode::Off } else { TlsMode::Automatic };
    let of =
        Application { org, app, environment, image: args.image, host: args.host.map(|host| (host, tls)) };
    let made = template.spec.manifests(&of).map_err(|why| refused(&template.name, &why))?;
    let text = manifest_file::text(&comment(&template.name), &made)?;
    let manifests = manifest_file::read(&args.file, &text)?;
    if args.file == Path::new("-") {
        print(&text)?;
    } else {
        manifest_file::write(&args.file, &text)?;
        print(&said(&args.file, template, &manifests))?;
    }
    Ok(Outcome::Done)
}

fn refused(template: &ResourceName, why: &TemplateError) -> anyhow::Error {
    let help = match why {
        TemplateError::NoImage => "\nhelp: name an image with --image",
        TemplateError::Name { .. } => "\nhelp: give the application a shorter name",
        TemplateError::Scope(_) => "",
    };
    anyhow::anyhow!("template {template}: {why}{help}")
}

/// The server's templates, or those that Skep comes with if it has none or cannot be asked.
async fn templates(session: &Session) -> Result<Vec<Template>> {
    let mut found = Vec::new();
    match session.list(&format!("/v1/{}", Kind::Template.plural()), None).await {
        Ok((views, _)) => {
            for view in views {
                let spec = serde_json::from_value(view.spec)
                    .with_context(|| format!("template {}", view.metadata.name))?;
                found.push(Template { name: view.metadata.name, spec });
            }
            if found.is_empty() {
                eprintln!("note: the server has no templates; these are those that Skep comes with");
            }
        }
        Err(why) => {
            let why = why.to_string();
            let why = why.lines().next().unwrap_or_default();
            eprintln!(
                "note: these are the templates that Skep comes with, because the server's cannot be read: {why}"
            );
        }
    }
    if found.is_empty() {
        found = starters()?;
    }
    found.retain(|template| !template.spec.retired);
    Ok(found)
}

/// The templates that Skep comes with.
fn starters() -> Result<Vec<Template>> {
    let mut batch = Batch::new(ReadOptions::default());
    batch.add_yaml("the templates that Skep comes with", STARTERS);
    let read = batch.finish()?.into_iter().map(|sourced| sourced.manifest);
    let template = |manifest: Manifest| match manifest.spec {
        AnySpec::Template(spec) => Some(Template { name: manifest.key.name().clone(), spec: *spec }),
        _ => None,
    };
    Ok(read.filter_map(template).collect())
}

fn chosen<'a>(templates: &'a [Template], name: &ResourceName) -> Result<&'a Template> {
    let names = || templates.iter().map(|template| template.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = templates.iter().find(|template| template.name == *name);
    found.with_context(|| format!("there is no template `{name}`\nhelp: there are {}", names()))
}

fn comment(template: &ResourceName) -> String {
    format!("Made by `skep init` of the template `{template}`. It is yours from here on.")
}

fn said(file: &Path, template: &Template, manifests: &[SourcedManifest]) -> String {
    let mut text = format!("wrote {}:\n", file.display());
    for sourced in manifests {
        text.push_str(&format!("  {}\n", sourced.manifest.key));
    }
    if !template.spec.notes.is_empty() {
        text.push_str(&format!("of {}:\n", template.name));
        for note in &template.spec.notes {
            text.push_str(&format!("  {}\n", crate::output::text::harmless(note)));
        }
    }
    let file = file.display();
    text + &format!("next:\n  skep diff -f {file}\n  skep apply -f {file} --wait\n")
}

fn table(templates: &[Template]) -> String {
    let row = |template: &Template| -> Vec<Cell> {
        let image = template.spec.image.as_ref().map_or_else(|| "yours".to_owned(), ToString::to_string);
        vec![template.name.to_string().into(), image.into(), template.spec.description.clone().into()]
    };
    let rows: Vec<Vec<Cell>> = templates.iter().map(row).collect();
    render(&["TEMPLATE", "IMAGE", "DESCRIPTION"], &rows, stdout_style())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use skep_schemas::{KindScope, ResourceKey};

    use super::*;

    const CATALOG: [(&str, &str); 4] = [
        ("plans.yaml", include_str!("../../../manifests/catalog/plans.yaml")),
        ("buildpacks.yaml", include_str!("../../../manifests/catalog/buildpacks.yaml")),
        ("stacks.yaml", include_str!("../../../manifests/catalog/stacks.yaml")),
        ("templates.yaml", STARTERS),
    ];

    fn of(template: &Template) -> Application {
        Application {
            org: "acme".parse().unwrap(),
            app: "shop".parse().unwrap(),
            environment: "shop-production".parse().unwrap(),
            image: Some("ghcr.io/acme/shop:1".parse().unwrap()),
            host: (template.spec.processes.contains_key("web"))
                .then(|| ("shop.acme.example".parse().unwrap(), TlsMode::Automatic)),
        }
    }

    #[test]
    fn the_catalogue_that_skep_comes_with_names_nothing_that_it_does_not_have() {
        let mut batch = Batch::new(ReadOptions::default());
        for (file, text) in CATALOG {
            batch.add_yaml(file, text);
        }
        let read = batch.finish().unwrap();
        let there: BTreeSet<&ResourceKey> = read.iter().map(|sourced| &sourced.manifest.key).collect();
        assert!(there.len() > 20, "{there:?}");
        for sourced in &read {
            let manifest = &sourced.manifest;
            assert_eq!(manifest.key.kind().scope(), KindScope::Platform);
            let references = manifest.spec.references(&manifest.key);
            let missing: Vec<&ResourceKey> = references.iter().filter(|key| !there.contains(key)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", manifest.key);
        }
    }

    #[test]
    fn every_template_that_skep_comes_with_makes_manifests_that_can_be_applied() {
        let templates = starters().unwrap();
        assert!(templates.len() >= 8, "{}", table(&templates));
        for template in &templates {
            let made = template.spec.manifests(&of(template)).unwrap();
            let text = manifest_file::text(&comment(&template.name), &made).unwrap();
            let read = manifest_file::read(Path::new("skep.yaml"), &text).unwrap();
            let same = read.iter().map(|sourced| &sourced.manifest).eq(&made);
            assert!(same, "{}: {text}", template.name);
            let said = said(Path::new("skep.yaml"), template, &read);
            assert!(said.contains("acme/Environment/shop-production\n"), "{said}");
        }
    }

    #[test]
    fn a_template_that_is_not_there_is_answered_with_those_that_are() {
        let templates = starters().unwrap();
        let refused = chosen(&templates, &"cobol".parse().unwrap()).err().unwrap().to_string();
        assert!(refused.contains("`cobol`") && refused.contains("django"), "{refused}");
        let django = chosen(&templates, &"django".parse().unwrap()).unwrap();
        let of = Application { image: None, ..of(django) };
        let why = refused_words(django, &of);
        assert!(why.contains("--image"), "{why}");
    }

    fn refused_words(template: &Template, of: &Application) -> String {
        refused(&template.name, &template.spec.manifests(of).unwrap_err()).to_string()
    }
}
