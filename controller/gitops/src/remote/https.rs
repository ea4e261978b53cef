//! Git over https, with `skep-outbound` as the client: Git's libraries say what is sent, and that is where it goes through.
//!
//! Credentials are given with each request to the host that was written, and to no other: nothing is followed elsewhere.

use std::cell::RefCell;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gix_error::ErrorExt as _;
use gix_transport::Protocol;
use gix_transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse, Transport,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use secrecy::ExposeSecret;
use skep_outbound::{Outbound, OutboundError, Streamed};

use super::repository::{Credentials, Line};
use crate::error::{FetchError, said};

/// Who has a token. Most servers take any name; Bitbucket wants this one.
const TOKEN_USER: &str = "x-token-auth";
/// The longest request: names, and the commits that are had.
const REQUEST_MAX: usize = 1 << 20;

/// A transport for the conversation.
pub(super) fn transport(
    outbound: Outbound,
    url: &str,
    credentials: &Credentials,
    line: Line,
) -> Result<Transport<Client>, FetchError> {
    let authorization = match credentials {
        Credentials::None => None,
        Credentials::Basic { username, password } => Some(basic(username, password.expose_secret())?),
        Credentials::Key { .. } => {
            let why = "an address of https wants a token or a password, not a key of ssh";
            return Err(FetchError::Unusable { why });
        }
        Credentials::Token(token) => Some(basic(TOKEN_USER, token.expose_secret())?),
    };
    let parsed = gix_url::Url::try_from(url)
        .map_err(|_| FetchError::NotGit { why: "its address is none".to_owned() })?;
    let client = Client { outbound, authorization, line };
    Ok(Transport::new_http(client, parsed, Protocol::V2, false))
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, FetchError> {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    let header = HeaderValue::from_str(&format!("Basic {encoded}"));
    let mut header = header.map_err(|_| FetchError::Unusable { why: "they do not fit into a header" })?;
    header.set_sensitive(true);
    Ok(header)
}

#[derive(Clone)]
pub(super) struct Client {
    outbound: Outbound,
    authorization: Option<HeaderValue>,
    line: Line,
}

impl Client {
    fn request(
        &self,
        method: Method,
        url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Request<Bytes>, FetchError> {
        let none = || FetchError::NotGit { why: "its address is none".to_owned() };
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|_| none())?;
        for header in headers {
            let Some((name, value)) = header.as_ref().split_once(':') else { continue };
            let name = name.parse::<HeaderName>().map_err(|_| none())?;
            request.headers_mut().insert(name, value.trim().parse().map_err(|_| none())?);
        }
        // Some servers give their page for people to whoever does not begin like Git.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("git/skep"));
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    /// Sends a request, and looks at the head of its answer.
    fn ask(&self, request: Request<Bytes>) -> Result<Streamed, FetchError> {
        let from = request.uri().clone();
        let answer = self.line.wait(self.outbound.stream(request))?;
        let status = answer.status;
        let told = || said(&format!("it answers {status}"));
        match status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FetchError::Refused { said: told() }),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::NoRepository { said: told() }),
            status if status.is_redirection() => {
                Err(FetchError::Redirected { to: elsewhere(&answer.headers, &from) })
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(FetchError::Server { said: told() })
            }
            status if status.is_server_error() => Err(FetchError::Server { said: told() }),
            _ => Err(FetchError::NotGit { why: told() }),
        }
    }
}

/// Where a redirect leads, as an address of a repository: without what Git adds to it, and without what may be secret.
fn elsewhere(headers: &HeaderMap, from: &Uri) -> String {
    let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
    let bare = to.split(['?', '#']).next().unwrap_or_default();
    let whole = match bare.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => {
            let authority = from.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            format!("{}://{authority}{bare}", from.scheme_str().unwrap_or("https"))
        }
    };
    said(whole.trim_end_matches("/info/refs").trim_end_matches("/git-upload-pack"))
}

impl Http for Client {
    type Headers = Head;
    type ResponseBody = Body;
    type PostBody = Sent;

