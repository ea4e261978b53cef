//! Plan files: what `skep plan -o plan.json` writes and `skep apply --plan plan.json` carries out.
//!
//! A file holds the manifests, what they would do, and what that was made from. It never holds the value of a secret: a Secret that
//! would change cannot be part of a plan file, and one that stays as it is needs no value to be applied.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use skep_api::wire::{Binding, PreviewView};
use skep_planner::view::ResourceAction;
use skep_schemas::Kind;
use skep_schemas::manifest::SourcedManifest;

/// The form of the file. Another number is another form.
const FORMAT: u32 = 1;
/// The largest file that is read: a batch of the largest size, and its plan.
const FILE_MAX: u64 = 64 << 20;

/// A plan, as a file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PlanFile {
    /// The form.
    skep_plan: u32,
    /// The manifests, checked and complete.
    pub(crate) documents: Vec<serde_json::Value>,
    /// What the plan was made from.
    pub(crate) binding: Binding,
    /// What it would do, for those who look into the file.
    preview: PreviewView,
}

impl PlanFile {
    /// A plan that can be carried out later. Fails for one that never could be, and for one that a file must not hold.
    pub(crate) fn new(manifests: &[SourcedManifest], mut preview: PreviewView) -> Result<Self> {
        let refusals = preview.refusals();
        ensure!(
            refusals.is_empty(),
            "the plan is not written, since it cannot be carried out:\n  {}",
            refusals.join("\n  ")
        );
        let mut documents = Vec::with_capacity(manifests.len());
        for (sourced, change) in manifests.iter().zip(&preview.resources) {
            let manifest = &sourced.manifest;
            if manifest.key.kind() == Kind::Secret {
                ensure!(
                    change.action == ResourceAction::Unchanged,
                    "the plan is not written, since it would set the value of {}, which a file must not hold: run `skep apply` for \
                     the secrets first, then plan again",
                    manifest.key
                );
                continue;
            }
            documents.push(manifest.to_json_with_secret_values()?);
        }
        let binding = std::mem::take(&mut preview.binding);
        Ok(Self { skep_plan: FORMAT, documents, binding, preview })
    }

    /// Writes it all at once: a file of the name is a whole plan, the former or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let mut beside: PathBuf = path.to_owned();
        beside.as_mut_os_string().push(".new");
        fs::write(&beside, text).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads one.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let size = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
        ensure!(size <= FILE_MAX, "{shown} is {size} bytes long, the limit is {FILE_MAX}");
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let file: Self = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is not a plan that `skep plan -o FILE` wrote"))?;
        ensure!(file.skep_plan == FORMAT, "{shown} has form {}, this program knows {FORMAT}", file.skep_plan);
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skep_schemas::manifest::{ReadOptions, read_str};

    use super::*;

    const MANIFESTS: &str = "
apiVersion: skep.dev/v1
kind: App
metadata: {org: acme, name: shop}
spec: {source: {image: 'shop:2'}}
---
apiVersion: skep.dev/v1
kind: Secret
metadata: {org: acme, name: db}
spec: {value: canary-4711}
";

    fn preview(secret: &str, blocked: &serde_json::Value) -> PreviewView {
        serde_json::from_value(json!({
            "resources": [{"resource": "acme/App/shop", "action": "create"}, {"resource": "acme/Secret/db", "action": secret}],
            "plans": [{"resource": "acme/Environment/shop", "steps": [], "blocked": blocked}],
            "binding": {"resources": [{"org": "acme", "kind": "App", "name": "shop"}],
                "objects": [{"kind": "service", "name": "acme_shop_web", "id": "s1", "version": 7}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_plan_reads_back_as_it_was_written_and_holds_no_secret() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        let file = PlanFile::new(&manifests, preview("unchanged", &json!([]))).unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("plan.json");
        file.write(&path).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("canary"));
        let read = PlanFile::read(&path).unwrap();
        assert_eq!((read.documents.len(), read.binding.objects[0].version), (1, Some(7)));
        assert_eq!(read, file);
    }

    #[test]
    fn a_secret_that_would_change_is_in_no_file() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        let error = PlanFile::new(&manifests, preview("update", &json!([]))).unwrap_err().to_string();
        assert!(error.contains("acme/Secret/db") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn what_could_never_be_carried_out_is_refused_with_every_reason() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        let blocked = json!([{"reason": "QuotaExceeded", "message": "too much", "lasting": true},
            {"reason": "DependencyNotReady", "message": "soon", "lasting": false}]);
        let error = PlanFile::new(&manifests, preview("unchanged", &blocked)).unwrap_err().to_string();
        assert!(error.contains("too much") && !error.contains("soon"), "{error}");
    }

    #[test]
    fn whatever_a_file_holds_it_is_a_plan_that_reads_back_or_is_refused() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        let file = PlanFile::new(&manifests, preview("unchanged", &json!([]))).unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("plan.json");
        let campaign = skep_fuzz::Campaign {
            target: "plan-file",
            seeds: vec![serde_json::to_vec(&file).unwrap()],
            dictionary: &[
                "null",
                "-1",
                "{}",
                "[]",
                "\"skepPlan\":",
                "1e999",
                "\\ud800",
                "18446744073709551616",
            ],
            generate: None,
            cases: 1500,
        };
        let check = |input: &[u8]| -> Result<(), String> {
            fs::write(&path, input).map_err(|error| error.to_string())?;
            let Ok(read) = PlanFile::read(&path) else { return Ok(()) };
            read.write(&path).map_err(|error| format!("it is read and cannot be written: {error:#}"))?;
            let again = PlanFile::read(&path).map_err(|error| format!("it does not read back: {error:#}"))?;
            if again == read { Ok(()) } else { Err("it reads back as another plan".to_owned()) }
        };
        campaign.run(&check).unwrap();
    }

    #[test]
    fn another_file_is_no_plan() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("package.json");
        fs::write(&path, "{}").unwrap();
        assert!(PlanFile::read(&path).unwrap_err().to_string().contains("is not a plan"));
    }
}
