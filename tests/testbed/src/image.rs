//! Images made here, because none can be pulled: a file tree around a static busybox, handed to `docker import`.
//!
//! Each recipe behaves in one way that a test needs: serves a page, is never healthy, exits at once, listens on
//! another port, eats memory. [`Recipe::traefik`] packs the real proxy.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Where Debian puts the static busybox.
const BUSYBOX: &str = "/bin/busybox";

/// The port on which [`Recipe::web`] serves.
pub const WEB_PORT: u16 = 8080;

/// An image in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Name and tag, such as `127.0.0.1:5000/web:v1`.
    pub reference: String,
    /// The manifest's digest, `sha256:…`.
    pub digest: String,
}

impl Image {
    /// The reference by digest, which no later push can change.
    pub fn pinned(&self) -> String {
        let name = self.reference.rsplit_once(':').map_or(self.reference.as_str(), |(name, _)| name);
        format!("{name}@{}", self.digest)
    }
}

/// What goes into an image.
#[derive(Debug, Clone)]
pub struct Recipe {
    files: Vec<(String, u32, Vec<u8>)>,
    changes: Vec<String>,
}

impl Recipe {
    /// A web server on port 8080 whose page `/` says `version`. `/healthz` answers 200, `/cgi-bin/env` shows the
    /// environment, and `/bin/healthy PORT` succeeds while the server answers.
    pub fn web(version: &str) -> Result<Recipe> {
        Recipe::web_on(version, WEB_PORT)
    }

    /// The same on another port: an application that does not listen where it was said to.
    pub fn web_on(version: &str, port: u16) -> Result<Recipe> {
        Recipe::web_that_stops(version, port, "exit 0")
    }

