//! One request and its answer, redirects included.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use skep_planner::policy::reach::Reach;

use crate::connect::{self, Origin, Resolve, SystemResolver, shown};
use crate::error::OutboundError;

/// The most bytes of an answer's head.
pub(crate) const HEAD_MAX: usize = 64 * 1024;

/// Sends requests to hosts that tenants name.
#[derive(Clone)]
pub struct Outbound {
    shared: Arc<Shared>,
}

struct Shared {
    reach: Reach,
    resolver: Box<dyn Resolve>,
    tls: Arc<ClientConfig>,
}

/// What an answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time for everything: names, connections, redirects and the last byte.
    pub within: Duration,
    /// The most bytes of its body.
    pub body: usize,
    /// The most redirects that are followed. Only what is read with GET or HEAD is asked elsewhere.
    pub redirects: u8,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Outbound {
    /// With the system's authorities and resolver.
    pub fn new(reach: Reach) -> Result<Self, rustls::Error> {
        Self::resolving(reach, Box::new(SystemResolver))
    }

    /// With another resolver.
    pub fn resolving(reach: Reach, resolver: Box<dyn Resolve>) -> Result<Self, rustls::Error> {
        let tls = Arc::new(connect::tls(Vec::new())?);
        Ok(Self { shared: Arc::new(Shared { reach, resolver, tls }) })
    }

    /// With authorities besides the system's.
    pub fn trusting(reach: Reach, authorities: Vec<CertificateDer<'static>>) -> Result<Self, rustls::Error> {
        let tls = Arc::new(connect::tls(authorities)?);
        Ok(Self { shared: Arc::new(Shared { reach, resolver: Box::new(SystemResolver), tls }) })
    }

    /// What every connection is made with.
    pub(crate) fn parts(&self) -> (&Reach, &dyn Resolve, &Arc<ClientConfig>) {
        (&self.shared.reach, &*self.shared.resolver, &self.shared.tls)
    }

    /// What may be asked.
    pub fn reach(&self) -> &Reach {
        &self.shared.reach
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Bytes>, limits: &Limits) -> Result<Answer, OutboundError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let timed_out = OutboundError::TimedOut { host, within: limits.within };
        tokio::time::timeout(limits.within, self.follow(request, limits)).await.unwrap_or(Err(timed_out))
    }

    async fn follow(&self, mut request: Request<Bytes>, limits: &Limits) -> Result<Answer, OutboundError> {
        for left in (0..=limits.redirects).rev() {
            let origin = Origin::of(request.uri())?;
            let answer = self.once(&origin, &request, limits).await?;
            let followed = matches!(*request.method(), Method::GET | Method::HEAD) && limits.redirects > 0;
            if !followed || !leads_elsewhere(answer.status) {
                return Ok(answer);
            }
            if left == 0 {
                return Err(OutboundError::Redirect {
                    host: origin.host,
                    why: "it was followed often enough",
                });
            }
            let Some(next) = location(&answer.headers, request.uri()) else {
                return Err(OutboundError::Redirect { host: origin.host, why: "it says no address" });
            };
            if Origin::of(&next)? != origin {
                request.headers_mut().remove(AUTHORIZATION);
                request.headers_mut().remove(COOKIE);
            }
            *request.uri_mut() = next;
        }
        let host = request.uri().host().unwrap_or_default().to_owned();
        Err(OutboundError::Redirect { host, why: "it was followed often enough" })
    }

    /// One request over a connection of its own.
    async fn once(
        &self,
        origin: &Origin,
        request: &Request<Bytes>,
        limits: &Limits,
    ) -> Result<Answer, OutboundError> {
        let Shared { reach, resolver, tls } = &*self.shared;
        let unreachable = |error: hyper::Error| OutboundError::Unreachable {
            host: origin.host.clone(),
            why: words(&error),
        };
        let stream = connect::connect(origin, reach, &**resolver, tls).await?;
        let handshake = http1::Builder::new().max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(unreachable)?;
        let exchange = async {
            let response = sender.send_request(on_the_wire(request)?).await.map_err(unreachable)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limits.body).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    OutboundError::TooLarge { host: origin.host.clone(), limit: limits.body }
                } else {
                    OutboundError::Unreachable { host: origin.host.clone(), why: error.to_string() }
                }
            })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        // The connection moves only while it is polled, and is dropped with the answer.
        let mut exchange = std::pin::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        let mut open = true;
        loop {
            tokio::select! {
                answer = &mut exchange => return answer,
                // Why it ended is told to the exchange.
                _ended = &mut connection, if open => open = false,
            }
        }
    }
}

/// As it is written in HTTP/1.1: the path in the first line and the host in a header.
pub(crate) fn on_the_wire(request: &Request<Bytes>) -> Result<Request<Full<Bytes>>, OutboundError> {
    let url = request.uri();
    let refused = |why| OutboundError::Address { url: shown(url), why };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path: Uri = path.parse().map_err(|_| refused("its path is none"))?;
    let host = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let host = HeaderValue::from_str(host).map_err(|_| refused("its host is none"))?;
    let mut sent = Request::new(Full::new(request.body().clone()));
    *sent.method_mut() = request.method().clone();
    *sent.uri_mut() = path;
    *sent.headers_mut() = request.headers().clone();
    sent.headers_mut().insert(HOST, host);
    sent.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("skep"));
    Ok(sent)
}

fn leads_elsewhere(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Where an answer leads: a whole address, or a path at the same host.
fn location(headers: &HeaderMap, from: &Uri) -> Option<Uri> {
    let to = headers.get(LOCATION)?.to_str().ok()?;
    if !to.starts_with('/') || to.starts_with("//") {
        return to.parse::<Uri>().ok().filter(|to| to.scheme().is_some());
    }
    let path: Uri = to.parse().ok()?;
    let mut parts = from.clone().into_parts();
    parts.path_and_query = path.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

pub(crate) fn words(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[cfg(test)]
mod tests;
