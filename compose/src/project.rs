//! All files of a project as one: read, interpolated, included, merged, extended, and without the services whose profiles nobody asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::interpolate::{Interpolation, Wrong};
use crate::report::Report;
use crate::{ComposeError, Options, canonical, merge, read};

/// How deep files include and services extend each other.
const DEPTH_MAX: usize = 20;

/// The project, in one piece.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) name: String,
    /// The services that are imported.
    pub(crate) services: Map<String, Value>,
    /// All else that stands at the top.
    pub(crate) top: Map<String, Value>,
    pub(crate) report: Report,
}

type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Loads the files, the later over the earlier.
pub(crate) fn load(
    files: &[PathBuf],
    options: &Options,
    read: ReadFile<'_>,
) -> Result<Project, ComposeError> {
    let mut report = Report::default();
    let mut loader = Loader { options, read, loaded: BTreeMap::new(), report: &mut report };
    let mut whole = Map::new();
    for path in files {
        merge::onto(&mut whole, loader.with_includes(path, 0)?);
    }
    let services = match whole.shift_remove("services") {
        Some(Value::Object(services)) => services,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(wrong("services", "it is a mapping of services by name")),
    };
    let services = loader.extended(services)?;
    let name = name(options, whole.shift_remove("name"), loader.report)?;
    let services = wanted(services, &options.profiles, &mut report);
    Ok(Project { name, services, top: whole, report })
}

fn wrong(pointer: &str, problem: impl Into<String>) -> ComposeError {
    ComposeError::Project { pointer: pointer.to_owned(), problem: problem.into() }
}

struct Loader<'a> {
    options: &'a Options,
    read: ReadFile<'a>,
    loaded: BTreeMap<PathBuf, Map<String, Value>>,
    report: &'a mut Report,
}

impl Loader<'_> {
    /// One file, interpolated and in one form.
    fn file(&mut self, path: &Path) -> Result<Map<String, Value>, ComposeError> {
        if let Some(known) = self.loaded.get(path) {
            return Ok(known.clone());
        }
        let mut whole = Value::Object(read::file(path, self.read)?);
        let mut interpolation = Interpolation::new(&self.options.variables);
        interpolation.value("", &mut whole).map_err(|(pointer, wrong)| ComposeError::Form {
            path: path.to_owned(),
            pointer,
            problem: match wrong {
                Wrong::Form(problem) => problem,
                Wrong::Missing { name, said } => {
                    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                    format!("the variable {name} has to be set{said}; give it with --env-file")
                }
            },
        })?;
        for (pointer, name) in interpolation.unset {
            let what = format!(
                "the variable {name} is not set, and nothing stands in its place; give it with --env-file"
            );
            self.report.decide(pointer, what);
        }
        let Value::Object(mut map) = whole else { return Ok(Map::new()) };
        canonical::file(&mut map, path.parent().unwrap_or(Path::new("")));
        self.loaded.insert(path.to_owned(), map.clone());
        Ok(map)
    }

    /// A file, with those that it includes beneath it.
    fn with_includes(&mut self, path: &Path, depth: usize) -> Result<Map<String, Value>, ComposeError> {
        let mut file = self.file(path)?;
        let Some(includes) = file.shift_remove("include") else { return Ok(file) };
        if depth == DEPTH_MAX {
            return Err(wrong("include", "files include each other too deeply, or in a circle"));
        }
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut whole = Map::new();
        for (at, include) in includes.as_array().cloned().unwrap_or_default().into_iter().enumerate() {
            let pointer = format!("include[{at}]");
            let paths = match &include {
                Value::Object(long) => long.get("path").cloned().unwrap_or_default(),
                short => short.clone(),
            };
            let paths = match paths {
                Value::Array(all) => all,
                one => vec![one],
            };
            for path in &paths {
                let Value::String(path) = path else { return Err(wrong(&pointer, "it names no file")) };
                merge::onto(&mut whole, self.with_includes(&dir.join(path), depth + 1)?);
            }
            self.report.done(&pointer, "its services are part of the project");
            for key in include.as_object().into_iter().flat_map(Map::keys).filter(|key| *key != "path") {
                let why = "included files are read with the variables of the whole project, and their paths are their own";
                self.report.refuse(format!("{pointer}.{key}"), why);
            }
        }
        merge::onto(&mut whole, file);
        Ok(whole)
    }

    /// All services, with what they extend beneath them.
    fn extended(&mut self, services: Map<String, Value>) -> Result<Map<String, Value>, ComposeError> {
        let mut done = Map::new();
        for (name, service) in &services {
            let service = match service {
                Value::Object(service) => self.over_its_base(name, service.clone(), &services, 0)?,
                _ => return Err(wrong(&format!("services.{name}"), "a service is a mapping")),
            };
            done.insert(name.clone(), Value::Object(service));
        }
        Ok(done)
    }

    fn over_its_base(
        &mut self,
        name: &str,
        mut service: Map<String, Value>,
        beside: &Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, ComposeError> {
        let Some(extends) = service.shift_remove("extends") else { return Ok(service) };
        let pointer = format!("services.{name}.extends");
        if depth == DEPTH_MAX {
            return Err(wrong(&pointer, "services extend each other too deeply, or in a circle"));
        }
        let base_name = extends.get("service").and_then(Value::as_str);
        let base_name = base_name.ok_or_else(|| wrong(&pointer, "it names no service"))?;
        let elsewhere = match extends.get("file").and_then(Value::as_str) {
            Some(path) => match self.file(Path::new(path))?.shift_remove("services") {
                Some(Value::Object(services)) => Some(services),
                _ => Some(Map::new()),
            },
            None => None,
        };
        let beside = elsewhere.as_ref().unwrap_or(beside);
        let Some(Value::Object(base)) = beside.get(base_name) else {
            return Err(wrong(&pointer, format!("there is no service `{base_name}` to extend")));
        };
        let mut base = self.over_its_base(base_name, base.clone(), beside, depth + 1)?;
        // What waits for others or shares their files is not inherited.
        for key in ["depends_on", "links", "volumes_from", "profiles"] {
            base.shift_remove(key);
        }
        if depth == 0 {
            self.report.done(&pointer, format!("everything that `{base_name}` says is said here, too"));
        }
        merge::onto(&mut base, service);
        Ok(base)
    }
}