    fn web_that_stops(version: &str, port: u16, on_stop: &str) -> Result<Recipe> {
        // Not wget: a statically linked busybox crashes when it resolves names, even those that are addresses.
        let probe = "#!/bin/sh\nprintf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | nc -w 2 127.0.0.1 \"$1\" | grep -q ' 200 '\n";
        Ok(Recipe::server(version, port, on_stop)?
            .file("www/healthz", 0o644, "ok\n")
            .file("bin/healthy", 0o755, probe)
            .change(&format!(r#"HEALTHCHECK --interval=1s --timeout=20s CMD ["/bin/healthy", "{port}"]"#)))
    }

    /// A web server that goes on serving for so long after it was asked to stop, until nobody sends it anything any more: what an
    /// application has to do so that none of its requests fails while it is replaced.
    pub fn web_that_drains(version: &str, drain: Duration) -> Result<Recipe> {
        Recipe::web_that_stops(version, WEB_PORT, &format!("sleep {}; exit 0", drain.as_secs()))
    }

    /// A web server that serves its page and is never healthy: `/bin/healthy` fails, `/healthz` is missing.
    pub fn unhealthy(version: &str) -> Result<Recipe> {
        Ok(Recipe::server(version, WEB_PORT, "exit 0")?
            .file("bin/healthy", 0o755, "#!/bin/sh\necho 'this version is never healthy'\nexit 1\n")
            .change(r#"HEALTHCHECK --interval=1s --timeout=20s --retries=2 CMD ["/bin/healthy"]"#))
    }

    /// A program that prints a line and exits with status 3.
    pub fn exits() -> Result<Recipe> {
        Ok(Recipe::busybox()?
            .file("bin/app", 0o755, "#!/bin/sh\necho 'this program ends at once' >&2\nexit 3\n")
            .change(r#"CMD ["/bin/app"]"#))
    }

    /// A program that takes a gigabyte of memory, so that any usual limit ends it.
    pub fn eats_memory() -> Result<Recipe> {
        // dd reads each block whole into one buffer. The count bounds it where there is no limit.
        let script = "#!/bin/sh\necho 'eating memory'\nexec dd if=/dev/zero of=/dev/null bs=1G count=8\n";
        Ok(Recipe::busybox()?.file("bin/app", 0o755, script).change(r#"CMD ["/bin/app"]"#))
    }

    /// Busybox and nothing else; the command comes from whoever runs it, and it idles otherwise.
    pub fn busybox() -> Result<Recipe> {
        let busybox = fs::read(BUSYBOX).context("busybox-static is not installed")?;
        let recipe = Recipe { files: Vec::new(), changes: Vec::new() };
        Ok(recipe
            .file("bin/busybox", 0o755, busybox)
            .file("etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
            .file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
            .change("ENV PATH=/bin")
            .file("bin/idle", 0o755, "#!/bin/sh\ntrap 'exit 0' TERM\nsleep 1000000 &\nwait\n")
            .change(r#"CMD ["/bin/idle"]"#))
    }

    /// The Traefik proxy at `binary` (see [`install::traefik`](crate::install::traefik)).
    pub fn traefik(binary: &Path) -> Result<Recipe> {
        let binary = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
        Ok(Recipe::busybox()?
            .file("traefik", 0o755, binary)
            .change(r#"ENTRYPOINT ["/traefik"]"#)
            .change("CMD []"))
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Recipe {
        self.files.push((path.to_owned(), mode, content.into()));
        self
    }

    /// Adds a Dockerfile instruction (`CMD`, `ENV`, `HEALTHCHECK`, …).
    #[must_use]
    pub fn change(mut self, instruction: &str) -> Recipe {
        self.changes.push(instruction.to_owned());
        self
    }

    /// The instructions, for `docker import --change`.
    pub(crate) fn changes(&self) -> &[String] {
        &self.changes
    }

    /// The file tree as a tar archive. Equal recipes make equal archives.
    pub(crate) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for directory in ["bin", "etc", "tmp", "www", "www/cgi-bin"] {
            let mode = if directory == "tmp" { 0o1777 } else { 0o755 };
            let mut header = header(tar::EntryType::Directory, mode, 0);
            archive.append_data(&mut header, directory, &[][..]).context("cannot write an archive")?;
        }
        for applet in APPLETS {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            archive
                .append_link(&mut header, format!("bin/{applet}"), "busybox")
                .context("cannot write an archive")?;
        }
        for (path, mode, content) in &self.files {
            let size = u64::try_from(content.len()).context("a file is too large")?;
            let mut header = header(tar::EntryType::Regular, *mode, size);
            archive
                .append_data(&mut header, path, content.as_slice())
                .with_context(|| format!("cannot add {path} to an archive"))?;
        }
        archive.into_inner().context("cannot write an archive")
    }

    fn server(version: &str, port: u16, on_stop: &str) -> Result<Recipe> {
        // The first process of a container ignores every signal that it does not handle, and busybox handles none: each
        // stop would take the whole grace period. The shell's trap answers at once, as applications should.
        let serve = format!(
            "#!/bin/sh\ntrap '{on_stop}' TERM\necho 'listening on {port}'\nhttpd -f -p {port} -h /www &\nwait\n"
        );
        Ok(Recipe::busybox()?
            .file("bin/serve", 0o755, serve)
            .file("www/index.html", 0o644, format!("{version}\n"))
            .file("www/cgi-bin/env", 0o755, "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n")
            .change(&format!("EXPOSE {port}"))
            .change(r#"CMD ["/bin/serve"]"#))
    }
}

/// The programs of busybox that images call by name.
const APPLETS: [&str; 20] = [
    "cat", "dd", "echo", "env", "false", "grep", "head", "httpd", "id", "kill", "ls", "nc", "printf", "ps",
    "rm", "sh", "sleep", "touch", "true", "wc",
];

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_reference_keeps_the_registry_port_and_loses_the_tag() {
        let image = Image { reference: "127.0.0.1:5000/web:v1".to_owned(), digest: "sha256:ab".to_owned() };
        assert_eq!(image.pinned(), "127.0.0.1:5000/web@sha256:ab");
    }
}
