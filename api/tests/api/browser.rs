//! The page for admins, in a real browser: live, and harmless whatever the Swarm says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use skep_api::{ServeOptions, serve};
use skep_planner::drift::{Drift, Response};
use skep_testbed::{Browser, wait_until};
use tokio::net::TcpListener;
use tokio::task::block_in_place;

use crate::drift::{Noting, field};

/// Longer than anything on the page takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a page must show and not do.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

/// A page in a browser, and the server behind it.
struct Page {
    noting: Noting,
    browser: Browser,
    origin: String,
}

impl Page {
    async fn open() -> Result<Self> {
        let noting = Noting::start().await?;
        for name in ["production", "staging", "preview"] {
            noting.environment(name).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let server = &noting.server;
        tokio::spawn(serve(
            listener,
            server.router.clone(),
            ServeOptions::default(),
            server.shutdown.clone(),
        ));
        let browser = block_in_place(|| Browser::start(1200, 1230))?;
        block_in_place(|| browser.open(&format!("{origin}/ui/drift")))?;
        Ok(Self { noting, browser, origin })
    }

    fn enter(&self, token: &str) -> Result<()> {
        block_in_place(|| self.browser.type_into("#token", &format!("{token}\u{e007}")))
    }

    fn enter_rightly(&self) -> Result<()> {
        self.enter(self.noting.server.token.expose_secret())?;
        self.until("document.querySelector('#state').dataset.state === 'live'")
    }

    fn ask(&self, expression: &str) -> Result<Value> {
        block_in_place(|| self.browser.run(&format!("return {expression}"), &[]))
    }

    /// Waits until an expression holds.
    fn until(&self, expression: &str) -> Result<()> {
        block_in_place(|| {
            wait_until(expression, PATIENCE, || {
                let holds = self.browser.run(&format!("return {expression}"), &[])?;
                let shown = || self.browser.run("return document.querySelector('main').innerText", &[]);
                ensure!(holds == true, "it does not; the page shows {}", shown()?);
                Ok(())
            })
        })
    }

    fn click(&self, selector: &str) -> Result<()> {
        block_in_place(|| self.browser.click(selector))
    }

    /// The text of every card.
    fn cards(&self) -> Result<Vec<String>> {
        let texts = self.ask("[...document.querySelectorAll('.card')].map((card) => card.textContent)")?;
        Ok(serde_json::from_value(texts)?)
    }
}

const IMAGE: &str = "/TaskTemplate/ContainerSpec/Image";
const REPLICAS: &str = "/Mode/Replicated/Replicas";

fn replicas(response: Response) -> Drift {
    field("production", REPLICAS, json!(3), json!(1), response)
}

fn hostile() -> Drift {
    field("preview", "/Labels/team~1<b>", json!({ "team": "blue" }), json!(HOSTILE), Response::Report)
}

fn reported() -> Drift {
    let pointer = "/TaskTemplate/ContainerSpec/Env/LOG_LEVEL";
    field("preview", pointer, json!("info"), json!("debug"), Response::Report)
}

const MEMORY: &str = "/TaskTemplate/Resources/Limits/MemoryBytes";

fn contested() -> Drift {
    field("production", MEMORY, json!(268_435_456), json!(1_073_741_824), Response::GiveUp)
}

fn paused() -> Drift {
    let image =
        |tag| json!(format!("registry.example.com/shop:{tag}@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5"));
    field("staging", IMAGE, image("1.4.2"), image("1.3.9"), Response::Paused)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_drift_as_it_comes_and_goes_without_being_loaded_again() -> Result<()> {
    let page = Page::open().await?;
    // One that ends before anybody looks.
    let label =
        |live| field("production", "/Labels/owner", json!("shop-team"), json!(live), Response::Correct);
    page.noting.note("production", &[label("me")]).await?;
    page.noting.note("production", &[]).await?;
    page.noting.note("production", &[contested()]).await?;
    page.noting.note("staging", &[paused()]).await?;
    let earlier =
        "UPDATE drift SET first_seen = first_seen - id * interval '17 minutes' WHERE ended_at IS NULL";
    page.noting.server.postgres.psql(&page.noting.server.database, earlier)?;
    page.enter_rightly()?;
    page.until("document.querySelectorAll('.card').length === 2")?;
    let cards = page.cards()?;
    assert!(cards[0].contains("gave up") && cards[0].contains(MEMORY), "{cards:?}");
    assert!(cards[1].contains("paused") && cards[1].contains("1.3.9"), "{cards:?}");
    assert_eq!(page.ask("document.querySelector('#count-past').textContent")?, "1");

    // Something new, while one looks.
    page.ask("window.sameDocument = true")?;
    page.noting.note("production", &[contested(), replicas(Response::Correct)]).await?;
    page.until("document.querySelectorAll('.card').length === 3")?;
    page.noting.note("preview", &[reported()]).await?;
    page.until("document.querySelectorAll('.card').length === 4")?;
    picture(&page)?;

    // It is corrected, and belongs to the past.
    page.noting.note("production", &[contested()]).await?;
    page.until("document.querySelector('#count-past').textContent === '2'")?;
    page.until("document.querySelectorAll('.card').length === 3")?;
    page.click("#tab-past")?;
    page.until("document.querySelectorAll('.card').length === 2")?;
    let newest = page.cards()?.remove(0);
    assert!(newest.contains(REPLICAS) && newest.contains("corrected in"), "{newest}");
    assert_eq!(page.ask("window.sameDocument === true")?, true);

    // The filters, by keyboard.
    page.ask("document.querySelector('#tab-past').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))")?;
    page.until("document.querySelectorAll('.card').length === 3")?;
    block_in_place(|| page.browser.type_into("#text", "1.3.9"))?;
    page.until("document.querySelectorAll('.card').length === 1")?;
    block_in_place(|| page.browser.type_into("#text", " and more"))?;
    page.until("document.querySelector('#none-title').innerText === 'Nothing matches.'")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_stays_text_and_nothing_foreign_is_loaded() -> Result<()> {
    let page = Page::open().await?;
    page.noting.note("preview", &[hostile()]).await?;
    page.enter_rightly()?;
    page.until("document.querySelectorAll('.card').length === 1")?;
    let live: String = serde_json::from_value(page.ask("document.querySelector('dd.live').textContent")?)?;
    assert_eq!(serde_json::from_str::<String>(&live)?, HOSTILE);
    assert_eq!(page.ask("document.querySelectorAll('img, main script').length")?, 0);
    assert_eq!(page.ask("document.title")?, "Drift · Skep");
    let loaded =
        page.ask("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)")?;
    let loaded: Vec<String> = serde_json::from_value(loaded)?;
    assert!(loaded.iter().all(|origin| *origin == page.origin), "{loaded:?}");
    let complaints: Vec<_> = block_in_place(|| page.browser.console())?;
    // A browser asks for an icon by itself.
    let complaints: Vec<_> = complaints.iter().filter(|line| !line.contains("favicon")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    // Were the page's own script to try, the browser would not let it.
    let forbidden = "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (error) { return error.name } })()";
    assert_eq!(page.ask(forbidden)?, "TypeError");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_a_token_is_wrong_and_when_the_connection_is_lost_and_comes_back_by_itself()
-> Result<()> {
    let page = Page::open().await?;
    page.enter("skep_wrong")?;
    page.until("document.querySelector('#refusal').innerText.includes('does not accept')")?;
    assert_eq!(page.ask("document.querySelector('#report').hidden")?, true);
    assert_eq!(page.ask("sessionStorage.length")?, 0, "a wrong token is not kept");

    page.enter_rightly()?;
    page.until("document.querySelector('#none-title').innerText === 'No drift.'")?;
    assert_eq!(
        page.ask("[localStorage.length, document.cookie, location.href.includes('skep_')]")?,
        json!([0, "", false])
    );
    page.noting.server.shutdown.cancel();
    page.until("/^Connection lost, as of \\d\\d:\\d\\d:\\d\\d$/.test(document.querySelector('#state-text').innerText)")?;
    assert_eq!(page.ask("document.querySelector('#report').dataset.stale")?, "true");

    page.noting.note("preview", &[reported()]).await?;
    let (router, shutdown) = page.noting.server.again()?;
    let listener = TcpListener::bind(page.origin.trim_start_matches("http://")).await?;
    tokio::spawn(serve(listener, router, ServeOptions::default(), shutdown));
    page.until("document.querySelector('#state').dataset.state === 'live'")?;
    page.until("document.querySelectorAll('.card').length === 1")?;

    page.click("#leave")?;
    assert_eq!(page.ask("sessionStorage.length")?, 0);
    Ok(())
}

/// The picture of the guide; written into the repository only when that is asked for.
fn picture(page: &Page) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bless = std::env::var_os("SKEP_BLESS").is_some();
    let dir = root.join(if bless { "docs/images" } else { "target" });
    // Not while something moves; what breathes does so for ever.
    page.until("document.getAnimations().every((one) => one.animationName !== 'arrive')")?;
    block_in_place(|| {
        page.browser.prefer_colours("dark")?;
        std::fs::write(root.join("target/drift-dark.png"), page.browser.screenshot()?)?;
        page.browser.prefer_colours("light")?;
        std::fs::write(dir.join("drift.png"), page.browser.screenshot()?)?;
        Ok(())
    })
}
