//! Reads what `-f` names: files, directories and standard input, all of it checked before anything is sent.
//!
//! A directory stands for the `.yaml` and `.yml` files below it, in the order of their paths. Links inside it are followed only
//! when they stay inside; files whose names begin with a dot are passed over. Everything that is read is bounded.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use skep_schemas::OrgName;
use skep_schemas::diagnostic::Diagnostics;
use skep_schemas::manifest::{Batch, ReadOptions, SourcedManifest, TEXT_MAX};

/// The most files of one command: a batch holds 5,000 manifests.
const FILES_MAX: usize = 5000;
/// The deepest directory: deeper ones are a mistake, such as the root of a disk.
const DEPTH_MAX: usize = 16;

/// Reads and checks all sources, in the order given.
pub(crate) fn read(
    sources: &[PathBuf],
    default_org: Option<OrgName>,
) -> Result<Vec<SourcedManifest>, Diagnostics> {
    let mut batch = Batch::new(ReadOptions { default_org });
    let mut files = 0;
    for source in sources {
        if source.as_os_str() == "-" {
            add(&mut batch, "-", &mut io::stdin().lock());
        } else if source.is_dir() {
            let mut found = Vec::new();
            if let Err(error) = collect(source, source, 0, &mut found) {
                batch.add_unreadable(&source.display().to_string(), &error);
            }
            found.sort();
            found.dedup();
            for file in found {
                add_file(&mut batch, &file, &mut files);
            }
        } else {
            add_file(&mut batch, source, &mut files);
        }
    }
    batch.finish()
}

fn add_file(batch: &mut Batch, path: &Path, files: &mut usize) {
    let name = path.display().to_string();
    *files += 1;
    if *files > FILES_MAX {
        if *files == FILES_MAX + 1 {
            batch.add_unreadable(&name, &format!("more than {FILES_MAX} files in one batch"));
        }
        return;
    }
    match fs::File::open(path) {
        Ok(mut file) => add(batch, &name, &mut file),
        Err(error) => batch.add_unreadable(&name, &why(&error)),
    }
}

fn add(batch: &mut Batch, name: &str, input: &mut dyn Read) {
    let limit = u64::try_from(TEXT_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    match input.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        Err(error) => batch.add_unreadable(name, &why(&error)),
        Ok(_) if bytes.len() > TEXT_MAX => {
            batch.add_unreadable(name, &format!("it is longer than {TEXT_MAX} bytes"))
        }
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => batch.add_yaml(name, &text),
            Err(_) => batch.add_unreadable(name, "it is not UTF-8 text"),
        },
    }
}

/// Finds the manifests below a directory.
fn collect(root: &Path, dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let at = |error: &io::Error| format!("{}: {}", dir.display(), why(error));
    if depth > DEPTH_MAX {
        return Err(format!("{}: more than {DEPTH_MAX} directories deep", dir.display()));
    }
    for entry in fs::read_dir(dir).map_err(|error| at(&error))? {
        let entry = entry.map_err(|error| at(&error))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(|error| at(&error))?;
        if kind.is_symlink() && !stays_inside(root, &path) {
            tracing::warn!("{} leads out of {}, or nowhere; it is not read", path.display(), root.display());
            continue;
        }
        // A link to a directory inside would only show the same files again.
        if kind.is_dir() {
            collect(root, &path, depth + 1, found)?;
        } else if path.is_file() && is_manifest(&path) {
            if found.len() > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files"));
            }
            found.push(path);
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    matches!(path.extension().and_then(OsStr::to_str), Some("yaml" | "yml"))
}

fn stays_inside(root: &Path, link: &Path) -> bool {
    match (root.canonicalize(), link.canonicalize()) {
        (Ok(root), Ok(target)) => target.starts_with(root),
        _ => false,
    }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn plan(name: &str) -> String {
        format!(
            "apiVersion: skep.dev/v1\nkind: Plan\nmetadata: {{name: {name}}}\nspec:\n  instance: {{cpu: 100m, memory: 64Mi}}\n"
        )
    }

    fn names(read: &[SourcedManifest]) -> Vec<&str> {
        read.iter().map(|sourced| sourced.manifest.key.name().as_str()).collect()
    }

    #[test]
    fn a_directory_is_read_in_the_order_of_its_paths_without_what_is_not_a_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        fs::write(outside.path(), plan("outside")).unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        for (file, name) in
            [("c.yml", "c"), ("a.yaml", "a"), ("b/z.yaml", "z"), ("b/y.yaml", "y"), (".git/x.yaml", "x")]
        {
            fs::write(dir.path().join(file), plan(name)).unwrap();
        }
        fs::write(dir.path().join("README.md"), "no: manifest").unwrap();
        symlink(outside.path(), dir.path().join("link.yaml")).unwrap();
        symlink("/", dir.path().join("root")).unwrap();
        symlink("nowhere", dir.path().join("dangling.yaml")).unwrap();
        let read = read(&[dir.path().to_owned()], None).unwrap();
        assert_eq!(names(&read), ["a", "y", "z", "c"]);
    }

    #[test]
    fn a_file_that_is_named_is_read_whatever_it_is_called() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), plan("small") + "---\n" + &plan("large")).unwrap();
        assert_eq!(names(&read(&[file.path().to_owned()], None).unwrap()), ["small", "large"]);
    }

    #[test]
    fn the_problems_of_all_sources_are_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), plan("Bad")).unwrap();
        fs::write(dir.path().join("b.yaml"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join("c.yaml"), plan("fine")).unwrap();
        let missing = dir.path().join("missing.yaml");
        let error = read(&[dir.path().to_owned(), missing], None).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.count(), 3, "{text}");
        assert!(
            text.contains("a.yaml:3:") && text.contains("not UTF-8") && text.contains("no such file"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_directory_is_an_error_and_not_an_empty_batch() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&[dir.path().to_owned()], None).unwrap_err().to_string().contains("SK0124"));
    }
}
