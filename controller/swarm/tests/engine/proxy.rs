//! A socket between client and engine: it counts connections, and breaks them in chosen ways.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skep_swarm::EngineAddress;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What happens to the engine's answers.
#[derive(Clone, Debug)]
pub(crate) enum Answers {
    /// They arrive.
    Pass,
    /// They vanish, and the connection stays open.
    Vanish,
    /// The connection closes instead.
    Close,
    /// A word in them is another of the same length.
    Reword(&'static str, &'static str),
}

/// A running proxy; it ends with its value.
pub(crate) struct Proxy {
    socket: PathBuf,
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    answers: watch::Sender<Answers>,
    _directory: TempDir,
}

impl Proxy {
    pub(crate) fn before(engine: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let accepted = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let (answers, watched) = watch::channel(Answers::Pass);
        tokio::spawn(accept(listener, engine.to_owned(), Arc::clone(&accepted), Arc::clone(&ended), watched));
        Self { socket, accepted, ended, answers, _directory: directory }
    }

    pub(crate) fn address(&self) -> EngineAddress {
        EngineAddress::unix(&self.socket)
    }

    /// How many connections were opened so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many of them the client has not closed.
    pub(crate) fn open(&self) -> usize {
        self.accepted() - self.ended.load(Ordering::SeqCst)
    }

    /// Changes what happens to answers, on open connections too.
    pub(crate) fn answers(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }
}

async fn accept(
    listener: UnixListener,
    engine: PathBuf,
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    answers: watch::Receiver<Answers>,
) {
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        let engine = UnixStream::connect(&engine).await.expect("the engine listens");
        let (from_client, to_client) = client.into_split();
        let (from_engine, to_engine) = engine.into_split();
        tokio::spawn(pass_requests(from_client, to_engine, Arc::clone(&ended)));
        tokio::spawn(pass_answers(from_engine, to_client, answers.clone()));
    }
}

async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ended: Arc<AtomicUsize>) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
    ended.fetch_add(1, Ordering::SeqCst);
}

async fn pass_answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: watch::Receiver<Answers>) {
    let mut buffer = vec![0; 1024 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        let bytes = match answers.borrow().clone() {
            Answers::Pass => bytes.to_vec(),
            Answers::Vanish => continue,
            Answers::Close => return,
            Answers::Reword(word, other) => {
                assert_eq!(word.len(), other.len(), "the length of the answer is in its head");
                String::from_utf8(bytes.to_vec()).expect("text").replace(word, other).into_bytes()
            }
        };
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