/// The services whose profiles are asked for, and those that have none.
fn wanted(services: Map<String, Value>, asked: &BTreeSet<String>, report: &mut Report) -> Map<String, Value> {
    let mut wanted = Map::new();
    for (name, mut service) in services {
        let profiles = service.as_object_mut().and_then(|service| service.shift_remove("profiles"));
        let profiles: Vec<String> = profiles
            .iter()
            .flat_map(|all| all.as_array().into_iter().flatten())
            .filter_map(crate::value::text)
            .collect();
        let pointer = format!("services.{name}.profiles");
        if profiles.is_empty()
            || profiles.iter().any(|profile| asked.contains(profile) || asked.contains("*"))
        {
            if !profiles.is_empty() {
                report.done(pointer, "asked for with --profile");
            }
            wanted.insert(name, service);
        } else {
            let what = format!(
                "the service is left out, because it is for other profiles; import it, too, with --profile {}",
                profiles.join(" or --profile ")
            );
            report.decide(format!("services.{name}"), what);
        }
    }
    wanted
}

/// What names begin with: as Compose makes it of the directory's name if nobody says another.
fn name(options: &Options, written: Option<Value>, report: &mut Report) -> Result<String, ComposeError> {
    let written = written.as_ref().and_then(crate::value::text);
    if written.is_some() {
        report.done("name", "names of resources begin with it, unless --project says another");
    }
    let name = options.project.clone().or(written).or_else(|| options.directory.clone()).unwrap_or_default();
    let name = label(&name);
    if name.is_empty() {
        return Err(wrong("name", "the project has no name; give it one with --project"));
    }
    Ok(name)
}

/// A text as names have it: lower-case letters, digits and inner hyphens.
pub(crate) fn label(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' });
    let mut label = String::new();
    for c in kept {
        if c != '-' || !(label.is_empty() || label.ends_with('-')) {
            label.push(c);
        }
    }
    label.trim_end_matches('-').to_owned()
}