    fn get(
        &mut self,
        url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix_error::Result<GetResponse<Head, Body>> {
        let kept = |error| self.line.budget.fail(error).raise();
        let answer = self.request(Method::GET, url, headers).and_then(|request| self.ask(request));
        let exchange = Exchange::answered(self.clone(), answer.map_err(kept)?);
        Ok(GetResponse { headers: exchange.head(), body: exchange.body() })
    }

    fn post(
        &mut self,
        url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix_error::Result<PostResponse<Head, Body, Sent>> {
        let request = self.request(Method::POST, url, headers);
        let request = request.map_err(|error| self.line.budget.fail(error).raise())?;
        let exchange = Exchange::asking(self.clone(), request);
        Ok(PostResponse { post_body: exchange.sent(), headers: exchange.head(), body: exchange.body() })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix_error::Result {
        Ok(())
    }
}

/// One request, which is sent when its answer is first asked for.
#[derive(Clone)]
struct Exchange {
    client: Rc<Client>,
    state: Rc<RefCell<State>>,
}

enum State {
    Asking(Box<Request<Bytes>>, Vec<u8>),
    Answered(Box<Streamed>),
    Over,
}

impl Exchange {
    fn asking(client: Client, request: Request<Bytes>) -> Self {
        Self {
            client: Rc::new(client),
            state: Rc::new(RefCell::new(State::Asking(Box::new(request), Vec::new()))),
        }
    }

    fn answered(client: Client, answer: Streamed) -> Self {
        let state = State::Answered(Box::new(answer));
        Self { client: Rc::new(client), state: Rc::new(RefCell::new(state)) }
    }

    fn head(&self) -> Head {
        Head { exchange: self.clone(), lines: None }
    }

    fn body(&self) -> Body {
        Body { exchange: self.clone(), piece: Bytes::new() }
    }

    fn sent(&self) -> Sent {
        Sent { exchange: self.clone() }
    }

    /// Makes sure that the request is sent.
    fn send(&self) -> Result<(), FetchError> {
        let mut state = self.state.borrow_mut();
        match std::mem::replace(&mut *state, State::Over) {
            State::Asking(mut request, body) => {
                *request.body_mut() = body.into();
                *state = State::Answered(Box::new(self.client.ask(*request)?));
            }
            other => *state = other,
        }
        Ok(())
    }

    /// The next piece of the answer, counted; empty at its end.
    fn piece(&self) -> Result<Bytes, FetchError> {
        self.send()?;
        let mut state = self.state.borrow_mut();
        let State::Answered(answer) = &mut *state else { return Ok(Bytes::new()) };
        loop {
            let piece = self.client.line.wait(answer.piece()).map_err(cut)?;
            let Some(piece) = piece else {
                *state = State::Over;
                return Ok(Bytes::new());
            };
            self.client.line.budget.receive(piece.len())?;
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    fn failed(&self, error: FetchError) -> io::Error {
        self.client.line.budget.fail(error)
    }
}

/// A host that was reached and then ends is one that ended too early.
fn cut(error: FetchError) -> FetchError {
    match error {
        FetchError::Outbound(OutboundError::Unreachable { why, .. }) => FetchError::EndedEarly { why },
        error => error,
    }
}

/// What is sent.
pub(super) struct Sent {
    exchange: Exchange,
}

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.exchange.state.borrow_mut() {
            State::Asking(_, body) if body.len() + bytes.len() <= REQUEST_MAX => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            State::Asking(..) | State::Answered(_) | State::Over => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers of an answer, as lines.
pub(super) struct Head {
    exchange: Exchange,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Head {
    fn lines(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.lines.is_none() {
            self.exchange.send().map_err(|error| self.exchange.failed(error))?;
            // It is asked for nothing but the sort of the answer.
            let line = match &*self.exchange.state.borrow() {
                State::Answered(answer) => answer
                    .headers
                    .get(CONTENT_TYPE)
                    .map(|kind| [b"content-type: ", kind.as_bytes(), b"\n"].concat()),
                State::Asking(..) | State::Over => None,
            };
            self.lines = Some(Cursor::new(line.unwrap_or_default()));
        }
        Ok(self.lines.get_or_insert_default())
    }
}

impl Read for Head {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.lines()?.read(into)
    }
}

impl BufRead for Head {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lines()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of an answer.
pub(super) struct Body {
    exchange: Exchange,
    piece: Bytes,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            self.piece = self.exchange.piece().map_err(|error| self.exchange.failed(error))?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        drop(self.piece.split_to(amount.min(self.piece.len())));
    }
}
