//! Streams that end when they say nothing for too long.
//!
//! A connection whose other end vanished without a word stays open for hours. Every stream of an engine is wrapped in
//! this, so that whoever reads it learns of it.

use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt};

use crate::error::{Call, SwarmError};

/// Passes items on; after `idle` without one it says [`SwarmError::Timeout`] and ends. An error also ends it.
pub(super) fn ended_by_silence<T: Send + 'static>(
    stream: impl Stream<Item = Result<T, SwarmError>> + Send + 'static,
    idle: Duration,
    call: Call,
) -> BoxStream<'static, Result<T, SwarmError>> {
    let state = Some((stream.boxed(), call));
    futures::stream::unfold(state, move |state| async move {
        let (mut stream, call) = state?;
        match tokio::time::timeout(idle, stream.next()).await {
            Ok(Some(Ok(item))) => Some((Ok(item), Some((stream, call)))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => Some((Err(SwarmError::Timeout { call, after: idle, sent: true }), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::Verb;

    #[tokio::test]
    async fn a_stream_that_goes_silent_says_so_and_ends() {
        let silent = futures::stream::iter([Ok(1)]).chain(futures::stream::pending());
        let call = Call::plain(Verb::FollowEvents);
        let mut stream = ended_by_silence(silent, Duration::from_millis(20), call);
        assert!(matches!(stream.next().await, Some(Ok(1))));
        assert!(matches!(stream.next().await, Some(Err(SwarmError::Timeout { .. }))));
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_ends_just_ends() {
        let call = Call::plain(Verb::FollowEvents);
        let stream = ended_by_silence(futures::stream::iter([Ok(1), Ok(2)]), Duration::from_secs(5), call);
        assert_eq!(stream.count().await, 2);
    }
}
