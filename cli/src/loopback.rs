//! A small HTTP server in the process of a test, and clients of it. It answers what it is told to: it is for the transport, not
//! a stand-in for Skep's API.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::client::{Client, ClientError};
use crate::config::ConfigFile;
use crate::context::{Flags, resolve};

/// A whole answer.
pub(crate) type Answered = Response<Full<Bytes>>;

/// An answer with a body.
pub(crate) fn answer(status: u16, content: &str, body: &str) -> Answered {
    let response = Response::builder().status(status).header(CONTENT_TYPE, content);
    response.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

/// Serves one connection.
pub(crate) async fn speak<S, F>(stream: S, handler: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Answered + Clone + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = handler(request);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Serves every connection with the handler, and gives the address.
pub(crate) async fn server(
    handler: impl Fn(Request<Incoming>) -> Answered + Clone + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(speak(stream, handler.clone()));
        }
    });
    url
}

/// A client without a configuration file.
pub(crate) fn client_of(flags: Flags) -> Result<Client, ClientError> {
    Client::new(&resolve(flags, |_| None, &ConfigFile::default()).unwrap())
}

/// A client of the server with a token.
pub(crate) fn client(url: &str) -> Client {
    client_of(Flags {
        server: Some(url.to_owned()),
        token: Some("t0k3n".to_owned().into()),
        ..Flags::default()
    })
    .unwrap()
}
